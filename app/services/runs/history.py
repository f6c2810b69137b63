"""Runs as they are kept: events written down step by step, and read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from app.engine.plan import Plan
from app.engine.problems import Problem
from app.services.clock import iso
from app.services.views import ExecutionView, StepView
from storage.errors import NotFound
from storage.run_writes import RunChange
from storage.runs import OPEN

if TYPE_CHECKING:
    from storage.tables import Run, RunStep

#: Events about one node that are kept.
NODE_EVENTS = (NodeStarted, NodeWaiting, NodeFinished, NodeSkipped, NodeFailedEvent)
NodeEvent = NodeStarted | NodeWaiting | NodeFinished | NodeSkipped | NodeFailedEvent
#: Steps inside nodes that are kept of one run: those of a large list are too many to look at.
MAX_INSIDE = 2_000
#: Characters of a signature's parts that are kept, to say what changed since.
_MAX_PARTS = 65_536
#: What an expired payload is replaced by.
_EXPIRED: dict[str, Any] = {}


class RunRecorder:
    """Turns the events of one run into what is written into its history."""

    def __init__(self, run_id: str, plan: Plan, kept: Collection[str] = ()) -> None:
        """Take in `kept` the steps that are in the history already: they stay as they are."""
        self._run_id = run_id
        self._kept = frozenset(kept)
        self._described = {
            node_id: {"ordinal": place, "name": node.title, "type": node.spec.type}
            for place, (node_id, node) in enumerate(plan.nodes.items())
        }
        self._started: set[str] = set()
        self._inside: dict[str, int] = {}

    def change(self, events: Sequence[Event]) -> RunChange:
        """What has to survive of these events."""
        change = RunChange(self._run_id)
        for event in events:
            if isinstance(event, RunFinished):
                self._finish(change, event)
            elif isinstance(event, NODE_EVENTS) and event.node_id not in self._kept:
                described = self._description(event)
                if described is not None:
                    change.step(event.node_id, {**described, **self._columns(event)})
        return change

    def _description(self, event: NodeEvent) -> dict[str, Any] | None:
        """What is known of a node; None for one that is not kept."""
        node_id = event.node_id
        described = self._described.get(node_id)
        if described is not None:
            return dict(described)
        outer = _outer(node_id, self._described)
        if node_id not in self._inside:
            if len(self._inside) >= MAX_INSIDE:
                return None
            self._inside[node_id] = len(self._described) + len(self._inside)
        return {
            "inside": outer,
            "ordinal": self._inside[node_id],
            "name": event.title or node_id.rpartition("/")[2],
            "type": event.type,
        }

    def _columns(self, event: NodeEvent) -> dict[str, Any]:
        node = event.node_id
        first = node not in self._started
        self._started.add(node)
        match event:
            case NodeStarted():
                # A retry is the same step; it began with its first attempt.
                return {"status": "running"} | ({"started_at": event.at} if first else {})
            case NodeWaiting():
                asked = {"message": event.message, "form": event.form}
                return {"status": "waiting", "waiting": asked}
            case NodeSkipped():
                return {"status": "skipped", "reason": event.reason}
            case NodeFailedEvent():
                columns: dict[str, Any] = {
                    "status": "failed",
                    "error": event.problem.model_dump(mode="json", exclude_none=True),
                    "usage": dict(event.usage),
                }
            case NodeFinished():
                columns = {
                    "status": "completed",
                    "error": None,  # of a failure before the run was resumed
                    "outputs": event.outputs,
                    "cached": event.cached,
                    "reason": event.reason,
                    "signature": event.signature,
                    "types": dict(event.types),
                    "signature_parts": _small(event.signature_parts),
                    "usage": dict(event.usage),
                    "saved": dict(event.saved),
                }
        if first:
            columns["started_at"] = event.at - event.duration_ms / 1000
        return {
            **columns, "duration_ms": event.duration_ms, "inputs": event.inputs, "waiting": None,
        }  # fmt: skip

    def _finish(self, change: RunChange, event: RunFinished) -> None:
        problem = event.problem
        change.ended = True
        change.run = {
            "status": event.status,
            "duration_ms": event.duration_ms,
            "outputs": event.outputs,
            "error": problem.model_dump(mode="json", exclude_none=True) if problem else None,
            "usage": dict(event.usage),
            "saved": dict(event.saved),
        }


def _outer(node_id: str, nodes: Collection[str]) -> str:
    """The node of the graph whose body `node_id` belongs to: “a” of “a[3]/b” and of “a/b/c”."""
    at = len(node_id)
    while (at := node_id.rfind("/", 0, at)) > 0:
        outer = node_id[:at]
        for name in (outer, outer.rpartition("[")[0] if outer.endswith("]") else ""):
            if name in nodes:
                return name
    return node_id.partition("/")[0].partition("[")[0]


def _small(parts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if parts is None or sum(len(str(part)) for part in parts.values()) > _MAX_PARTS:
        return None
    return dict(parts)


def execution_view(
    run: Run,
    steps: Sequence[RunStep] = (),
    load: Callable[[Mapping[str, Any]], Any] | None = None,
) -> ExecutionView:
    """A run; with `load`, its graph, its options and its steps with inputs and outputs."""
    return ExecutionView(
        execution_id=run.id,
        workflow_id=run.workflow_id,
        workflow_name=run.workflow_name,
        revision=run.revision,
        trigger=run.trigger,
        status=cast(Any, run.status),
        input_data=run.input_data,
        outputs=run.outputs,
        error=run.error,
        warnings=run.warnings,
        started_at=iso(run.started_at),
        duration_ms=run.duration_ms,
        usage=run.usage,
        saved=run.saved,
        options=_shown_options(run, load) if load else {},
        parent_run=run.parent_run,
        durable=run.durable,
        steps=[step_view(step, load) for step in steps] if load else [],
        graph=run.graph if load else None,
    )


def _shown_options(run: Run, load: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    try:
        options = dict(load(run.options))
    except NotFound:
        return {}
    options.pop("given_keys", None)
    if "given" in options:
        options["given"] = list(options["given"])
    return options


def step_view(step: RunStep, load: Callable[[Mapping[str, Any]], Any]) -> StepView:
    """A step with its inputs and outputs; those that expired are left out, and said so."""
    expired = False
    payloads: dict[str, dict[str, Any]] = {}
    for name in ("inputs", "outputs"):
        try:
            payloads[name] = load(getattr(step, name))
        except NotFound:
            payloads[name], expired = _EXPIRED, True
    return StepView(
        node_id=step.node_id,
        name=step.name or step.node_id,
        type=step.type,
        status=cast(Any, step.status),
        started_at=iso(step.started_at) if step.started_at else None,
        duration_ms=step.duration_ms,
        inputs=payloads["inputs"],
        outputs=payloads["outputs"],
        error=step.error,
        cached=step.cached,
        reason=step.reason,
        truncated=expired,
        usage=step.usage,
        saved=step.saved,
        waiting=step.waiting if step.status == "waiting" else None,
    )


#: How a run that is not over, or did not end, ends for whoever watches its past.
_ENDS: dict[str, Literal["completed", "failed", "cancelled"]] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "interrupted": "cancelled",
}


def past_events(run: ExecutionView) -> Iterator[Event]:
    """The events a run would have sent so far, from what is kept of it."""
    run_id = run.execution_id
    began = _seconds(run.started_at)
    order = tuple(step.node_id for step in run.steps)
    yield RunStarted(run_id=run_id, at=began, node_ids=order)
    for step in run.steps:
        yield from _step_events(run_id, step, began)
    if run.status in OPEN:
        return
    took = run.duration_ms or 0.0
    yield RunFinished(
        run_id=run_id,
        at=began + took / 1000,
        status=_ENDS.get(run.status, "failed"),
        duration_ms=took,
        outputs=run.outputs,
        problem=Problem(**run.error) if run.error else None,
        usage=run.usage,
        saved=run.saved,
    )


def _step_events(run_id: str, step: StepView, began: float) -> Iterator[Event]:
    start = _seconds(step.started_at) if step.started_at else began
    took = step.duration_ms or 0.0
    if step.status == "skipped":
        yield NodeSkipped(run_id=run_id, at=start, node_id=step.node_id, reason=step.reason)
        return
    if not step.cached:
        yield NodeStarted(run_id=run_id, at=start, node_id=step.node_id)
    end = start + took / 1000
    if step.status in OPEN:
        if step.waiting is not None:
            yield NodeWaiting(run_id=run_id, at=start, node_id=step.node_id, **step.waiting)
    elif step.status == "completed":
        yield NodeFinished(
            run_id=run_id,
            at=end,
            node_id=step.node_id,
            duration_ms=took,
            cached=step.cached,
            reason=step.reason,
            inputs=step.inputs,
            outputs=step.outputs,
            usage=step.usage,
            saved=step.saved,
        )
    elif step.status == "failed":
        yield NodeFailedEvent(
            run_id=run_id,
            at=end,
            node_id=step.node_id,
            duration_ms=took,
            problem=Problem(**(step.error or {"code": "node_error", "message": "It failed."})),
            inputs=step.inputs,
            usage=step.usage,
        )
    else:
        yield NodeSkipped(
            run_id=run_id, at=end, node_id=step.node_id, reason=step.reason or "cancelled"
        )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
