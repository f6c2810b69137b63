"""Runs a workflow: each node as soon as its own inputs are there, branches side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from app.engine.cache import ResultCache, json_text
from app.engine.codec import Outputs, encode
from app.engine.context import World
from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
    RunFinished,
    RunStarted,
)
from app.engine.graph import Graph
from app.engine.plan import Plan, PlannedNode, make_plan
from app.engine.problems import Problem
from app.engine.registry import Registry
from app.engine.signature import Wire, digest
from app.engine.values import PortValue
from app.engine.visit import Outcome, RunContext, Visit, problem_of

#: Nodes of one run that may work at the same time.
DEFAULT_CONCURRENCY = 16
#: Seconds that nodes get to clean up when a run stops; then they are left behind.
_GRACE_S = 0.5
#: Seconds after which nodes that never wait let others run.
_FAIRNESS_S = 0.005
#: Graphs above this many nodes are prepared in a thread, not on the event loop.
_LARGE_GRAPH = 200


class Runner:
    """Runs workflows made of the nodes of one registry."""

    def __init__(
        self,
        registry: Registry,
        world: World,
        cache: ResultCache | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        payloads: bool = True,
    ) -> None:
        """Take `cache` None to reuse nothing, `payloads` False to keep values out of events."""
        self.registry = registry
        self.world = world
        self.cache = cache
        self.concurrency = concurrency
        self.payloads = payloads

    def prepare(self, graph: Graph, targets: Collection[str] | None = None) -> Plan:
        """Check a workflow once for many runs. Raises InvalidWorkflow with every problem."""
        return make_plan(graph, self.registry, targets)

    async def run(
        self,
        graph: Graph | Plan,
        input_data: Mapping[str, Any],
        run_id: str,
        emit: Callable[[Event], None],
        *,
        targets: Collection[str] | None = None,
        scope: str = "",
    ) -> RunFinished:
        """Run a workflow, or only `targets` and what they need (a plan has its own targets).

        `emit` gets every event on the event loop, in order: exactly one of finished, skipped
        and failed for each node, and `RunFinished` last. A failed node ends in
        `RunFinished(status="failed")`, not in an exception. To cancel, cancel the task: it
        ends within a second, after `RunFinished(status="cancelled")`. `scope` (a workflow's
        id) tells apart nodes of the same id when saying why one ran again.

        Raises InvalidWorkflow before the first event when the workflow cannot run.
        """
        if isinstance(graph, Plan):
            plan = graph
        elif len(graph.nodes) > _LARGE_GRAPH:
            plan = await asyncio.to_thread(self.prepare, graph, targets)
        else:
            plan = self.prepare(graph, targets)
        context = RunContext(
            run_id=run_id,
            world=self.world,
            input_data=input_data,
            cache=self.cache,
            scope=scope,
            slots=asyncio.Semaphore(self.concurrency),
            emit=emit,
        )
        return await _Run(plan, context, payloads=self.payloads).execute()


class _Result:
    """What a settled node left: its outputs, and the key that stands for them downstream."""

    __slots__ = ("key", "outputs")

    def __init__(self, outputs: Outputs, key: str) -> None:
        self.outputs = outputs
        self.key = key


_NOTHING = _Result({}, "")


class _Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, context: RunContext, *, payloads: bool) -> None:
        self.plan = plan
        self.context = context
        self.payloads = payloads
        self.waiting = {node_id: node.waits_for for node_id, node in plan.nodes.items()}
        self.results: dict[str, _Result] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: Problem | None = None
        self.started = self.last_yield = time.perf_counter()
        # JSON data of values by identity: results keep the values alive, so ids stay unique.
        self.encoded: dict[int, dict[str, Any]] = {}
        context.is_settled = self.results.__contains__

    async def execute(self) -> RunFinished:
        """Run to the end; see `Runner.run`."""
        self.context.emit(RunStarted(run_id=self.context.run_id, node_ids=tuple(self.plan.nodes)))
        try:
            if self.plan.nodes:
                for node in self.plan.nodes.values():
                    if not node.waits_for:
                        self._spawn(node)
                await self.done
        except asyncio.CancelledError:
            try:
                await self._stop("the run was cancelled")
            finally:
                self._finish_run(
                    "cancelled", Problem(code="cancelled", message="The run was cancelled.")
                )
            raise
        except Exception:  # whoever watches the run failed: end what is under way, then say so
            await self._stop("the run broke off")
            raise
        if self.failure is not None:
            await self._stop("the run stopped because another node failed")
            return self._finish_run("failed", self.failure)
        return self._finish_run("completed", None)

    # -- walking the graph ----------------------------------------------------------------

    def _spawn(self, node: PlannedNode) -> None:
        task = asyncio.create_task(self._walk(node), name=f"node {node.spec.id}")
        self.tasks.add(task)
        task.add_done_callback(self._walked)

    def _walked(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.done.done():
            self.done.set_exception(error)

    async def _walk(self, node: PlannedNode | None) -> None:
        """Settle a node, then one that waited for it, and so on: a chain needs one task."""
        while node is not None:
            await self._settle(node)
            node = self._next(node)
            if time.perf_counter() - self.last_yield > _FAIRNESS_S:
                await asyncio.sleep(0)
                self.last_yield = time.perf_counter()

    def _next(self, node: PlannedNode) -> PlannedNode | None:
        if self.done.done():
            return None
        if self.failure is not None or len(self.results) == len(self.plan.nodes):
            self.done.set_result(None)
            return None
        follower = None
        for dependent in node.dependents:
            self.waiting[dependent] -= 1
            if self.waiting[dependent]:
                continue
            if follower is None:
                follower = self.plan.nodes[dependent]
            else:
                self._spawn(self.plan.nodes[dependent])
        return follower

    async def _settle(self, node: PlannedNode) -> None:
        if node.pinned is not None:
            key = digest("pinned", *_texts(node.pinned))
            self._finish(node, Outcome(node.pinned, key, "pinned outputs", cached=True), {}, 0.0)
            return
        values, wires, missing = self._gather(node)
        if node.bypass is not None:
            self._pass_through(node, node.bypass, values, wires)
        elif missing:
            self._skip(node, missing)
        else:
            visit = Visit(node, self.context, values, wires)
            try:
                outcome = await visit.outcome()
                if self.payloads:  # a value that JSON cannot carry is the node's failure
                    self._encode(outcome.outputs)
            except Exception as error:  # anything a node's code may raise
                self._fail(visit, problem_of(error, node))
            else:
                self._finish(node, outcome, values, visit.elapsed_ms())

    def _gather(self, node: PlannedNode) -> tuple[dict[str, Any], tuple[Wire, ...], str]:
        """Inputs that arrived, the wires they came by, and why the node cannot run, if so."""
        values: dict[str, Any] = {}
        wires: list[Wire] = []
        missing = ""
        for inlet in node.inlets:
            port = inlet.port
            arrived = []
            for source, source_port in inlet.sources:
                result = self.results[source]
                value = result.outputs.get(source_port)
                if value is None:
                    wires.append(Wire(port.name, source, source_port, ""))
                else:
                    wires.append(Wire(port.name, source, source_port, result.key))
                    arrived.append(value)
            if not arrived and port.required and not missing:
                sources = " or ".join(f"{s}.{p}" for s, p in inlet.sources)
                missing = f"no value for {port.name} came from {sources or 'anywhere'}"
            if port.many:
                values[port.name] = arrived
            else:
                values[port.name] = arrived[0] if arrived else port.default
        return values, tuple(wires), missing

    # -- settling a node ------------------------------------------------------------------

    def _finish(
        self, node: PlannedNode, outcome: Outcome, inputs: Mapping[str, Any], took_ms: float
    ) -> None:
        if self._record(node, _Result(outcome.outputs, outcome.downstream_key)):
            self.context.emit(
                NodeFinished(
                    run_id=self.context.run_id,
                    node_id=node.spec.id,
                    duration_ms=took_ms,
                    cached=outcome.cached,
                    reason=outcome.reason,
                    signature=outcome.key,
                    inputs=self._encode(inputs),
                    outputs=self._encode(outcome.outputs),
                )
            )

    def _skip(self, node: PlannedNode, reason: str, result: _Result = _NOTHING) -> None:
        if self._record(node, result):
            self.context.emit(
                NodeSkipped(run_id=self.context.run_id, node_id=node.spec.id, reason=reason)
            )

    def _pass_through(
        self,
        node: PlannedNode,
        routes: Mapping[str, str],
        values: Mapping[str, Any],
        wires: tuple[Wire, ...],
    ) -> None:
        outputs: dict[str, PortValue | None] = {}
        for out, port in routes.items():
            value = values.get(port)
            outputs[out] = (value[0] if value else None) if isinstance(value, list) else value
        passed = [port for out, port in routes.items() if outputs[out] is not None]
        key = digest("bypass", *(f"{w.port}={w.source_port}@{w.key}" for w in wires))
        reason = f"disabled, passes {', '.join(passed)} through" if passed else "disabled"
        self._skip(node, reason, _Result(outputs, key))

    def _fail(self, visit: Visit, problem: Problem) -> None:
        node = visit.node
        if node.fallback is not None:
            outcome = Outcome(
                node.fallback,
                digest("fallback", *_texts(node.fallback)),
                f"fallback value used: {problem.message}",
            )
            self._finish(node, outcome, visit.values, visit.elapsed_ms())
        elif self._record(node, _NOTHING):
            if node.spec.on_error != "skip" and self.failure is None:
                self.failure = problem
            self.context.emit(
                NodeFailedEvent(
                    run_id=self.context.run_id,
                    node_id=node.spec.id,
                    duration_ms=visit.elapsed_ms(),
                    problem=problem,
                    inputs=self._encode(visit.values),
                )
            )

    def _record(self, node: PlannedNode, result: _Result) -> bool:
        """Note a result once; a node left behind when the run stopped comes too late."""
        if node.spec.id in self.results:
            return False
        self.results[node.spec.id] = result
        return True

    # -- the end --------------------------------------------------------------------------

    async def _stop(self, reason: str) -> None:
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=_GRACE_S)
        finally:
            for node in self.plan.nodes.values():
                if node.spec.id not in self.results:
                    self._skip(node, reason)

    def _finish_run(
        self, status: Literal["completed", "failed", "cancelled"], problem: Problem | None
    ) -> RunFinished:
        outputs = {
            name: self.results[node].outputs.get(port)
            for name, (node, port) in self.plan.outputs.items()
            if node in self.results
        }
        event = RunFinished(
            run_id=self.context.run_id,
            status=status,
            duration_ms=(time.perf_counter() - self.started) * 1000,
            outputs={n: None if v is None else self._data(v) for n, v in outputs.items()},
            problem=problem,
        )
        self.context.emit(event)
        return event

    def _encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """JSON data of values by port, for events; ports without a value are left out."""
        if not self.payloads:
            return {}
        return {
            port: [self._data(item) for item in value]
            if isinstance(value, list)
            else self._data(value)
            for port, value in values.items()
            if value is not None
        }

    def _data(self, value: PortValue) -> dict[str, Any]:
        data = self.encoded.get(id(value))
        if data is None:
            data = self.encoded[id(value)] = encode(value)
        return data


def _texts(outputs: Outputs) -> list[str]:
    return [
        f"{port}={json_text(value).decode() if value is not None else ''}"
        for port, value in sorted(outputs.items())
    ]
