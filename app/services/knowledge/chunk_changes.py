"""The four things that can be done to chunks: new text, split, merge, leave out.

Offsets and boxes stay those of the document: where the text of a chunk becomes another, its source
is kept beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.documents.embed_text import as_words, with_text
from app.engine.problems import RagloomError
from app.engine.values import Box, Chunk

#: Longest text of a chunk, in characters: no embedder reads more, and pages stay usable.
MOST_CHARACTERS = 50_000
#: White space between two chunks up to this length is theirs; more is text that was left out.
_GAP = 8


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk and what was done to it."""

    chunk: Chunk
    disabled: bool = False
    #: The text of the document at its place, where the content is another; and with the white
    #: space behind it, where a cut by a person left some.
    source: str | None = None

    @property
    def original(self) -> str:
        """The text of the document at its place."""
        return self.chunk.content if self.source is None else self.source

    @property
    def rewritten(self) -> bool:
        """Whether its text is another than the document's."""
        return self.source is not None and self.source.rstrip() != self.chunk.content


def checked_text(text: str) -> str:
    """A chunk's new text without white space around it. Raises RagloomError “bad_edit”."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        raise bad_edit("A chunk needs some text.", "Disable the chunk to leave it out.")
    if len(text) > MOST_CHARACTERS:
        raise bad_edit(
            f"A chunk holds at most {MOST_CHARACTERS:,} characters; this has {len(text):,}.",
            "Shorten it, or split it in two.",
        )
    if "\x00" in text or any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise bad_edit("The text holds characters that cannot be stored.", "Remove them.")
    return text


def bad_edit(message: str, fix: str) -> RagloomError:
    """A correction that cannot be done."""
    return RagloomError(message, code="bad_edit", fix=fix)


def replaced(passage: Passage, text: str) -> Passage:
    """The chunk with another text; its source comes back with its own text."""
    chunk, original = passage.chunk, passage.original
    changed = chunk.model_copy(
        update={
            "content": text,
            "embed_text": _embedded(chunk, text),
            "metadata": _marked(chunk.metadata, text != original.rstrip()),
        }
    )
    return replace(passage, chunk=changed, source=None if text == original else original)


def split(passage: Passage, at: int) -> list[Passage]:
    """Two chunks, cut `at` characters into the text. Raises RagloomError “bad_edit”."""
    chunk, original = passage.chunk, passage.original
    first, second = chunk.content[: max(0, at)].rstrip(), chunk.content[max(0, at) :].lstrip()
    if not first or not second:
        raise bad_edit(
            "There is no text on one side of that place.",
            f"Split between 1 and {len(chunk.content) - 1} characters from the beginning.",
        )
    place = _place_in(original, chunk.content, at) if passage.rewritten else at
    right = original[place:].lstrip()
    left = original[: len(original) - len(right)]
    start, end = chunk.start, chunk.end
    middle = None if start is None or end is None else min(end, start + len(left.rstrip()))
    again = None if start is None or end is None else max(start, end - len(right.rstrip()))
    boxes = _split_boxes(chunk.boxes, place / max(1, len(original)))
    # When the second begins is not known: a chunk of subtitles says when its first words are.
    facts = {key: value for key, value in chunk.metadata.items() if key != "time"}
    later = replace(passage, chunk=chunk.model_copy(update={"metadata": facts}))
    return [
        part(passage, first, left, start, middle, boxes[0]),
        part(later, second, right, again, end, boxes[1]),
    ]


def part(
    whole: Passage, content: str, source: str, start: int | None, end: int | None,
    boxes: tuple[Box, ...],
) -> Passage:  # fmt: skip
    """A chunk like `whole` with another text, at another place."""
    chunk = whole.chunk
    part = chunk.model_copy(
        update={
            "content": content,
            "start": start,
            "end": end,
            "boxes": boxes,
            "page": boxes[0].page if boxes else chunk.page,
            "embed_text": _embedded(chunk, content),
            "metadata": _marked(chunk.metadata),
        }
    )
    return replace(whole, chunk=part, source=None if content == source else source)


def merged(one: Passage, two: Passage) -> Passage:
    """One chunk of two neighbours; what both hold is there once. Raises RagloomError “bad_edit”."""
    if one.disabled or two.disabled:
        raise bad_edit("A disabled chunk cannot be merged.", "Enable it first.")
    a, b = one.chunk, two.chunk
    tail = one.original[len(one.original.rstrip()) :]
    gap = 1 if a.end is None or b.start is None else b.start - a.end - len(tail)
    between = tail + ("\n\n" if gap > _GAP else "\n" * max(gap, 0))
    shared = max(0, -gap)
    source = one.original + ("\n" * max(gap, 0)) + two.original[shared:]
    # Where the second was rewritten, what it shares with the first is not known any more.
    content = a.content + between + (b.content if two.rewritten else b.content[shared:])
    if two.rewritten and not between:
        content = f"{a.content}\n{b.content}"
    if len(content) > MOST_CHARACTERS:
        raise bad_edit(
            f"The chunk would have more than {MOST_CHARACTERS:,} characters.", "Merge fewer chunks."
        )
    headings = []
    for mine, other in zip(a.headings, b.headings, strict=False):
        if mine != other:
            break
        headings.append(mine)
    chunk = a.model_copy(
        update={
            "content": content,
            "end": b.end,
            "headings": tuple(headings),
            "boxes": tuple(dict.fromkeys([*a.boxes, *b.boxes])),
            "embed_text": _embedded(a, content),
            "language": a.language if a.language == b.language else None,
            "metadata": _marked(_common(a.metadata, b.metadata)),
        }
    )
    return replace(one, chunk=chunk, source=None if content == source else source)


def _place_in(original: str, content: str, at: int) -> int:
    """The place in the original text that a place in the rewritten one stands for."""
    short = min(len(original), len(content))
    head = next((n for n in range(short) if original[n] != content[n]), short)
    if at <= head:
        return at
    tail = next(
        (n for n in range(short - head) if original[-1 - n] != content[-1 - n]), short - head
    )
    if len(content) - at <= tail:
        return len(original) - (len(content) - at)
    share = (at - head) / max(1, len(content) - head - tail)
    return head + round(share * (len(original) - head - tail))


def _embedded(chunk: Chunk, text: str) -> str | None:
    """What is embedded for a new text of a chunk: with the same words in front as before."""
    found = with_text(chunk.embed_text, chunk.content, text)
    if found is None or found != chunk.embed_text or text == chunk.content:
        return found
    return "\n".join([" > ".join(chunk.headings), as_words(text)]) if chunk.headings else None


def _marked(metadata: Mapping[str, Any], edited: bool = True) -> dict[str, Any]:
    """Facts of a chunk that was corrected: what its old length said holds no more."""
    kept = {key: value for key, value in metadata.items() if key not in ("tokens", "edited")}
    return {**kept, "edited": True} if edited else kept


def _common(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that hold of both chunks, the time of the first, and the kinds of block of either."""
    facts = {k: value for k, value in one.items() if k == "time" or two.get(k) == value}
    kinds = sorted({*one.get("kinds", ()), *two.get("kinds", ())})
    return {**facts, "kinds": kinds} if kinds else facts


def _split_boxes(boxes: Sequence[Box], share: float) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Boxes of the first `share` (0..1) of a text and of the rest, by their area."""
    areas = [max(0.0, (box.x1 - box.x0) * (box.y1 - box.y0)) for box in boxes]
    left = share * sum(areas)
    first: list[Box] = []
    rest: list[Box] = []
    for box, area in zip(boxes, areas, strict=True):
        if left >= area:
            first.append(box)
        elif left <= 0:
            rest.append(box)
        else:
            y = box.y0 + (box.y1 - box.y0) * left / area
            first.append(box.model_copy(update={"y1": y}))
            rest.append(box.model_copy(update={"y0": y}))
        left -= area
    return tuple(first), tuple(rest)
