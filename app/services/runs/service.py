"""Runs: started in the background, watched live, cancelled, resumed, and kept step by step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from app.engine.context import World
from app.engine.events import Event
from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.engine.plan import make_plan
from app.engine.problems import InvalidWorkflow
from app.engine.registry import Registry
from app.services.runs.approvals import ApprovalDesk
from app.services.runs.durable import Durability
from app.services.runs.execution import Observer
from app.services.runs.history import execution_view, step_view
from app.services.runs.live import LiveRuns, RunLimits
from app.services.runs.options import asks, dump_options, inputs_read, repeated, unread_inputs
from app.services.runs.past import PastRuns
from app.services.runs.taking_up import TakingUp
from app.services.runs.told import Stream, told_elsewhere, told_of
from app.services.threads import call, see_through
from app.services.views import ExecutionView, Page, StepView
from app.services.workflows.service import WorkflowService
from storage.automation import ApprovalRepository
from storage.ids import new_id

if TYPE_CHECKING:
    from storage.runs import RunRepository, RunState
    from storage.tables import Run

log = logging.getLogger(__name__)

__all__ = ["RunLimits", "RunService"]

_HOUSEKEEPING_S = 3600.0
#: Seconds that whoever cancels waits at most; a node has one to end, then that is written down.
_END_S = 5.0
#: Where a run comes from, if it has to end well even though nobody looks on.
_DURABLE = frozenset({"api", "schedule", "webhook", "batch", "background"})
_NOTHING = RunOptions()


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
        self.limits = limits or RunLimits()
        self.approvals = desk or ApprovalDesk(ApprovalRepository(runs.db))
        self._durability = durability or Durability(runs)
        self._live = LiveRuns(runs, registry, world, self.limits, self.approvals)
        #: Every run that begins here, for pages that show its workflow.
        self.begun = self._live.begun
        self._past = PastRuns(runs, registry)
        self._taking_up = TakingUp(runs, registry, self._live, self._past, self._durability)
        self._housekeeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take charge of runs that a stopped server left, and start housekeeping.

        Nothing runs before `recover`.
        """
        await self._durability.open()
        self._live.open()
        if self._housekeeping is None:
            self._housekeeping = asyncio.create_task(self._keep_house(), name="run-housekeeping")

    async def recover(self) -> None:
        """Go on with durable runs where they were stopped."""
        await self._taking_up.recover()

    async def close(self) -> None:
        """Stop what runs. Durable runs go on at the next start, others can be resumed."""
        self._live.closing = True
        await self._durability.close()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            self._housekeeping = None
        await self._durability.keep(await self._live.stop())

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._live.observers.append(observer)

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
        waits for `step`. With `same`, `graph` is that of `revision`. A `durable` run goes on by
        itself after the server was stopped, which is the default for runs that no page watches.
        Raises InvalidWorkflow when the graph cannot run, and RagloomError “busy” when too many
        runs wait already.
        """
        self._live.check_room()
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
            options = await self._past.with_results(base_run, parsed, options)
        data = dict(input_data or {})
        plan = await call(make_plan, parsed, self._registry, options=options)
        launch = partial(
            self._live.launch, plan=plan, options=options, use_cache=use_cache, step=step
        )
        return await see_through(
            self._begin(
                launch,
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
                warnings=unread_inputs(plan, data)
                if asked == _NOTHING and trigger != "chat"
                else (),
            )
        )

    async def reads(self, graph: Mapping[str, Any]) -> set[str]:
        """Names of the inputs that a workflow reads.

        None where it cannot run, may read any, or has values of its own for all of them.
        """
        try:
            plan = await call(make_plan, Graph.parse(graph), self._registry, options=_NOTHING)
        except InvalidWorkflow:
            return set()
        return (inputs_read(plan) or set()) if asks(plan) else set()

    async def _begin(self, launch: Callable[[Run], None], **what: Any) -> str:
        """Write a run down, and run it: never the one without the other."""
        run = await call(self._runs.start, **what)
        launch(run)
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
        kept = await self._past.options_of(past)
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
        await self._taking_up.resume(run_id)
        return run_id

    def step(self, run_id: str, *, rest: bool = False) -> list[str]:
        """Let the next node of a run that goes step by step run, or all that are left.

        Returns the nodes that waited. Raises RagloomError “not_running”.
        """
        execution = self._live.running(run_id)
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
        return Page(items=[self._live.ends.over(execution_view(run)) for run in items], total=total)

    async def cancel(self, run_id: str) -> ExecutionView:
        """Stop a run; one that has ended stays as it is."""
        execution = self._live.get(run_id)
        if execution is not None and execution.driver is not None:
            execution.cancel()
            await asyncio.wait([execution.driver], timeout=_END_S)
        elif self._taking_up.drop(run_id):
            await self._live.cancelled(run_id)
        return await self.get(run_id)

    async def watch(self, run_id: str) -> AsyncIterator[Event]:
        """Events of a run from its beginning until it ends; of a past run, as they are kept."""
        stream = await self.follow(run_id)
        assert stream is not None  # every run has a beginning
        async for _, event in stream:
            yield event

    async def follow(self, run_id: str, last_id: str = "") -> Stream | None:
        """Events of a run, each with an id: all, or those after the one that is `last_id`.

        None where nothing comes after it. An id from before a restart of the server, or of a run
        that has ended since, may be unknown: then everything comes again. Raises NotFound.
        """
        while self._taking_up.expects(run_id):  # noqa: ASYNC110  # for a moment, after a start
            await asyncio.sleep(0.1)  # the server has just started, and goes on with it soon
        execution = self._live.get(run_id)
        if execution is not None:
            return execution.log.follow(last_id)
        told = self._live.just_ended.get(run_id, last_id)
        if told is None:
            run = await self.get(run_id)
            if run.status in ("running", "waiting"):
                look, read = partial(self._look, run_id), partial(call, self._get, run_id)
                return told_elsewhere(run, look, read)
            told = told_of(run)
        return told.after(last_id)

    async def _look(self, run_id: str) -> RunState | None:
        """How far a run is; interrupted, if no server has it under way any more."""
        if self._live.closing:
            return None
        mine = self._is_mine(run_id)
        state = await call(self._runs.state, run_id)
        if not (mine or self._is_mine(run_id)) and self._durability.deserted(state):
            return replace(state, status="interrupted")
        return state

    def _is_mine(self, run_id: str) -> bool:
        return run_id in self._live or self._taking_up.expects(run_id)

    # -- reading ----------------------------------------------------------------------------

    def _get(self, run_id: str, nodes: Collection[str] | None = None) -> ExecutionView:
        run, steps = self._runs.get(run_id, nodes)
        return self._live.ends.over(execution_view(run, steps, self._runs.load_payload))

    def _steps_inside(self, run_id: str, node_id: str, limit: int, offset: int) -> Page[StepView]:
        self._runs.get(run_id)
        steps, total = self._runs.steps_inside(run_id, node_id, limit, offset)
        return Page(items=[step_view(s, self._runs.load_payload) for s in steps], total=total)

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
