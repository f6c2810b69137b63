"""How a value of one run differs from the same value of another, by what kind of value it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.services.runs.outputs import type_of
from app.services.views import View
from app.services.workflows.json_diff import Change, TextPart, changes, equal, text_diff

#: Scores that differ by less come from another order of the same sums.
TOLERANCE = 1e-6
MAX_CHANGES = 40
MAX_CHUNKS = 60
_SNIPPET = 160
#: Types that are read as one text; whatever else they hold is compared as data.
_TEXTS = ("Text", "Answer", "Query")
#: Says how a value came to be, not what it is.
_ASIDE = ("usage",)


class ChunkRank(View):
    """A passage and its place in both results, from 1; None where it was not found."""

    chunk_id: str
    document_name: str
    page: int | None = None
    snippet: str
    rank_a: int | None = None
    rank_b: int | None = None
    score_a: float | None = None
    score_b: float | None = None
    #: What was taken out of its text and put in, where that differs.
    text: list[TextPart] = []


class ValueDiff(View):
    """One port in both runs."""

    port: str
    #: Name of the port type, where it can be told.
    type: str = ""
    #: In words: “5 → 8 passages, 2 moved”.
    what: str
    #: Of texts: what was taken out and put in.
    text: list[TextPart] = []
    #: Of passages: every one that moved, came, went, got another score or text, best first.
    chunks: list[ChunkRank] = []
    #: Of everything else, and of what texts carry beside their text.
    changes: list[Change] = []
    #: True where there are more differences than are listed.
    more: bool = False


def ports_diff(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[ValueDiff]:
    """The ports whose values differ."""
    found = []
    for port in [*a, *(port for port in b if port not in a)]:
        diff = value_diff(port, a.get(port), b.get(port), port in a, port in b)
        if diff is not None:
            found.append(diff)
    return found


def same_ports(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether all ports carry the same values."""
    return a.keys() == b.keys() and all(
        equal(_bare(a[port]), _bare(b[port]), TOLERANCE) for port in a
    )


def value_diff(port: str, a: Any, b: Any, in_a: bool = True, in_b: bool = True) -> ValueDiff | None:
    """How two values differ; None where they do not."""
    if in_a and in_b and equal(_bare(a), _bare(b), TOLERANCE):
        return None
    kinds = {type_of(value) or "" for value in (a, b) if value is not None}
    kind = kinds.pop() if len(kinds) == 1 else ""
    if a is None or b is None:
        gone = "second" if b is None else "first"
        return ValueDiff(
            port=port, type=kind, what=f"nothing came out in the {gone} run",
            changes=changes({port: a}, {port: b}),
        )  # fmt: skip
    if kind == "Chunks":
        return _chunks(port, a, b)
    if kind in _TEXTS:
        return _text(port, kind, a, b)
    found = changes(_bare(a), _bare(b), limit=MAX_CHANGES + 1, tolerance=TOLERANCE)
    return ValueDiff(
        port=port, type=kind, what=_size(found), changes=found[:MAX_CHANGES],
        more=len(found) > MAX_CHANGES,
    )  # fmt: skip


def _chunks(port: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> ValueDiff:
    left, right = _by_chunk(a.get("items", ())), _by_chunk(b.get("items", ()))
    rows = []
    for id_ in [*right, *(i for i in left if i not in right)]:
        (rank_a, old), (rank_b, new) = left.get(id_, (None, {})), right.get(id_, (None, {}))
        if rank_a == rank_b and equal(old, new, TOLERANCE):
            continue
        chunk = new or old
        rows.append(
            ChunkRank(
                chunk_id=id_,
                document_name=str(chunk.get("document_name") or ""),
                page=chunk.get("page"),
                snippet=" ".join(str(chunk.get("content") or "").split())[:_SNIPPET],
                rank_a=rank_a,
                rank_b=rank_b,
                score_a=old.get("score"),
                score_b=new.get("score"),
                text=_rewritten(old, new) if old and new else [],
            )
        )
    came = sum(row.rank_a is None for row in rows)
    went = sum(row.rank_b is None for row in rows)
    moved = sum(
        row.rank_a != row.rank_b
        for row in rows
        if row.rank_a is not None and row.rank_b is not None
    )
    said = [f"{len(left)} → {len(right)} passages"] if len(left) != len(right) else []
    reworded = sum(bool(row.text) for row in rows)
    counts = ((came, "new"), (went, "gone"), (moved, "moved"), (reworded, "with another text"))
    said += [f"{count} {word}" for count, word in counts if count]
    if a.get("commit") != b.get("commit"):
        said.append("another commit of the knowledge base")
    rest = changes(
        {k: v for k, v in a.items() if k != "items"},
        {k: v for k, v in b.items() if k != "items"},
    )
    return ValueDiff(
        port=port, type="Chunks", what=", ".join(said) or ("other scores" if rows else _size(rest)),
        chunks=rows[:MAX_CHUNKS], changes=rest[:MAX_CHANGES], more=len(rows) > MAX_CHUNKS,
    )  # fmt: skip


def _rewritten(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[TextPart]:
    before, after = str(old.get("content") or ""), str(new.get("content") or "")
    return text_diff(before, after) if before != after else []


def _by_chunk(items: Sequence[Any]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for rank, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            found.setdefault(str(item.get("chunk_id")), (rank, item))
    return found


def _text(port: str, kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> ValueDiff:
    before, after = str(a.get("text", "")), str(b.get("text", ""))
    # Sentences repeat the text; where that differs they say nothing new.
    aside = {"text", "sentences"} if before != after else {"text"}
    rest = changes(
        {k: v for k, v in _bare(a).items() if k not in aside},
        {k: v for k, v in _bare(b).items() if k not in aside},
        limit=MAX_CHANGES + 1,
        tolerance=TOLERANCE,
    )
    return ValueDiff(
        port=port,
        type=kind,
        what="another text" if before != after else _size(rest),
        text=text_diff(before, after) if before != after else [],
        changes=rest[:MAX_CHANGES],
        more=len(rest) > MAX_CHANGES,
    )


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping) and any(name in value for name in _ASIDE):
        return {key: part for key, part in value.items() if key not in _ASIDE}
    return value


def _size(found: Sequence[Change]) -> str:
    if len(found) == 1:
        return describe(found[0])
    more = len(found) > MAX_CHANGES
    return f"{'more than ' if more else ''}{min(len(found), MAX_CHANGES)} differences"


def describe(change: Change, *, longest: int = 60) -> str:
    """A change in a few words: “top_k 5 → 8”."""
    name = change.path.removeprefix("config.").removeprefix("inputs.")
    if change.kind == "added":
        return f"{name} was added: {_short(change.after, longest)}".strip()
    if change.kind == "removed":
        return f"{name} was removed"
    if name == "pinned":
        kinds = {(False, True): "is pinned", (True, False): "is no longer pinned"}
        how = kinds.get((change.before is not None, change.after is not None))
        return f"the output {how or 'is pinned to another value'}"
    words = f"{name} {_short(change.before, longest)} → {_short(change.after, longest)}"
    return words.strip()


def _short(value: Any, longest: int) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    text = " ".join(str(value).split())
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return f"“{shown}”" if isinstance(value, str) else shown
