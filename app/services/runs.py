"""Runs: started in the background, watched live, cancelled, and kept step by step."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.engine.context import World
from app.engine.events import Event, RunFinished
from app.engine.graph import Graph
from app.engine.plan import Plan, make_plan
from app.engine.problems import Problem, RagloomError
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.services.problems import explain
from app.services.run_cache import RunCache
from app.services.run_history import RunRecorder, execution_view, past_events
from app.services.run_log import RunLog, Store
from app.services.threads import call
from app.services.views import ExecutionView, Page
from app.services.workflows import WorkflowService
from storage.ids import new_id

if TYPE_CHECKING:
    from storage.runs import RunRepository

log = logging.getLogger(__name__)

#: Runs that may wait for their turn, per run that may run.
_QUEUE_FACTOR = 25
_HOUSEKEEPING_S = 3600.0
#: Called with every event of every run, after it was stored.
Observer = Callable[[Plan, Event], None]


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How long runs may take, how many at once, and how long they are kept."""

    timeout_s: float = 600.0
    concurrent: int = 8
    retention_days: int = 30
    retention_runs: int = 5_000
    retention_mb: int = 2_048
    cache_mb: int = 64


@dataclass(slots=True)
class _Execution:
    """A run that lives: its work can be cancelled, its driver always ends by itself."""

    log: RunLog
    store: Store
    work: asyncio.Task[RunFinished]
    driver: asyncio.Task[None]
    started: float = field(default_factory=time.monotonic)
    stopping: bool = False


