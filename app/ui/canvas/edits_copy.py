"""Copies of nodes, notes and groups: duplicate, and paste of any workflow-file text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from app.engine.graph import EdgeSpec, Graph, NodeSpec, copy_json
from app.engine.problems import InvalidWorkflow
from app.engine.registry import Registry

from . import ops, structure
from .edits import Edit, apply_op, new_id, plural, spec_of
from .layout import GRID, place_missing
from .ops import Refused


@apply_op.register
def _(op: ops.Duplicate, graph: Graph, registry: Registry) -> Edit:
    chosen = [spec_of(graph, id_) for id_ in dict.fromkeys(op.nodes)]
    wires = [edge for edge in graph.edges if {edge.source, edge.target} <= set(op.nodes)]
    shift = (2.0 * GRID, 2.0 * GRID)
    graph, names = _add_copies(graph, chosen, wires, shift)
    graph, notes = structure.copies(graph, graph, names, op.notes, shift)
    return _copied("Duplicate", graph, names, notes)


@apply_op.register
def _(op: ops.Paste, graph: Graph, registry: Registry) -> Edit:
    try:
        part = Graph.parse(json.loads(op.text))
    except (ValueError, RecursionError, InvalidWorkflow) as error:
        raise Refused(
            "The clipboard holds no nodes.",
            fix="Copy nodes on a canvas, or the text of a workflow file.",
        ) from error
    part = place_missing(part)
    notes = structure.notes_of(part)
    places = [spec.position or (0.0, 0.0) for spec in part.nodes.values()]
    corners = places + [(note["x"], note["y"]) for note in notes.values()]
    if not corners:
        raise Refused("The clipboard holds no nodes.", fix="Copy nodes on a canvas first.")
    shift = (op.x - min(x for x, _ in corners), op.y - min(y for _, y in corners))
    taken = {spec.position for spec in graph.nodes.values()}
    taken |= {(note["x"], note["y"]) for note in structure.notes_of(graph).values()}
    while any((x + shift[0], y + shift[1]) in taken for x, y in corners):
        shift = (shift[0] + 2 * GRID, shift[1] + 2 * GRID)
    graph, names = _add_copies(graph, part.nodes.values(), part.edges, shift)
    graph, pasted = structure.copies(part, graph, names, notes, shift)
    return _copied("Paste", graph, names, pasted)


def _copied(verb: str, graph: Graph, names: dict[str, str], notes: tuple[str, ...]) -> Edit:
    thing, n = ("node", len(names)) if names else ("note", len(notes))
    return Edit(graph, plural(verb, n, thing), select=tuple(names.values()), select_notes=notes)


def _add_copies(
    graph: Graph, specs: Iterable[NodeSpec], wires: Iterable[EdgeSpec], shift: tuple[float, float]
) -> tuple[Graph, dict[str, str]]:
    """Add copies of nodes under new ids, with the wires between them; new ids by old ones."""
    names: dict[str, str] = {}
    nodes = dict(graph.nodes)
    for spec in specs:
        id_ = new_id(replace(graph, nodes=nodes), spec.id)
        names[spec.id] = id_
        x, y = spec.position or (0.0, 0.0)
        copy = NodeSpec.load(spec.dump())
        nodes[id_] = replace(copy, id=id_, position=(x + shift[0], y + shift[1]))
    added = [
        replace(e, source=names[e.source], target=names[e.target], extra=copy_json(e.extra))
        for e in wires
        if e.source in names and e.target in names
    ]
    return replace(graph, nodes=nodes, edges=[*graph.edges, *added]), names
