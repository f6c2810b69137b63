"""Lists of values: taking a value apart into items, and putting items together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.engine.codec import encode, tag, untag
from app.engine.values import (
    PORT_TYPES,
    Chunks,
    Documents,
    Flag,
    Json,
    Number,
    PortValue,
    Query,
    Table,
    Text,
    Values,
)


def to_items(
    value: PortValue, types: Mapping[str, type[PortValue]] = PORT_TYPES
) -> list[PortValue]:
    """The items of a value: each passage as Chunks of one, each row of a table as Json.

    A value that is no list is its own and only item. `types` names further port types that
    `Values` may hold. Raises UndecodableValue.
    """
    match value:
        case Values():
            return [untag("items", item, types) for item in value.items]
        case Chunks():
            return [value.model_copy(update={"items": (chunk,)}) for chunk in value.items]
        case Documents():
            return [value.model_copy(update={"items": (document,)}) for document in value.items]
        case Table():
            return [Json(data=dict(zip(value.columns, row, strict=False))) for row in value.rows]
        case Json(data=list() as data):
            return [as_value(item) for item in data]
        case _:
            return [value]


def from_items(items: Sequence[PortValue], value_type: type[PortValue] = Values) -> PortValue:
    """One value out of several: passages and documents joined, else a list.

    With `Json` a list of their plain data, with `Text` their texts with an empty line between,
    with `Table` a row each (what they hold under named columns, else a column “value”).
    """
    if value_type is Chunks and all(isinstance(item, Chunks) for item in items):
        return Chunks(items=tuple(c for item in items for c in getattr(item, "items", ())))
    if value_type is Documents and all(isinstance(item, Documents) for item in items):
        return Documents(items=tuple(d for item in items for d in getattr(item, "items", ())))
    if value_type is Json:
        return Json(data=[plain(item) for item in items])
    if value_type is Text:
        return Text(text="\n\n".join(_as_text(plain(item)) for item in items))
    if value_type is Table:
        return _table([plain(item) for item in items])
    return Values(items=tuple(tag(item) for item in items))


def plain(value: PortValue | None) -> Any:
    """What a value holds, as JSON data: the text, the number, the rows by column name.

    A question is its text; a value of any other type is its fields.
    """
    data: Any = None if value is None else encode(value)
    match value:
        case Text() | Query():
            data = data["text"]
        case Number() | Flag():
            data = data["value"]
        case Json():
            data = data["data"]
        case Table():
            data = [dict(zip(value.columns, row, strict=False)) for row in data["rows"]]
        case Values():
            data = [plain(item) for item in to_items(value)]
    return data


def as_value(data: Any) -> PortValue:
    """JSON data as the closest plain value: text as Text, a number as Number, else Json."""
    match data:
        case str():
            return Text(text=data)
        case bool():
            return Flag(value=data)
        case int() | float():
            return Number(value=data)
        case _:
            return Json(data=data)


def _as_text(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and isinstance(data.get("text"), str):
        return str(data["text"])
    import json

    return json.dumps(data, ensure_ascii=False)


def _table(rows: list[Any]) -> Table:
    dicts = [row if isinstance(row, dict) else {"value": row} for row in rows]
    columns = tuple(dict.fromkeys(str(key) for row in dicts for key in row))
    return Table(columns=columns, rows=tuple(tuple(row.get(c) for c in columns) for row in dicts))
