"""Each operation as a function from one graph to the next; the old graph is left untouched.

Specs are never changed in place: undo keeps whole graphs, which share what did not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import singledispatch

from app.engine.graph import Graph, NodeSpec, copy_json
from app.engine.registry import Registry
from app.engine.values import PortValue

from . import ops, structure
from .inserting import connected, free_place, insert_into_wire
from .layout import arrange, place_missing
from .ops import Refused
from .sockets import Sockets, fitting_ports


@dataclass(frozen=True, slots=True)
class Edit:
    """The outcome of an operation."""

    graph: Graph
    #: What undo calls it: “Delete 3 nodes”.
    label: str
    #: Edits that follow each other with the same key are one step of undo.
    merge_key: str | None = None
    #: Nodes and notes to select in the browser that asked for it.
    select: tuple[str, ...] | None = None
    select_notes: tuple[str, ...] = ()
    #: A group to select, or a note to type into.
    open: str = ""


@singledispatch
def apply_op(op: object, graph: Graph, registry: Registry) -> Edit:
    """Apply one operation. Raises Refused when it makes no sense."""
    raise TypeError(f"not an operation: {op!r}")


def new_id(graph: Graph, wanted: str) -> str:
    """An id that no node has: `retrieve`, `retrieve-2`, …"""
    stem = re.sub(r"-\d+$", "", wanted) or "node"
    if stem not in graph.nodes:
        return stem
    n = 2
    while f"{stem}-{n}" in graph.nodes:
        n += 1
    return f"{stem}-{n}"


def spec_of(graph: Graph, node: str) -> NodeSpec:
    """The node of an id. Raises Refused when it is gone."""
    try:
        return graph.nodes[node]
    except KeyError:
        raise Refused(f"There is no node “{node}” any more.") from None


def _with_nodes(graph: Graph, changed: Iterable[NodeSpec]) -> Graph:
    return replace(graph, nodes={**graph.nodes, **{spec.id: spec for spec in changed}})


def plural(verb: str, n: int, thing: str) -> str:
    """“Delete node”, “Delete 3 nodes”."""
    return f"{verb} {thing}" if n == 1 else f"{verb} {n} {thing}s"


@apply_op.register
def _(op: ops.AddNode, graph: Graph, registry: Registry) -> Edit:
    cls = registry.get(op.type)
    if cls is None:
        raise Refused(
            f"There is no node type “{op.type}” here.", fix="Install the package that brings it."
        )
    position = (op.x, op.y)
    if op.free:
        position = free_place(graph, position)
    spec = NodeSpec(
        id=new_id(graph, op.type),
        type=op.type,
        version=cls.version,
        title=op.title,
        config=copy_json(op.config),
        position=position,
    )
    graph = _with_nodes(graph, [spec])
    if op.connect is not None:
        graph = _connect_new(graph, registry, spec, op.connect)
    elif op.insert is not None:
        graph = insert_into_wire(graph, registry, spec, op.insert)
    return Edit(graph, f"Add {spec.title or cls.title}", select=(spec.id,))


def _connect_new(graph: Graph, registry: Registry, spec: NodeSpec, end: ops.WireEnd) -> Graph:
    """Wire a new node to where the dragged wire came from, if a port fits."""
    sockets = Sockets(graph, registry)
    cls = registry.get(spec.type)
    if cls is None or end.node not in graph.nodes:
        return graph
    if end.side == "source":
        value_type = sockets.output_type(end.node, end.port)
    else:
        known = sockets.inputs(end.node).get(end.port)
        value_type = known.value_type if known else PortValue
    ports = fitting_ports(cls, end.side, value_type)
    if not ports:
        return graph
    if end.side == "source":
        return connected(graph, registry, (end.node, end.port, spec.id, ports[0]))
    return connected(graph, registry, (spec.id, ports[0], end.node, end.port))


@apply_op.register
def _(op: ops.Connect, graph: Graph, registry: Registry) -> Edit:
    ends = (op.source, op.source_port, op.target, op.target_port)
    return Edit(connected(graph, registry, ends), "Connect")


@apply_op.register
def _(op: ops.Insert, graph: Graph, registry: Registry) -> Edit:
    spec = spec_of(graph, op.node)
    title = Sockets(graph, registry).title(op.node)
    after = insert_into_wire(graph, registry, spec, op.wire)
    if after is graph:
        raise Refused(f"“{title}” has no ports that fit into this wire.")
    return Edit(after, f"Insert {title}", select=(op.node,))


@apply_op.register
def _(op: ops.Disconnect, graph: Graph, registry: Registry) -> Edit:
    gone = set(op.edges)
    kept = [edge for edge in graph.edges if edge.ends not in gone]
    return Edit(replace(graph, edges=kept), plural("Remove", len(gone), "wire"))


@apply_op.register
def _(op: ops.Delete, graph: Graph, registry: Registry) -> Edit:
    gone, wires = set(op.nodes) & set(graph.nodes), set(op.edges)
    notes = set(op.notes) & set(structure.notes_of(graph))
    graph = structure.without_members(
        structure.changed(graph, "notes", dict.fromkeys(notes)), gone, notes
    )
    graph = replace(
        graph,
        nodes={id_: spec for id_, spec in graph.nodes.items() if id_ not in gone},
        edges=[
            edge
            for edge in graph.edges
            if edge.ends not in wires and edge.source not in gone and edge.target not in gone
        ],
        outputs={name: end for name, end in graph.outputs.items() if end[0] not in gone},
    )
    if gone:
        label = plural("Delete", len(gone), "node")
    elif notes:
        label = plural("Delete", len(notes), "note")
    else:
        label = plural("Remove", len(wires), "wire")
    return Edit(graph, label, select=())


@apply_op.register
def _(op: ops.MoveNodes, graph: Graph, registry: Registry) -> Edit:
    moved = [
        replace(graph.nodes[id_], position=(x, y))
        for id_, (x, y) in op.positions.items()
        if id_ in graph.nodes
    ]
    known = structure.notes_of(graph)
    places: dict[str, structure.Entry | None] = {
        id_: {"x": x, "y": y} for id_, (x, y) in op.notes.items() if id_ in known
    }
    if places:
        graph = structure.changed(graph, "notes", places)
    # Dragging on is one step; lining up after a drag is another.
    key = f"move {' '.join(sorted([*op.positions, *op.notes]))}" if op.label == "Move" else None
    return Edit(_with_nodes(graph, moved), op.label, merge_key=key)


@apply_op.register
def _(op: ops.SetConfig, graph: Graph, registry: Registry) -> Edit:
    spec = spec_of(graph, op.node)
    config = copy_json(op.config)
    fields = {k for k in {*config, *spec.config} if config.get(k) != spec.config.get(k)}
    cls = registry.get(spec.type)
    changed = replace(spec, config=config)
    if cls is not None and spec.version < cls.version:
        changed = replace(changed, version=cls.version)
    # Typing into one field is one step of undo; going on to the next field is another.
    key = f"config {op.node} {' '.join(sorted(fields))}"
    return Edit(_with_nodes(graph, [changed]), "Change settings", merge_key=key)


@apply_op.register
def _(op: ops.SetPolicy, graph: Graph, registry: Registry) -> Edit:
    spec = spec_of(graph, op.node)
    given = {name: copy_json(getattr(op, name)) for name in op.model_fields_set - {"op", "node"}}
    label = "Pin output" if given.get("pinned") is not None else "Change how it runs"
    return Edit(_with_nodes(graph, [replace(spec, **given)]), label)


@apply_op.register
def _(op: ops.Rename, graph: Graph, registry: Registry) -> Edit:
    spec = replace(spec_of(graph, op.node), title=op.title)
    return Edit(_with_nodes(graph, [spec]), "Rename", merge_key=f"rename {op.node}")


@apply_op.register
def _(op: ops.SetDisabled, graph: Graph, registry: Registry) -> Edit:
    changed = [replace(spec_of(graph, id_), disabled=op.disabled) for id_ in op.nodes]
    verb = "Disable" if op.disabled else "Enable"
    return Edit(_with_nodes(graph, changed), plural(verb, len(changed), "node"))


@apply_op.register
def _(op: ops.SetInfo, graph: Graph, registry: Registry) -> Edit:
    given = {
        name: getattr(op, name)
        for name in ("name", "description", "outputs")
        if getattr(op, name) is not None
    }
    key = f"info {' '.join(sorted(given))}"
    return Edit(replace(graph, **given), "Change workflow details", merge_key=key)


@apply_op.register
def _(op: ops.ReplaceGraph, graph: Graph, registry: Registry) -> Edit:
    new = place_missing(Graph.parse(op.graph))
    if graph.nodes and not new.nodes and not op.allow_empty:
        raise Refused(
            "An empty workflow would have replaced this one.",
            fix="To start over, select all nodes and delete them.",
        )
    return Edit(new, op.label, select=())


def tidied(graph: Graph) -> Graph:
    """The graph with every node on its layer, left to right."""
    places = arrange(graph)
    return _with_nodes(graph, [replace(graph.nodes[i], position=p) for i, p in places.items()])
