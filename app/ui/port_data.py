"""Values of ports as text that a person edits, and back, checked against the type of the port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.codec import UndecodableValue, decode, encode, tag
from app.engine.graph import Graph
from app.engine.registry import Registry
from app.engine.values import PortValue, Query, Text
from app.engine.wiring import Wiring
from app.services.views import ExecutionView

#: Characters that one port takes by hand.
MAX_CHARS = 2_000_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A port whose value is written by hand."""

    name: str
    value_type: type[PortValue]
    required: bool = False
    many: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is written as plain text, not as JSON."""
        return self.value_type in (Text, Query) and not self.many

    def write(self, data: Any) -> str:
        """The text to edit, for JSON data of a value; empty where there is none."""
        if data is None or data == []:
            return ""
        if self.plain and isinstance(data, Mapping) and isinstance(data.get("text"), str):
            return str(data["text"])
        return json.dumps(data, ensure_ascii=False, indent=2, default=str)

    def read(self, text: str, types: Mapping[str, type[PortValue]], before: Any = None) -> Any:
        """JSON data of the value a text stands for; None for an empty text.

        `before` is what was there: where its text is as it was, the rest of it stays, too.
        Raises UndecodableValue.
        """
        if not text.strip():
            return None
        if len(text) > MAX_CHARS:
            raise UndecodableValue(
                f"The text has {len(text):,} characters.",
                fix=f"At most {MAX_CHARS:,} can be written by hand.",
                port=self.name,
            )
        if self.plain:
            if before is not None and self.write(before) == text:
                return before
            whole = {"text": text, "original": text} if self.value_type is Query else {"text": text}
            return encode(decode(self.name, whole, self.value_type, types))
        data = _parse(self.name, text)
        if self.many:
            items = data if isinstance(data, list) else [data]
            return [self.check(item, types) for item in items]
        return self.check(data, types)

    def check(self, data: Any, types: Mapping[str, type[PortValue]]) -> Any:
        """JSON data of one value as it is kept. Raises UndecodableValue where it does not fit."""
        value = decode(self.name, data, self.value_type, types, guess=True)
        return tag(value) if self.value_type is PortValue else encode(value)

    def hint(self) -> str:
        """What an empty field says."""
        if self.plain:
            return "Plain text"
        if self.value_type is PortValue:
            return '{"type": "Text", "value": {"text": "…"}}'
        fields = [name for name, f in self.value_type.model_fields.items() if f.is_required()]
        fields = fields or list(self.value_type.model_fields)[:2]
        inside = ", ".join(f'"{name}": …' for name in fields)
        return f"{{{inside}}}"


def _parse(port: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UndecodableValue("It is nested too deeply.", port=port) from error
    except ValueError as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise UndecodableValue(
            f"This is no JSON: {what} in {where}.",
            fix="Texts stand in double quotes, and no comma follows the last item.",
            port=port,
        ) from error


def output_slots(graph: Graph, registry: Registry, node: str) -> list[Slot]:
    """Outputs of a node as they stand in the graph."""
    wiring = Wiring(graph, registry)
    return [
        Slot(name, wiring.types.get((node, name), port.value_type))
        for name, port in wiring.outputs(node).items()
    ]


def input_slots(graph: Graph, registry: Registry, node: str) -> list[Slot]:
    """Inputs of a node."""
    wiring = Wiring(graph, registry)
    return [
        Slot(name, port.value_type, port.required, port.many)
        for name, port in wiring.inputs(node).items()
    ]


def read_all(
    slots: list[Slot],
    texts: Mapping[str, str],
    types: Mapping[str, type[PortValue]],
    before: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str]]:
    """JSON data by port, and what is wrong by port; ports without a value are left out."""
    data: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for slot in slots:
        try:
            value = slot.read(texts.get(slot.name, ""), types, before.get(slot.name))
        except UndecodableValue as error:
            wrong[slot.name] = f"{error.message} {error.fix}".strip()
            continue
        if value is not None:
            data[slot.name] = value
        elif slot.required:
            wrong[slot.name] = "The node does not run without a value here."
    return data, wrong


def pinnable(
    graph: Graph, registry: Registry, node: str, outputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Outputs of a step as a node's pinned data. Raises UndecodableValue where they do not fit."""
    slots = {slot.name: slot for slot in output_slots(graph, registry, node)}
    unknown = next((name for name in outputs if name not in slots), None)
    if unknown is not None:
        raise UndecodableValue(f"The node has no output “{unknown}” any more.", port=unknown)
    types = registry.value_types()
    return {
        name: slots[name].check(data, types) for name, data in outputs.items() if data is not None
    }


def pins_of(
    run: ExecutionView, graph: Graph, registry: Registry
) -> tuple[dict[str, dict[str, Any]], int]:
    """What a past run put out, for the nodes of a graph: node -> outputs; and how many do not fit.

    Left out are nodes that are gone, have another type, or whose outputs are not kept any more.
    """
    pins: dict[str, dict[str, Any]] = {}
    left_out = 0
    for step in run.steps:
        if step.status != "completed" or not step.outputs:
            continue
        spec = graph.nodes.get(step.node_id)
        if spec is None or spec.type != step.type or step.truncated:
            left_out += 1
            continue
        try:
            pins[step.node_id] = pinnable(graph, registry, step.node_id, step.outputs)
        except UndecodableValue:
            left_out += 1
    return pins, left_out
