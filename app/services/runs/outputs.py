"""Results in the shape a program wants them.

Runs keep the whole value of a port. Here an answer becomes its text, and where the workflow says
which type an output has (`output_format`), the part of the value that fits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from app.engine.values import PORT_TYPES, Chunk, PortValue
from app.services.views import ExecutionView

#: Values are dumped whole, so their keys tell their type (numbers and flags share theirs).
_TYPE_BY_KEYS = {
    frozenset(cls.model_fields): name for name, cls in PORT_TYPES.items() if cls is not PortValue
}
_Pick = Callable[[Mapping[str, Any]], Any]


def _items(value: Mapping[str, Any]) -> list[Any]:
    """Items of a list; those that say their type become what programs mean by it."""
    return [
        _plain_item(item) if isinstance(item, Mapping) and set(item) == {"type", "value"} else item
        for item in value.get("items", [])
    ]


def _plain_item(item: Mapping[str, Any]) -> Any:
    """What an item holds; one that is no value of its type stays as it is.

    Nobody has looked into it before: a list may come from a pin or a person.
    """
    name, value = str(item["type"]), item["value"]
    if name in PORT_TYPES:
        try:
            PORT_TYPES[name].model_validate(value)
        except ValidationError:
            return item
    pick = _ITEM.get(name)
    return pick(value) if pick else value


def _rows(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = table["columns"]
    return [dict(zip(columns, row, strict=False)) for row in table.get("rows", [])]


#: The part of a value that programs mean by its name.
_PLAIN: dict[str, _Pick] = {
    "Text": lambda v: v["text"],
    "Number": lambda v: v["value"],
    "Flag": lambda v: v["value"],
    "Json": lambda v: v.get("data"),
    "Answer": lambda v: v["text"],
    "Chunks": lambda v: v.get("items", []),
    "Documents": _items,
    "Values": _items,
}
#: The same for an item of a list: as the engine takes lists apart, too.
_ITEM: dict[str, _Pick] = {**_PLAIN, "Query": lambda v: v["text"], "Table": _rows}
_STRING: dict[str, _Pick] = {
    "Text": lambda v: v["text"],
    "Query": lambda v: v["text"],
    "Answer": lambda v: v["text"],
    "Verdict": lambda v: " ".join(v.get("reasons", [])),
}
_NUMBER: dict[str, _Pick] = {
    "Number": lambda v: v["value"],
    "Answer": lambda v: v.get("confidence", 0.0),
    "Verdict": lambda v: v["confidence"],
}
_ARRAY: dict[str, _Pick] = {
    "Chunks": lambda v: v.get("items", []),
    "Documents": _items,
    "Values": _items,
    "Table": lambda v: v.get("rows", []),
    "Answer": lambda v: v.get("citations", []),
    "Verdict": lambda v: v.get("checks", []),
}
_FLAG: dict[str, _Pick] = {
    "Flag": lambda v: v["value"],
    "Verdict": lambda v: v["passed"],
    "Answer": lambda v: not v.get("abstained", False),
}
_BY_FORMAT: dict[str, dict[str, _Pick]] = {
    **dict.fromkeys(("string", "str", "text"), _STRING),
    **dict.fromkeys(("float", "number", "integer", "int"), _NUMBER),
    **dict.fromkeys(("array", "list"), _ARRAY),
    **dict.fromkeys(("boolean", "bool"), _FLAG),
    "object": {},
    "dict": {},
    "json": {},
}


def shape_outputs(outputs: Mapping[str, Any], graph: Mapping[str, Any] | None) -> dict[str, Any]:
    """Shape the named outputs of a run of `graph`.

    Without an `output_format`, the citations and the confidence of an answer are added under
    these names where they are free.
    """
    head = (graph or {}).get("graph", {})
    declared = head.get("output_format") if isinstance(head, Mapping) else None
    if isinstance(declared, Mapping) and declared:
        return {
            name: _pick(value, _BY_FORMAT.get(str(declared.get(name)).lower(), _PLAIN))
            for name, value in outputs.items()
        }
    shaped = {name: _pick(value, _PLAIN) for name, value in outputs.items()}
    for value in outputs.values():
        if type_of(value) == "Answer":
            for part in ("citations", "confidence", "abstained"):
                shaped.setdefault(part, value.get(part))
            break
    return shaped


def execution_data(run: ExecutionView) -> dict[str, Any]:
    """A run as programs get it: outputs shaped, steps with whole values, JSON data."""
    data = run.model_dump(mode="json", exclude={"graph"})
    return {**data, "outputs": shape_outputs(run.outputs, run.graph)}


def search_result(chunk: Chunk, with_metadata: bool = True) -> dict[str, Any]:
    """A passage that was found, as programs get it."""
    metadata = {**chunk.metadata, "headings": list(chunk.headings), "language": chunk.language}
    return {
        "chunk_id": chunk.chunk_id,
        "document_id": chunk.document_id,
        "document_name": chunk.document_name,
        "content": chunk.content,
        "score": chunk.score,
        "scores": chunk.scores,
        "page": chunk.page,
        "metadata": metadata if with_metadata else {},
    }


def type_of(value: Any) -> str | None:
    """Name of the port type that JSON data was made from, by its keys."""
    if not isinstance(value, Mapping):
        return None
    name = _TYPE_BY_KEYS.get(frozenset(value))
    if name in ("Number", "Flag"):
        return "Flag" if isinstance(value["value"], bool) else "Number"
    return name


def _pick(value: Any, picks: Mapping[str, _Pick]) -> Any:
    pick = picks.get(type_of(value) or "")
    return pick(value) if pick else value
