"""Nodes that come between others: into a wire, with the room and the wires they need."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.registry import Registry
from app.engine.values import PortValue

from .layout import GRID, NODE_HEIGHT, NODE_WIDTH
from .ops import Ends
from .sockets import Sockets, fitting_ports

#: Between neighbours that were not placed by hand.
_GAP = 96


def insert_into_wire(graph: Graph, registry: Registry, spec: NodeSpec, wire: Ends) -> Graph:
    """Put a node into a wire, and between its ends, if it has ports for both.

    What else it needs comes from where its new neighbours have theirs, if there is one such place.
    """
    sockets = Sockets(graph, registry)
    cls = registry.get(spec.type)
    if cls is None or all(edge.ends != wire for edge in graph.edges):
        return graph
    source, source_port, target, target_port = wire
    given = sockets.output_type(source, source_port)
    wanted = sockets.inputs(target)[target_port].value_type
    inputs = fitting_ports(cls, "source", given)
    outputs = fitting_ports(cls, "target", wanted)
    if not inputs or not outputs:
        return graph
    kept = replace(graph, edges=[edge for edge in graph.edges if edge.ends != wire])
    kept = connected(kept, registry, (source, source_port, spec.id, inputs[0]))
    kept = connected(kept, registry, (spec.id, outputs[0], target, target_port))
    for name, port in cls.input_ports().items():
        if port.required and name != inputs[0]:
            kept = _shared(kept, registry, (spec.id, name), port.value_type, (source, target))
    return _make_room(kept, spec.id, wire)


def _shared(
    graph: Graph,
    registry: Registry,
    end: tuple[str, str],
    wanted: type[PortValue],
    neighbours: tuple[str, str],
) -> Graph:
    """Wire an input to the one output of its very type that feeds the neighbours of its node."""
    sockets = Sockets(graph, registry)
    if sockets.wires_into(*end):
        return graph
    feeding = {
        (edge.source, edge.source_port)
        for edge in graph.edges
        if edge.target in neighbours
        and edge.source != end[0]
        and sockets.output_type(edge.source, edge.source_port) is wanted
    }
    return connected(graph, registry, (*feeding.pop(), *end)) if len(feeding) == 1 else graph


def _make_room(graph: Graph, node: str, wire: Ends) -> Graph:
    """Put a node between the ends of the wire it went into; what follows moves to the right."""
    start, end = graph.nodes[wire[0]].position, graph.nodes[wire[2]].position
    if start is None or end is None:
        return graph
    x = start[0] + NODE_WIDTH + _GAP
    y = round((start[1] + end[1]) / 2 / GRID) * GRID
    moved = {node: replace(graph.nodes[node], position=(x, float(y)))}
    lacking = x + NODE_WIDTH + _GAP - end[0]
    if 0 < lacking < 2 * (NODE_WIDTH + _GAP):
        for id_ in nx.descendants(graph.skeleton(), node):
            spec = graph.nodes[id_]
            if spec.position is not None:
                moved[id_] = replace(spec, position=(spec.position[0] + lacking, spec.position[1]))
    elif lacking <= 0:
        middle = round(((start[0] + end[0]) / 2) / GRID) * GRID
        moved[node] = replace(graph.nodes[node], position=(float(middle), float(y)))
    placed = replace(graph, nodes={**graph.nodes, **moved})
    others = replace(placed, nodes={id_: s for id_, s in placed.nodes.items() if id_ != node})
    free = replace(moved[node], position=free_place(others, moved[node].position or (x, y)))
    return replace(placed, nodes={**placed.nodes, node: free})


def free_place(graph: Graph, wanted: tuple[float, float]) -> tuple[float, float]:
    """The nearest place at or below the wanted one where no card is covered."""
    x, y = wanted
    taken = [spec.position for spec in graph.nodes.values() if spec.position is not None]
    while any(
        abs(x - px) < NODE_WIDTH + GRID and abs(y - py) < NODE_HEIGHT + GRID for px, py in taken
    ):
        y += GRID
    return (x, y)


def connected(graph: Graph, registry: Registry, ends: Ends) -> Graph:
    """The graph with one more wire; an input that takes one wire lets go of its old one."""
    source, source_port, target, target_port = ends
    if any(edge.ends == ends for edge in graph.edges):
        return graph
    port = Sockets(graph, registry).inputs(target).get(target_port)
    edges = graph.edges
    if port is None or not port.many:
        edges = [e for e in edges if (e.target, e.target_port) != (target, target_port)]
    graph = replace(graph, edges=edges)
    Sockets(graph, registry).check(ends)
    return replace(graph, edges=[*edges, EdgeSpec(source, source_port, target, target_port)])
