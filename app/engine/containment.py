"""What a node takes and gives is checked when it comes: types, and how much it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.engine.codec import Outputs
from app.engine.node import NodeOutputs, OpenOutputs, Port
from app.engine.plan import PlannedNode
from app.engine.problems import NodeFailed
from app.engine.values import PortValue
from app.engine.weight import Scale


def check_inputs(node: PlannedNode, values: Mapping[str, Any]) -> None:
    """Raise NodeFailed when a value that arrived is not of its port's type."""
    for inlet in node.inlets:
        port, value = inlet.port, values[inlet.port.name]
        if port.value_type is PortValue or value is None:
            continue
        for item in value if port.many else (value,):
            if not isinstance(item, port.value_type):
                raise NodeFailed(
                    f"“{node.title}” takes {port.type_name} at its input “{port.name}”, "
                    f"but {_type_name(item)} arrived.",
                    code="type_mismatch",
                    fix=f"Connect an output that gives {port.type_name}.",
                    port=port.name,
                    found=_type_name(item),
                    expected=port.type_name,
                )


async def check_outputs(node: PlannedNode, result: NodeOutputs, limit: int) -> Outputs:
    """Outputs by port, each of its type and of at most `limit` bytes. Raises NodeFailed."""
    if not isinstance(result, node.cls.Outputs):
        raise NodeFailed(
            f"“{node.title}” returned {type(result).__name__} instead of its outputs.",
            code="bad_output",
            fix="Return an instance of the class's `Outputs`.",
            found=type(result).__name__,
            expected=[port.name for port in node.output_ports],
        )
    # Only fields: a port may have the name of a method of pydantic's.
    fields: Mapping[str, Any] = result.__dict__
    if isinstance(result, OpenOutputs):
        fields = {**fields, **(result.__pydantic_extra__ or {})}
        _refuse_unknown(node, fields)
    outputs: dict[str, PortValue | None] = {}
    for port in node.output_ports:
        value = outputs[port.name] = fields.get(port.name)
        if value is None:
            continue
        if not isinstance(value, port.value_type):
            raise NodeFailed(
                f"“{node.title}” gave {_type_name(value)} at its output “{port.name}”, "
                f"which is declared as {port.type_name}.",
                code="bad_output",
                fix="Return a value of the declared type.",
                port=port.name,
                found=_type_name(value),
                expected=port.type_name,
            )
        await _check_size(node, port, value, limit)
    return outputs


async def _check_size(node: PlannedNode, port: Port, value: PortValue, limit: int) -> None:
    scale = Scale(value, limit)
    for _ in iter(scale.go_on, True):
        # A book is a hundred thousand things: others get their turn in between.
        await asyncio.sleep(0)
    if scale.total > limit:
        raise NodeFailed(
            f"“{node.title}” gave more than {limit / 1024 / 1024:g} MB at its output "
            f"“{port.name}”.",
            code="output_too_large",
            fix="Make it give less: fewer items, shorter texts, or a file instead of its content.",
            port=port.name,
            expected=limit,
        )


def _refuse_unknown(node: PlannedNode, names: Mapping[str, Any]) -> None:
    known: Sequence[str] = [port.name for port in node.output_ports]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise NodeFailed(
            f"“{node.title}” gave a value for “{unknown}”, which is not one of its outputs.",
            code="bad_output",
            fix=f"Its outputs: {', '.join(known) or 'none'}.",
            found=unknown,
            expected=known,
        )


def _type_name(value: object) -> str:
    return value.type_name if isinstance(value, PortValue) else type(value).__name__
