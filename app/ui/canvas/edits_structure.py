"""Notes and groups, and nodes that hold nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.engine import body
from app.engine.graph import Graph, copy_json
from app.engine.problems import RagloomError
from app.engine.registry import Registry

from . import ops, structure
from .edits import Edit, apply_op, plural
from .layout import GRID, NODE_HEIGHT, NODE_WIDTH
from .ops import Refused
from .structure import Entry


def _room(graph: Graph, key: str) -> None:
    if structure.count(graph, key) >= structure.MAX_ENTRIES:
        raise Refused(
            f"A workflow holds at most {structure.MAX_ENTRIES} {key}.",
            fix="Delete some you no longer need.",
        )


@apply_op.register
def _(op: ops.AddNote, graph: Graph, registry: Registry) -> Edit:
    _room(graph, "notes")
    id_ = structure.new_entry_id(graph, "notes", "note")
    note = {"id": id_, **op.model_dump(exclude={"op"})}
    if not op.text:
        # Cards lie over notes: one that is to be typed into must not begin below them.
        note["y"] = _below_cards(graph, op)
    graph = structure.changed(graph, "notes", {id_: note})
    return Edit(graph, "Add note", select=(), select_notes=(id_,), open=id_ if not op.text else "")


def _below_cards(graph: Graph, note: ops.AddNote) -> float:
    """The nearest height at or below the wanted one where no card covers a note."""
    places = [spec.position for spec in graph.nodes.values() if spec.position is not None]
    over = sorted(y for x, y in places if note.x - NODE_WIDTH < x < note.x + note.width)
    top = note.y
    for y in over:
        if y - GRID < top + note.height and top < y + NODE_HEIGHT + GRID:
            top = y + NODE_HEIGHT + GRID
    return top


@apply_op.register
def _(op: ops.EditNote, graph: Graph, registry: Registry) -> Edit:
    if op.note not in structure.notes_of(graph):
        raise Refused("There is no such note any more.")
    change = op.model_dump(exclude={"op", "note"}, exclude_none=True)
    label = "Edit note" if "text" in change else "Colour note"
    if "width" in change or "height" in change:
        label = "Resize note"
    key = f"note {op.note} {' '.join(sorted(change))}"
    return Edit(structure.changed(graph, "notes", {op.note: change}), label, merge_key=key)


@apply_op.register
def _(op: ops.MakeGroup, graph: Graph, registry: Registry) -> Edit:
    nodes = [i for i in dict.fromkeys(op.nodes) if i in graph.nodes]
    notes = [i for i in dict.fromkeys(op.notes) if i in structure.notes_of(graph)]
    if not nodes and not notes:
        raise Refused("Nothing is selected to group.", fix="Select nodes first.")
    graph = structure.without_members(graph, set(nodes), set(notes))
    _room(graph, "groups")
    id_ = structure.new_entry_id(graph, "groups", "group")
    group: Entry = {"id": id_, "title": op.title, "nodes": nodes}
    group |= {"notes": notes} if notes else {}
    group |= {"colour": op.colour}
    graph = structure.changed(graph, "groups", {id_: group})
    label = plural("Group", len(nodes) or len(notes), "node" if nodes else "note")
    return Edit(graph, label, select=tuple(nodes), select_notes=tuple(notes), open=id_)


def _group(graph: Graph, id_: str) -> Entry:
    try:
        return structure.groups_of(graph)[id_]
    except KeyError:
        raise Refused("There is no such group any more.") from None


@apply_op.register
def _(op: ops.SetGroup, graph: Graph, registry: Registry) -> Edit:
    group = _group(graph, op.group)
    change: dict[str, Any] = op.model_dump(include={"title", "colour"}, exclude_none=True)
    if op.nodes is not None or op.notes is not None:
        nodes = op.nodes if op.nodes is not None else group["nodes"]
        notes = op.notes if op.notes is not None else group["notes"]
        nodes = [i for i in dict.fromkeys(nodes) if i in graph.nodes]
        notes = [i for i in dict.fromkeys(notes) if i in structure.notes_of(graph)]
        joined = set(nodes) - set(group["nodes"]), set(notes) - set(group["notes"])
        graph = structure.without_members(graph, *joined)
        change |= {"nodes": nodes, **({"notes": notes} if notes or group["notes"] else {})}
        if not nodes and not notes:
            graph = structure.changed(graph, "groups", {op.group: None})
            return Edit(graph, "Empty the group")
    label = "Change group" if "nodes" in change else "Rename group"
    if set(change) == {"colour"}:
        label = "Colour group"
    key = f"group {op.group} {' '.join(sorted(change))}" if "nodes" not in change else None
    return Edit(structure.changed(graph, "groups", {op.group: change}), label, merge_key=key)


@apply_op.register
def _(op: ops.Ungroup, graph: Graph, registry: Registry) -> Edit:
    gone = {id_: None for id_ in op.groups if id_ in structure.groups_of(graph)}
    return Edit(structure.changed(graph, "groups", gone), plural("Ungroup", len(gone), "group"))


@apply_op.register
def _(op: ops.LeaveGroup, graph: Graph, registry: Registry) -> Edit:
    return Edit(structure.without_members(graph, set(op.nodes), set(op.notes)), "Leave the group")


def _groups(graph: Graph) -> dict[str, Any]:
    return {"groups": graph.extra["groups"]} if "groups" in graph.extra else {}


@contextmanager
def _refusing() -> Iterator[None]:
    """What the engine will not do is an edit refused."""
    try:
        yield
    except Refused:
        raise
    except RagloomError as error:
        raise Refused(error.message, fix=error.fix) from error


def _sharing(before: Graph, after: Graph) -> Graph:
    """The graph after, made of the parts of the graph before where they are equal: for undo."""
    old = {edge.ends: edge for edge in before.edges}
    return replace(
        after,
        nodes={
            i: known if (known := before.nodes.get(i)) is not None and known == spec else spec
            for i, spec in after.nodes.items()
        },
        edges=[
            wire if (wire := old.get(edge.ends)) is not None and wire == edge else edge
            for edge in after.edges
        ],
    )


def _on_grid(x: float, y: float) -> tuple[float, float]:
    return round(x / GRID) * float(GRID), round(y / GRID) * float(GRID)


@apply_op.register
def _(op: ops.Collapse, graph: Graph, registry: Registry) -> Edit:
    chosen = [i for i in dict.fromkeys(op.nodes) if i in graph.nodes]
    if not chosen:
        raise Refused("No nodes are selected to collapse.", fix="Select nodes first.")
    with _refusing():
        after = body.collapse(graph, chosen, registry, title=op.title)
    (made,) = after.nodes.keys() - graph.nodes.keys()
    inside = {i: i for i in chosen if i not in after.nodes}
    spec = after.nodes[made]
    # What stood around the nodes goes with them, and comes back when they are expanded.
    held, _ = structure.copies(graph, Graph(), inside, op.notes, (0.0, 0.0))
    config = copy_json(spec.config)
    config[body.SETTING]["graph"]["graph"].update(held.extra)
    x, y = spec.position or (0.0, 0.0)
    spec = replace(spec, config=config, position=_on_grid(x, y))
    after = _sharing(graph, replace(after, nodes={**after.nodes, made: spec}))
    after = structure.changed(after, "notes", dict.fromkeys(op.notes))
    if not structure.count(held, "groups"):  # a part of a group stays in it, as one node
        grouped = structure.in_place_of(graph, inside, [made])
        after = replace(after, extra={**after.extra, **_groups(grouped)})
    after = structure.without_members(after, set(inside), set(op.notes))
    return Edit(after, plural("Collapse", len(inside), "node"), select=(made,))


@apply_op.register
def _(op: ops.Expand, graph: Graph, registry: Registry) -> Edit:
    spec = graph.nodes.get(op.node)
    if spec is None:
        raise Refused(f"There is no node “{op.node}” any more.")
    with _refusing():
        after = _sharing(graph, body.expand(graph, op.node, registry))
        held = Graph.parse(spec.config[body.SETTING]["graph"])
    inner = [n for n in held.nodes.values() if n.type != body.INLET]
    added = [i for i in after.nodes if i not in graph.nodes or after.nodes[i] != graph.nodes[i]]
    notes: tuple[str, ...] = ()
    if len(inner) == len(added) and inner:
        names = {old.id: new for old, new in zip(inner, added, strict=True)}
        was, now = inner[0].position, after.nodes[added[0]].position
        shift = _on_grid(now[0] - was[0], now[1] - was[1]) if was and now else (0.0, 0.0)
        # By whole steps of the grid: what was collapsed and not moved stands where it stood.
        moved = {
            names[n.id]: replace(
                after.nodes[names[n.id]],
                position=(n.position[0] + shift[0], n.position[1] + shift[1]),
            )
            for n in inner
            if n.position is not None
        }
        after = replace(after, nodes={**after.nodes, **moved})
        after, notes = structure.copies(held, after, names, structure.notes_of(held), shift)
    if not structure.groups_of(held):
        grouped = structure.in_place_of(graph, [op.node], added)
        after = replace(after, extra={**after.extra, **_groups(grouped)})
    after = structure.without_members(after, graph.nodes.keys() - after.nodes.keys())
    return Edit(after, "Expand sub-workflow", select=tuple(added), select_notes=notes)
