"""Runs: started in the background, watched live, cancelled, resumed, and kept step by step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.engine.context import World
from app.engine.events import Event
from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.engine.plan import Plan, make_plan
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.services.broadcast import Broadcast
from app.services.problems import explain
from app.services.runs.approvals import ApprovalDesk
from app.services.runs.cache import RunCache
from app.services.runs.durable import Durability
from app.services.runs.ends import RunEnds
from app.services.runs.execution import Execution, Floor, Observer, Order, added
from app.services.runs.history import execution_view, past_events, step_view
from app.services.runs.log import Store
from app.services.runs.options import (
    dump_options,
    kept_results,
    load_options,
    may_fail,
    outside,
    remaining,
    repeated,
    unread_inputs,
    with_given,
    world_for,
)
from app.services.runs.watch import RunWatch
from app.services.runs.writer import RunWriter
from app.services.threads import call
from app.services.views import ExecutionView, Page, StepView
from app.services.workflows.service import WorkflowService
from storage.automation import ApprovalRepository
from storage.errors import NotFound
from storage.ids import new_id
from storage.run_writes import RunChange

if TYPE_CHECKING:
    from storage.runs import RunRepository
    from storage.tables import Run, RunStep

log = logging.getLogger(__name__)

__all__ = ["Observer", "RunLimits", "RunService", "Store"]

_HOUSEKEEPING_S = 3600.0
#: Where a run comes from, if it has to end well even though nobody looks on.
_DURABLE = frozenset({"api", "schedule", "webhook", "batch", "background"})
_NOTHING = RunOptions()


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


class RunService:
    """Runs graphs in the background. A step's result is stored before anybody sees it."""

    def __init__(
        self,
        runs: RunRepository,
        workflows: WorkflowService,
        registry: Registry,
        world: World,
        limits: RunLimits | None = None,
        *,
        desk: ApprovalDesk | None = None,
        durability: Durability | None = None,
    ) -> None:
        self._runs = runs
        self._workflows = workflows
        self._registry = registry
        self._world = world
        self.limits = limits or RunLimits()
        self.approvals = desk or ApprovalDesk(ApprovalRepository(runs.db))
        self._durability = durability or Durability(runs)
        self._cache = RunCache(runs, registry, self.limits.cache_mb * 1024 * 1024)
        self._watch = RunWatch(self.limits.memory_mb)
        self._live: dict[str, Execution] = {}
        #: Every run that begins here, for pages that show its workflow.
        self.begun: Broadcast[Begun] = Broadcast()
        self._observers: list[Observer] = []
        writer = RunWriter(runs)
        self._ends = RunEnds(writer)
        self._floor = Floor(
            writer,
            self._ends,
            self.approvals,
            asyncio.Semaphore(self.limits.concurrent),
            self.limits.timeout_s,
            self._observers,
        )
        self._closing = False
        self._housekeeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take charge of runs that a stopped server left, and start housekeeping.

        Nothing runs before `recover`.
        """
        await self._durability.open()
        self._watch.open()
        if self._housekeeping is None:
            self._housekeeping = asyncio.create_task(self._keep_house(), name="run-housekeeping")

    async def recover(self) -> None:
        """Go on with durable runs where they were stopped."""
        await self._durability.recover(self._take_up, lambda: list(self._live))

    async def close(self) -> None:
        """Stop what runs. Durable runs go on at the next start, others can be resumed."""
        self._closing = True
        await self._durability.close()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            self._housekeeping = None
        live = dict(self._live)
        for execution in live.values():
            execution.stop()
        drivers = [e.driver for e in live.values() if e.driver is not None]
        if drivers:
            await asyncio.wait(drivers, timeout=5)
            await self._durability.keep([i for i, e in live.items() if e.goes_on])
        self._ends.close()

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
        options: RunOptions | None = None,
        base_run: str | None = None,
        step: bool = False,
        durable: bool | None = None,
        run_id: str | None = None,
        same: bool = False,
    ) -> str:
        """Start a run of a stored workflow, or of `graph`, and return its id.

        With `targets`, only these nodes and what they need; `options` say more. Nodes that the
        options leave out are given the results they had in `base_run`. With `step`, each node
        waits for `step`. With `same`, `graph` is that of `revision`. A `durable` run goes on by itself after the server was stopped, which
        is the default for runs that no page watches. Raises InvalidWorkflow when the graph cannot
        run, and RagloomError “busy” when too many runs wait already.
        """
        self._check_room()
        name = ""
        if workflow_id is not None:
            workflow = await self._workflows.get(workflow_id, revision)
            name, revision = workflow.name, workflow.revision
            if graph is None:
                graph = workflow.graph
            elif not same:
                # A graph on its way to being saved: not the stored revision.
                revision = None
        parsed = Graph.parse(graph)
        options = options or _NOTHING
        if targets is not None:
            options = options.model_copy(update={"targets": tuple(targets)})
        asked = options
        if base_run is not None:
            options = await self._with_results_of(base_run, parsed, options)
        data = dict(input_data or {})
        plan = await call(make_plan, parsed, self._registry, options=options)
        run = await call(
            self._runs.start,
            run_id=run_id or new_id("run"),
            workflow_id=workflow_id,
            workflow_name=name or parsed.name,
            revision=revision,
            trigger=trigger,
            graph=parsed.dump(),
            input_data=data,
            durable=trigger in _DURABLE if durable is None else durable,
            owner=self._durability.owner,
            parent_run=base_run,
            options=dump_options(asked, use_cache=use_cache),
            warnings=unread_inputs(plan, data) if asked == _NOTHING and trigger != "chat" else (),
        )
        self._launch(run, plan, options, use_cache=use_cache, step=step)
        return run.id

    async def rerun(
        self,
        run_id: str,
        from_: str | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        pin: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        trigger: str = "page",
    ) -> str:
        """Run the graph of a past run once more with its inputs, and return the new run's id.

        With `from_`, that node and everything after it, on the results the past run had before
        it; `config` are settings that differ this time, `pin` outputs that are taken as they are,
        beside those of the past run. Raises InvalidWorkflow for settings of a node that would not
        run again.
        """
        past, _ = await call(self._runs.get, run_id)
        kept = await call(self._options_of, past)
        options = repeated(Graph.parse(past.graph), kept, from_, config or {}, pin or {})
        return await self.start(
            workflow_id=past.workflow_id,
            graph=past.graph,
            input_data=past.input_data,
            trigger=trigger,
            revision=past.revision,
            options=options,
            base_run=run_id,
            same=True,
        )

    async def resume(self, run_id: str) -> str:
        """Go on with a run that was interrupted; finished steps are not run again.

        Raises RagloomError “not_running” for a run that ended by itself.
        """
        if run_id in self._live:
            return run_id
        self._check_room()
        run, _ = await call(self._runs.get, run_id)
        taken = await call(self._runs.take, run_id, self._durability.owner, ["interrupted"])
        if not taken:
            raise RagloomError(
                f"This run is {run.status}: there is nothing to resume.",
                code="not_running",
                fix="Run it again, or from one of its steps.",
            )
        await self._take_up(run)
        return run_id

    def step(self, run_id: str, *, rest: bool = False) -> list[str]:
        """Let the next node of a run that goes step by step run, or all that are left.

        Returns the nodes that waited. Raises RagloomError “not_running”.
        """
        execution = self._running(run_id)
        waited = execution.paused
        execution.step(rest=rest)
        return waited

    def paused(self, run_id: str) -> list[str]:
        """Nodes of a run that wait for `step`, the next one first; none where it is over."""
        execution = self._live.get(run_id)
        return execution.paused if execution is not None else []

    async def decide(self, run_id: str, node_id: str, decision: Mapping[str, Any]) -> None:
        """Answer the question of a node: {"approved", "comment", "value", "by"}.

        Raises NotFound when it asks nothing, RagloomError “conflict” when it was answered.
        """
        await self.approvals.decide(run_id, node_id, decision)

    async def wait(
        self, run_id: str, timeout_s: float | None = None, *, or_asked: bool = False
    ) -> ExecutionView:
        """The run once it has ended, or as it is after `timeout_s`.

        With `or_asked`, also as soon as it cannot go on without a person.
        """
        execution = self._live.get(run_id)
        if execution is not None:
            await execution.over(timeout_s, or_asked=or_asked)
        return await self.get(run_id)

    async def get(self, run_id: str) -> ExecutionView:
        """A run with the steps of its graph, whether it is under way or long over."""
        return await call(self._get, run_id)

    async def steps_inside(
        self, run_id: str, node_id: str, limit: int = 50, offset: int = 0
    ) -> Page[StepView]:
        """Steps of the workflow inside a node, in the order in which they began."""
        return await call(self._steps_inside, run_id, node_id, limit, offset)

    async def list(
        self,
        workflow_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
        *,
        status: str | None = None,
        trigger: str | None = None,
    ) -> Page[ExecutionView]:
        """Runs, newest first, without their steps."""
        items, total = await call(
            self._runs.list,
            workflow_id=workflow_id,
            limit=limit,
            offset=offset,
            status=status,
            trigger=trigger,
        )
        return Page(items=[self._ends.over(execution_view(run)) for run in items], total=total)

    async def cancel(self, run_id: str) -> ExecutionView:
        """Stop a run; one that has ended stays as it is."""
        execution = self._live.get(run_id)
        if execution is not None and execution.driver is not None:
            execution.cancel()
            await asyncio.wait([execution.driver], timeout=1.0)
        elif self._durability.drop(run_id):
            end = {"status": "cancelled", "error": None}
            await self._floor.writer.write(RunChange(run_id, run=end, ended=True))
        return await self.get(run_id)

    async def watch(self, run_id: str) -> AsyncIterator[Event]:
        """Events of a run from its beginning until it ends; of a past run, as they are kept."""
        while self._starting(run_id):  # noqa: ASYNC110  # for a moment, after a start
            await asyncio.sleep(0.1)  # the server has just started, and goes on with it soon
        execution = self._live.get(run_id)
        if execution is None:
            for event in past_events(await self.get(run_id)):
                yield event
            return
        async for event in execution.log.follow():
            yield event

    # -- reading ----------------------------------------------------------------------------

    def _get(self, run_id: str) -> ExecutionView:
        run, steps = self._runs.get(run_id)
        return self._ends.over(execution_view(run, steps, self._runs.load_payload))

    def _steps_inside(self, run_id: str, node_id: str, limit: int, offset: int) -> Page[StepView]:
        self._runs.get(run_id)
        steps, total = self._runs.steps_inside(run_id, node_id, limit, offset)
        return Page(items=[step_view(s, self._runs.load_payload) for s in steps], total=total)

    def _results(self, steps: Sequence[RunStep], **which: Any) -> _Results:
        return kept_results(steps, self._runs.load_payload, self._registry, **which)

    def _options_of(self, run: Run) -> RunOptions:
        """What a past run was given; nothing where that is not kept any more."""
        try:
            return load_options(self._runs.load_payload(run.options))[0]
        except NotFound:
            return _NOTHING

    async def _with_results_of(
        self, base_run: str, graph: Graph, options: RunOptions
    ) -> RunOptions:
        """The options with what `base_run` had for the nodes that they leave out."""
        nodes = outside(graph, options)
        if not nodes:
            return options
        _, steps = await call(self._runs.get, base_run)
        given, keys = await call(self._results, steps, skipped=may_fail(graph))
        return with_given(options, given, keys, nodes)

    # -- running ----------------------------------------------------------------------------

    def _check_room(self) -> None:
        if self._closing:
            raise RagloomError("The server is stopping.", code="not_ready", fix="Try again soon.")
        waiting = sum(1 for execution in self._live.values() if not execution.waiting)
        if waiting >= self.limits.concurrent + self.limits.waiting:
            raise RagloomError(
                f"{waiting:,} runs are under way or waiting already.",
                code="busy",
                fix="Try again when some of them have ended, or raise max_concurrent_runs.",
            )

    def _starting(self, run_id: str) -> bool:
        left = self._durability.holds(run_id) and run_id not in self._live
        return left and not self._closing

    def _running(self, run_id: str) -> Execution:
        execution = self._live.get(run_id)
        if execution is None:
            raise RagloomError(
                "This run is not under way.", code="not_running", fix="Start it again."
            )
        return execution

    async def _take_up(self, run: Run) -> None:
        """Go on with a stored run: what is finished is given, the rest runs."""
        try:
            await self._continue(run)
        except Exception as error:
            log.warning("Run %s could not be gone on with", run.id, exc_info=True)
            end = {"status": "failed", "error": explain(error).data()}
            await self._floor.writer.write(RunChange(run.id, run=end, ended=True))

    async def _continue(self, run: Run) -> None:
        _, steps = await call(self._runs.get, run.id)
        options, use_cache = load_options(await call(self._runs.load_payload, run.options))
        graph = Graph.parse(run.graph)
        if run.parent_run is not None:
            options = await self._with_results_of(run.parent_run, graph, options)
        given, keys = await call(self._results, steps, resumed=True)
        plan_options = remaining(graph, with_given(options, given, keys, list(given)), given)
        plan = await call(make_plan, graph, self._registry, options=plan_options)
        done = [step for step in steps if step.node_id in given]
        sums: list[dict[str, float]] = [{}, {}]
        for step in done:
            sums = [added(sums[0], step.usage), added(sums[1], step.saved)]
        self._launch(
            run, plan, options, use_cache=use_cache, kept=[s.node_id for s in done], sums=sums
        )

    def _launch(
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
        execution = Execution(order, self._floor, self._live.__delitem__)
        self.begun.publish(run.id, Begun(run.id, run.workflow_id, run.trigger))
        self._live[run.id] = execution
        cache = self._cache if use_cache else None
        runner = Runner(
            self._registry,
            world_for(options, self._world),
            cache,
            approvals=execution.approval,
            watch=self._watch,
        )
        execution.launch(runner)

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


_Results = tuple[dict[str, dict[str, Any]], dict[str, str]]
