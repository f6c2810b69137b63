"""One run while it lives: its turn, its clock, its pauses, and its end, which is always stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeSkipped,
    RunFinished,
)
from app.engine.plan import Plan
from app.engine.problems import Problem
from app.engine.runner import Runner
from app.services.problems import explain
from app.services.runs.approvals import ApprovalDesk
from app.services.runs.ends import RunEnds
from app.services.runs.history import RunRecorder
from app.services.runs.log import RunLog
from app.services.runs.pauses import Pauses
from app.services.runs.writer import RunWriter
from storage.run_writes import RunChange
from storage.runs import INTERRUPTED

log = logging.getLogger(__name__)

#: Called with every event of every run, after it was stored.
Observer = Callable[[Plan, Event], None]

#: Sorts of events that a run which the server stops does not have: its steps are still to come.
_UNDONE = (NodeSkipped, NodeFailedEvent)
_STOPPED = {
    "code": "server_stopped",
    "message": "The server was stopped while the workflow ran.",
    "fix": "It goes on when the server starts again.",
}
_ELSEWHERE = {
    "code": "taken_over",
    "message": "Another server goes on with this run: this one was not heard of for too long.",
    "fix": "Open the run again to see how far it is.",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run."""

    run_id: str
    plan: Plan
    input_data: dict[str, Any]
    workflow_id: str | None = None
    workflow_name: str = ""
    durable: bool = False
    #: Whether each node waits to be let go.
    step: bool = False
    #: Steps that are in the history already, and their sums.
    kept: frozenset[str] = frozenset()
    usage: Mapping[str, float] = field(default_factory=dict)
    saved: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Floor:
    """What runs share."""

    writer: RunWriter
    ends: RunEnds
    desk: ApprovalDesk
    #: Runs that work at the same time.
    slots: asyncio.Semaphore
    timeout_s: float
    observers: Sequence[Observer]


