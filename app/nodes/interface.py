"""What nodes with a workflow inside share: its ports, what is handed in, and what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from app.engine.body import Body, steps_inside
from app.engine.codec import decode
from app.engine.context import NodeContext
from app.engine.items import as_value, from_items
from app.engine.node import NodeConfig, Port
from app.engine.problems import RagloomError
from app.engine.values import Json, PortValue
from app.nodes.ports import MAX_PORTS, make_port, text_of

#: Bodies take as long as the nodes inside them, which have limits of their own.
HOURS = 6 * 3600.0


class BodyConfig(NodeConfig):
    """What all nodes with a workflow inside have."""

    body: Body = Field(
        default_factory=Body,
        description="The workflow inside: its own, or a stored one at a revision.",
        json_schema_extra={"widget": "body"},
    )


def read_given(name: str, data: Any, wanted: type[PortValue], ctx: NodeContext) -> PortValue:
    """A value of the type `wanted` from JSON data, written plainly or with its type."""
    if wanted is PortValue:
        try:
            return decode(name, data, wanted, ctx.types, guess=True)
        except RagloomError:
            return as_value(data)
    loose = as_value(data)
    if isinstance(loose, wanted):
        return loose
    if wanted is Json:
        return Json(data=data)
    if wanted.type_name == "Query" and isinstance(data, str):
        return decode(name, {"text": data, "original": data}, wanted, ctx.types)
    return decode(name, data, wanted, ctx.types)


def single(inputs: Mapping[str, PortValue | list[PortValue] | None]) -> dict[str, Any]:
    """Inputs with one value each."""
    return {
        name: from_items(value) if isinstance(value, list) else value
        for name, value in inputs.items()
    }


def of_interface(
    body: Body, results: Mapping[str, PortValue | None]
) -> dict[str, PortValue | None]:
    """The results that the node has outputs for."""
    return {output.name: results.get(output.name) for output in body.interface.outputs}


def _interface(config: Mapping[str, Any], side: str) -> list[Mapping[str, Any]]:
    body = config.get("body")
    if isinstance(body, BaseModel):
        body = body.model_dump()
    interface = body.get("interface") if isinstance(body, Mapping) else None
    rows = interface.get(side) if isinstance(interface, Mapping) else None
    found = rows if isinstance(rows, list | tuple) else []
    return [r for r in found[:MAX_PORTS] if isinstance(r, Mapping) and _usable(text_of(r, "name"))]


def _usable(name: str) -> bool:
    return bool(name) and ">" not in name and name not in ("self", "ctx")


def body_inputs(config: Mapping[str, Any]) -> dict[str, Port]:
    """Input ports for what the body takes, from settings of any shape."""
    return {
        text_of(row, "name"): make_port(
            text_of(row, "name"),
            row.get("type"),
            required=row.get("required") is not False,
            help="An input of the workflow inside.",
        )
        for row in _interface(config, "inputs")
    }


def body_outputs(config: Mapping[str, Any]) -> dict[str, Port]:
    """Output ports for what the body gives, from settings of any shape."""
    return {
        text_of(row, "name"): make_port(
            text_of(row, "name"), row.get("type"), help="A result of the workflow inside."
        )
        for row in _interface(config, "outputs")
    }


def item_name(wanted: str, inner: Iterable[str]) -> str:
    """The input of a body that takes the item: the one named, or the only one there is."""
    names = [name for name in inner if name != "index"]
    return names[0] if wanted not in names and len(names) == 1 else wanted


def without_body(config: Mapping[str, Any], title: str) -> list[tuple[str, str, str, str]]:
    """The problem of a node whose settings hold no workflow."""
    body = config.get("body")
    if isinstance(body, Mapping) and (body.get("graph") or body.get("workflow")):
        return []
    return [
        (
            "no_body",
            f"“{title}” has no workflow inside.",
            "Choose a stored workflow, or build one inside.",
            "error",
        )
    ]


def body_words(config: Mapping[str, Any]) -> str:
    """What is inside, in words."""
    body = config.get("body")
    if isinstance(body, BaseModel):
        body = body.model_dump()
    if not isinstance(body, Mapping):
        return "no workflow yet"
    if body.get("workflow"):
        revision = body.get("revision")
        return f"a stored workflow, version {revision}" if revision else "a stored workflow"
    graph = body.get("graph")
    if not isinstance(graph, Mapping):
        return "no workflow yet"
    count = steps_inside(graph)
    return f"{count} step{'' if count == 1 else 's'} inside"


def said(error: RagloomError) -> dict[str, Any]:
    """An error as data."""
    return {"code": error.code, "message": error.message, "fix": error.fix}
