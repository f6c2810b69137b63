"""One visit of a run to a node: reuse its result, or run it with timeout and retries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from app.engine.cache import ResultCache, json_text
from app.engine.codec import Outputs
from app.engine.context import NodeContext, World
from app.engine.events import Event, NodeStarted
from app.engine.node import NodeOutputs
from app.engine.plan import PlannedNode
from app.engine.problems import NodeFailed, Problem, RagloomError
from app.engine.signature import Signature, Wire, digest, why
from app.engine.values import PortValue

logger = logging.getLogger(__name__)

#: Seconds before the first retry; doubled for each further one, up to the longest.
BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0


@dataclass(slots=True)
class RunContext:
    """What all visits of a run share."""

    run_id: str
    world: World
    input_data: Mapping[str, Any]
    cache: ResultCache | None
    scope: str
    slots: asyncio.Semaphore
    emit: Callable[[Event], None]
    is_settled: Callable[[object], bool] = field(default=lambda node_id: False)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    thread: int = field(default_factory=threading.get_ident)

    def emit_from_node(self, event: Event) -> None:
        """Pass on what a node reports, from whichever thread, unless it comes too late."""
        if threading.get_ident() != self.thread:
            # A closed loop means that the run is over and nobody watches.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.emit_from_node, event)
        elif not self.is_settled(getattr(event, "node_id", None)):
            self.emit(event)


class Outcome:
    """Outputs of a node, and why they are what they are."""

    __slots__ = ("cached", "downstream_key", "key", "outputs", "reason")

    def __init__(
        self,
        outputs: Outputs,
        key: str,
        reason: str,
        *,
        cached: bool = False,
        downstream_key: str = "",
    ) -> None:
        self.outputs = outputs
        self.key = key
        self.reason = reason
        self.cached = cached
        #: What the outputs count as in the signatures of later nodes.
        self.downstream_key = downstream_key or key


class Visit:
    """One node of one run, from its inputs to its outcome."""

    __slots__ = ("context", "node", "started", "values", "wires")

    def __init__(
        self,
        node: PlannedNode,
        context: RunContext,
        values: dict[str, Any],
        wires: tuple[Wire, ...],
    ) -> None:
        self.node = node
        self.context = context
        self.values = values
        self.wires = wires
        self.started = 0.0

    def elapsed_ms(self) -> float:
        """Milliseconds since the node's turn came."""
        return (time.perf_counter() - self.started) * 1000 if self.started else 0.0

    async def outcome(self) -> Outcome:
        """Reuse or run the node. Raises what its last attempt raised, or NodeFailed."""
        _check_inputs(self.node, self.values)
        attempt = 1
        while True:
            try:
                return await self._timed_attempt(attempt)
            except Exception as error:  # anything a node's code may raise
                if attempt > self.node.spec.retries:
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

    async def _timed_attempt(self, attempt: int) -> Outcome:
        async with self.context.slots:
            self.started = self.started or time.perf_counter()
            limit = asyncio.timeout(self.node.timeout_s)
            try:
                async with limit:
                    return await self._attempt(attempt)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise NodeFailed(
                    f"“{self.node.title}” took longer than {self.node.timeout_s:g} s.",
                    code="timeout",
                    fix="Give it more time in its run settings, or less to do.",
                ) from error
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody asked: something inside the node was cancelled, which is its failure.
                raise NodeFailed(
                    f"“{self.node.title}” broke off by itself.",
                    fix="Run it again; give it a retry if that happens often.",
                ) from error

    async def _attempt(self, attempt: int) -> Outcome:
        node, context = self.node, self.context
        instance = node.make()
        fingerprint = await instance.fingerprint(context.world) if node.has_fingerprint else ""
        data = read_data(node, context.input_data)
        signature = Signature(
            node.cls.type,
            node.cls.version,
            node.config_json,
            self.wires,
            fingerprint,
            json.dumps(data, sort_keys=True, default=_to_json) if data else "{}",
        )
        key = signature.key()
        place = f"{context.scope}/{node.spec.id}"
        cache = context.cache
        reason = "nothing is reused" if cache is None else ""
        if cache is not None and node.cls.cacheable:
            kept = await cache.get(key)
            if kept is not None:
                await cache.remember(place, signature)
                return Outcome(kept, key, "same inputs and settings", cached=True)
        if cache is not None:
            previous = await cache.previous(place)
            same = previous == signature and not node.cls.cacheable
            reason = (
                "acts outside the workflow, so it always runs" if same else why(previous, signature)
            )
        context.emit_from_node(
            NodeStarted(run_id=context.run_id, node_id=node.spec.id, attempt=attempt)
        )
        arguments = self.values
        if node.context_parameter:
            handed = NodeContext(
                context.run_id, node.spec.id, context.world, data, context.emit_from_node
            )
            arguments = {**arguments, node.context_parameter: handed}
        outputs = _check_outputs(node, await instance.run(**arguments))
        if cache is not None:
            if node.cls.cacheable:
                await cache.put(key, outputs)
            await cache.remember(place, signature)
        content = "" if node.cls.cacheable else _content_key(outputs)
        return Outcome(outputs, key, reason, downstream_key=content)


