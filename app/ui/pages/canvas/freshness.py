"""Which of the results that are shown still follow from the graph, and which do not any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from app.engine.codec import UndecodableValue
from app.engine.graph import Graph, NodeSpec
from app.engine.registry import Registry
from app.services.views import ExecutionView, StepView
from app.ui.canvas.view import follow_from, touched
from app.ui.port_data import pinnable


class Freshness:
    """Compares the graph with the one the results were computed with.

    An edit that is taken back leaves nothing out of date, and neither does pinning the very
    outputs that are shown, or unpinning them.
    """

    def __init__(self, registry: Registry, step: Callable[[str], StepView | None]) -> None:
        """`step` gives what is shown of a node."""
        self._registry, self._step = registry, step
        #: The graph that ran, and the same without pins that are what their node gives anyway.
        self._ran: Graph | None = None
        self._base: Graph | None = None
        self._inputs: Mapping[str, Any] = {}
        #: Nodes whose shown results were out of date already when the last part of it ran.
        self._behind: set[str] = set()
        #: Node -> outputs, pinned data, and whether they are the same; comparing reads all of it.
        self._compared: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], bool]] = {}

    def start(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        behind: Iterable[str] = (),
    ) -> None:
        """From now on results of this graph are shown, besides older ones that are `behind`.

        `inputs` are those of the run. To be called while the steps of the run before are known.
        """
        behind = set(behind)
        self._base = _unpinned(graph, self.own(graph, inputs, behind))
        self._ran, self._inputs, self._behind = graph, dict(inputs), behind
        self._compared.clear()

    def learn(self, own: Iterable[str]) -> None:
        """Other runs tell of these nodes, pinned in the graph that ran, that they give it anyway."""
        if self._base is not None:
            self._base = _unpinned(self._base, own)

    def own(self, graph: Graph, inputs: Mapping[str, Any], behind: Iterable[str] = ()) -> set[str]:
        """Pinned nodes that would give what is pinned, as far as the run that is shown tells."""
        if self._base is None or self._ran is None or inputs != self._inputs:
            return set()
        pinned = {id_ for id_, spec in graph.nodes.items() if spec.pinned is not None}
        known = {
            id_ for id_ in pinned if id_ in self._base.nodes and not self._base.nodes[id_].pinned
        }
        held = {id_ for id_ in known if self._holds(graph, graph.nodes[id_])}
        free = _unpinned(graph, held)
        moved = touched(self._base, free, self._registry, holds=lambda s: self._holds(graph, s))
        return held - moved - follow_from(set(behind) & free.nodes.keys(), free)

    def ran(self, nodes: Iterable[str]) -> None:
        """These nodes have run with the graph that was started."""
        self._behind -= set(nodes)

    def leave_behind(self, nodes: Iterable[str]) -> None:
        """What these nodes show does not follow from what others gave by now."""
        self._behind |= set(nodes)

    def stale(self, graph: Graph) -> set[str]:
        """Nodes whose shown results may differ from what they would give now."""
        if self._base is None:
            return set()
        changed = touched(self._base, graph, self._registry, holds=lambda s: self._holds(graph, s))
        return changed | follow_from(self._behind & graph.nodes.keys(), graph)

    def _holds(self, graph: Graph, spec: NodeSpec) -> bool:
        """Whether the pinned outputs of a node are what is shown of it."""
        step = self._step(spec.id)
        before = self._ran.nodes.get(spec.id) if self._ran else None
        if before is not None and before.pinned == spec.pinned:
            return True
        if step is None or step.status != "completed" or step.truncated or spec.pinned is None:
            return False
        known = self._compared.get(spec.id)
        if known is None or known[0] is not step.outputs or known[1] is not spec.pinned:
            try:
                same = pinnable(graph, self._registry, spec.id, step.outputs) == spec.pinned
            except UndecodableValue:
                same = False
            known = self._compared[spec.id] = (step.outputs, spec.pinned, same)
        return known[2]


def given_anyway(
    graph: Graph, inputs: Mapping[str, Any], other: ExecutionView, registry: Registry
) -> set[str]:
    """Nodes pinned to what another run of the same inputs has them give, and they would now."""
    if not other.graph:
        return set()
    freshness = Freshness(registry, {step.node_id: step for step in other.steps}.get)
    freshness.start(Graph.parse(other.graph), other.input_data)
    return freshness.own(graph, inputs)


def _unpinned(graph: Graph, nodes: Iterable[str]) -> Graph:
    free = {id_: replace(graph.nodes[id_], pinned=None) for id_ in nodes}
    return replace(graph, nodes={**graph.nodes, **free}) if free else graph
