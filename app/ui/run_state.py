"""What is known of a run, from its events as they come or from the history: one shape for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
    TokenEvent,
)
from app.services.views import ExecutionView, StepView


@dataclass
class RunState:
    """Steps, streamed text and result of one run."""

    run_id: str = ""
    #: "", running, completed, failed or cancelled.
    status: str = ""
    started: float = 0.0
    duration_ms: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    input_data: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    steps: dict[str, StepView] = field(default_factory=dict)
    #: Text streamed so far, by node.
    tokens: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    #: Seconds after the start of the run, by node, for the timeline.
    offsets: dict[str, float] = field(default_factory=dict)

    def apply(self, event: Event, titles: Mapping[str, tuple[str, str]]) -> None:
        """Take in one event. `titles`: node id -> title, type."""
        match event:
            case RunStarted():
                self.run_id, self.status, self.started = event.run_id, "running", event.at
            case RunFinished():
                self.status, self.duration_ms = event.status, event.duration_ms
                self.outputs = event.outputs
                self.error = event.problem.model_dump() if event.problem else None
                for step in self.steps.values():
                    if step.status == "running":
                        step.status = "cancelled"
            case TokenEvent():
                self.tokens[event.node_id] = self.tokens.get(event.node_id, "") + event.text
            case NodeProgress():
                pass
            case _:
                self._step_event(event, self._step(event.node_id, titles))

    def _step_event(
        self, event: NodeStarted | NodeFinished | NodeSkipped | NodeFailedEvent, step: StepView
    ) -> None:
        match event:
            case NodeStarted():
                step.status = "running"
                self.offsets[event.node_id] = max(0.0, event.at - self.started)
            case NodeFinished():
                step.status, step.duration_ms = "completed", event.duration_ms
                step.cached, step.reason = event.cached, event.reason
                step.inputs, step.outputs = event.inputs, event.outputs
                began = event.at - self.started - event.duration_ms / 1000
                self.offsets.setdefault(event.node_id, max(0.0, began))
            case NodeSkipped():
                step.status, step.reason = "skipped", event.reason
            case NodeFailedEvent():
                step.status, step.duration_ms = "failed", event.duration_ms
                step.error, step.inputs = event.problem.model_dump(), event.inputs

    def _step(self, node_id: str, titles: Mapping[str, tuple[str, str]]) -> StepView:
        if node_id not in self.steps:
            title, kind = titles.get(node_id, (node_id, ""))
            self.steps[node_id] = StepView(node_id=node_id, name=title, type=kind, status="running")
            self.order.append(node_id)
        return self.steps[node_id]

    def found_by(self) -> dict[str, list[str]]:
        """Chunk id -> nodes that put it out, in the order they ran."""
        found: dict[str, list[str]] = {}
        for node in self.order:
            for value in self.steps[node].outputs.values():
                items = value.get("items") if isinstance(value, dict) else None
                for item in items or ():
                    if isinstance(item, dict) and "chunk_id" in item:
                        nodes = found.setdefault(item["chunk_id"], [])
                        if node not in nodes:
                            nodes.append(node)
        return found

    @classmethod
    def of(cls, execution: ExecutionView) -> RunState:
        """A run from the history."""
        from app.ui.text import parse_time

        start = parse_time(execution.started_at)
        began = start.timestamp() if start else 0.0
        state = cls(
            run_id=execution.execution_id,
            status=execution.status,
            started=began,
            duration_ms=execution.duration_ms,
            outputs=execution.outputs,
            input_data=execution.input_data,
            error=execution.error,
            steps={step.node_id: step for step in execution.steps},
            order=[step.node_id for step in execution.steps],
        )
        for step in execution.steps:
            moment = parse_time(step.started_at) if step.started_at else None
            if moment:
                state.offsets[step.node_id] = max(0.0, moment.timestamp() - began)
        return state

    def answer(self) -> dict[str, Any] | None:
        """The answer of the run: among its named outputs, else the last one any node put out."""
        for value in self.outputs.values():
            if is_answer(value):
                return dict(value)
        for node in reversed(self.order):
            for value in self.steps[node].outputs.values():
                if is_answer(value):
                    return dict(value)
        return None


def is_answer(value: Any) -> bool:
    """Whether JSON data is an `Answer`."""
    return isinstance(value, dict) and "sentences" in value and "citations" in value