def read_data(node: PlannedNode, input_data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of the run's input data that a node reads; it is handed no more."""
    if node.reads is None:
        return input_data
    return {name: input_data[name] for name in node.reads if name in input_data}


def problem_of(error: Exception, node: PlannedNode) -> Problem:
    """An exception of a node as a problem; the traceback goes to the log."""
    # A task group wraps even a single failure; what counts is inside.
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, RagloomError):
        logger.debug("Node %s failed", node.spec.id, exc_info=error)
        first = next(iter(error.problems), None)
        return Problem(
            code=error.code,
            message=error.message,
            fix=error.fix or (first.fix if first else ""),
            node=node.spec.id,
            port=error.details.get("port"),
            found=error.details.get("found"),
            expected=error.details.get("expected"),
        )
    logger.warning("Node %s (%s) failed", node.spec.id, node.cls.type, exc_info=error)
    detail = str(error).strip() or "no message"
    return Problem(
        code="node_error",
        message=f"“{node.title}” failed with {type(error).__name__}: {detail[:500]}",
        fix="Look at its inputs and settings; the log has the full traceback.",
        node=node.spec.id,
    )


def _check_inputs(node: PlannedNode, values: Mapping[str, Any]) -> None:
    for inlet in node.inlets:
        port, value = inlet.port, values[inlet.port.name]
        if port.value_type is PortValue or value is None:
            continue
        for item in value if port.many else (value,):
            if not isinstance(item, port.value_type):
                raise NodeFailed(
                    f"“{node.title}” takes {port.type_name} at its input “{port.name}”, "
                    f"but {_type_name(item)} arrived.",
                    code="type_mismatch",
                    fix=f"Connect an output that gives {port.type_name}.",
                    port=port.name,
                    found=_type_name(item),
                    expected=port.type_name,
                )


def _check_outputs(node: PlannedNode, result: NodeOutputs) -> Outputs:
    if not isinstance(result, node.cls.Outputs):
        raise NodeFailed(
            f"“{node.title}” returned {type(result).__name__} instead of its outputs.",
            code="bad_output",
            fix="Return an instance of the class's `Outputs`.",
            found=type(result).__name__,
            expected=[port.name for port in node.output_ports],
        )
    outputs: dict[str, PortValue | None] = {}
    for port in node.output_ports:
        value = outputs[port.name] = getattr(result, port.name)
        if value is not None and not isinstance(value, port.value_type):
            raise NodeFailed(
                f"“{node.title}” gave {_type_name(value)} at its output “{port.name}”, "
                f"which is declared as {port.type_name}.",
                code="bad_output",
                fix="Return a value of the declared type.",
                port=port.name,
                found=_type_name(value),
                expected=port.type_name,
            )
    return outputs


def _content_key(outputs: Outputs) -> str:
    return digest(
        "content",
        *(f"{port}={'' if v is None else json_text(v).decode()}" for port, v in outputs.items()),
    )


def _type_name(value: object) -> str:
    return value.type_name if isinstance(value, PortValue) else type(value).__name__


def _to_json(value: object) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
