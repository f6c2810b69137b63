"""A small picture of a workflow: its nodes as bars in their family's colour, and its wires."""

from __future__ import annotations

from typing import Any

from app.engine.registry import Registry

_WIDTH, _HEIGHT = 224.0, 96.0
_FAMILIES = frozenset(
    ("inputs", "text", "retrieval", "generation", "checks", "logic", "documents", "outputs")
)
#: Larger workflows are drawn from their first nodes.
_MOST = 120


def thumbnail(graph: dict[str, Any], registry: Registry) -> str:
    """SVG of a workflow file; it holds only numbers and names of our own colours."""
    places: dict[str, tuple[float, float]] = {}
    bars = []
    for number, node in enumerate(graph.get("nodes", [])[:_MOST]):
        position = node.get("position") or (number * 320.0, 0.0)
        x, y = float(position[0]), float(position[1])
        places[node["id"]] = (x, y)
        cls = registry.get(str(node.get("type")))
        family = cls.family if cls is not None and cls.family in _FAMILIES else "none"
        colour = f"var(--rl-family-{family}, var(--rl-border-strong))"
        bars.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" '
            f'rx="14" style="fill:{colour};opacity:.82"/>'
        )
    wires = []
    for edge in graph.get("edges", [])[: 2 * _MOST]:
        if edge["source"] in places and edge["target"] in places:
            (x0, y0), (x1, y1) = places[edge["source"]], places[edge["target"]]
            x0, y0, y1 = x0 + _WIDTH, y0 + _HEIGHT / 2, y1 + _HEIGHT / 2
            bend = max(40.0, (x1 - x0) / 2)
            wires.append(
                f'<path d="M{x0:.0f} {y0:.0f}C{x0 + bend:.0f} {y0:.0f} '
                f'{x1 - bend:.0f} {y1:.0f} {x1:.0f} {y1:.0f}"/>'
            )
    xs = [x for x, _ in places.values()] or [0.0]
    ys = [y for _, y in places.values()] or [0.0]
    # At least this much is in view, so that one node does not fill the picture.
    wide = max(max(xs) - min(xs) + _WIDTH, 1400.0)
    high = max(max(ys) - min(ys) + _HEIGHT, 300.0)
    left = (min(xs) + max(xs) + _WIDTH - wide) / 2
    top = (min(ys) + max(ys) + _HEIGHT - high) / 2
    view = f"{left:.0f} {top:.0f} {wide:.0f} {high:.0f}"
    return f'<svg viewBox="{view}">{"".join(wires)}{"".join(bars)}</svg>'