class Execution:
    """A run that lives: its work can be cancelled, its driver always ends by itself."""

    def __init__(self, order: Order, floor: Floor, ended: Callable[[str], None]) -> None:
        self.order = order
        self.log = RunLog(self._store)
        self._asking = asyncio.Event()
        self._floor = floor
        self._ended = ended
        self._recorder = RunRecorder(order.run_id, order.plan, order.kept)
        self._started = time.monotonic()
        self._stopping = False
        #: Whether the row is another server's by now.
        self._elsewhere = False
        self._stepping = order.step
        self._turns = asyncio.Semaphore(0)
        self._durable = order.durable
        self._pauses = Pauses(self._rest, self._go_on)
        self._limit: asyncio.Timeout | None = None
        self._left_s = floor.timeout_s
        self._holds_slot = False
        self._work: asyncio.Task[RunFinished] | None = None
        self.driver: asyncio.Task[None] | None = None

    def launch(self, runner: Runner) -> None:
        """Begin. `runner` reports to this execution."""
        order = self.order
        self._work = asyncio.create_task(self._run(runner), name=f"run {order.run_id}")
        self.log.on_broken(self._work.cancel)
        self.driver = asyncio.create_task(self._drive(), name=f"drive {order.run_id}")

    def cancel(self) -> None:
        """End it; that is stored."""
        if self._work is not None:
            self._work.cancel()

    def stop(self) -> None:
        """End it because the server stops: a durable run goes on with the next one."""
        self._stopping = True
        self.cancel()

    def let_go(self) -> None:
        """End it because another server goes on with it."""
        self._elsewhere = True
        self.stop()

    @property
    def waiting(self) -> bool:
        """Whether it cannot go on without a person."""
        return self._asking.is_set()

    async def over(self, timeout_s: float | None, *, or_asked: bool) -> None:
        """Return once it has ended, or after `timeout_s`, or where it waits for a person."""
        if self.driver is None:
            return
        asked = asyncio.ensure_future(self._asking.wait()) if or_asked else None
        ends = [self.driver] if asked is None else [self.driver, asked]
        try:
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if asked is not None:
                asked.cancel()

    @property
    def goes_on(self) -> bool:
        """Whether this server is to take it up again after it stopped."""
        return self._durable and not self._elsewhere

    @property
    def paused(self) -> list[str]:
        """Nodes that wait to be let go, in the order in which they will be."""
        return list(self._pauses.steps)

    def step(self, *, rest: bool = False) -> None:
        """Let the next node go, or all that are left."""
        if rest:
            self._stepping = False
            for _ in self._pauses.steps:
                self._turns.release()
        elif self._pauses.steps:
            self._turns.release()

    # -- what the engine calls --------------------------------------------------------------

    async def gate(self, node_id: str) -> None:
        """Hold a node until what it builds on is stored, and until it is let go."""
        if self._durable:
            await self.log.stored()
        if self._stepping and node_id in self.order.plan.nodes:
            self._pauses.steps[node_id] = None
            self._pauses.check()
            try:
                await self._turns.acquire()
            finally:
                self._pauses.steps.pop(node_id, None)
            await self._pauses.wake()

    async def approval(
        self, run_id: str, node_id: str, message: str, form: dict[str, Any]
    ) -> dict[str, Any]:
        """Wait for a person's decision; the run may outlive the server meanwhile."""
        self._pauses.asked.add(node_id)
        self._pauses.check()
        try:
            decision = await self._floor.desk.ask(
                self.order.run_id,
                node_id,
                message,
                form,
                workflow_id=self.order.workflow_id,
                workflow_name=self.order.workflow_name,
            )
        finally:
            self._pauses.asked.discard(node_id)
        await self._pauses.wake()
        return decision

    def _emit(self, event: Event) -> None:
        if isinstance(event, RunFinished) or (self._stopping and isinstance(event, _UNDONE)):
            # The last event is published when everything before it is stored.
            return
        self._pauses.note(event)
        self.log.emit(event)

    # -- from the first event to the last -----------------------------------------------------

    async def _run(self, runner: Runner) -> RunFinished:
        order = self.order
        try:
            await self._take_slot()
            async with asyncio.timeout(self._floor.timeout_s) as self._limit:
                return await runner.run(
                    order.plan,
                    order.input_data,
                    order.run_id,
                    self._emit,
                    scope=order.workflow_id or "",
                    gate=self.gate,
                )
        finally:
            self._limit = None
            self._pauses.close()
            self._free_slot()

    async def _take_slot(self) -> None:
        await self._floor.slots.acquire()
        self._holds_slot = True

    def _free_slot(self) -> None:
        if self._holds_slot:
            self._holds_slot = False
            self._floor.slots.release()

    async def _rest(self, for_a_person: bool) -> None:
        """Nothing can work: others get the slot, and the clock stands still."""
        self._free_slot()
        if self._limit is not None and (when := self._limit.when()) is not None:
            self._left_s = when - asyncio.get_running_loop().time()
            self._limit.reschedule(None)
        if for_a_person:
            self._durable = True
            await self._set_status("waiting")
            self._asking.set()

    async def _go_on(self) -> None:
        if self.waiting:
            self._asking.clear()
            await self._set_status("running")
        await self._take_slot()
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left_s)

    async def _set_status(self, status: str) -> None:
        if self._elsewhere:
            return
        await self._floor.writer.write(
            RunChange(self.order.run_id, run={"status": status, "durable": True})
        )

    async def _store(self, events: Sequence[Event]) -> None:
        if self._elsewhere:
            return
        await self._floor.writer.write(self._recorder.change(events))
        for event in events:
            for observer in self._floor.observers:
                try:
                    observer(self.order.plan, event)
                except Exception:  # who only looks on cannot end a run
                    log.warning("An observer of runs failed", exc_info=True)

    async def _drive(self) -> None:
        """See the run through to its stored end, whatever happens to its work."""
        run_id, work = self.order.run_id, self._work
        assert work is not None
        await asyncio.wait([work])
        last = self._last_event(work)
        try:
            try:
                await self.log.close()
            except Exception as error:
                last = self._failed(explain(error).data())
            try:
                await self._store_end(last)
            except Exception as error:
                problem = explain(error).data()
                last = self._failed(problem)
                self._floor.ends.keep(run_id, last.status, problem, last.duration_ms)
        finally:
            self.log.end(last)
            self._ended(run_id)

    async def _store_end(self, last: RunFinished) -> None:
        if not (self._stopping and last.status == "cancelled"):
            await self._store([last])
        elif not self._durable and not self._elsewhere:
            values = {"status": "interrupted", "error": INTERRUPTED}
            await self._floor.writer.write(RunChange(self.order.run_id, run=values, ended=True))

    def _last_event(self, work: asyncio.Task[RunFinished]) -> RunFinished:
        if work.cancelled():
            if self._elsewhere:
                return self._failed(_ELSEWHERE, "cancelled")
            if self._stopping:
                return self._failed(_STOPPED if self._durable else INTERRUPTED, "cancelled")
            took = (time.monotonic() - self._started) * 1000
            return RunFinished(run_id=self.order.run_id, status="cancelled", duration_ms=took)
        error = work.exception()
        if error is None:
            end = work.result()
            sums = {
                "usage": added(end.usage, self.order.usage),
                "saved": added(end.saved, self.order.saved),
            }
            return end.model_copy(update=sums)
        if isinstance(error, TimeoutError):
            seconds = self._floor.timeout_s
            return self._failed(
                {
                    "code": "run_timeout",
                    "message": f"The run took longer than {seconds:g} seconds and was stopped.",
                    "fix": "Raise run_timeout_s, or make the workflow do less.",
                }
            )
        return self._failed(explain(error).data())

    def _failed(self, data: Mapping[str, str], status: Any = "failed") -> RunFinished:
        took = (time.monotonic() - self._started) * 1000
        return RunFinished(
            run_id=self.order.run_id, status=status, duration_ms=took, problem=Problem(**data)
        )


def added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Sums by name."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
