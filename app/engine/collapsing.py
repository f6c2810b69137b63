"""Putting a part of a workflow into the body of one node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import networkx as nx

from app.engine.body import INLET, SETTING, WORKFLOW, Body, interface_of, reads_run_input
from app.engine.folding import CannotFold, End, free, middle, name_results
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.registry import Registry
from app.engine.values import PortValue
from app.engine.wiring import Wiring

#: Names that inputs and outputs of the new node may not have.
_RESERVED = ("self", "ctx", "items", "input", "variables", "error")
#: Pixels between the inlets of a new body, and from them to its nodes.
_ROW, _COLUMN = 120.0, 320.0


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
        self.node_id = free(node_id or WORKFLOW, self.graph.nodes)
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
        name_results(
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
            inlet_id = free(f"{INLET}_{name}", taken)
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
            position=middle([self.graph.nodes[n] for n in self.chosen]),
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


def _unique(wanted: str, names: set[str]) -> str:
    """A name for a port, none of `names`, which it joins."""
    base = re.sub(r"\W+", "_", wanted).strip("_") or "value"
    name = free(base, names)
    names.add(name)
    return name
