"""What people do to chunks, as data that can be repeated on the chunks of another processing.

An edit names the place (offsets in the document's text) and the text that it found there:
{"op", "start", "end", "old" (hash of the text), "was" (the text), "n" (its number)} and what it
did: "text" (replace), "at" (split: characters of the chunk's text), "parts" (merge: the places of
its chunks), nothing more for disable and enable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from app.engine.problems import RagloomError
from app.engine.values import Chunk
from app.services.knowledge.chunk_changes import (
    Passage,
    checked_text,
    merged,
    part,
    replaced,
    split,
)
from storage.ids import text_hash

Op = Literal["replace", "split", "merge", "disable", "enable"]
Edit = dict[str, Any]

#: Where a version's facts list the edits that could not be repeated, and count those that were.
EDIT_CONFLICTS, EDITS = "edit_conflicts", "edits"
#: Most corrections of one document: they are kept, and repeated, as a whole.
MOST_EDITS = 2_000


class Carried(NamedTuple):
    """Chunks with the edits that still fit, those edits, and those that do not (with a reason)."""

    passages: list[Passage]
    edits: list[Edit]
    conflicts: list[Edit]


class _Lost(Exception):
    """An edit does not fit any more; the message is for people."""


def edit_of(op: Op, passages: Sequence[Passage], index: int, count: int = 1, **more: Any) -> Edit:
    """The edit that does `op` to `count` chunks from `index` on."""
    parts = [_place(passages, n) for n in range(index, index + count)]
    if count == 1:
        was = parts[0]["was"]
        return {"op": op, **parts[0], "old": text_hash(was), **more}
    old = text_hash("\n".join(part["was"] for part in parts))
    ends = {"start": parts[0]["start"], "end": parts[-1]["end"], "n": index}
    return {"op": op, **ends, "old": old, "parts": parts, **more}


def apply(passages: Sequence[Passage], edit: Edit, index: int) -> list[Passage]:
    """Do an edit to the chunk at `index` (a merge: to it and those after it).

    Raises RagloomError “bad_edit”.
    """
    done = list(passages)
    op, here = edit["op"], passages[index]
    if op == "replace":
        done[index] = replaced(here, checked_text(edit["text"]))
    elif op == "split":
        done[index : index + 1] = split(here, edit["at"])
    elif op == "merge":
        whole = here
        count = len(edit["parts"])
        for following in passages[index + 1 : index + count]:
            whole = merged(whole, following)
        done[index : index + count] = [whole]
    else:
        done[index] = replace(here, disabled=op == "disable")
    return done


def carry(edits: Sequence[Mapping[str, Any]], chunks: Sequence[Chunk]) -> Carried:
    """Repeat edits on new chunks of a document.

    Kept is what still finds its text: as the same chunk, as the only chunk of that text elsewhere,
    or, where chunks are cut otherwise now, as the same stretch of the text, which is cut out for
    it. What finds no such place is a conflict, in the order of the edits.
    """
    passages = [Passage(chunk) for chunk in chunks]
    kept: list[Edit] = []
    conflicts: list[Edit] = []
    for edit in edits:
        plain = {key: value for key, value in edit.items() if key != "reason"}
        try:
            passages, settled = _repeat(passages, plain)
        except _Lost as lost:
            conflicts.append({**plain, "reason": str(lost)})
        except RagloomError as error:
            conflicts.append({**plain, "reason": error.message})
        else:
            kept.append(settled)
    return Carried(passages, kept, conflicts)


def joined(edits: Sequence[Edit], edit: Edit) -> list[Edit]:
    """Edits with one more; what only takes the last one back, or goes on with it, is one with it."""
    if edits and (edit["start"], edit["end"]) == (edits[-1]["start"], edits[-1]["end"]):
        last = edits[-1]
        ops = last["op"], edit["op"]
        if ops == ("replace", "replace") and last["text"] == edit["was"]:
            back = edit["text"] == last["was"]
            return [*edits[:-1], *([] if back else [{**last, "text": edit["text"]}])]
        if sorted(ops) == ["disable", "enable"] and last["was"] == edit["was"]:
            return list(edits[:-1])
        if ops == ("split", "merge") and len(edit["parts"]) == 2:
            pieces = "".join(part["was"] for part in edit["parts"])
            if "".join(pieces.split()) == "".join(last["was"].split()):
                return list(edits[:-1])
    return [*edits, edit]


def noted(meta: Mapping[str, Any], carried: Carried) -> dict[str, Any]:
    """Facts of a version with what became of its edits."""
    facts = {key: value for key, value in meta.items() if key not in (EDITS, EDIT_CONFLICTS)}
    if carried.edits:
        facts[EDITS] = len(carried.edits)
    if carried.conflicts:
        facts[EDIT_CONFLICTS] = carried.conflicts
    return facts


def nearest(passages: Sequence[Passage], edit: Mapping[str, Any]) -> int | None:
    """The chunk that stands where an edit was made, or most of it; None where there is none."""
    if edit.get("start") is None or edit.get("end") is None:
        number = edit.get("n", 0)
        return min(number, len(passages) - 1) if passages else None
    shared = [
        min(p.chunk.end or 0, edit["end"]) - max(p.chunk.start or 0, edit["start"])
        for p in passages
    ]
    best = max(range(len(shared)), key=lambda n: shared[n], default=None)
    return best if best is not None and shared[best] > 0 else None


def _repeat(passages: list[Passage], edit: Edit) -> tuple[list[Passage], Edit]:
    op = edit["op"]
    if op == "merge":
        return _repeat_merge(passages, edit)
    index = _find(passages, edit, disabled=op == "enable")
    if index is None and op == "split":
        index, done = _find_cut(passages, edit)
        if done:
            return passages, edit
    elif index is None:
        passages, index = _cut_out(passages, edit["start"], edit["end"], edit["was"])
    here = passages[index]
    at = edit.get("at")
    if op == "split" and here.chunk.content != edit["was"]:
        at = edit["start"] + at - (here.chunk.start or 0)
    more = {key: edit[key] for key in ("text",) if key in edit}
    if at is not None:
        more["at"] = at
    settled = edit_of(op, passages, index, **more)
    return apply(passages, settled, index), settled


def _repeat_merge(passages: list[Passage], edit: Edit) -> tuple[list[Passage], Edit]:
    parts = edit["parts"]
    first = _find(passages, parts[0])
    if first is not None:
        following = passages[first : first + len(parts)]
        if [p.chunk.content for p in following] == [part["was"] for part in parts]:
            settled = edit_of("merge", passages, first, len(parts))
            return apply(passages, settled, first), settled
    start, end = edit["start"], edit["end"]
    if start is None or end is None:
        raise _Lost("The chunks are not there any more.")
    for passage in passages:
        if (passage.chunk.start or 0) <= start and end <= (passage.chunk.end or 0):
            texts = [_between([passage], part["start"], part["end"]) for part in parts]
            if [_plain(text) for text in texts] == [_plain(part["was"]) for part in parts]:
                return passages, edit  # They are in one chunk anyway.
    inside = [
        n for n, p in enumerate(passages)
        if p.chunk.start is not None and p.chunk.end is not None
        and start <= p.chunk.start and p.chunk.end <= end
    ]  # fmt: skip
    if len(inside) > 1 and inside == list(range(inside[0], inside[-1] + 1)):
        found = passages[inside[0]].chunk.start, passages[inside[-1]].chunk.end
        if found == (start, end):
            settled = edit_of("merge", passages, inside[0], len(inside))
            return apply(passages, settled, inside[0]), settled
    raise _Lost("The chunks that were merged are cut at other places now.")


def _find(
    passages: Sequence[Passage], edit: Mapping[str, Any], *, disabled: bool = False
) -> int | None:
    """The chunk an edit means: at its place with its text, else the only one with its text."""
    same = [n for n, p in enumerate(passages)
            if p.chunk.content == edit["was"] and p.disabled == disabled]  # fmt: skip
    here = [n for n in same
            if (passages[n].chunk.start, passages[n].chunk.end) == (edit["start"], edit["end"])]  # fmt: skip
    if here:
        return min(here, key=lambda n: abs(n - edit.get("n", 0)))
    return same[0] if len(same) == 1 else None


def _find_cut(passages: Sequence[Passage], edit: Edit) -> tuple[int, bool]:
    """The chunk that holds the place of a split, and whether one ends there anyway."""
    start, end = edit["start"], edit["end"]
    if start is None or end is None or len(edit["was"]) != end - start:
        raise _Lost("The chunk is not there any more.")
    if _plain(_between(passages, start, end)) != _plain(edit["was"]):
        raise _Lost("The text at this place is another now.")
    place = start + edit["at"]
    for index, passage in enumerate(passages):
        chunk = passage.chunk
        if chunk.start is None or chunk.end is None:
            continue
        if chunk.start < place < chunk.end and not passage.rewritten and not passage.disabled:
            before, after = (
                chunk.content[: place - chunk.start],
                chunk.content[place - chunk.start :],
            )
            if before.strip() and after.strip():
                return index, False
    return -1, True


def _cut_out(
    passages: Sequence[Passage], start: int | None, end: int | None, was: str
) -> tuple[list[Passage], int]:
    """Give a stretch of the text a chunk of its own, taken from those that hold it now."""
    if start is None or end is None or len(was) != end - start:
        raise _Lost("The chunk is not there any more.")
    if _plain(_between(passages, start, end)) != _plain(was):
        raise _Lost("The text at this place is another now.")
    done: list[Passage] = []
    inner: list[Passage] = []
    for passage in passages:
        chunk = passage.chunk
        if chunk.start is None or chunk.end is None or chunk.end <= start or chunk.start >= end:
            done.append(passage)
            continue
        if passage.disabled or passage.rewritten or len(chunk.content) != chunk.end - chunk.start:
            raise _Lost("Another correction holds a part of this place.")
        rest = passage
        if chunk.start < start and chunk.content[: start - chunk.start].strip():
            before, rest = split(rest, start - chunk.start)
            done.append(before)
        cut = end - (rest.chunk.start or 0)
        after = None
        if end < chunk.end and rest.chunk.content[cut:].strip():
            rest, after = split(rest, cut)
        inner.append(rest)
        if after is not None:
            done.append(after)
    if not inner:
        raise _Lost("The text at this place is not part of any chunk now.")
    boxes = tuple(dict.fromkeys(box for p in inner for box in p.chunk.boxes))
    whole = part(inner[0], was, was, start, end, boxes)
    # Behind all that begins before it.
    position = sum((p.chunk.start or 0) < start for p in done)
    return [*done[:position], whole, *done[position:]], position


def _place(passages: Sequence[Passage], index: int) -> Edit:
    chunk = passages[index].chunk
    return {"start": chunk.start, "end": chunk.end, "was": chunk.content, "n": index}


def _between(passages: Sequence[Passage], start: int, end: int) -> str:
    """What chunks hold of the text from `start` to `end`; nothing for what none holds."""
    found, at = [], start
    for passage in passages:
        first, last = passage.chunk.start, passage.chunk.end
        if first is None or last is None or last <= at or first >= end:
            continue
        if first > at:
            found.append("\n")
        found.append(passage.original[max(at, first) - first : end - first])
        at = last
    return "".join(found)


def _plain(text: str) -> str:
    return " ".join(text.split())
