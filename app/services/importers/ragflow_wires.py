"""The wires of RAGFlow's agents: on the canvas, in the components, and those of branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.services.importers.source import Link, Source, Step, items, mapping, text


def wire(source: Source, components: Mapping[str, Any], edges: list[Mapping[str, Any]]) -> None:
    """Add the wires of the canvas, else those that the components name."""
    found = _drawn(edges)
    if not found:
        for component_id, component in components.items():
            for target in items(mapping(component).get("downstream")):
                key = (text(component_id, 200), text(target, 200))
                found.setdefault(key, Link(*key))
    source.wires = len(edges) or len(found)
    for step in source.steps.values():
        new = _branch(step, found)
        source.wires += 0 if edges else new
    known = set(found)
    source.links.extend(found.values())
    for step in source.steps.values():
        for made in step.settings.get("tools", ()):
            if (made, step.id) not in known:
                source.links.append(Link(made, step.id, "", "tools"))


def _drawn(edges: list[Mapping[str, Any]]) -> dict[tuple[str, str], Link]:
    """The wires of the canvas."""
    found: dict[tuple[str, str], Link] = {}
    for edge in edges:
        start, end = text(edge.get("source"), 200), text(edge.get("target"), 200)
        handle = text(edge.get("sourceHandle"), 120)
        if handle in ("tool", "agentBottom"):
            # An agent points at its tools; values go the other way.
            found[end, start] = Link(end, start, "", "tools")
        else:
            found.setdefault((start, end), Link(start, end, handle))
    return found


def _branch(step: Step, found: dict[tuple[str, str], Link]) -> int:
    """Wires out of a branch start at its ways; how many of them were not drawn."""
    new = 0
    handles = [way.handle for way in step.ways]
    for handle in handles:
        for target in items(step.settings.get("to", {}).get(handle)):
            key = (step.id, text(target, 200))
            new += key not in found
            link = found.setdefault(key, Link(*key))
            # The canvas names ways by ids of its own.
            if link.out not in handles:
                link.out = handle
    return new
