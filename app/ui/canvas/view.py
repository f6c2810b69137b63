"""A graph as the canvas draws it: cards, wires, problems; and what changed between two of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from app.engine import expressions
from app.engine.body import SETTING, WORKFLOW
from app.engine.describe import node_type
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Port
from app.engine.problems import Problem
from app.engine.registry import AnyNode, Registry
from app.engine.values import PortValue, accepts

from .sockets import Sockets
from .structure import groups_of, notes_of
from .variables import changed_variables, reads_any

log = logging.getLogger(__name__)

#: JSON data of a card or a wire.
View = dict[str, Any]

_UNRESERVED = "-_.!~*'()"  # what encodeURIComponent leaves alone


def edge_id(ends: Iterable[str]) -> str:
    """Id of a wire in the browser."""
    return _edge_id(tuple(ends))


@lru_cache(maxsize=20_000)
def _edge_id(ends: tuple[str, ...]) -> str:
    return "|".join(quote(part, safe=_UNRESERVED) for part in ends)


#: Cards as they were drawn last, by node id, with what they were drawn from. A card of the same
#: spec, wires, types and problems is the same card: most of a large graph at every edit.
Memo = dict[str, tuple[tuple[Any, ...], NodeSpec, View]]


@dataclass(slots=True)
class GraphView:
    """Everything a browser draws of one graph."""

    nodes: dict[str, View] = field(default_factory=dict)
    edges: dict[str, View] = field(default_factory=dict)
    notes: dict[str, View] = field(default_factory=dict)
    groups: dict[str, View] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """For `load_graph`."""
        return {
            "nodes": list(self.nodes.values()),
            "edges": list(self.edges.values()),
            "notes": list(self.notes.values()),
            "groups": list(self.groups.values()),
        }


def graph_view(
    graph: Graph,
    registry: Registry,
    problems: Iterable[Problem],
    *,
    memo: Memo | None = None,
) -> GraphView:
    """Draw a graph. `memo` is read, and holds the cards of this graph afterwards."""
    sockets = Sockets(graph, registry)
    by_node: dict[str, list[View]] = {}
    by_edge: dict[tuple[str, str, str, str], str] = {}
    for problem in problems:
        if problem.edge is not None:
            by_edge.setdefault(problem.edge, problem.message)
        if problem.node is not None:
            by_node.setdefault(problem.node, []).append(problem.model_dump(include=_PROBLEM_KEYS))
    into: dict[str, list[str]] = {}
    out_of: dict[str, list[str]] = {}
    for edge in graph.edges:
        into.setdefault(edge.target, []).append(edge.target_port)
        out_of.setdefault(edge.source, []).append(edge.source_port)
    view = GraphView(notes=notes_of(graph), groups=groups_of(graph))
    before = memo or {}
    now: Memo = {}
    for id_, spec in graph.nodes.items():
        wired = into.get(id_, []), out_of.get(id_, [])
        types = [sockets.output_type(id_, port).type_name for port in sockets.outputs(id_)]
        key = (*wired, types, by_node.get(id_, []))
        known = before.get(id_)
        if known is not None and known[1] is spec and known[0] == key:
            view.nodes[id_] = known[2]
        else:
            view.nodes[id_] = _node(spec, sockets, set(wired[1]), by_node.get(id_, []))
        now[id_] = (key, spec, view.nodes[id_])
    if memo is not None:
        memo.clear()
        memo.update(now)
    for edge in graph.edges:
        if edge.source in graph.nodes and edge.target in graph.nodes:
            view.edges[_edge_id(edge.ends)] = _edge(edge, sockets, by_edge.get(edge.ends, ""))
    return view


def moved_view(before: GraphView, graph: Graph) -> GraphView:
    """Draw a graph that differs from the one drawn before in places, notes and groups alone."""
    view = GraphView(edges=before.edges, notes=notes_of(graph), groups=groups_of(graph))
    for id_, spec in graph.nodes.items():
        card = before.nodes[id_]
        x, y = spec.position or (0.0, 0.0)
        view.nodes[id_] = card if (card["x"], card["y"]) == (x, y) else {**card, "x": x, "y": y}
    return view


_PROBLEM_KEYS = {"code", "message", "fix", "port", "severity"}


def _node(spec: NodeSpec, sockets: Sockets, used: set[str], problems: list[View]) -> View:
    cls = sockets.registry.get(spec.type)
    x, y = spec.position or (0.0, 0.0)
    return {
        "id": spec.id,
        "type": spec.type,
        "title": spec.title or (cls.title if cls else spec.type),
        "family": cls.family if cls else "unknown",
        "icon": cls.icon if cls else "help_outline",
        "summary": _summary(cls, spec),
        "unknown": cls is None,
        "disabled": spec.disabled,
        "pinned": spec.pinned is not None,
        "holds": _holds_nodes(spec),
        "x": x,
        "y": y,
        "inputs": [
            {
                **_port(port, port.value_type),
                "connected": bool(sockets.wires_into(spec.id, port.name)),
            }
            for port in sockets.inputs(spec.id).values()
        ],
        "outputs": [
            {
                **_port(port, sockets.output_type(spec.id, port.name)),
                "connected": port.name in used,
            }
            for port in sockets.outputs(spec.id).values()
        ],
        "problems": problems,
        "spec": {key: value for key, value in spec.dump().items() if key != "position"},
    }


def _holds_nodes(spec: NodeSpec) -> bool:
    """Whether the node can be expanded into the nodes it holds."""
    held = spec.config.get(SETTING) if spec.type == WORKFLOW else None
    return isinstance(held, dict) and isinstance(held.get("graph"), dict)


def _summary(cls: AnyNode | None, spec: NodeSpec) -> str:
    if cls is None:
        return f"Unknown type “{spec.type}”"
    try:
        return cls.summary(expressions.in_words(spec.config))
    except Exception:  # settings may be of any shape while they are typed
        log.debug("No summary of node %s (%s)", spec.id, spec.type, exc_info=True)
        return ""


def _port(port: Port, value_type: type[PortValue]) -> View:
    return {
        "name": port.name,
        "type": value_type.type_name,
        "required": port.required,
        "many": port.many,
        "help": port.help,
    }


def _edge(edge: EdgeSpec, sockets: Sockets, problem: str) -> View:
    return {
        "id": _edge_id(edge.ends),
        "source": edge.source,
        "source_port": edge.source_port,
        "target": edge.target,
        "target_port": edge.target_port,
        "type": sockets.output_type(edge.source, edge.source_port).type_name,
        "problem": problem,
    }


def patch(old: GraphView, new: GraphView) -> dict[str, Any]:
    """What a browser that shows `old` must change to show `new`; empty parts are left out."""
    nodes, moved = [], {}
    for id_, view in new.nodes.items():
        before = old.nodes.get(id_)
        if before is view:
            continue
        if before is None or {**before, "x": 0, "y": 0} != {**view, "x": 0, "y": 0}:
            nodes.append(view)
        elif before != view:
            moved[id_] = [view["x"], view["y"]]
    parts = {
        "nodes": nodes,
        "moved": moved,
        "edges": _changes(old.edges, new.edges),
        "remove_nodes": [id_ for id_ in old.nodes if id_ not in new.nodes],
        "remove_edges": [id_ for id_ in old.edges if id_ not in new.edges],
        "notes": _changes(old.notes, new.notes),
        "remove_notes": [id_ for id_ in old.notes if id_ not in new.notes],
        "groups": _changes(old.groups, new.groups),
        "remove_groups": [id_ for id_ in old.groups if id_ not in new.groups],
    }
    return {name: part for name, part in parts.items() if part}


def _changes(old: dict[str, View], new: dict[str, View]) -> list[View]:
    return [view for id_, view in new.items() if old.get(id_) != view]


def touched(
    old: Graph,
    new: Graph,
    registry: Registry,
    *,
    holds: Callable[[NodeSpec], bool] | None = None,
) -> set[str]:
    """Nodes of the new graph whose result may differ now: the changed ones and what follows.

    What a pinned node gives depends on nothing but its pin. `holds` says whether that is what it
    gave in the old graph; without it, any other pin counts as another value.
    """
    variables = changed_variables(old, new)
    wires_before, wires_now = _wires(old), _wires(new)
    changed: set[str] = set()
    for id_, spec in new.nodes.items():
        before = old.nodes.get(id_)
        if spec.pinned is not None:
            same = holds(spec) if holds else before is not None and before.pinned == spec.pinned
            if not same:
                changed.add(id_)
        elif (
            before is None
            or (before is not spec and _computed_by(before) != _computed_by(spec))
            or wires_before.get(id_) != wires_now.get(id_)
            or (variables and reads_any(spec, variables, registry))
        ):
            changed.add(id_)
    return follow_from(changed, new)


def _computed_by(spec: NodeSpec) -> tuple[Any, ...]:
    return (spec.type, spec.version, spec.config, spec.disabled, spec.pinned)


def follow_from(changed: Iterable[str], graph: Graph) -> set[str]:
    """Nodes and all that depends on what they give; pinned ones depend on nothing."""
    follow: dict[str, set[str]] = {}
    for edge in graph.edges:
        target = graph.nodes.get(edge.target)
        if target is not None and target.pinned is None:
            follow.setdefault(edge.source, set()).add(edge.target)
    found = set(changed)
    todo = list(found)
    while todo:
        for id_ in follow.get(todo.pop(), ()):
            if id_ not in found:
                found.add(id_)
                todo.append(id_)
    return found


def _wires(graph: Graph) -> dict[str, list[tuple[str, str, str, str]]]:
    into: dict[str, list[tuple[str, str, str, str]]] = {}
    for edge in graph.edges:
        into.setdefault(edge.target, []).append(edge.ends)
    return into


def catalog(registry: Registry) -> list[View]:
    """Every node type for the palette and the quick search; descriptions cut to one sentence."""
    entries = []
    for cls in registry:
        entry = node_type(cls)
        kept = ("type", "title", "family", "icon", "inputs", "outputs")
        description = entry["description"].strip().split("\n")[0]
        entries.append({**{key: entry[key] for key in kept}, "description": description})
    return entries


def type_table(registry: Registry) -> dict[str, View]:
    """Port types by name with the types each accepts, for dimming ports while a wire is drawn."""
    types = registry.value_types()
    return {
        name: {
            "help": target.type_help,
            "accepts": [s for s, source in types.items() if accepts(source, target)],
        }
        for name, target in types.items()
    }
