"""What travels along which wire: port types resolved through nodes that pass values on."""

from __future__ import annotations

from collections import defaultdict

import networkx as nx

from app.engine.graph import EdgeSpec, Graph
from app.engine.registry import AnyNode, Registry
from app.engine.values import PortValue, accepts

#: Type of each output port, by (node id, port).
OutputTypes = dict[tuple[str, str], type[PortValue]]


def incoming(graph: Graph) -> dict[str, dict[str, list[EdgeSpec]]]:
    """Edges by target node and target port, in the order of the file."""
    edges: dict[str, dict[str, list[EdgeSpec]]] = defaultdict(lambda: defaultdict(list))
    for edge in graph.edges:
        edges[edge.target][edge.target_port].append(edge)
    return edges


def resolve_types(graph: Graph, registry: Registry) -> OutputTypes:
    """Type of every output port of every known node.

    An output that passes on what came in (`SameAs`) has the type of what is wired to that
    input, or the closest common type of several. In a cycle it stays what it was declared.
    """
    skeleton = graph.skeleton()
    order = (
        list(nx.topological_sort(skeleton))
        if nx.is_directed_acyclic_graph(skeleton)
        else list(graph.nodes)
    )
    wires = incoming(graph)
    types: OutputTypes = {}
    for node_id in order:
        cls = registry.get(graph.nodes[node_id].type)
        if cls is None:
            continue
        for port in cls.output_ports().values():
            value_type = port.value_type
            if port.same_as is not None and node_id in wires:
                sources = [
                    types.get((e.source, e.source_port), PortValue)
                    for e in wires[node_id].get(port.same_as, ())
                ]
                if sources:
                    value_type = _common(sources)
            types[node_id, port.name] = value_type
    return types


def _common(types: list[type[PortValue]]) -> type[PortValue]:
    for base in types[0].__mro__:
        if issubclass(base, PortValue) and all(issubclass(t, base) for t in types):
            return base
    return PortValue


def bypass(cls: AnyNode) -> dict[str, str]:
    """How a disabled node passes values through: output port -> the input it takes.

    The input of the same name where the types fit, else the first of the same type. An input
    feeds one output only, so that a disabled condition takes one branch, not all of them.
    """
    free = dict(cls.input_ports())
    routes = {}
    for port in cls.output_ports().values():
        wanted = port.same_as or port.name
        if wanted in free and accepts(free[wanted].value_type, port.value_type):
            match = wanted
        else:
            match = next((n for n, p in free.items() if p.value_type is port.value_type), "")
        if match:
            routes[port.name] = match
            del free[match]
    return routes
