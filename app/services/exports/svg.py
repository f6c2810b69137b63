"""A picture of a workflow: the cards and wires of the canvas, drawn without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from app.engine.graph import Graph
from app.engine.registry import Registry
from app.services.exports.layout import HEAD, PAD, ROW, WIDTH, Box, Card, lay_out
from app.services.exports.text import (
    NOTE_ENDS,
    NOTE_LINE,
    NOTE_SIDES,
    NOTE_SIZE,
    attribute,
    fit,
    note_lines,
    spans,
    width,
    xml,
)

Theme = Literal["light", "dark"]
_MARGIN = 40.0


@dataclass(frozen=True, slots=True)
class _Palette:
    """The colours of the pages in one theme; see the tokens of the canvas."""

    ground: str
    raised: str
    border: str
    strong: str
    text: str
    muted: str
    families: dict[str, str]
    types: dict[str, str]
    #: Fill and edge of notes and groups.
    boxes: dict[str, tuple[str, str]]


_PALETTES: dict[str, _Palette] = {
    "light": _Palette(
        ground="#f7f6f2", raised="#ffffff", border="#e0ded9", strong="#96918a",
        text="#28231e", muted="#68625b",
        families={
            "inputs": "#496ba8", "text": "#8966a7", "retrieval": "#067797",
            "generation": "#b85e31", "checks": "#387c4a", "logic": "#9b436a",
            "documents": "#9a7827", "outputs": "#20857b",
        },
        types={
            "Query": "#5176bb", "Documents": "#aa7d25", "Chunks": "#0a84a6", "Answer": "#c96736",
            "Verdict": "#3d8a52", "Text": "#936cb5", "Number": "#716cb8", "Flag": "#aa4673",
            "Json": "#7d8c33", "Table": "#238f85",
        },
        boxes={
            "amber": ("#fbf0d3", "#dcc183"), "blue": ("#e6eefb", "#a9c1e8"),
            "green": ("#e4f3e6", "#a3cfab"), "rose": ("#fbe7ee", "#e5aec2"),
            "violet": ("#f1e9f9", "#cbb1e2"), "grey": ("#efedea", "#c9c5bf"),
        },
    ),
    "dark": _Palette(
        ground="#171512", raised="#272420", border="#37342f", strong="#6d6861",
        text="#eae8e3", muted="#a8a49d",
        families={
            "inputs": "#93b5f2", "text": "#d2b0f1", "retrieval": "#6ac1e3",
            "generation": "#ffae89", "checks": "#87c694", "logic": "#e78fb2",
            "documents": "#e4c37d", "outputs": "#7dcfc5",
        },
        types={
            "Query": "#89aef1", "Documents": "#e2b66b", "Chunks": "#59bce0", "Answer": "#fea47c",
            "Verdict": "#7bc18a", "Text": "#caa5ec", "Number": "#a7a4ee", "Flag": "#e381a9",
            "Json": "#b4c474", "Table": "#6ec7bb",
        },
        boxes={
            "amber": ("#3a3121", "#6f5c33"), "blue": ("#222d3e", "#43597c"),
            "green": ("#21332a", "#436a52"), "rose": ("#3b2630", "#7a4a5e"),
            "violet": ("#32283e", "#65517d"), "grey": ("#2b2926", "#57534d"),
        },
    ),
}  # fmt: skip
_ANY = {"light": "#7c7670", "dark": "#b2ada6"}


def svg_of(graph: Graph, registry: Registry, *, theme: Theme = "light") -> str:
    """The workflow as an SVG document of its own; all text in it is escaped."""
    return svg_and_size(graph, registry, theme)[0]


def svg_and_size(
    graph: Graph, registry: Registry, theme: Theme, *, pictographs: bool = True
) -> tuple[str, float, float]:
    """The same, with its width and height in pixels."""
    picture = lay_out(graph, registry)
    if not pictographs:
        picture.without_pictographs()
    left, top, wide, high = picture.bounds(_MARGIN)
    pen = _Pen(theme)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(wide)}" height="{_n(high)}" '
        f'viewBox="{_n(left)} {_n(top)} {_n(wide)} {_n(high)}" role="img" '
        f"aria-label={attribute(graph.name or 'Workflow')} "
        'font-family="Inter, system-ui, sans-serif">',
        f"<title>{xml(graph.name or 'Workflow')}</title>",
        *([f"<desc>{xml(graph.description)}</desc>"] if graph.description else []),
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(wide)}" height="{_n(high)}" '
        f'fill="{pen.palette.ground}"/>',
    ]
    for group in picture.groups:
        parts += pen.group(group)
    for note in picture.notes:
        parts += pen.note(note)
    for edge in graph.edges:
        source, target = picture.cards.get(edge.source), picture.cards.get(edge.target)
        start = source.port("out", edge.source_port) if source else None
        end = target.port("in", edge.target_port) if target else None
        if source and start and end:
            value_type = dict(source.outputs).get(edge.source_port, "Any")
            parts.append(pen.wire(start, end, value_type))
    for card in picture.cards.values():
        parts += pen.card(card)
    parts.append("</svg>\n")
    return "\n".join(parts), wide, high


class _Pen:
    """Draws the parts in the colours of a theme."""

    def __init__(self, theme: Theme) -> None:
        self.palette = _PALETTES[theme]
        self._any = _ANY[theme]

    def group(self, box: Box) -> Iterator[str]:
        """The frame around some nodes, with its title."""
        fill, edge = self.palette.boxes[box.colour]
        yield _rect(box, f'rx="12" fill="{fill}" fill-opacity="0.55" stroke="{edge}"')
        title = fit(box.text, box.width - 32, 14, 600)
        yield self._text(box.x + 16, box.y + 26, title, size=14, weight=600)

    def note(self, box: Box) -> Iterator[str]:
        """A sticky note; its text is cut where it does not fit."""
        fill, edge = self.palette.boxes[box.colour]
        yield _rect(box, f'rx="8" fill="{fill}" stroke="{edge}"')
        room = max(1, int((box.height - NOTE_ENDS) // NOTE_LINE))
        wide = box.width - NOTE_SIDES
        lines = note_lines(box.text, wide)
        if len(lines) > room:
            last, weight = lines[room - 1]
            lines = [*lines[: room - 1], (fit(f"{last} …", wide, NOTE_SIZE, weight), weight)]
        for row, (line, weight) in enumerate(lines):
            below = box.y + 24 + NOTE_LINE * row
            yield self._text(box.x + 12, below, line, size=NOTE_SIZE, weight=weight)

    def wire(self, start: tuple[float, float], end: tuple[float, float], value_type: str) -> str:
        """A wire from port to port."""
        (x0, y0), (x1, y1) = start, end
        reach = (x1 - x0) / 2 if x1 >= x0 else 7.5 * sqrt(x0 - x1)
        return (
            f'<path d="M{_n(x0)} {_n(y0)}C{_n(x0 + reach)} {_n(y0)} {_n(x1 - reach)} {_n(y1)} '
            f'{_n(x1)} {_n(y1)}" fill="none" stroke="{self._type(value_type)}" '
            'stroke-width="2" stroke-opacity="0.8" stroke-linecap="round"/>'
        )

    def card(self, card: Card) -> Iterator[str]:
        """A node."""
        palette = self.palette
        family = palette.families.get(card.family, palette.strong)
        x, y, high = card.x, card.y, card.height
        yield "<g>" if not card.disabled else '<g opacity="0.6">'
        dash = ' stroke-dasharray="4 3"' if card.dashed else ""
        box = Box(x, y, WIDTH, high, "", "")
        yield _rect(box, f'rx="8" fill="{palette.raised}" stroke="{palette.border}"{dash}')
        # The edge in the family's colour, round where the card is round.
        yield (
            f'<path d="M{_n(x + 4)} {_n(y)}V{_n(y + high)}A8 8 0 0 1 {_n(x)} {_n(y + high - 8)}'
            f'V{_n(y + 8)}A8 8 0 0 1 {_n(x + 4)} {_n(y)}Z" fill="{family}"/>'
        )
        yield (
            f'<rect x="{_n(x + 16)}" y="{_n(y + 14)}" width="12" height="12" rx="4" '
            f'fill="{family}"/>'
        )
        mark = "pinned" if card.pinned else "off" if card.disabled else ""
        room = WIDTH - 36 - 14 - (48 if mark else 0)
        title = fit(card.title, room, 14, 600)
        yield self._text(x + 36, y + 25, title, size=14, weight=600)
        if mark:
            yield self._text(x + WIDTH - 14, y + 25, mark, size=11.5, muted=True, end=True)
        if card.summary:
            line = fit(card.summary, WIDTH - 30, 12.5)
            yield self._text(x + 16, y + HEAD + 13, line, size=12.5, muted=True)
        if card.inputs or card.outputs:
            middle = y + card.top + 0.5
            yield (
                f'<path d="M{_n(x + 4)} {_n(middle)}H{_n(x + WIDTH)}" '
                f'stroke="{palette.border}" stroke-opacity="0.7"/>'
            )
        yield from self._ports(card)
        yield "</g>"

    def _ports(self, card: Card) -> Iterator[str]:
        for side, ports in (("in", card.inputs), ("out", card.outputs)):
            for row, (name, value_type) in enumerate(ports):
                middle = card.y + card.top + PAD / 2 + ROW * (row + 0.5)
                edge = card.x if side == "in" else card.x + WIDTH
                yield (
                    f'<circle cx="{_n(edge)}" cy="{_n(middle)}" r="6" '
                    f'fill="{self._type(value_type)}" stroke="{self.palette.raised}" '
                    'stroke-width="2"/>'
                )
                both = row < len(card.inputs) and row < len(card.outputs)
                label = fit(name, (WIDTH - 42) / 2 if both else WIDTH - 30, 12.5)
                at = edge + 15 if side == "in" else edge - 15
                yield self._text(at, middle + 4.5, label, size=12.5, end=side == "out")

    def _type(self, name: str) -> str:
        return self.palette.types.get(name, self._any)

    def _text(
        self, x: float, y: float, content: str, *, size: float, weight: int = 400,
        muted: bool = False, end: bool = False,
    ) -> str:  # fmt: skip
        if not content:
            return ""
        colour = self.palette.muted if muted else self.palette.text
        bold = f' font-weight="{weight}"' if weight != 400 else ""
        x -= width(content, size, weight) if end else 0
        return (
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{size:g}"{bold} xml:space="preserve" '
            f'fill="{colour}">{spans(content, x, size, weight)}</text>'
        )


def _rect(box: Box, look: str) -> str:
    return (
        f'<rect x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" '
        f'height="{_n(box.height)}" {look}/>'
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
