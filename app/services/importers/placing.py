"""Places of nodes: those of the other editor, scaled so that the nodes of this one fit."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from math import ceil
from typing import TYPE_CHECKING

import networkx as nx

from app.services.exports.layout import WIDTH, lay_out
from app.services.exports.text import note_height

if TYPE_CHECKING:
    from app.engine.graph import Graph
    from app.services.importers.builder import Builder

#: Width of a node with the room beside it, and height of a usual one with the room below.
COLUMN, ROW = 304.0, 176.0
GRID = 8.0
#: Room that is left below a node or note, and beside it.
_ROOM, _BESIDE = 32.0, 16.0
#: Height of the line with which a node says on the canvas how it is.
_STATUS = 32.0
_MOST_NOTES = 200
#: Left, top, right, bottom.
_Rect = tuple[float, float, float, float]


def arrange(builder: Builder) -> None:
    """Give every node a place, and every sticky note; nothing lies on top of another."""
    graph = builder.graph
    steps = builder.steps
    known = {s.id: (s.x, s.y) for s in steps.values() if s.x is not None and s.y is not None}
    places: dict[str, tuple[float, float]] = {}
    if len(known) > 1 and len({round(x) for x, _ in known.values()}) > 1:
        places, scale = _scaled(builder, known)
    else:
        scale = (1.0, 1.0, 0.0, 0.0)
        _in_columns(graph, list(graph.nodes), places)
    rest = [n for n in graph.nodes if n not in places]
    _beside(graph, rest, places)
    # As high as they are drawn; where they stand does not matter for that.
    drawn = lay_out(graph, builder.registry).cards
    heights = {id_: card.height + _STATUS for id_, card in drawn.items()}
    _spread(places, heights)
    for node_id, spec in graph.nodes.items():
        spec.position = places.get(node_id, (0.0, 0.0))
    if not builder.inside:
        _notes(builder, scale, heights)


def _scaled(
    builder: Builder, known: dict[str, tuple[float, float]]
) -> tuple[dict[str, tuple[float, float]], tuple[float, float, float, float]]:
    """The last node of each step where its step was; those before it to its left."""
    chains: dict[str, list[str]] = {}
    skeleton = builder.graph.skeleton()
    made = {node_id: number for number, node_id in enumerate(builder.graph.nodes)}
    acyclic = nx.is_directed_acyclic_graph(skeleton)
    for node_id in nx.lexicographical_topological_sort(skeleton, made.get) if acyclic else made:
        if owner := builder.draft.owner.get(node_id):
            chains.setdefault(owner, []).append(node_id)
    gaps = [
        known[link.target][0] - known[link.source][0]
        for link in builder.links
        if link.source in known and link.target in known
    ]
    gaps = [gap for gap in gaps if gap > 40]
    longest = sorted(len(c) for s, c in chains.items() if s in known)
    usual = longest[int(len(longest) * 0.8)] if longest else 1
    x_scale = min(
        3.0, max(0.7, COLUMN * min(3, usual) / (statistics.median(gaps) if gaps else 320))
    )
    y_scale = 1.25
    left = min(x for x, _ in known.values())
    top = min(y for _, y in known.values())
    places: dict[str, tuple[float, float]] = {}
    for step_id, (x, y) in known.items():
        nodes = chains.get(step_id, [])
        for index, node_id in enumerate(nodes):
            back = len(nodes) - 1 - index
            places[node_id] = (
                _snap((x - left) * x_scale - back * COLUMN),
                _snap((y - top) * y_scale + (32 if back else 0)),
            )
    return places, (x_scale, y_scale, left, top)


def _in_columns(graph: Graph, nodes: list[str], places: dict[str, tuple[float, float]]) -> None:
    """From left to right by how much comes before a node."""
    skeleton = graph.skeleton()
    column: dict[str, int] = {}
    order = list(nx.topological_sort(skeleton)) if nx.is_directed_acyclic_graph(skeleton) else nodes
    filled: dict[int, int] = {}
    for node_id in order:
        column[node_id] = max(
            (column.get(p, 0) + 1 for p in skeleton.predecessors(node_id)), default=0
        )
        row = filled.get(column[node_id], 0)
        filled[column[node_id]] = row + 1
        places[node_id] = (column[node_id] * COLUMN, row * ROW)


def _beside(graph: Graph, nodes: list[str], places: dict[str, tuple[float, float]]) -> None:
    """To the left of what takes their values, else in a row at the top."""
    for number, node_id in enumerate(nodes):
        targets = [
            places[e.target] for e in graph.edges if e.source == node_id and e.target in places
        ]
        if targets:
            x, y = min(targets)
            places[node_id] = (_snap(x - COLUMN), _snap(y))
        else:
            places[node_id] = (number * COLUMN, -ROW)


def _spread(places: dict[str, tuple[float, float]], heights: Mapping[str, float]) -> None:
    """Move nodes down until none covers another."""
    columns: dict[int, list[_Rect]] = {}
    for node_id in sorted(places, key=lambda n: (places[n][0], places[n][1])):
        x, y = places[node_id]
        high = heights.get(node_id, ROW)
        column = int(x // COLUMN)
        near = (r for c in (column - 1, column, column + 1) for r in columns.get(c, ()))
        y = _up(_after(y, high, _across(x, WIDTH, near), _ROOM))
        places[node_id] = (x, y)
        columns.setdefault(column, []).append((x, y, x + WIDTH, y + high))


def _across(x: float, wide: float, rects: Iterable[_Rect]) -> list[tuple[float, float]]:
    """Top and bottom of those that stand above, below or on what is so wide, from the top down."""
    return sorted((r[1], r[3]) for r in rects if x < r[2] + _BESIDE and r[0] < x + wide + _BESIDE)


def _beside_of(y: float, high: float, rects: Iterable[_Rect]) -> list[tuple[float, float]]:
    """Left and right of those to the left or right of what is so high, from left to right."""
    return sorted((r[0], r[2]) for r in rects if y < r[3] + _ROOM and r[1] < y + high + _ROOM)


def _after(start: float, length: float, spans: list[tuple[float, float]], room: float) -> float:
    """The first place from `start` on for this length, so far from all spans; they are sorted."""
    for begin, end in spans:
        if start < end + room and begin < start + length + room:
            start = end + room
    return start


def _before(start: float, length: float, spans: list[tuple[float, float]], room: float) -> float:
    """The same, going backwards."""
    mirrored = sorted((-end, -begin) for begin, end in spans)
    return -_after(-start - length, length, mirrored, room) - length


def _notes(
    builder: Builder, scale: tuple[float, float, float, float], heights: Mapping[str, float]
) -> None:
    """The sticky notes, as high as their text, beside the nodes where they lay under some."""
    x_scale, y_scale, left, top = scale
    taken: list[_Rect] = []
    for node_id, spec in builder.graph.nodes.items():
        x, y = spec.position or (0.0, 0.0)
        taken.append((x, y, x + WIDTH, y + heights.get(node_id, ROW)))
    notes = []
    for number, note in enumerate(builder.source.notes[:_MOST_NOTES], 1):
        text = builder.redactor.text(note.text)[:8_000]
        wide = _snap(min(900.0, max(160.0, note.width)))
        high = _up(max(96.0, min(720.0, note_height(text, wide))))
        x, y = _free(
            _snap((note.x - left) * x_scale), _snap((note.y - top) * y_scale), wide, high, taken
        )
        taken.append((x, y, x + wide, y + high))
        notes.append(
            {
                "id": f"note_{number}",
                "x": x,
                "y": y,
                "width": wide,
                "height": high,
                "text": text,
                "colour": note.colour,
            }
        )
    if notes:
        builder.graph.extra["notes"] = notes


def _free(x: float, y: float, wide: float, high: float, taken: list[_Rect]) -> tuple[float, float]:
    """The nearest place straight up, left, down or right of this one that nothing covers."""
    column, row = _across(x, wide, taken), _beside_of(y, high, taken)
    found = (
        (x, -_up(-_before(y, high, column, _ROOM))),
        (-_up(-_before(x, wide, row, _BESIDE)), y),
        (x, _up(_after(y, high, column, _ROOM))),
        (_up(_after(x, wide, row, _BESIDE)), y),
    )
    return min(found, key=lambda place: abs(place[0] - x) + abs(place[1] - y))


def _snap(value: float) -> float:
    return round(value / GRID) * GRID


def _up(value: float) -> float:
    return ceil(value / GRID) * GRID
