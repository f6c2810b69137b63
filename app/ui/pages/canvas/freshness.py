"""Which of the results that are shown still follow from the graph, and which do not any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.engine.codec import UndecodableValue
from app.engine.graph import Graph, NodeSpec
from app.engine.registry import Registry
from app.services.views import StepView
from app.ui.canvas.view import follow_from, touched
from app.ui.port_data import pinnable


class Freshness:
    """Compares the graph with the one the results were computed with.

    An edit that is taken back leaves nothing out of date, and neither does pinning the very
    outputs that are shown.
    """

    def __init__(self, registry: Registry, step: Callable[[str], StepView | None]) -> None:
        """`step` gives what is shown of a node."""
        self._registry, self._step = registry, step
        self._base: Graph | None = None
        #: Nodes whose shown results were out of date already when the last part of it ran.
        self._behind: set[str] = set()
        #: Node -> outputs, pinned data, and whether they are the same; comparing reads all of it.
        self._compared: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], bool]] = {}

    def start(self, graph: Graph, *, behind: Iterable[str] = ()) -> None:
        """Results of this graph are shown from now on, besides older ones that are `behind`."""
        self._base, self._behind = graph, set(behind)
        self._compared.clear()

    def ran(self, nodes: Iterable[str]) -> None:
        """These nodes have run with the graph that was started."""
        self._behind -= set(nodes)

    def stale(self, graph: Graph) -> set[str]:
        """Nodes whose shown results may differ from what they would give now."""
        if self._base is None:
            return set()
        changed = touched(self._base, graph, self._registry, holds=lambda s: self._holds(graph, s))
        return changed | follow_from(self._behind & graph.nodes.keys(), graph)

    def _holds(self, graph: Graph, spec: NodeSpec) -> bool:
        """Whether the pinned outputs of a node are what is shown of it."""
        step = self._step(spec.id)
        before = self._base.nodes.get(spec.id) if self._base else None
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
