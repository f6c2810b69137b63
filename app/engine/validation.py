"""Everything that is wrong with a workflow, at once, each with what would mend it."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from app.engine.fits import Fits
from app.engine.graph import Graph
from app.engine.problems import Problem
from app.engine.registry import Registry
from app.engine.validation_edges import EdgeChecks
from app.engine.validation_nodes import NodeChecks
from app.engine.wiring import Wiring, bypass
from app.engine.wording import either, shortened


def validate(graph: Graph, registry: Registry) -> list[Problem]:
    """Return every problem of `graph`; those of severity "warning" do not stop a run."""
    return validate_wiring(Wiring(graph, registry))


def validate_wiring(wiring: Wiring, depth: int = 0) -> list[Problem]:
    """`validate` for who has, or goes on to use, the wiring of a graph.

    `depth` counts the workflows around it.
    """
    return _Validation(wiring, depth).problems()


class _Validation:
    def __init__(self, wiring: Wiring, depth: int = 0) -> None:
        self.wiring = wiring
        self.graph = wiring.graph
        self.registry = wiring.registry
        self.classes = wiring.classes
        self.wires = wiring.wires
        fits = Fits(wiring)
        self.nodes = NodeChecks(wiring, fits, depth)
        self.edges = EdgeChecks(wiring, fits)

    def problems(self) -> list[Problem]:
        if not self.graph.nodes:
            return [
                Problem(
                    code="empty_graph",
                    message="The workflow has no nodes.",
                    fix="Add a first node from the palette.",
                )
            ]
        cyclic = self.wiring.order is None
        found = list(self._cycles()) if cyclic else []
        for node in self.graph.nodes.values():
            found += self.nodes.problems(node)
        found += self.edges.problems()
        found += self._outputs()
        if not cyclic:
            found += self._reachability()
        return found

    def _title(self, node_id: str) -> str:
        return self.wiring.title(node_id)

    # -- structure ------------------------------------------------------------------------

    def _cycles(self) -> Iterable[Problem]:
        skeleton = self.wiring.skeleton
        for component in nx.strongly_connected_components(skeleton):
            first = next(iter(component))
            if len(component) == 1 and not skeleton.has_edge(first, first):
                continue
            steps = nx.find_cycle(skeleton.subgraph(component))
            ids = [source for source, _ in steps]
            path = " → ".join(self._title(n) for n in shortened([*ids, ids[0]]))
            yield Problem(
                code="cycle",
                message=f"These nodes wait for each other: {path}.",
                fix="Remove one of the wires between them.",
                node=ids[0],
                found=ids,
            )

    # -- outputs --------------------------------------------------------------------------

    def _outputs(self) -> Iterable[Problem]:
        for name, (node_id, port) in self.graph.outputs.items():
            cls = self.classes.get(node_id)
            if node_id not in self.graph.nodes:
                reason = f"the node “{node_id}”, which does not exist"
                expected = list(self.graph.nodes)[:10]
            elif cls is not None and port not in self.wiring.outputs(node_id):
                reason = f"“{port}” of “{self._title(node_id)}”, which has no such output"
                expected = list(self.wiring.outputs(node_id))
            else:
                continue
            yield Problem(
                code="unreachable_output",
                message=f"The result “{name}” is taken from {reason}.",
                fix=f"Take it from {either(expected)}, or remove it from the results."
                if expected
                else "Remove it from the results.",
                node=node_id if node_id in self.graph.nodes else None,
                port=port,
                field=f"graph.outputs.{name}",
                found=[node_id, port],
                expected=expected,
            )
        if not self.graph.named_outputs(self.registry) and len(self.classes) == len(
            self.graph.nodes
        ):
            yield Problem(
                code="missing_output",
                message="The workflow gives no result: no node at its end has an output.",
                fix="Name one under graph.outputs, or add an output node.",
                severity="warning",
            )

    def _reachability(self) -> Iterable[Problem]:
        """Results that cannot come because a node is disabled, and nodes no result needs."""
        named = self.graph.outputs
        if not named:
            return
        disabled = any(node.disabled for node in self.graph.nodes.values())
        alive = self._alive() if disabled else self.wiring.types.keys()
        for name, (node_id, port) in named.items():
            if port in self.wiring.outputs(node_id) and (node_id, port) not in alive:
                yield Problem(
                    code="unreachable_output",
                    message=f"The result “{name}” cannot come: a node it depends on is disabled.",
                    fix="Enable the node, or take the result from another one.",
                    node=node_id,
                    port=port,
                    field=f"graph.outputs.{name}",
                    severity="warning",
                )
        acting = [node_id for node_id, cls in self.classes.items() if not cls.cacheable]
        needed = self.graph.needed_for([*(node_id for node_id, _ in named.values()), *acting])
        for node in self.graph.nodes.values():
            if node.id not in needed and not node.disabled:
                yield Problem(
                    code="unused_node",
                    message=f"No result of the workflow needs “{self._title(node.id)}”.",
                    fix="Connect its outputs, name one of them as a result, or remove the node.",
                    node=node.id,
                    severity="warning",
                )

    def _alive(self) -> set[tuple[str, str]]:
        """Output ports that can have a value, going by disabled nodes alone."""
        alive: set[tuple[str, str]] = set()
        for node_id in self.wiring.order or ():
            node, cls = self.graph.nodes[node_id], self.classes.get(node_id)
            if cls is None:
                continue
            arrived = {
                port
                for port, edges in self.wires.get(node_id, {}).items()
                if any(
                    (e.source, e.source_port) in alive or e.source not in self.classes
                    for e in edges
                )
            }
            # What is not wired at all is a problem of its own.
            wired = self.wires.get(node_id, {})
            if node.disabled and node.pinned is None:
                routes = bypass(cls, node.config)
                alive |= {(node_id, out) for out, port in routes.items() if port in arrived}
            elif node.pinned is not None or all(
                port.name in arrived or port.name not in wired
                for port in self.wiring.inputs(node_id).values()
                if port.required
            ):
                alive |= {(node_id, port) for port in self.wiring.outputs(node_id)}
        return alive
