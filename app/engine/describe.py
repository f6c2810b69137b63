"""Node types as JSON data: what the palette, the forms, REST and the reference pages show."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from app.engine.node import Port, has_static_inputs, has_static_outputs, input_ports, output_ports
from app.engine.registry import AnyNode, Registry


def node_type(cls: AnyNode) -> dict[str, Any]:
    """A node type: its look, settings (JSON Schema) and ports."""
    return {
        "type": cls.type,
        "version": cls.version,
        "title": cls.title,
        "family": cls.family,
        "icon": cls.icon,
        "description": inspect.getdoc(cls) or "",
        "cacheable": cls.cacheable,
        "timeout_s": cls.timeout_s,
        "config_schema": cls.Config.model_json_schema(),
        "inputs": [_port(port) for port in cls.input_ports().values()],
        "outputs": [_port(port) for port in cls.output_ports().values()],
        # Whether ports follow from the settings: then those above are what every node has.
        "open_inputs": not has_static_inputs(cls),
        "open_outputs": not has_static_outputs(cls),
    }


def ports_of(cls: AnyNode, config: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Ports of a node with these settings."""
    return {
        "inputs": [_port(port) for port in input_ports(cls, config).values()],
        "outputs": [_port(port) for port in output_ports(cls, config).values()],
    }


def node_types(registry: Registry) -> list[dict[str, Any]]:
    """Every node type of a registry."""
    return [node_type(cls) for cls in registry]


def port_types(registry: Registry | None = None) -> list[dict[str, str]]:
    """Every port type; with a registry, also those that third parties brought along."""
    types = (registry or Registry()).value_types()
    return [{"name": name, "help": cls.type_help} for name, cls in types.items()]


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "type": port.type_name,
        "required": port.required,
        "many": port.many,
        "same_as": port.same_as,
        "help": port.help,
    }
