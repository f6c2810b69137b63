"""One value out of several: the best, all as a list, or joined."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from app.engine.context import NodeContext
from app.engine.items import from_items
from app.engine.problems import NodeFailed
from app.engine.values import (
    Answer,
    Chunk,
    Chunks,
    Documents,
    Json,
    Number,
    PortValue,
    Table,
    Text,
    Values,
    Verdict,
)
from app.nodes.naming import held, names_of, worked_out

SCORE_HELP = (
    "Best only: an expression over “value” that gives a number, such as value.confidence; empty "
    "takes the confidence of answers and verdicts, the best score of passages, or the number."
)
_MAX_ITEMS = 100_000


async def best(values: Sequence[PortValue], score: str, ctx: NodeContext) -> PortValue:
    """The value with the highest score, the first of them at a draw. Raises NodeFailed."""
    scores = [await _score(value, score, ctx) for value in values]
    return values[scores.index(max(scores))]


def listed(values: Sequence[PortValue]) -> Values:
    """The values as a list."""
    found = from_items(list(values))
    assert isinstance(found, Values)
    return found


def concatenate(values: Sequence[PortValue], separator: str) -> PortValue:
    """Passages, documents, texts, tables or lists joined. Raises NodeFailed."""
    first = values[0]
    odd = next((v for v in values if type(v) is not type(first)), None)
    if odd is not None:
        raise _cannot(f"one input is {first.type_name} and another {odd.type_name}", odd)
    joined: PortValue
    match first:
        case Chunks():
            joined = _chunks([v for v in values if isinstance(v, Chunks)])
        case Documents():
            joined = Documents(
                items=tuple(d for v in values if isinstance(v, Documents) for d in v.items)
            )
        case Text():
            joined = Text(text=separator.join(v.text for v in values if isinstance(v, Text)))
        case Table():
            joined = _tables([v for v in values if isinstance(v, Table)])
        case Values():
            joined = Values(
                items=tuple(i for v in values if isinstance(v, Values) for i in v.items)
            )
        case Json():
            lists = [v.data if isinstance(v, Json) else None for v in values]
            if not all(isinstance(data, list) for data in lists):
                raise _cannot("the data of an input is not a list", first)
            joined = Json(data=[item for data in lists for item in data or ()])
        case _:
            raise _cannot(f"an input is {first.type_name}", first)
    count = len(getattr(joined, "items", ())) + len(getattr(joined, "rows", ()))
    if count > _MAX_ITEMS:
        raise NodeFailed(
            f"Together the inputs have {count:,} items; at most {_MAX_ITEMS:,} can be joined.",
            code="too_many_items",
            fix="Take fewer of each before they are joined.",
            found=count,
            expected=_MAX_ITEMS,
        )
    return joined


async def _score(value: PortValue, source: str, ctx: NodeContext) -> float:
    found: object = None
    if source.strip():
        found = held(await worked_out(source, names_of(ctx, {"value": value})))
    elif isinstance(value, Answer):
        found = -1.0 if value.abstained else value.confidence
    elif isinstance(value, Verdict):
        found = value.confidence
    elif isinstance(value, Number):
        found = value.value
    elif isinstance(value, Chunks):
        found = max((c.score for c in value.items if c.score is not None), default=-1.0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise NodeFailed(
            f"A value of the type {value.type_name} has no score to compare by.",
            code="no_score",
            fix="Write an expression under “Score” that gives a number.",
            found=value.type_name,
        )
    return float(found)


def _chunks(parts: Sequence[Chunks]) -> Chunks:
    # One of each in turn, so that the best of every part stays in front.
    seen: dict[str, Chunk] = {}
    for rank in zip_longest(*(part.items for part in parts)):
        for chunk in rank:
            if chunk is not None:
                seen.setdefault(chunk.chunk_id, chunk)
    same_base = {(p.knowledge_base_id, p.commit) for p in parts}
    kb, commit = same_base.pop() if len(same_base) == 1 else (None, None)
    return Chunks(items=tuple(seen.values()), knowledge_base_id=kb, commit=commit)


def _tables(parts: Sequence[Table]) -> Table:
    columns = tuple(dict.fromkeys(column for part in parts for column in part.columns))
    rows = []
    for part in parts:
        places = {column: at for at, column in enumerate(part.columns)}
        for row in part.rows:
            cells = (places.get(column) for column in columns)
            rows.append(tuple(None if at is None or at >= len(row) else row[at] for at in cells))
    return Table(columns=columns, rows=tuple(rows))


def _cannot(why: str, odd: PortValue) -> NodeFailed:
    return NodeFailed(
        f"The inputs cannot be joined: {why}.",
        code="type_mismatch",
        fix="Wire passages, documents, texts, tables or lists of one kind into the merge, or set "
        "its mode to “first” or “all”.",
        found=odd.type_name,
        expected=Chunks.type_name,
    )
