"""Runs as they are kept: events written down step by step, and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from app.engine.plan import Plan
from app.engine.problems import Problem
from app.services.clock import iso
from app.services.views import ExecutionView, StepView

if TYPE_CHECKING:
    from storage.runs import RunRepository
    from storage.tables import Run, RunStep

#: What an expired payload is replaced by.
_EXPIRED: dict[str, Any] = {}


class RunRecorder:
    """Writes the events of one run into its history."""

    def __init__(self, runs: RunRepository, run_id: str, plan: Plan) -> None:
        self._runs = runs
        self._run_id = run_id
        self._described = {
            node_id: {"ordinal": place, "name": node.title, "type": node.spec.type}
            for place, (node_id, node) in enumerate(plan.nodes.items())
        }
        self._started: set[str] = set()

    def store(self, events: Sequence[Event]) -> None:
        """Write down what has to survive; blocks."""
        for event in events:
            if isinstance(event, RunFinished):
                self._finish(event)
            elif isinstance(event, NodeStarted | NodeFinished | NodeSkipped | NodeFailedEvent):
                self._step(event)

    def _step(self, event: NodeStarted | NodeFinished | NodeSkipped | NodeFailedEvent) -> None:
        node = event.node_id
        described: dict[str, Any] = dict(self._described.get(node, {}))
        if isinstance(event, NodeStarted):
            # A retry is the same step; it began with its first attempt.
            if node not in self._started:
                self._started.add(node)
                self._runs.step_started(self._run_id, node, **described)
            return
        if node not in self._started and not isinstance(event, NodeSkipped):
            described["started_at"] = event.at - event.duration_ms / 1000
        match event:
            case NodeFinished():
                self._runs.step_finished(
                    self._run_id,
                    node,
                    duration_ms=event.duration_ms,
                    inputs=event.inputs,
                    outputs=event.outputs,
                    cached=event.cached,
                    reason=event.reason,
                    signature=event.signature,
                    **described,
                )
            case NodeSkipped():
                self._runs.step_skipped(self._run_id, node, reason=event.reason, **described)
            case NodeFailedEvent():
                self._runs.step_failed(
                    self._run_id,
                    node,
                    error=event.problem.model_dump(mode="json", exclude_none=True),
                    duration_ms=event.duration_ms,
                    inputs=event.inputs,
                    **described,
                )

    def _finish(self, event: RunFinished) -> None:
        problem = event.problem
        self._runs.finish(
            self._run_id,
            status=event.status,
            duration_ms=event.duration_ms,
            outputs=event.outputs,
            error=problem.model_dump(mode="json", exclude_none=True) if problem else None,
        )


def execution_view(
    run: Run,
    steps: Sequence[RunStep] = (),
    load: Callable[[Mapping[str, Any]], Any] | None = None,
) -> ExecutionView:
    """A run; with `load`, its graph and its steps with their inputs and outputs."""
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
        started_at=iso(run.started_at),
        duration_ms=run.duration_ms,
        steps=[_step_view(step, load) for step in steps] if load else [],
        graph=run.graph if load else None,
    )


def _step_view(step: RunStep, load: Callable[[Mapping[str, Any]], Any]) -> StepView:
    expired = False
    payloads: dict[str, dict[str, Any]] = {}
    for name in ("inputs", "outputs"):
        try:
            payloads[name] = load(getattr(step, name))
        except Exception as error:
            if getattr(error, "code", "") != "not_found":
                raise
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
    )


def past_events(run: ExecutionView) -> Iterator[Event]:
    """The events a run would have sent, from what is kept of it."""
    run_id = run.execution_id
    began = _seconds(run.started_at)
    order = tuple(step.node_id for step in run.steps)
    yield RunStarted(run_id=run_id, at=began, node_ids=order)
    for step in run.steps:
        yield from _step_events(run_id, step, began)
    took = run.duration_ms or 0.0
    yield RunFinished(
        run_id=run_id,
        at=began + took / 1000,
        status="failed" if run.status == "running" else run.status,
        duration_ms=took,
        outputs=run.outputs,
        problem=Problem(**run.error) if run.error else None,
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
    if step.status == "completed":
        yield NodeFinished(
            run_id=run_id,
            at=end,
            node_id=step.node_id,
            duration_ms=took,
            cached=step.cached,
            reason=step.reason,
            inputs=step.inputs,
            outputs=step.outputs,
        )
    elif step.status == "failed":
        yield NodeFailedEvent(
            run_id=run_id,
            at=end,
            node_id=step.node_id,
            duration_ms=took,
            problem=Problem(**(step.error or {"code": "node_error", "message": "It failed."})),
            inputs=step.inputs,
        )
    else:
        yield NodeSkipped(
            run_id=run_id, at=end, node_id=step.node_id, reason=step.reason or "cancelled"
        )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
