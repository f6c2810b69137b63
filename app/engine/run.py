"""One run of a plan: each node as soon as its own inputs are there, branches side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Literal

from app.engine.arrivals import NOTHING, Result, arrivals
from app.engine.codec import Outputs, encode, encode_large
from app.engine.events import NodeFailedEvent, NodeFinished, NodeSkipped, RunFinished, RunStarted
from app.engine.outcome import Outcome, content_key, problem_of
from app.engine.pinning import counts_as
from app.engine.plan import Fixed, Plan, PlannedNode
from app.engine.problems import Problem
from app.engine.run_context import RunContext
from app.engine.signature import Wire, digest
from app.engine.values import PortValue
from app.engine.visit import Visit

#: Seconds that nodes get to clean up when a run stops; then they are left behind.
_GRACE_S = 0.5
#: Seconds after which nodes that never wait let others run.
_FAIRNESS_S = 0.005


class Run:
    """One run of a plan: of a whole workflow, or inside a node."""

    def __init__(
        self, plan: Plan, context: RunContext, *, given: Mapping[str, Fixed] | None = None
    ) -> None:
        """`given` stands in for nodes, for this run of a plan that many runs may share."""
        self.plan = plan
        self.context = context
        self.payloads = context.payloads
        self.given = given or {}
        self.waiting = {node_id: node.waits_for for node_id, node in plan.nodes.items()}
        self.results: dict[str, Result] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: What ends the run at once, and what lets the other branches finish first.
        self.failure: Problem | None = None
        self.late_failure: Problem | None = None
        #: Nodes that had a turn, and those of them whose result was not reused.
        self.counted = self.ran = 0
        self.usage: dict[str, float] = {}
        self.saved: dict[str, float] = {}
        self.started = self.last_yield = time.perf_counter()
        # JSON data of values by identity; the values are kept, so that ids stay unique.
        self.encoded: dict[int, tuple[PortValue, dict[str, Any]]] = {}
        context.is_settled = self.results.__contains__

    async def execute(self) -> RunFinished:
        """Run to the end and tell about it; see `Runner.run`."""
        self.context.emit(RunStarted(run_id=self.context.run_id, node_ids=tuple(self.plan.nodes)))
        try:
            problem = await self.walk()
        except asyncio.CancelledError:
            self._finish_run(
                "cancelled", Problem(code="cancelled", message="The run was cancelled.")
            )
            raise
        return self._finish_run("completed" if problem is None else "failed", problem)

    async def walk(self) -> Problem | None:
        """Settle every node; return why the run failed, if it did."""
        try:
            if self.plan.nodes:
                for node in self.plan.nodes.values():
                    if not node.waits_for:
                        self._spawn(node)
                await self.done
        except asyncio.CancelledError:
            await self._stop("the run was cancelled")
            raise
        except Exception:  # whoever watches the run failed: end what is under way, then say so
            await self._stop("the run broke off")
            raise
        if self.failure is not None:
            await self._stop("the run stopped because another node failed")
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()  # left behind: its time was over, and it did not end
        return self.failure or self.late_failure

    def values(self) -> dict[str, PortValue | None]:
        """Named results, None where there is none."""
        return {
            name: self.results[node].outputs.get(port) if node in self.results else None
            for name, (node, port) in self.plan.outputs.items()
        }

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
            if not await self._settle(node):
                return  # it came too late: others went on without it
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

    async def _settle(self, node: PlannedNode) -> bool:
        """Bring a node to its end; False when it was settled without that."""
        fixed = self.given.get(node.spec.id) or node.fixed
        if fixed is not None:
            return await self._stand_in(node, fixed)
        values, wires, missing = arrivals(node, self.results)
        if node.bypass is not None:
            return self._pass_through(node, node.bypass, values, wires)
        if missing:
            return self._skip(node, missing)
        visit = Visit(node, self.context, values, wires, self._leave_behind)
        try:
            outcome = await visit.outcome()
            if self.payloads:  # a value that JSON cannot carry is the node's failure
                await self._encode_ahead(outcome.outputs)
        except Exception as error:  # anything a node's code may raise
            return self._fail(visit, problem_of(error, node))
        return self._finish(node, outcome, values, visit)

    def _leave_behind(self, visit: Visit) -> None:
        """Go on without a node whose time is over and that does not end."""
        if self.done.done() or visit.node.spec.id in self.results:
            return
        if self._fail(visit, problem_of(visit.took_too_long(), visit.node)):
            follower = self._next(visit.node)
            if follower is not None:
                self._spawn(follower)

    async def _stand_in(self, node: PlannedNode, fixed: Fixed) -> bool:
        key, reason = await counts_as(self.context, node.spec.id, fixed)
        if fixed.skipped:
            return self._skip(node, reason, Result(fixed.outputs, key))
        if self.payloads:
            await self._encode_ahead(fixed.outputs)
        return self._finish(node, Outcome(fixed.outputs, key, reason, cached=True), {}, None)

    # -- settling a node ------------------------------------------------------------------

    def _finish(
        self,
        node: PlannedNode,
        outcome: Outcome,
        inputs: Mapping[str, Any],
        visit: Visit | None,
    ) -> bool:
        if not self._record(node, Result(outcome.outputs, outcome.downstream_key)):
            return False
        if visit is not None:
            self._count(visit, ran=not outcome.cached)
        more: dict[str, Any] = {}  # few nodes have any, and every field costs time
        if visit is not None and visit.usage:
            more["usage"] = visit.usage
        if visit is not None and visit.saved:
            more["saved"] = visit.saved
        if self.payloads:
            more["types"] = {p: v.type_name for p, v in outcome.outputs.items() if v is not None}
            if self.context.cache is not None and outcome.signature is not None:
                more["signature_parts"] = outcome.signature.dump()
        self.context.emit(
            NodeFinished(
                run_id=self.context.run_id,
                node_id=node.spec.id,
                duration_ms=visit.elapsed_ms() if visit is not None else 0.0,
                cached=outcome.cached,
                reason=visit.said(outcome.reason) if visit is not None else outcome.reason,
                signature=outcome.key,
                inputs=self._encode(inputs),
                outputs=self._encode(outcome.outputs),
                **more,
            )
        )
        return True

    def _skip(self, node: PlannedNode, reason: str, result: Result = NOTHING) -> bool:
        if not self._record(node, result):
            return False
        self.context.emit(
            NodeSkipped(run_id=self.context.run_id, node_id=node.spec.id, reason=reason)
        )
        return True

    def _pass_through(
        self,
        node: PlannedNode,
        routes: Mapping[str, str],
        values: Mapping[str, Any],
        wires: tuple[Wire, ...],
    ) -> bool:
        outputs: dict[str, PortValue | None] = {}
        for out, port in routes.items():
            value = values.get(port)
            outputs[out] = (value[0] if value else None) if isinstance(value, list) else value
        passed = [port for out, port in routes.items() if outputs[out] is not None]
        ways = (f"{out}<{port}" for out, port in sorted(routes.items()))
        key = digest("bypass", *ways, *(f"{w.port}={w.source_port}@{w.key}" for w in wires))
        reason = f"disabled, passes {', '.join(passed)} through" if passed else "disabled"
        return self._skip(node, reason, Result(outputs, key))

    def _fail(self, visit: Visit, problem: Problem) -> bool:
        node = visit.node
        if node.fallback is not None:
            outcome = Outcome(
                node.fallback,
                content_key(node.fallback),
                f"fallback value used: {problem.message}",
            )
            return self._finish(node, outcome, visit.values, visit)
        if visit.held_up_s:
            problem = problem.model_copy(update={"fix": visit.said(problem.fix)})
        if not self._record(node, NOTHING):
            return False
        self._count(visit, ran=True)
        if node.spec.on_error == "continue":
            self.late_failure = self.late_failure or problem
        elif node.spec.on_error != "skip":
            self.failure = self.failure or problem
        self.context.emit(
            NodeFailedEvent(
                run_id=self.context.run_id,
                node_id=node.spec.id,
                duration_ms=visit.elapsed_ms(),
                problem=problem,
                inputs=self._encode(visit.values),
                usage=visit.usage,
            )
        )
        return True

    def _count(self, visit: Visit, *, ran: bool) -> None:
        self.counted += 1
        self.ran += ran
        if not visit.usage and not visit.saved:
            return
        for totals, amounts in ((self.usage, visit.usage), (self.saved, visit.saved)):
            for name, amount in amounts.items():
                totals[name] = totals.get(name, 0) + amount

    def _record(self, node: PlannedNode, result: Result) -> bool:
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
            name: value
            for name, value in self.values().items()
            if self.plan.outputs[name][0] in self.results
        }
        event = RunFinished(
            run_id=self.context.run_id,
            status=status,
            duration_ms=(time.perf_counter() - self.started) * 1000,
            outputs={n: None if v is None else self._data(v) for n, v in outputs.items()},
            problem=problem,
            usage=self.usage,
            saved=self.saved,
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

    async def _encode_ahead(self, outputs: Outputs) -> None:
        for value in outputs.values():
            if value is not None and id(value) not in self.encoded:
                self.encoded[id(value)] = value, await encode_large(value)

    def _data(self, value: PortValue) -> dict[str, Any]:
        known = self.encoded.get(id(value))
        if known is None:
            known = self.encoded[id(value)] = value, encode(value)
        return known[1]
