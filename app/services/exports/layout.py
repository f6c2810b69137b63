"""Where the parts of a workflow stand in a picture of it: cards, ports, notes, groups."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from app.engine import expressions
from app.engine.graph import Graph, NodeSpec
from app.engine.registry import AnyNode, Registry
from app.engine.wiring import resolve_types

log = logging.getLogger(__name__)

#: Measures of a card on the canvas, in pixels.
WIDTH, HEAD, SUMMARY, ROW, PAD = 240.0, 40.0, 24.0, 24.0, 8.0
_COLUMN, _GAP = 336.0, 48.0
#: Room around the nodes of a group, and for its title above them.
_AROUND, _TITLE = 24.0, 36.0
COLOURS = ("amber", "blue", "green", "rose", "violet", "grey")
_MOST_DRAWN = 500
#: With what joins and colours them; ticks and crosses are in most typefaces.
_PICTOGRAPHS = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u2712\u2719-\u2767\u2795-\u27bf\u231a\u231b\u23e9-\u23ff\u2b50\u2b55\ufe0f\u200d]"
)


@dataclass(slots=True)
class Card:
    """A node; ports are (name, type name) from the top down."""

    id: str
    title: str
    family: str
    summary: str
    x: float
    y: float
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, str]]
    dashed: bool = False
    disabled: bool = False
    pinned: bool = False

    @property
    def top(self) -> float:
        """Height of what stands above the ports."""
        return HEAD + (SUMMARY if self.summary else 0.0)

    @property
    def height(self) -> float:
        """Height of the card."""
        rows = max(len(self.inputs), len(self.outputs))
        return self.top + (PAD + ROW * rows if rows else 4.0)

    def port(self, side: str, name: str) -> tuple[float, float] | None:
        """Where the dot of a port is; `side` is “in” or “out”."""
        ports = self.inputs if side == "in" else self.outputs
        for row, (port, _) in enumerate(ports):
            if port == name:
                x = self.x if side == "in" else self.x + WIDTH
                return x, self.y + self.top + PAD / 2 + ROW * (row + 0.5)
        return None


@dataclass(slots=True)
class Box:
    """A note, or the frame of a group."""

    x: float
    y: float
    width: float
    height: float
    text: str
    colour: str


@dataclass(slots=True)
class Picture:
    """Everything that is drawn, and its bounds."""

    cards: dict[str, Card] = field(default_factory=dict)
    notes: list[Box] = field(default_factory=list)
    groups: list[Box] = field(default_factory=list)

    def without_pictographs(self) -> None:
        """Leave out what few servers have a typeface for: better than to draw boxes."""
        for card in self.cards.values():
            card.title = _PICTOGRAPHS.sub("", card.title).strip() or card.title
            card.summary = _PICTOGRAPHS.sub("", card.summary)
        for box in (*self.notes, *self.groups):
            box.text = _PICTOGRAPHS.sub("", box.text)

    def bounds(self, margin: float) -> tuple[float, float, float, float]:
        """Left, top, width and height of the whole with a margin; never of no size."""
        rects = [(c.x, c.y, c.x + WIDTH, c.y + c.height) for c in self.cards.values()]
        rects += [(b.x, b.y, b.x + b.width, b.y + b.height) for b in (*self.notes, *self.groups)]
        if not rects:
            rects = [(0.0, 0.0, WIDTH, HEAD)]
        left, top = min(r[0] for r in rects) - margin, min(r[1] for r in rects) - margin
        right, bottom = max(r[2] for r in rects) + margin, max(r[3] for r in rects) + margin
        return left, top, right - left, bottom - top


def lay_out(graph: Graph, registry: Registry) -> Picture:
    """Place everything: where the file says so, and in layers from left to right where not."""
    types = resolve_types(graph, registry)
    picture = Picture()
    used: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        used.setdefault((edge.target, "in"), []).append(edge.target_port)
        used.setdefault((edge.source, "out"), []).append(edge.source_port)
    for spec in graph.nodes.values():
        picture.cards[spec.id] = _card(spec, registry, types, used)
    _place(graph, picture)
    picture.notes = [_note(entry) for entry in _entries(graph, "notes")]
    by_note = {
        str(e.get("id")): n for e, n in zip(_entries(graph, "notes"), picture.notes, strict=True)
    }
    for entry in _entries(graph, "groups"):
        frame = _group(entry, picture.cards, by_note)
        if frame is not None:
            picture.groups.append(frame)
    return picture


def _card(
    spec: NodeSpec,
    registry: Registry,
    types: Mapping[tuple[str, str], Any],
    used: Mapping[tuple[str, str], list[str]],
) -> Card:
    cls = registry.get(spec.type)
    inputs, outputs = {}, {}
    if cls is not None:
        inputs = {n: p.value_type.type_name for n, p in cls.inputs_for(spec.config).items()}
        outputs = {
            n: types.get((spec.id, n), p.value_type).type_name
            for n, p in cls.outputs_for(spec.config).items()
        }
    # Ports that only wires know of are drawn too, so that no wire ends in nothing.
    for name in used.get((spec.id, "in"), ()):
        inputs.setdefault(name, "Any")
    for name in used.get((spec.id, "out"), ()):
        outputs.setdefault(name, "Any")
    return Card(
        id=spec.id,
        title=spec.title or (cls.title if cls else spec.type),
        family=cls.family if cls else "",
        summary=_summary(cls, spec),
        x=0.0,
        y=0.0,
        inputs=list(inputs.items()),
        outputs=list(outputs.items()),
        dashed=spec.disabled or cls is None,
        disabled=spec.disabled,
        pinned=spec.pinned is not None,
    )


def _summary(cls: AnyNode | None, spec: NodeSpec) -> str:
    if cls is None:
        return f"Unknown type “{spec.type}”"
    try:
        return str(cls.summary(expressions.in_words(spec.config)))
    except Exception:  # settings may be of any shape
        log.debug("No summary of node %s (%s)", spec.id, spec.type, exc_info=True)
        return ""


def _place(graph: Graph, picture: Picture) -> None:
    below = 0.0
    missing = []
    for spec in graph.nodes.values():
        card = picture.cards[spec.id]
        if spec.position is None:
            missing.append(spec.id)
        else:
            card.x, card.y = (_bounded(value) for value in spec.position)
            below = max(below, card.y + card.height + _GAP)
    if not missing:
        return
    skeleton = graph.skeleton().subgraph(missing)
    groups = nx.condensation(skeleton)
    for layer, generation in enumerate(nx.topological_generations(groups)):
        y = below
        members = {id_ for group in generation for id_ in groups.nodes[group]["members"]}
        for id_ in missing:
            if id_ in members:
                card = picture.cards[id_]
                card.x, card.y = layer * _COLUMN, y
                y += card.height + _GAP


def _entries(graph: Graph, name: str) -> list[dict[str, Any]]:
    entries = graph.extra.get(name)
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)][:_MOST_DRAWN]


def _note(entry: Mapping[str, Any]) -> Box:
    return Box(
        x=_bounded(entry.get("x")),
        y=_bounded(entry.get("y")),
        width=min(max(_bounded(entry.get("width"), 240.0), 96.0), 2_400.0),
        height=min(max(_bounded(entry.get("height"), 160.0), 96.0), 2_400.0),
        text=str(entry.get("text") or ""),
        colour=_colour(entry, "amber"),
    )


def _group(
    entry: Mapping[str, Any], cards: Mapping[str, Card], notes: Mapping[str, Box]
) -> Box | None:
    inside: list[tuple[float, float, float, float]] = []
    for id_ in _ids(entry, "nodes"):
        if id_ in cards:
            card = cards[id_]
            inside.append((card.x, card.y, card.x + WIDTH, card.y + card.height))
    for id_ in _ids(entry, "notes"):
        if id_ in notes:
            box = notes[id_]
            inside.append((box.x, box.y, box.x + box.width, box.y + box.height))
    if not inside:
        return None
    left, top = min(r[0] for r in inside) - _AROUND, min(r[1] for r in inside) - _AROUND - _TITLE
    right, bottom = max(r[2] for r in inside) + _AROUND, max(r[3] for r in inside) + _AROUND
    title = str(entry.get("title") or "")
    return Box(left, top, right - left, bottom - top, title, _colour(entry, "blue"))


def _ids(entry: Mapping[str, Any], key: str) -> list[str]:
    ids = entry.get(key)
    return [i for i in ids if isinstance(i, str)] if isinstance(ids, list) else []


def _colour(entry: Mapping[str, Any], default: str) -> str:
    colour = entry.get("colour")
    return colour if colour in COLOURS else default


def _bounded(value: Any, default: float = 0.0) -> float:
    """A number that a picture can be drawn with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(min(max(value, -1_000_000), 1_000_000))
