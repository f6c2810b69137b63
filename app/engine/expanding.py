"""Taking the body of a node apart, into the workflow around it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from app.engine.body import INLET, SETTING, WORKFLOW, Body, reads_run_input
from app.engine.folding import CannotFold, End, free, middle, name_results
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.registry import Registry
from app.engine.wiring import Wiring


def expanded(graph: Graph, node_id: str, registry: Registry) -> Graph:
    """See `app.engine.body.expand`."""
    return _Expand(graph, node_id, registry).result()


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
                self.ids[inner] = free(inner, taken)
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
        name_results(graph, expected, self.registry)
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
        was, place = middle(specs), self.spec.position
        dx, dy = (place[0] - was[0], place[1] - was[1]) if was and place else (0.0, 0.0)
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
