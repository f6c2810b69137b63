"""Places for nodes that came without any: layers from left to right.

The browser tidies with the real sizes of the cards; this is for files written by hand, the
seed's form, and headless import.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from app.engine.graph import Graph

GRID = 16
NODE_WIDTH = 240
#: As high as cards usually get; the browser alone knows their real height.
NODE_HEIGHT = 160
_COLUMN = 336
_ROW = 208


def arrange(graph: Graph) -> dict[str, tuple[float, float]]:
    """Top left corner of every node. Nodes on a cycle share a column: they are shown, not lost."""
    skeleton = graph.skeleton()
    groups = nx.condensation(skeleton)
    layer_of: dict[str, int] = {}
    for layer, members in enumerate(nx.topological_generations(groups)):
        for group in members:
            for node in groups.nodes[group]["members"]:
                layer_of[node] = layer
    layers: dict[int, list[str]] = {}
    row: dict[str, float] = {}
    for node in sorted(graph.nodes, key=lambda n: layer_of[n]):
        layers.setdefault(layer_of[node], []).append(node)
    places: dict[str, tuple[float, float]] = {}
    order = {node: i for i, node in enumerate(graph.nodes)}
    for layer, nodes in sorted(layers.items()):
        # A node stands as high as the mean of what feeds it, so wires cross little.
        def height(node: str) -> tuple[float, int]:
            above = [row[p] for p in skeleton.predecessors(node) if p in row]
            return (sum(above) / len(above) if above else 0.0, order[node])

        for i, node in enumerate(sorted(nodes, key=height)):
            row[node] = i - (len(nodes) - 1) / 2
            y = round(row[node] * _ROW / GRID) * GRID
            places[node] = (float(layer * _COLUMN), float(y))
    return places


def place_missing(graph: Graph) -> Graph:
    """The graph with a place for every node; those that have one keep it, unless none has."""
    missing = [spec.id for spec in graph.nodes.values() if spec.position is None]
    if not missing:
        return graph
    places = arrange(graph)
    placed = [s.position for s in graph.nodes.values() if s.position is not None]
    below = max((y for _, y in placed), default=0.0) + _ROW if placed else 0.0
    top = min(places[id_][1] for id_ in missing)
    return replace(
        graph,
        nodes={
            id_: spec
            if spec.position is not None
            else replace(spec, position=(places[id_][0], places[id_][1] - top + below))
            for id_, spec in graph.nodes.items()
        },
    )
