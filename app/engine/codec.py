"""Port values to JSON data and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from app.engine.node import output_ports
from app.engine.problems import RagloomError
from app.engine.registry import AnyNode
from app.engine.values import PORT_TYPES, PortValue
from app.engine.weight import weigh

#: Bytes that are encoded at once, about, and seconds until others get their turn.
_AT_ONCE = 64 * 1024
_TURN_S = 0.005
#: Into how many slices, about, a list is cut that is too large to be encoded at once.
_SLICES = 16
#: What a node gave, by output port; None where a branch was not taken.
Outputs = Mapping[str, PortValue | None]


class UndecodableValue(RagloomError):
    """JSON data does not fit the port it is meant for."""

    code = "undecodable_value"


def encode(value: PortValue) -> dict[str, Any]:
    """JSON data of a value, as events and files show it."""
    return value.model_dump(mode="json", fallback=str)


async def encode_large(value: PortValue) -> dict[str, Any]:
    """What `encode` gives; of much data in parts, between which others get their turn."""
    if not _is_ours(value) or weigh(value, _AT_ONCE) <= _AT_ONCE:
        return encode(value)
    pace = _Pace()
    return {name: await _encode_part(part, pace) for name, part in value.__dict__.items()}


async def _encode_part(data: Any, pace: _Pace) -> Any:
    if not isinstance(data, str | int | float | None) and weigh(data, _AT_ONCE) > _AT_ONCE:
        if isinstance(data, list | tuple):
            return await _encode_list(data, pace)
        named = data.__dict__ if _is_ours(data) else data
        if type(named) is dict and all(type(name) is str for name in named):
            return {name: await _encode_part(part, pace) for name, part in named.items()}
    await pace.give_way()
    return to_jsonable_python(data, fallback=str)


async def _encode_list(data: list[Any] | tuple[Any, ...], pace: _Pace) -> list[Any]:
    """Entries of a large list: one by one where they are few, else slices, whole if light."""
    if len(data) <= _SLICES:
        return [await _encode_part(part, pace) for part in data]
    size = len(data) // _SLICES
    slices = (data[at : at + size] for at in range(0, len(data), size))
    return [entry for part in slices for entry in await _encode_part(part, pace)]


def _is_ours(data: Any) -> bool:
    """Whether it is written field by field: types of packages may have ways of their own."""
    return isinstance(data, BaseModel) and type(data).__module__ == PortValue.__module__


class _Pace:
    """Lets others work every few milliseconds."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give_way(self) -> None:
        if time.perf_counter() - self._since > _TURN_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


def tag(value: PortValue) -> dict[str, Any]:
    """JSON data of a value with the name of its type: `{"type": "Text", "value": {…}}`."""
    return {"type": value.type_name, "value": encode(value)}


def tagged(outputs: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Encoded outputs with their types named, as `NodeFinished.outputs` and `.types` have them."""
    return {
        port: {"type": types[port], "value": data} if port in types and data is not None else data
        for port, data in outputs.items()
    }


def decode_outputs(
    cls: AnyNode,
    data: Mapping[str, Any],
    types: Mapping[str, type[PortValue]],
    node_id: str = "",
    resolved: Mapping[tuple[str, str], type[PortValue]] | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    guess: bool = False,
) -> dict[str, PortValue | None]:
    """Values for the outputs of a node from JSON data by port; ports left out are None.

    Where a port takes any type and its wires do not settle which (`resolved`), the data names
    it: `{"type": "Text", "value": {"text": "…"}}`; with `guess`, the type whose fields it has is
    taken where it does not. `config` are the node's settings, where its ports follow from
    them. Raises UndecodableValue.
    """
    ports = cls.output_ports() if config is None else output_ports(cls, config)
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
        outputs[name] = decode(name, item, value_type, types, guess=guess)
    return outputs


def decode(
    port: str,
    item: Any,
    value_type: type[PortValue],
    types: Mapping[str, type[PortValue]] = PORT_TYPES,
    *,
    guess: bool = False,
) -> PortValue:
    """A value for a port of the type `value_type` from JSON data, plain or tagged.

    Raises UndecodableValue.
    """
    if value_type is PortValue:
        if guess and not _is_tagged(item):
            found = _guess(item, types)
            if found is not None:
                return found
        return untag(port, item, types)
    fields = value_type.model_fields
    if _is_tagged(item) and not ("type" in fields and "value" in fields):
        named = types.get(item["type"])
        if named is not None and issubclass(named, value_type):
            return _decode(port, item["value"], named)
    return _decode(port, item, value_type)


def untag(port: str, item: Any, types: Mapping[str, type[PortValue]] = PORT_TYPES) -> PortValue:
    """The value of `tag`'s data. Raises UndecodableValue, which names `port`."""
    value_type = types.get(item["type"]) if _is_tagged(item) else None
    if value_type is None or value_type is PortValue:
        raise UndecodableValue(
            f"“{port}” takes any type, and its data does not name a known one.",
            fix='Write it as {"type": "Text", "value": {"text": "…"}}; '
            f"types: {', '.join(name for name in types if name != 'Any')}.",
            port=port,
        )
    return _decode(port, item["value"], value_type)


def _guess(item: Any, types: Mapping[str, type[PortValue]]) -> PortValue | None:
    """The value of the first type that has exactly the fields of the data."""
    if not isinstance(item, Mapping):
        return None
    for value_type in types.values():
        if value_type is not PortValue and item.keys() == value_type.model_fields.keys():
            try:
                return value_type.model_validate(item, strict="value" in item)
            except ValidationError:
                continue
    return None


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
