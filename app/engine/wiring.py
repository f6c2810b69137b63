"""How a workflow hangs together: classes, wires, order, and the types that travel on wires."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import networkx as nx

from app.engine.graph import EdgeSpec, Graph, migrated_config
from app.engine.node import (
    Port,
    has_static_inputs,
    has_static_outputs,
    input_ports,
    output_ports,
)
from app.engine.registry import AnyNode, Registry
from app.engine.values import PortValue, accepts

log = logging.getLogger(__name__)

#: Type of each output port, by (node id, port).
OutputTypes = dict[tuple[str, str], type[PortValue]]


class Wiring:
    """A graph seen with the node classes of a registry. Each part is worked out when asked for."""

    def __init__(self, graph: Graph, registry: Registry) -> None:
        self.graph = graph
        self.registry = registry
        #: Classes of the nodes whose type is known.
        self.classes: dict[str, AnyNode] = {
            node.id: cls
            for node in graph.nodes.values()
            if (cls := registry.get(node.type)) is not None
        }
        #: Edges by target node and target port, in the order of the file.
        self.wires: dict[str, dict[str, list[EdgeSpec]]] = {}
        for edge in graph.edges:
            self.wires.setdefault(edge.target, {}).setdefault(edge.target_port, []).append(edge)
        self._inputs: dict[str, dict[str, Port]] = {}
        self._outputs: dict[str, dict[str, Port]] = {}

    def title(self, node_id: str) -> str:
        """What a person calls a node."""
        node, cls = self.graph.nodes.get(node_id), self.classes.get(node_id)
        return (node and node.title) or (cls and cls.title) or node_id

    def edges_into(self, node_id: str, port: str) -> list[EdgeSpec]:
        """Edges that lead to an input port."""
        return self.wires.get(node_id, {}).get(port, [])

    def inputs(self, node_id: str) -> dict[str, Port]:
        """Input ports of a node with its settings; none where its type is unknown."""
        ports = self._inputs.get(node_id)
        if ports is None:
            cls = self.classes.get(node_id)
            if cls is None:
                ports = {}
            elif has_static_inputs(cls):
                ports = cls.input_ports()
            else:
                ports = input_ports(cls, self._config(node_id, cls))
            self._inputs[node_id] = ports
        return ports

    def outputs(self, node_id: str) -> dict[str, Port]:
        """Output ports of a node with its settings; none where its type is unknown."""
        ports = self._outputs.get(node_id)
        if ports is None:
            cls = self.classes.get(node_id)
            if cls is None:
                ports = {}
            elif has_static_outputs(cls):
                ports = cls.output_ports()
            else:
                ports = output_ports(cls, self._config(node_id, cls))
            self._outputs[node_id] = ports
        return ports

    def _config(self, node_id: str, cls: AnyNode) -> Mapping[str, Any]:
        spec = self.graph.nodes[node_id]
        try:
            return migrated_config(spec, cls)
        except Exception:  # a node's own code, over settings of any shape
            log.debug("Settings of %s (%s) stay as they are", node_id, cls.type, exc_info=True)
            return spec.config

    @cached_property
    def skeleton(self) -> nx.DiGraph:
        """Ids and connections, without edges whose ends do not exist."""
        return self.graph.skeleton()

    @cached_property
    def order(self) -> list[str] | None:
        """Node ids in NetworkX's topological order; None in a graph with cycles."""
        try:
            return list(nx.topological_sort(self.skeleton))
        except nx.NetworkXUnfeasible:
            return None

    @cached_property
    def types(self) -> OutputTypes:
        """Type of every output port of every known node.

        An output that passes on what came in (`SameAs`) has the type of what is wired to that
        input, or the closest common type of several. In a cycle it stays as declared.
        """
        types: OutputTypes = {}
        for node_id in self.order or self.graph.nodes:
            for port in self.outputs(node_id).values():
                value_type = port.value_type
                if port.same_as is not None:
                    sources = [
                        types.get((e.source, e.source_port), PortValue)
                        for e in self.edges_into(node_id, port.same_as)
                    ]
                    value_type = _common(sources) if sources else value_type
                types[node_id, port.name] = value_type
        return types


def resolve_types(graph: Graph, registry: Registry) -> OutputTypes:
    """Type of every output port of every known node; see `Wiring.types`."""
    return Wiring(graph, registry).types


def _common(types: list[type[PortValue]]) -> type[PortValue]:
    for base in types[0].__mro__:
        if issubclass(base, PortValue) and all(issubclass(t, base) for t in types):
            return base
    return PortValue


def bypass(cls: AnyNode, config: Mapping[str, Any] | None = None) -> dict[str, str]:
    """How a disabled node passes values through: output port -> the input it takes.

    The input of the same name where the types fit, else the first of the same type. An input
    feeds one output only, so that a disabled condition takes one branch, not all of them.
    """
    free = dict(input_ports(cls, config or {}))
    routes = {}
    for port in output_ports(cls, config or {}).values():
        wanted = port.same_as or port.name
        if wanted in free and accepts(free[wanted].value_type, port.value_type):
            match = wanted
        else:
            match = next((n for n, p in free.items() if p.value_type is port.value_type), "")
        if match:
            routes[port.name] = match
            del free[match]
    return routes
