"""The runs that are under way on this server: launched, stepped, cancelled, and stopped with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.engine.context import World
from app.engine.options import RunOptions
from app.engine.plan import Plan
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.services.broadcast import Broadcast
from app.services.problems import explain
from app.services.runs.approvals import ApprovalDesk
from app.services.runs.cache import RunCache
from app.services.runs.ends import RunEnds
from app.services.runs.execution import Execution, Floor, Observer, Order
from app.services.runs.options import world_for
from app.services.runs.told import JustEnded
from app.services.runs.watch import RunWatch
from app.services.runs.writer import RunWriter
from storage.run_writes import RunChange

if TYPE_CHECKING:
    from storage.runs import RunRepository
    from storage.tables import Run

#: Seconds that runs get to end when the server stops.
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How long runs may take, how many at once, and how long they are kept."""

    timeout_s: float = 600.0
    concurrent: int = 8
    #: Runs that may wait for their turn.
    waiting: int = 1_000
    retention_days: int = 30
    retention_runs: int = 5_000
    retention_mb: int = 2_048
    cache_mb: int = 64
    #: Memory that runs may take together; 0 stands for half of the machine's.
    memory_mb: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that just began."""

    run_id: str
    workflow_id: str | None
    trigger: str


class LiveRuns:
    """Launches runs and knows them until they end. Belongs to the event loop."""

    def __init__(
        self,
        runs: RunRepository,
        registry: Registry,
        world: World,
        limits: RunLimits,
        desk: ApprovalDesk,
    ) -> None:
        self._registry = registry
        self._world = world
        self._limits = limits
        self._cache = RunCache(runs, registry, limits.cache_mb * 1024 * 1024)
        self._watch = RunWatch(limits.memory_mb)
        self._runs: dict[str, Execution] = {}
        #: What was told of runs that have just ended.
        self.just_ended = JustEnded()
        #: Every run that begins here, for pages that show its workflow.
        self.begun: Broadcast[Begun] = Broadcast()
        #: Called with every event of every run, after it was stored.
        self.observers: list[Observer] = []
        writer = RunWriter(runs)
        #: Ends that could not be written yet.
        self.ends = RunEnds(writer)
        self._floor = Floor(
            writer,
            self.ends,
            desk,
            asyncio.Semaphore(limits.concurrent),
            limits.timeout_s,
            self.observers,
        )
        #: Whether the server stops, so that nothing is launched any more.
        self.closing = False

    def open(self) -> None:
        """Get ready to look after what the runs take."""
        self._watch.open()

    async def stop(self) -> list[str]:
        """End what runs, and return the runs that are to be gone on with."""
        live = dict(self._runs)
        for execution in live.values():
            execution.stop()
        drivers = [e.driver for e in live.values() if e.driver is not None]
        if drivers:
            await asyncio.wait(drivers, timeout=_STOP_S)
        self.ends.close()
        return [run_id for run_id, execution in live.items() if execution.goes_on]

    def let_go(self, run_id: str) -> None:
        """Stop a run that another server has taken up; what is written is left to that one."""
        execution = self._runs.get(run_id)
        if execution is not None:
            execution.let_go()

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def ids(self) -> list[str]:
        """All of them."""
        return list(self._runs)

    def get(self, run_id: str) -> Execution | None:
        """A run that is under way here."""
        return self._runs.get(run_id)

    def running(self, run_id: str) -> Execution:
        """A run that has to be under way. Raises RagloomError “not_running”."""
        execution = self._runs.get(run_id)
        if execution is None:
            raise RagloomError(
                "This run is not under way.", code="not_running", fix="Start it again."
            )
        return execution

    def check_room(self) -> None:
        """Raises RagloomError “not_ready”, and “busy” when too many runs wait already."""
        if self.closing:
            raise RagloomError("The server is stopping.", code="not_ready", fix="Try again soon.")
        waiting = sum(1 for execution in self._runs.values() if not execution.waiting)
        if waiting >= self._limits.concurrent + self._limits.waiting:
            raise RagloomError(
                f"{waiting:,} runs are under way or waiting already.",
                code="busy",
                fix="Try again when some of them have ended, or raise max_concurrent_runs.",
            )

    def launch(
        self,
        run: Run,
        plan: Plan,
        options: RunOptions,
        *,
        use_cache: bool,
        step: bool = False,
        kept: Sequence[str] = (),
        sums: Sequence[Mapping[str, float]] = ({}, {}),
    ) -> None:
        """Begin a stored run, or go on with it: `kept` are steps that are done, `sums` theirs."""
        world = world_for(options, self._world)
        if self.closing:
            return  # it is found as one that was interrupted, and gone on with, at the next start
        order = Order(
            run_id=run.id,
            plan=plan,
            input_data=run.input_data,
            workflow_id=run.workflow_id,
            workflow_name=run.workflow_name,
            durable=run.durable,
            step=step,
            kept=frozenset(kept),
            usage=sums[0],
            saved=sums[1],
        )
        execution = Execution(order, self._floor, self._over)
        self.begun.publish(run.id, Begun(run.id, run.workflow_id, run.trigger))
        self._runs[run.id] = execution
        runner = Runner(
            self._registry,
            world,
            self._cache if use_cache else None,
            approvals=execution.approval,
            watch=self._watch,
        )
        execution.launch(runner)

    def _over(self, run_id: str) -> None:
        self.just_ended.keep(run_id, self._runs.pop(run_id).log.told())

    async def cancelled(self, run_id: str) -> None:
        """Write down that a run which is not under way was cancelled."""
        end = {"status": "cancelled", "error": None}
        await self._floor.writer.write(RunChange(run_id, run=end, ended=True))

    async def failed(self, run_id: str, error: Exception) -> None:
        """Write down that a run could not be gone on with; where that fails too, tell it."""
        problem = explain(error).data()
        end = {"status": "failed", "error": problem}
        try:
            await self._floor.writer.write(RunChange(run_id, run=end, ended=True))
        except Exception as again:
            self.ends.keep(run_id, "failed", explain(again).data(), 0.0)
