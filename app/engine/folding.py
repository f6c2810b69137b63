"""Putting a part of a workflow into the body of one node, and taking it out again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import networkx as nx
from pydantic import ValidationError

from app.engine.body import (
    INLET,
    SETTING,
    WORKFLOW,
    Body,
    interface_of,
    reads_run_input,
)
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.engine.values import PortValue
from app.engine.wiring import Wiring

#: An output port: (node id, port).
End = tuple[str, str]

#: Names that inputs and outputs of the new node may not have.
_RESERVED = ("self", "ctx", "items", "input", "variables", "error")
#: Pixels between the inlets of a new body, and from them to its nodes.
_ROW, _COLUMN = 120.0, 320.0


class CannotFold(RagloomError):
    """Nodes cannot be put into a body, or a body cannot be taken apart."""

    code = "cannot_fold"


def collapsed(
    graph: Graph,
    node_ids: Iterable[str],
    registry: Registry,
    *,
    title: str = "",
    node_id: str | None = None,
) -> Graph:
    """See `app.engine.body.collapse`."""
    return _Collapse(graph, node_ids, registry, title, node_id).result()


def expanded(graph: Graph, node_id: str, registry: Registry) -> Graph:
    """See `app.engine.body.expand`."""
    return _Expand(graph, node_id, registry).result()


class _Collapse:
    def __init__(
        self,
        graph: Graph,
        node_ids: Iterable[str],
        registry: Registry,
        title: str,
        node_id: str | None,
    ) -> None:
        self.before = graph
        self.graph = graph.copy()
        self.registry = registry
        self.wiring = Wiring(graph, registry)
        self.title = title
        wanted = set(node_ids)
        self.chosen = [
            spec.id
            for spec in self.graph.nodes.values()
            if spec.id in wanted and not reads_run_input(spec, registry)
        ]
        self._check(wanted)
        self.inside = frozenset(self.chosen)
        self.node_id = _free(node_id or WORKFLOW, self.graph.nodes)
        #: Name of each output that leaves the part, and of the inlet for each that enters it.
        self.leaving: dict[End, str] = {}
        self.entering: dict[End, str] = {}

    def _check(self, wanted: set[str]) -> None:
        for needed in (WORKFLOW, INLET):
            if needed not in self.registry:
                raise CannotFold(f"The node type “{needed}” is not installed here.")
        if unknown := wanted - self.graph.nodes.keys():
            raise CannotFold(f"There is no node “{min(unknown)}”.")
        if not self.chosen:
            raise CannotFold(
                "There is nothing to put into a workflow of its own.",
                fix="Select nodes other than those that read what the run is given; these stay "
                "outside.",
            )
        skeleton = self.graph.skeleton()
        after = set().union(*(nx.descendants(skeleton, n) for n in self.chosen))
        before = set().union(*(nx.ancestors(skeleton, n) for n in self.chosen))
        between = [n for n in self.graph.nodes if n in after & before and n not in self.chosen]
        if between:
            raise CannotFold(
                f"“{self.wiring.title(between[0])}” lies between the selected nodes.",
                fix="Select it as well.",
                node=between[0],
            )

    def result(self) -> Graph:
        graph, inside = self.graph, self.inside
        results = self.before.named_outputs(self.registry)
        self._name_ends(results)
        body = Graph(
            name=self.title,
            outputs={name: end for end, name in self.leaving.items()},
            nodes={
                **self._inlets(),
                **{n: graph.nodes[n] for n in self.chosen},
            },
        )
        inlet_ids = {
            spec.config["name"]: spec.id for spec in body.nodes.values() if self._new(spec)
        }
        outer: list[EdgeSpec] = []
        fed: set[End] = set()
        for edge in graph.edges:
            end = (edge.source, edge.source_port)
            if edge.source in inside and edge.target in inside:
                body.edges.append(edge)
            elif edge.source in inside:
                outer.append(
                    EdgeSpec(
                        self.node_id, self.leaving[end], edge.target, edge.target_port, edge.extra
                    )
                )
            elif edge.target in inside:
                name = self.entering[end]
                body.edges.append(
                    EdgeSpec(inlet_ids[name], "value", edge.target, edge.target_port, edge.extra)
                )
                if end not in fed:
                    fed.add(end)
                    outer.append(EdgeSpec(*end, self.node_id, name))
            else:
                outer.append(edge)
        self._require(body)
        nodes: dict[str, NodeSpec] = {}
        for spec in graph.nodes.values():
            if spec.id not in inside:
                nodes[spec.id] = spec
            elif self.node_id not in nodes:
                nodes[self.node_id] = self._node(body)
        graph.nodes, graph.edges = nodes, outer
        _name_results(
            graph,
            {
                name: (self.node_id, self.leaving[end]) if end[0] in inside else end
                for name, end in results.items()
            },
            self.registry,
        )
        return graph

    def _new(self, spec: NodeSpec) -> bool:
        return spec.id not in self.before.nodes

    def _name_ends(self, results: Mapping[str, End]) -> None:
        names: set[str] = set(_RESERVED)
        for name, end in results.items():
            if end[0] in self.inside and end not in self.leaving:
                self.leaving[end] = _unique(name, names)
        for edge in self.graph.edges:
            end = (edge.source, edge.source_port)
            leaves = edge.source in self.inside and edge.target not in self.inside
            if leaves and end not in self.leaving:
                self.leaving[end] = _unique(edge.source_port, names)
        names = set(_RESERVED)
        for edge in self.graph.edges:
            end = (edge.source, edge.source_port)
            enters = edge.source not in self.inside and edge.target in self.inside
            if enters and end not in self.entering:
                self.entering[end] = _unique(edge.target_port, names)

    def _inlets(self) -> dict[str, NodeSpec]:
        cls = self.registry.get(INLET)
        left, top = self._corner()
        inlets: dict[str, NodeSpec] = {}
        taken = {*self.before.nodes}
        for row, (end, name) in enumerate(self.entering.items()):
            inlet_id = _free(f"{INLET}_{name}", taken)
            taken.add(inlet_id)
            value_type = self.wiring.types.get(end, PortValue).type_name
            inlets[inlet_id] = NodeSpec(
                id=inlet_id,
                type=INLET,
                version=cls.version if cls else 1,
                config={"name": name, "value_type": value_type},
                position=(left - _COLUMN, top + row * _ROW),
            )
        return inlets

    def _corner(self) -> tuple[float, float]:
        places = [p for n in self.chosen if (p := self.graph.nodes[n].position) is not None]
        return (min(x for x, _ in places), min(y for _, y in places)) if places else (0.0, 0.0)

    def _require(self, body: Graph) -> None:
        """Mark the inlets without which no node of the body can run.

        The node around is skipped when one of them brings nothing; with any other missing, part
        of the body still runs, as it did before.
        """
        wiring = Wiring(body, self.registry)
        for spec in body.nodes.values():
            if self._new(spec):
                dead = _dead_without(spec.id, wiring)
                required = all(n in dead for n in body.nodes if not self._new(body.nodes[n]))
                spec.config = {**spec.config, "required": required}

    def _node(self, body: Graph) -> NodeSpec:
        cls = self.registry.get(WORKFLOW)
        held = Body(graph=body.dump(), interface=interface_of(body, self.registry))
        late = any(self.graph.nodes[n].on_error == "continue" for n in self.chosen)
        return NodeSpec(
            id=self.node_id,
            type=WORKFLOW,
            version=cls.version if cls else 1,
            title=self.title,
            config={SETTING: held.model_dump(mode="json")},
            position=_middle([self.graph.nodes[n] for n in self.chosen]),
            on_error="continue" if late else "fail",
        )


def _dead_without(inlet: str, wiring: Wiring) -> set[str]:
    """Nodes that cannot run when an inlet brings nothing."""
    dead = {inlet}
    for node_id in wiring.order or ():
        spec = wiring.graph.nodes[node_id]
        if spec.pinned is not None or spec.disabled:
            continue
        for port in wiring.inputs(node_id).values():
            edges = wiring.edges_into(node_id, port.name)
            if port.required and edges and all(edge.source in dead for edge in edges):
                dead.add(node_id)
    return dead


class _Expand:
    def __init__(self, graph: Graph, node_id: str, registry: Registry) -> None:
        self.before = graph
        self.graph = graph.copy()
        self.registry = registry
        self.node_id = node_id
        if node_id not in graph.nodes:
            raise CannotFold(f"There is no node “{node_id}”.")
        self.spec = self.graph.nodes[node_id]
        self.title = Wiring(graph, registry).title(node_id)
        self.body = self._read()
        self.named = self.body.named_outputs(registry)
        self.inlets = {
            spec.id: str(spec.config.get("name", "value"))
            for spec in self.body.nodes.values()
            if spec.type == INLET
        }
        #: What is wired to each input of the node.
        self.sources: dict[str, list[End]] = {}
        for edge in graph.edges:
            if edge.target == node_id:
                end = (edge.source, edge.source_port)
                self.sources.setdefault(edge.target_port, []).append(end)
        self._check()
        taken = {*graph.nodes} - {node_id}
        #: New id of each node of the body.
        self.ids: dict[str, str] = {}
        for inner in self.body.nodes:
            if inner not in self.inlets:
                self.ids[inner] = _free(inner, taken)
                taken.add(self.ids[inner])

    def _read(self) -> Graph:
        try:
            body = Body.model_validate(self.spec.config.get(SETTING))
        except ValidationError as error:
            raise CannotFold(f"“{self.title}” holds no workflow.") from error
        if body.graph is None:
            raise CannotFold(
                f"“{self.title}” names a stored workflow, which stays where it is.",
                fix="Copy the workflow into the node first, or open the stored one.",
            )
        return Graph.parse(body.graph)

    def _check(self) -> None:
        if self.spec.type != WORKFLOW:
            raise CannotFold(
                f"“{self.title}” does more than to run its workflow once.",
                fix="Only nodes of the type “Workflow” can be taken apart.",
            )
        if self.spec.pinned is not None:
            raise CannotFold(f"The outputs of “{self.title}” are pinned.", fix="Unpin them first.")
        for spec in self.body.nodes.values():
            name = spec.config.get("name")
            if spec.id in self.inlets or not reads_run_input(spec, self.registry):
                continue
            if name in self.sources and name not in self.inlets.values():
                raise CannotFold(
                    f"“{spec.title or spec.id}” inside reads its value from the wire to "
                    f"“{name}”, which it could not do outside.",
                    fix="Replace it by an inlet inside first.",
                )

    def result(self) -> Graph:
        graph = self.graph
        results = self.before.named_outputs(self.registry)
        inner = self._moved()
        edges = self._edges()
        nodes: dict[str, NodeSpec] = {}
        for spec in graph.nodes.values():
            nodes |= {n.id: n for n in inner} if spec.id == self.node_id else {spec.id: spec}
        graph.nodes, graph.edges = nodes, edges
        expected: dict[str, End] = {}
        for name, (node, port) in results.items():
            ends = self._ends(port) if node == self.node_id else [(node, port)]
            if ends:
                expected[name] = ends[0]
        self._share_variables()
        _name_results(graph, expected, self.registry)
        return graph

    def _edges(self) -> list[EdgeSpec]:
        edges: list[EdgeSpec] = []
        for edge in self.graph.edges:
            if edge.source == self.node_id:
                for end in self._ends(edge.source_port):
                    edges.append(EdgeSpec(*end, edge.target, edge.target_port, edge.extra))
            elif edge.target != self.node_id:
                edges.append(edge)
        for edge in self.body.edges:
            if edge.target in self.ids:
                for end in self._of((edge.source, edge.source_port)):
                    target = self.ids[edge.target]
                    edges.append(EdgeSpec(*end, target, edge.target_port, edge.extra))
        return edges

    def _ends(self, port: str) -> list[End]:
        """Where an output of the node comes from."""
        end = self.named.get(port)
        return self._of(end) if end is not None else []

    def _of(self, end: End) -> list[End]:
        """An output inside, as seen from outside: that of an inlet is what is wired to it."""
        node, port = end
        if node in self.inlets:
            return self.sources.get(self.inlets[node], [])
        return [(self.ids[node], port)] if node in self.ids else []

    def _moved(self) -> list[NodeSpec]:
        specs = [spec for spec in self.body.nodes.values() if spec.id in self.ids]
        middle, place = _middle(specs), self.spec.position
        dx, dy = (place[0] - middle[0], place[1] - middle[1]) if middle and place else (0.0, 0.0)
        for spec in specs:
            spec.id = self.ids[spec.id]
            spec.disabled = spec.disabled or self.spec.disabled
            if spec.position is not None:
                spec.position = (spec.position[0] + dx, spec.position[1] + dy)
        return specs

    def _share_variables(self) -> None:
        own = self.body.extra.get("variables")
        if not isinstance(own, Mapping) or not own:
            return
        shared = self.graph.extra.get("variables")
        shared = dict(shared) if isinstance(shared, Mapping) else {}
        clash = next((n for n in own if n in shared and shared[n] != own[n]), None)
        if clash is not None:
            raise CannotFold(
                f"The variable “{clash}” has another value inside “{self.title}”.",
                fix="Rename one of the two.",
            )
        self.graph.extra["variables"] = {**shared, **own}


def _name_results(graph: Graph, expected: dict[str, End], registry: Registry) -> None:
    """See that the results keep their names; they are named where they would not by themselves."""
    if graph.outputs or graph.named_outputs(registry) != expected:
        graph.outputs = expected


def _middle(specs: list[NodeSpec]) -> tuple[float, float] | None:
    places = [spec.position for spec in specs if spec.position is not None]
    if not places:
        return None
    count = len(places)
    return (sum(x for x, _ in places) / count, sum(y for _, y in places) / count)


def _unique(wanted: str, names: set[str]) -> str:
    """A name for a port, none of `names`, which it joins."""
    base = re.sub(r"\W+", "_", wanted).strip("_") or "value"
    name = _free(base, names)
    names.add(name)
    return name


def _free(wanted: str, taken: Collection[Any]) -> str:
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"