class RunService:
    """Runs graphs in the background. A step's result is stored before anybody sees it."""

    def __init__(
        self,
        runs: RunRepository,
        workflows: WorkflowService,
        registry: Registry,
        world: World,
        limits: RunLimits | None = None,
    ) -> None:
        self._runs = runs
        self._workflows = workflows
        self._registry = registry
        self._world = world
        self.limits = limits or RunLimits()
        self._cache = RunCache(runs, registry, self.limits.cache_mb * 1024 * 1024)
        self._slots = asyncio.Semaphore(self.limits.concurrent)
        self._live: dict[str, _Execution] = {}
        self._observers: list[Observer] = []
        self._housekeeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Close the books on runs that a stopped server left, and start housekeeping."""
        await call(self._runs.interrupt_running)
        if self._housekeeping is None:
            self._housekeeping = asyncio.create_task(self._keep_house(), name="run-housekeeping")

    async def close(self) -> None:
        """Cancel what runs, and store that."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            self._housekeeping = None
        live = list(self._live.values())
        for execution in live:
            execution.stopping = True
            execution.work.cancel()
        if live:
            await asyncio.wait([execution.driver for execution in live], timeout=5)

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._observers.append(observer)

    @property
    def active(self) -> int:
        """Runs that have not ended."""
        return len(self._live)

    async def start(
        self,
        *,
        workflow_id: str | None = None,
        graph: Mapping[str, Any] | None = None,
        input_data: Mapping[str, Any] | None = None,
        trigger: str = "page",
        revision: int | None = None,
        use_cache: bool = True,
        targets: Sequence[str] | None = None,
    ) -> str:
        """Start a run of a stored workflow, or of `graph`, and return its id.

        With `targets`, only these nodes and what they need. Raises InvalidWorkflow when the graph
        cannot run, and RagloomError “busy” when too many runs wait already.
        """
        limit = self.limits.concurrent * (1 + _QUEUE_FACTOR)
        if len(self._live) >= limit:
            raise RagloomError(
                f"{len(self._live):,} runs are under way or waiting already.",
                code="busy",
                fix="Try again when some of them have ended, or raise max_concurrent_runs.",
            )
        name = ""
        if workflow_id is not None:
            workflow = await self._workflows.get(workflow_id, revision)
            name, revision = workflow.name, workflow.revision
            if graph is None:
                graph = workflow.graph
            else:
                # A graph on its way to being saved: not the stored revision.
                revision = None
        parsed = Graph.parse(graph)
        plan = await call(make_plan, parsed, self._registry, targets)
        run_id = new_id("run")
        await call(
            self._runs.start,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_name=name or parsed.name,
            revision=revision,
            trigger=trigger,
            graph=parsed.dump(),
            input_data=dict(input_data or {}),
        )
        self._launch(run_id, workflow_id or "", parsed, plan, dict(input_data or {}), use_cache)
        return run_id

    async def wait(self, run_id: str, timeout_s: float | None = None) -> ExecutionView:
        """The run once it has ended, or as it is after `timeout_s`."""
        execution = self._live.get(run_id)
        if execution is not None:
            await asyncio.wait([execution.driver], timeout=timeout_s)
        return await self.get(run_id)

    async def get(self, run_id: str) -> ExecutionView:
        """A run with its steps, whether it is under way or long over."""
        return await call(self._get, run_id)

    async def list(
        self,
        workflow_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
        *,
        status: str | None = None,
    ) -> Page[ExecutionView]:
        """Runs, newest first, without their steps."""
        items, total = await call(
            self._runs.list, workflow_id=workflow_id, limit=limit, offset=offset, status=status
        )
        return Page(items=[execution_view(run) for run in items], total=total)

    async def cancel(self, run_id: str) -> ExecutionView:
        """Stop a run; one that has ended stays as it is."""
        execution = self._live.get(run_id)
        if execution is not None:
            execution.work.cancel()
            await asyncio.wait([execution.driver], timeout=1.0)
        return await self.get(run_id)

    async def watch(self, run_id: str) -> AsyncIterator[Event]:
        """Events of a run from its beginning until it ends; of a past run, as they are kept."""
        execution = self._live.get(run_id)
        if execution is None:
            for event in past_events(await self.get(run_id)):
                yield event
            return
        async for event in execution.log.follow():
            yield event

    def _get(self, run_id: str) -> ExecutionView:
        run, steps = self._runs.get(run_id)
        return execution_view(run, steps, self._runs.load_payload)

    def _launch(
        self,
        run_id: str,
        scope: str,
        graph: Graph,
        plan: Plan,
        input_data: dict[str, Any],
        use_cache: bool,
    ) -> None:
        recorder = RunRecorder(self._runs, run_id, plan)

        async def store(events: Sequence[Event]) -> None:
            await call(recorder.store, events)
            for event in events:
                for observer in self._observers:
                    observer(plan, event)

        run_log = RunLog(store)

        def emit(event: Event) -> None:
            # The last event is published when everything before it is stored.
            if not isinstance(event, RunFinished):
                run_log.emit(event)

        async def work() -> RunFinished:
            runner = Runner(self._registry, self._world, self._cache if use_cache else None)
            async with self._slots, asyncio.timeout(self.limits.timeout_s):
                return await runner.run(plan, input_data, run_id, emit, scope=scope)

        task = asyncio.create_task(work(), name=f"run {run_id}")
        run_log.on_broken(task.cancel)
        driver = asyncio.create_task(self._drive(run_id), name=f"drive {run_id}")
        self._live[run_id] = _Execution(run_log, store, task, driver)

    async def _drive(self, run_id: str) -> None:
        """See a run through to its stored end, whatever happens to its work."""
        execution = self._live[run_id]
        await asyncio.wait([execution.work])
        last = self._last_event(run_id, execution)
        try:
            try:
                await execution.log.close()
            except Exception as error:
                last = _failed(run_id, last.duration_ms, explain(error).data())
            try:
                await execution.store([last])
            except Exception as error:
                last = _failed(run_id, last.duration_ms, explain(error).data())
        finally:
            execution.log.end(last)
            del self._live[run_id]

    def _last_event(self, run_id: str, execution: _Execution) -> RunFinished:
        took = (time.monotonic() - execution.started) * 1000
        work = execution.work
        if work.cancelled():
            if execution.stopping:
                return _failed(run_id, took, _STOPPED, status="cancelled")
            return RunFinished(run_id=run_id, status="cancelled", duration_ms=took)
        error = work.exception()
        if error is None:
            return work.result()
        if isinstance(error, TimeoutError):
            seconds = self.limits.timeout_s
            return _failed(
                run_id,
                took,
                {
                    "code": "run_timeout",
                    "message": f"The run took longer than {seconds:g} seconds and was stopped.",
                    "fix": "Raise run_timeout_s, or make the workflow do less.",
                },
            )
        return _failed(run_id, took, explain(error).data())

    async def _keep_house(self) -> None:
        limits = self.limits
        while True:
            try:
                await call(
                    self._runs.prune,
                    limits.retention_days,
                    limits.retention_runs,
                    limits.retention_mb * 1024 * 1024,
                )
            except Exception:
                log.exception("Old runs could not be removed; trying again in an hour")
            await asyncio.sleep(_HOUSEKEEPING_S)


_STOPPED = {
    "code": "server_stopped",
    "message": "The server was stopped while the workflow ran.",
    "fix": "Run it again; finished steps are reused.",
}


def _failed(
    run_id: str, duration_ms: float, data: Mapping[str, str], *, status: Any = "failed"
) -> RunFinished:
    return RunFinished(
        run_id=run_id, status=status, duration_ms=duration_ms, problem=Problem(**data)
    )
