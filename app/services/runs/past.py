"""What past runs left for later ones to build on: results of their steps, and their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.engine.registry import Registry
from app.services.runs.options import kept_results, load_options, may_fail, outside, with_given
from app.services.threads import call
from storage.errors import NotFound

if TYPE_CHECKING:
    from storage.runs import RunRepository
    from storage.tables import Run, RunStep

Results = tuple[dict[str, dict[str, Any]], dict[str, str]]


class PastRuns:
    """Reads the history for runs that begin with what an earlier one, or they themselves, had."""

    def __init__(self, runs: RunRepository, registry: Registry) -> None:
        self._runs = runs
        self._registry = registry

    async def options_of(self, run: Run) -> RunOptions:
        """What a past run was given; nothing where that is not kept any more."""
        try:
            return (await self.asked_of(run))[0]
        except NotFound:
            return RunOptions()

    async def asked_of(self, run: Run) -> tuple[RunOptions, bool]:
        """What a run was given, and whether it reuses results. Raises NotFound."""
        return load_options(await call(self._runs.load_payload, run.options))

    async def steps_of(self, run: Run, graph: Graph) -> tuple[Sequence[RunStep], Results]:
        """The steps that a run took before it was stopped, and the results that stand."""
        _, steps = await call(self._runs.get, run.id)
        # Only what may fail without a word has ended by failing. Other failures end the run, or
        # are told at its end: such a step was about to, and is tried again.
        passed_over = [n.id for n in graph.nodes.values() if n.on_error == "skip"]
        return steps, await call(self._results, steps, passed_over)

    async def with_results(self, base_run: str, graph: Graph, options: RunOptions) -> RunOptions:
        """The options with what `base_run` had for the nodes that they leave out."""
        nodes = outside(graph, options)
        if not nodes:
            return options
        _, steps = await call(self._runs.get, base_run)
        given, keys = await call(self._results, steps, may_fail(graph))
        return with_given(options, given, keys, nodes)

    def _results(self, steps: Sequence[RunStep], may_have_failed: Sequence[str]) -> Results:
        return kept_results(steps, self._runs.load_payload, self._registry, may_have_failed)
