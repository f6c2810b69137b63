"""What changed from one workflow to another: nodes, settings, wires, notes, and the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.services.views import View
from app.services.workflows.json_diff import Change, changes

NodeChange = Literal["added", "removed", "changed", "moved"]
EdgeChange = Literal["added", "removed", "changed"]

#: What of a node is compared; its place is looked at apart.
_FIELDS = (
    "type", "version", "title", "config", "disabled", "pinned", "timeout_s", "retries", "on_error",
)  # fmt: skip
#: What of a note is its place.
_PLACE = ("x", "y", "width", "height")
_DRAWN = ("notes", "groups")
#: Room a card takes with the gap beside it; and below it, where a mark stands on the next one.
_WIDE, _HIGH, _BELOW = 256, 208, 272
_UNRESERVED = "-_.!~*'()"  # what encodeURIComponent leaves alone


class NodeDiff(View):
    """A node that is not the same in both."""

    node_id: str
    change: NodeChange
    title: str
    type: str
    #: Settings that differ, by their path: “config.top_k”, “title”, “disabled”.
    changes: list[Change] = []
    #: Where it stood and stands, where it was moved: [[x, y], [x, y]].
    moved: list[list[float]] | None = None


class EdgeDiff(View):
    """A wire that only one of them has, or that carries other data."""

    source: str
    source_port: str
    target: str
    target_port: str
    change: EdgeChange

    @property
    def ends(self) -> tuple[str, str, str, str]:
        """(source node, source port, target node, target port)."""
        return (self.source, self.source_port, self.target, self.target_port)


class DrawnDiff(View):
    """A note or a group that is not the same in both."""

    kind: Literal["note", "group"]
    id: str
    change: NodeChange
    title: str
    changes: list[Change] = []


class GraphDiff(View):
    """Everything that differs; empty lists where nothing does."""

    nodes: list[NodeDiff] = []
    edges: list[EdgeDiff] = []
    #: Notes and groups.
    drawn: list[DrawnDiff] = []
    #: Name, description, named outputs, variables and unknown keys of the file.
    info: list[Change] = []

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.nodes or self.edges or self.drawn or self.info)

    def counts(self) -> dict[str, int]:
        """How many of each kind, without zeros."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            counts[node.change] = counts.get(node.change, 0) + 1
        for edge in self.edges:
            name = f"wires_{edge.change}"
            counts[name] = counts.get(name, 0) + 1
        for name, found in (("drawn", self.drawn), ("info", self.info)):
            if found:
                counts[name] = len(found)
        return counts

    def marks(self) -> dict[str, dict[str, str]]:
        """For the canvas: what happened to nodes and wires, by their ids there."""
        return {
            "nodes": {node.node_id: node.change for node in self.nodes},
            "edges": {edge_id(edge.ends): edge.change for edge in self.edges},
        }


def edge_id(ends: Iterable[str]) -> str:
    """Id of a wire on the canvas."""
    return "|".join(quote(part, safe=_UNRESERVED) for part in ends)


def diff_graphs(a: Graph, b: Graph) -> GraphDiff:
    """What has to change in `a` to become `b`. The order of nodes in the file has no meaning."""
    orders = _orders(a, b)
    nodes = [_one_sided(spec, "removed") for id_, spec in a.nodes.items() if id_ not in b.nodes]
    for id_, spec in b.nodes.items():
        before = a.nodes.get(id_)
        found = (
            _one_sided(spec, "added")
            if before is None
            else _both(before, spec, orders.get(id_, []))
        )
        if found is not None:
            nodes.append(found)
    return GraphDiff(
        nodes=nodes,
        edges=_edges(a.edges, b.edges),
        drawn=[d for kind in _DRAWN for d in _drawn(kind, a.extra.get(kind), b.extra.get(kind))],
        info=changes(_info(a), _info(b)),
    )


def union(a: Graph, b: Graph) -> Graph:
    """`b` with all that it lost since `a`, so that both can be shown in one picture.

    What was lost stands where it stood, or below what stands there now.
    """
    both = b.copy()
    taken = [spec.position for spec in b.nodes.values() if spec.position is not None]
    for id_, spec in a.nodes.items():
        if id_ in both.nodes:
            continue
        kept = NodeSpec.load(spec.dump())
        if kept.position is not None:
            kept.position = _free(kept.position, taken)
            taken.append(kept.position)
        both.nodes[id_] = kept
    have = {edge.ends for edge in b.edges}
    both.edges += [EdgeSpec.load(edge.dump()) for edge in a.edges if edge.ends not in have]
    return both


