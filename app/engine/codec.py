"""Port values to JSON data and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.engine.problems import RagloomError
from app.engine.registry import AnyNode
from app.engine.values import PortValue

#: What a node gave, by output port; None where a branch was not taken.
Outputs = Mapping[str, PortValue | None]


class UndecodableValue(RagloomError):
    """JSON data does not fit the port it is meant for."""

    code = "undecodable_value"


def encode(value: PortValue) -> dict[str, Any]:
    """JSON data of a value, as events and files show it."""
    return value.model_dump(mode="json", fallback=str)


def decode_outputs(
    cls: AnyNode,
    data: Mapping[str, Any],
    types: Mapping[str, type[PortValue]],
    node_id: str = "",
    resolved: Mapping[tuple[str, str], type[PortValue]] | None = None,
) -> dict[str, PortValue | None]:
    """Values for the outputs of a node from JSON data by port; ports left out are None.

    Where a port takes any type and its wires do not settle which (`resolved`), the data names
    it: `{"type": "Text", "value": {"text": "…"}}`. Raises UndecodableValue.
    """
    ports = cls.output_ports()
    unknown = next((name for name in data if name not in ports), None)
    if unknown is not None:
        raise UndecodableValue(
            f"there is no output “{unknown}”.",
            fix=f"Its outputs: {', '.join(ports) or 'none'}.",
            port=unknown,
        )
    outputs: dict[str, PortValue | None] = dict.fromkeys(ports)
    for name, item in data.items():
        value_type = (resolved or {}).get((node_id, name), ports[name].value_type)
        if item is None:
            continue
        if value_type is PortValue:
            outputs[name] = _untag(name, item, types)
        else:
            outputs[name] = _decode(name, item, value_type)
    return outputs


def _untag(port: str, item: Any, types: Mapping[str, type[PortValue]]) -> PortValue | None:
    if item is None:
        return None
    value_type = types.get(item["type"]) if _is_tagged(item) else None
    if value_type is None:
        raise UndecodableValue(
            f"“{port}” takes any type, and its data does not name a known one.",
            fix='Write it as {"type": "Text", "value": {"text": "…"}}; '
            f"types: {', '.join(types)}.",
            port=port,
        )
    return _decode(port, item["value"], value_type)


def _is_tagged(item: Any) -> bool:
    return isinstance(item, Mapping) and "value" in item and isinstance(item.get("type"), str)


def _decode(port: str, item: Any, value_type: type[PortValue]) -> PortValue:
    try:
        return value_type.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join([port, *(str(part) for part in first["loc"])])
        raise UndecodableValue(
            f"“{path}”: {first['msg']}.",
            fix=f"Give the data of a value of the type {value_type.type_name}.",
            port=port,
        ) from error
