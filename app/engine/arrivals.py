"""What comes to a node from those before it: values and the wires they came by, or why none did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.engine.codec import Outputs
from app.engine.plan import PlannedNode
from app.engine.signature import Wire

#: Wires that are named where none of a node's brought a value.
_NAMED_WIRES = 4


class Result:
    """What a settled node left: its outputs, and the key that stands for them downstream."""

    __slots__ = ("key", "outputs")

    def __init__(self, outputs: Outputs, key: str) -> None:
        self.outputs = outputs
        self.key = key


NOTHING = Result({}, "")


def arrivals(
    node: PlannedNode, results: Mapping[str, Result]
) -> tuple[dict[str, Any], tuple[Wire, ...], str]:
    """Inputs that arrived, the wires they came by, and why the node cannot run, if so."""
    values: dict[str, Any] = {}
    wires: list[Wire] = []
    missing = ""
    came = node.cls.runs_without_values
    for inlet in node.inlets:
        port = inlet.port
        if inlet.given_key:
            came = True
            wires.append(Wire(port.name, "", "", inlet.given_key))
            values[port.name] = inlet.given
            continue
        arrived = []
        for source, source_port in inlet.sources:
            result = results[source]
            value = result.outputs.get(source_port)
            if value is None:
                wires.append(Wire(port.name, source, source_port, ""))
            else:
                wires.append(Wire(port.name, source, source_port, result.key))
                arrived.append(value)
                came = True
        if not arrived and port.required and not missing:
            sources = " or ".join(f"{s}.{p}" for s, p in inlet.sources)
            missing = f"no value for {port.name} came from {sources or 'anywhere'}"
        if port.many:
            values[port.name] = arrived
        else:
            values[port.name] = arrived[0] if arrived else port.default
    if wires and not came and not missing:
        # It lies on a branch that was not taken: its defaults are for what is not wired.
        missing = _nothing_came(wires)
    return values, tuple(wires), missing


def _nothing_came(wires: Sequence[Wire]) -> str:
    sources = list(dict.fromkeys(f"{wire.source}.{wire.source_port}" for wire in wires))
    named = ", ".join(sources[:_NAMED_WIRES])
    more = f" and {len(sources) - _NAMED_WIRES} more" if len(sources) > _NAMED_WIRES else ""
    return f"none of its wires brought a value: {named}{more}"
