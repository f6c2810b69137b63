"""One visit of a run to a node: reuse its result, or run it with timeout and retries."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from app.engine.containment import check_inputs, check_outputs
from app.engine.context import NodeContext
from app.engine.events import Event, NodeStarted, NodeWaiting, TokenEvent
from app.engine.node import Node
from app.engine.outcome import Outcome, content_key
from app.engine.plan import PlannedNode
from app.engine.problems import NodeFailed, RagloomError
from app.engine.run_context import RunContext
from app.engine.settings import Settings, evaluate_settings, read_settings
from app.engine.signature import Signature, Wire, why
from app.engine.slots import Limit, Slot
from app.engine.values import PortValue

if TYPE_CHECKING:
    from app.engine.body import Body
    from app.engine.graph import Graph

logger = logging.getLogger(__name__)

#: Seconds before the first retry; doubled for each further one, up to the longest.
BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
#: Characters of what a person is asked.
_MAX_MESSAGE = 10_000


class Visit:
    """One node of one run, from its inputs to its outcome."""

    __slots__ = (
        "context", "data", "held_up_s", "inner_ran", "inner_runs", "inner_tasks", "inner_total",
        "limit", "node",
        "saved", "slot", "started", "streamed", "stuck", "usage", "values", "verdict", "wires",
    )  # fmt: skip

    def __init__(
        self,
        node: PlannedNode,
        context: RunContext,
        values: dict[str, Any],
        wires: tuple[Wire, ...],
        stuck: Callable[[Visit], None] = lambda visit: None,
    ) -> None:
        """`stuck` is called when the node's time is over and it does not end."""
        self.node = node
        self.context = context
        self.values = values
        self.wires = wires
        self.stuck = stuck
        self.started = 0.0
        self.slot = Slot(context.slots)
        self.limit: Limit | None = None
        self.usage: dict[str, float] = {}
        self.saved: dict[str, float] = {}
        self.streamed = 0
        #: The part of the run's input data that the node reads.
        self.data: Mapping[str, Any] = {}
        #: Runs of a body inside this node, and the nodes that were settled and that ran there.
        self.inner_runs = self.inner_total = self.inner_ran = 0
        #: Tasks that such runs are under way in: they end with the node.
        self.inner_tasks: set[asyncio.Task[object]] = set()
        #: Why it was stopped, by whom watches; and seconds for which nothing beside it could work.
        self.verdict: NodeFailed | None = None
        self.held_up_s = 0.0

    def elapsed_ms(self) -> float:
        """Milliseconds since the node's turn came."""
        return (time.perf_counter() - self.started) * 1000 if self.started else 0.0

    async def outcome(self) -> Outcome:
        """Reuse or run the node. Raises what its last attempt raised, or NodeFailed."""
        check_inputs(self.node, self.values)
        attempt = 1
        while True:
            try:
                return await self._timed_attempt(attempt)
            except Exception as error:  # anything a node's code may raise
                if attempt > self.node.spec.retries or self.verdict is not None:
                    raise
                logger.info(
                    "Attempt %d of node %s failed, trying again: %s",
                    attempt,
                    self.node.spec.id,
                    error,
                )
            # Jitter keeps the retries of many nodes from falling on the same instant.
            delay = min(BACKOFF_S * 2 ** (attempt - 1), LONGEST_BACKOFF_S)
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311  # no secret
            attempt += 1

    @property
    def working(self) -> bool:
        """Whether it does something itself: not while it waits for inner nodes or for a person."""
        return self.slot.held

    def stop(self, verdict: NodeFailed) -> None:
        """End the node, as if its time were over; `verdict` is its failure."""
        self.verdict = self.verdict or verdict
        if self.limit is not None:
            self.limit.expire()

    def said(self, text: str) -> str:
        """The text, and that the node kept everything beside it from working, if it did."""
        if not self.held_up_s:
            return text
        more = f"it kept the whole server waiting for {self.held_up_s:.0f} s"
        return f"{text.rstrip('.')}; {more}" if text else more

    def took_too_long(self) -> NodeFailed:
        """Why a node failed whose time was over."""
        return self.verdict or NodeFailed(
            f"“{self.node.title}” took longer than {self.node.timeout_s:g} s.",
            code="timeout",
            fix="Give it more time in its run settings, or less to do.",
        )

    async def _timed_attempt(self, attempt: int) -> Outcome:
        await self.slot.take()
        self.started = self.started or time.perf_counter()
        limit = self.limit = Limit(self.node.timeout_s, self._is_stuck)
        watch = self.context.watch
        try:
            with limit:
                if watch is None:
                    return await self._attempt(attempt)
                watch.enter(self)
                try:
                    return await self._attempt(attempt)
                finally:
                    watch.leave(self)
        except TimeoutError as error:
            if not limit.expired:
                raise
            raise self.took_too_long() from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody asked: something inside the node was cancelled, which is its failure.
            raise NodeFailed(
                f"“{self.node.title}” broke off by itself.",
                fix="Run it again; give it a retry if that happens often.",
            ) from error
        finally:
            self.slot.close()
            if self.inner_tasks:
                for inner in self.inner_tasks - {limit.task}:
                    inner.cancel()

    def _is_stuck(self) -> None:
        self.slot.close()
        # The run goes on without it: whenever it does end, nobody waits for another attempt.
        self.verdict = self.took_too_long()
        self.stuck(self)

    async def _attempt(self, attempt: int) -> Outcome:
        node, context = self.node, self.context
        settings = (
            await evaluate_settings(node, self.values, context)
            if node.config is None
            else read_settings(node, node.config, context)
        )
        self.data = settings.data
        instance = node.cls(settings.config)
        fingerprint = await instance.fingerprint(context.world) if node.has_fingerprint else ""
        signature = Signature(
            node.cls.type,
            node.cls.version,
            settings.text,
            self.wires,
            fingerprint,
            settings.data_text,
        )
        key = signature.key()
        cache = context.cache
        reusable = cache is not None and node.cls.cacheable and not node.cls.has_body
        if cache is not None and reusable and node.spec.id not in context.fresh:
            kept = await cache.get(key)
            if kept is not None:
                await cache.remember(self._place(), signature)
                self.save(await cache.cost(key))
                return Outcome(
                    kept, key, "same inputs and settings", cached=True, signature=signature
                )
        reason = await self._reason(signature)
        if context.gate is not None and attempt == 1:
            async with self.waiting():
                await context.gate(node.spec.id)
            # The time until somebody lets it go is none of its own.
            self.started = time.perf_counter()
        context.emit_from_node(
            NodeStarted(run_id=context.run_id, node_id=node.spec.id, attempt=attempt)
        )
        began = time.perf_counter()
        result = await instance.run(**self._arguments(settings))
        outputs = await check_outputs(node, result, context.max_output)
        steady = fingerprint == "" or not reusable or await self._still(instance, fingerprint)
        if cache is not None:
            if reusable and steady:
                cost = {"ms": (time.perf_counter() - began) * 1000}
                await cache.put(key, outputs, {**self.usage, **cost} if self.usage else cost)
            await cache.remember(self._place(), signature)
        reused = False
        if self.inner_runs:
            reason, reused = self._of_body()
        # What always runs may give the same again: then what follows need not run.
        by_content = not node.cls.cacheable or node.cls.has_body or not steady
        content = content_key(outputs) if by_content else ""
        return Outcome(
            outputs,
            key if steady else "",
            reason,
            cached=reused,
            downstream_key=content,
            signature=signature,
        )

    async def _still(self, instance: Node[Any], fingerprint: str) -> bool:
        """Whether what the node reads outside is as it was before it ran.

        Where that changed meanwhile, nobody can tell which of the two it read.
        """
        try:
            return await instance.fingerprint(self.context.world) == fingerprint
        except RagloomError:  # it is gone
            return False

    def _arguments(self, settings: Settings) -> dict[str, Any]:
        name = self.node.context_parameter
        if not name:
            return self.values
        context = self.context
        handed = NodeContext(
            context.run_id,
            self.node.spec.id,
            context.world,
            settings.data,
            self._report,
            settings.variables,
            context.types,
            self,
        )
        return {**self.values, name: handed}

    def _place(self) -> str:
        return f"{self.context.scope}/{self.node.spec.id}"

    async def _reason(self, signature: Signature) -> str:
        """Why no kept result is used."""
        cache, cls = self.context.cache, self.node.cls
        if cache is None:
            return "nothing is reused in this run"
        previous = await cache.previous(self._place())
        if previous == signature:
            if not cls.cacheable and not cls.has_body:
                return "acts outside the workflow, so it always runs"
            if self.node.spec.id in self.context.fresh:
                return "asked to run again"
        return why(previous, signature)

    def _of_body(self) -> tuple[str, bool]:
        """What a node with a body says of the steps inside it, and whether all were reused."""
        if not self.inner_ran:
            return "every step inside was reused", True
        rest = self.inner_total - self.inner_ran
        steps = f"{self.inner_ran:,} step{'s' if self.inner_ran != 1 else ''} inside ran"
        return (f"{steps}, {rest:,} reused" if rest else steps), False

    def _report(self, event: Event) -> None:
        """Pass on what the node reports, as long as it does not stream without end."""
        if isinstance(event, TokenEvent):
            self.streamed += len(event.text)
            if self.streamed > self.context.max_output:
                return
        self.context.emit_from_node(event)

    # -- what the node may ask of the engine --------------------------------------------------

    def use(self, amounts: Mapping[str, float]) -> None:
        """Add to the usage of this node, and of those around it."""
        for visit in self.around():
            for name, amount in amounts.items():
                if amount:
                    visit.usage[name] = visit.usage.get(name, 0) + amount

    def save(self, amounts: Mapping[str, float]) -> None:
        """Note what a reused result spared, here and in the nodes around."""
        for visit in self.around():
            for name, amount in amounts.items():
                if amount:
                    visit.saved[name] = visit.saved.get(name, 0) + amount

    async def approval(self, message: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for a person's decision."""
        context = self.context
        if context.approvals is None:
            raise RagloomError(
                "Nobody can be asked for a decision here.",
                code="no_approvals",
                fix="Run the workflow on a server; there, the decision is asked for on the page.",
            )
        message = message[:_MAX_MESSAGE]
        node_id = self.node.spec.id
        context.emit_from_node(
            NodeWaiting(run_id=context.run_id, node_id=node_id, message=message, form=dict(form))
        )
        async with self.waiting():
            return await context.approvals(
                context.run_id, f"{context.prefix}{node_id}", message, dict(form)
            )

    async def run_graph(
        self,
        body: Body | Graph | Mapping[str, Any],
        inputs: Mapping[str, PortValue | None],
        item: str,
    ) -> dict[str, PortValue | None]:
        """Run a workflow inside the node."""
        from app.engine.nesting import run_inside

        return await run_inside(self, body, inputs, item)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for a person: without a slot, and with the clocks stopped here and around."""
        limits = [visit.limit for visit in self.around() if visit.limit is not None]
        for limit in limits:
            limit.pause()
        try:
            async with self.slot.away():
                yield
        finally:
            for limit in limits:
                limit.resume()

    def around(self) -> list[Visit]:
        """This visit and those to the nodes around it, innermost first."""
        visits, at = [self], self.context.outer
        while at is not None:
            visits.append(at)
            at = at.context.outer
        return visits


#: Tells whoever looks at a stack that a node's attempt is on it.
ATTEMPT_CODE = Visit._attempt.__code__