def _free(wanted: tuple[float, float], taken: list[tuple[float, float]]) -> tuple[float, float]:
    """The first place at or below the wanted one where no card is covered."""
    x, y = wanted
    for other in sorted(py for px, py in taken if abs(px - x) < _WIDE):
        if abs(other - y) < _HIGH:
            y = other + _BELOW
    return (x, y)


def node_changes(before: NodeSpec, after: NodeSpec) -> list[Change]:
    """Settings of a node that differ, without its place."""
    return changes(_settings(before), _settings(after))


def _one_sided(spec: NodeSpec, change: NodeChange) -> NodeDiff:
    return NodeDiff(node_id=spec.id, change=change, title=spec.title or spec.type, type=spec.type)


def _both(before: NodeSpec, after: NodeSpec, orders: list[Change]) -> NodeDiff | None:
    found = [*node_changes(before, after), *orders]
    moved = None
    if before.position != after.position:
        moved = [list(spec.position or ()) for spec in (before, after)]
    if not found and moved is None:
        return None
    return NodeDiff(
        node_id=after.id,
        change="changed" if found else "moved",
        title=after.title or after.type,
        type=after.type,
        changes=found,
        moved=moved,
    )


def _settings(spec: NodeSpec) -> dict[str, Any]:
    return {**{name: getattr(spec, name) for name in _FIELDS}, **spec.extra}


def _edges(before: list[EdgeSpec], after: list[EdgeSpec]) -> list[EdgeDiff]:
    left, right = {e.ends: e for e in before}, {e.ends: e for e in after}
    found = [_edge(e, "removed") for ends, e in left.items() if ends not in right]
    for ends, edge in right.items():
        if ends not in left:
            found.append(_edge(edge, "added"))
        elif left[ends].extra != edge.extra:
            found.append(_edge(edge, "changed"))
    return found


def _edge(edge: EdgeSpec, change: EdgeChange) -> EdgeDiff:
    return EdgeDiff(
        source=edge.source, source_port=edge.source_port,
        target=edge.target, target_port=edge.target_port, change=change,
    )  # fmt: skip


def _orders(a: Graph, b: Graph) -> dict[str, list[Change]]:
    """Ports that take several wires, and take those of both in another order."""
    common = {e.ends for e in a.edges} & {e.ends for e in b.edges}
    sequences: list[dict[tuple[str, str], list[str]]] = [{}, {}]
    for graph, found in zip((a, b), sequences, strict=True):
        for edge in graph.edges:
            if edge.ends in common:
                place = (edge.target, edge.target_port)
                found.setdefault(place, []).append(f"{edge.source}.{edge.source_port}")
    result: dict[str, list[Change]] = {}
    for (node, port), order in sequences[1].items():
        before = sequences[0][(node, port)]
        if before != order:
            path = f"inputs.{port}.order"
            change = Change(path=path, kind="changed", before=before, after=order)
            result.setdefault(node, []).append(change)
    return result


def _info(graph: Graph) -> dict[str, Any]:
    extra = {
        key: value
        for key, value in graph.extra.items()
        if key not in _DRAWN or _named(value) is None
    }
    head = {
        "name": graph.name,
        "description": graph.description,
        "outputs": {name: list(end) for name, end in graph.outputs.items()},
    }
    return {**head, **extra, **({"file": graph.file_extra} if graph.file_extra else {})}


def _named(value: Any) -> dict[str, Mapping[str, Any]] | None:
    """Notes or groups by id; None for data of another shape."""
    if not isinstance(value, list):
        return None
    named: dict[str, Mapping[str, Any]] = {}
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or item["id"] in named:
            return None
        named[item["id"]] = item
    return named


def _drawn(name: str, before: Any, after: Any) -> list[DrawnDiff]:
    left, right = _named(before), _named(after)
    left, right = left or {}, right or {}
    kind: Literal["note", "group"] = "note" if name == "notes" else "group"
    found = []
    for id_ in [*left, *(i for i in right if i not in left)]:
        old, new = left.get(id_), right.get(id_)
        item = new or old or {}
        text = str(item.get("text") or item.get("title") or "").strip()
        title = text.split("\n")[0].lstrip("#*->").strip()[:80]
        change: NodeChange
        details: list[Change] = []
        if old is None or new is None:
            change = "added" if old is None else "removed"
        else:
            details = changes(old, new)
            if not details:
                continue
            change = "moved" if all(c.path in _PLACE for c in details) else "changed"
        found.append(DrawnDiff(kind=kind, id=id_, change=change, title=title, changes=details))
    return found
