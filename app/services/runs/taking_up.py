"""Runs that were stopped are taken up again: by themselves at the start, or when asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.engine.graph import Graph
from app.engine.plan import make_plan
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.runs.durable import Durability
from app.services.runs.execution import added
from app.services.runs.live import LiveRuns
from app.services.runs.options import remaining, with_given
from app.services.runs.past import PastRuns
from app.services.threads import call

if TYPE_CHECKING:
    from storage.runs import RunRepository
    from storage.tables import Run

log = logging.getLogger(__name__)


class TakingUp:
    """Goes on with stored runs: what is finished is given, the rest runs."""

    def __init__(
        self,
        runs: RunRepository,
        registry: Registry,
        live: LiveRuns,
        past: PastRuns,
        durability: Durability,
    ) -> None:
        self._runs = runs
        self._registry = registry
        self._live = live
        self._past = past
        self._durability = durability
        #: Runs that are being read and planned, and will be launched unless they leave this.
        self._under_way: set[str] = set()

    async def recover(self) -> None:
        """Go on with durable runs where they were stopped."""
        await self._durability.recover(self._take_up, self._live.let_go, self._live.ids)

    async def resume(self, run_id: str) -> None:
        """Go on with a run that was interrupted. Raises RagloomError “not_running”."""
        if run_id in self._live or run_id in self._under_way:
            return
        self._live.check_room()
        run, _ = await call(self._runs.get, run_id)
        if await call(self._runs.take, run_id, self._durability.owner, ["interrupted"]):
            await self._take_up(run)
        elif run_id not in self._live and run_id not in self._under_way:
            raise RagloomError(
                f"This run is {run.status}: there is nothing to resume.",
                code="not_running",
                fix="Run it again, or from one of its steps.",
            )

    def expects(self, run_id: str) -> bool:
        """Whether a run will be under way soon."""
        left = run_id in self._under_way or self._durability.holds(run_id)
        return left and run_id not in self._live and not self._live.closing

    def drop(self, run_id: str) -> bool:
        """Do not go on with a run; False when that was not meant to be, or has begun."""
        held = self._durability.drop(run_id)
        if run_id in self._under_way:
            self._under_way.remove(run_id)
            return True
        return held

    async def _take_up(self, run: Run) -> None:
        self._under_way.add(run.id)
        try:
            await self._continue(run)
        except Exception as error:
            log.warning("Run %s could not be gone on with", run.id, exc_info=True)
            if run.id in self._under_way:  # else it was cancelled meanwhile, and stays so
                await self._live.failed(run.id, error)
        finally:
            self._under_way.discard(run.id)

    async def _continue(self, run: Run) -> None:
        graph = Graph.parse(run.graph)
        steps, (given, keys) = await self._past.steps_of(run, graph)
        options, use_cache = await self._past.asked_of(run)
        if run.parent_run is not None:
            options = await self._past.with_results(run.parent_run, graph, options)
        plan_options = remaining(graph, with_given(options, given, keys, list(given)), given)
        plan = await call(make_plan, graph, self._registry, options=plan_options)
        done = [step for step in steps if step.node_id in given]
        sums: list[dict[str, float]] = [{}, {}]
        for step in done:
            sums = [added(sums[0], step.usage), added(sums[1], step.saved)]
        if run.id in self._under_way:
            self._live.launch(
                run, plan, options, use_cache=use_cache, kept=[s.node_id for s in done], sums=sums
            )
