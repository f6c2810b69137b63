"""What is known of a run, from its events as they come or from the history: one shape for both."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
    TokenEvent,
)
from app.services.views import ExecutionView, StepView
from app.ui import usage
from app.ui.timeline import Timeline, Times, build, is_inner, outer_of

NodeEvent = NodeStarted | NodeWaiting | NodeFinished | NodeSkipped | NodeFailedEvent
#: Values of steps inside other nodes that are kept on a page; of further ones only the times.
INNER_VALUES = 200


@dataclass
class RunState:
    """Steps, streamed text and result of one run."""

    run_id: str = ""
    #: "", running, waiting, completed, failed, cancelled or interrupted.
    status: str = ""
    started: float = 0.0
    duration_ms: float | None = None
    trigger: str = "page"
    outputs: dict[str, Any] = field(default_factory=dict)
    input_data: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    steps: dict[str, StepView] = field(default_factory=dict)
    #: Text streamed so far, by node.
    tokens: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    #: When each step began, for the timeline.
    times: dict[str, Times] = field(default_factory=dict)
    #: Nodes of the run and the wires between them, as (source, target).
    node_ids: tuple[str, ...] = ()
    edges: Sequence[tuple[str, str]] = ()
    #: What not to run and what was given in place of it, where not everything ran.
    options: dict[str, Any] = field(default_factory=dict)
    parent_run: str | None = None
    warnings: list[str] = field(default_factory=list)
    #: Steps of the run before, of nodes that do not run this time.
    kept: dict[str, StepView] = field(default_factory=dict)
    _inner: int = 0

    @property
    def tried(self) -> bool:
        """Whether it only tried: nothing was written."""
        return bool(self.options.get("dry"))

    def apply(self, event: Event, titles: Mapping[str, tuple[str, str]]) -> None:
        """Take in one event. `titles`: node id -> title, type."""
        match event:
            case RunStarted():
                self.run_id, self.status, self.started = event.run_id, "running", event.at
                self.node_ids = event.node_ids
            case RunFinished():
                self.status, self.duration_ms = event.status, event.duration_ms
                self.outputs = event.outputs
                self.error = event.problem.model_dump() if event.problem else None
                for step in self.steps.values():
                    if step.status in ("running", "waiting"):
                        step.status = "cancelled"
                        step.duration_ms = self._since(event.at, step.node_id)
            case TokenEvent():
                self.tokens[event.node_id] = self.tokens.get(event.node_id, "") + event.text
            case NodeProgress():
                pass
            case _:
                self._step_event(event, self._step(event, titles))
                if self.live:
                    self.status = "waiting" if self._all_wait() else "running"

    def _all_wait(self) -> bool:
        under_way = [s.status for s in self.steps.values() if s.status in ("running", "waiting")]
        inside = {outer_of(node) for node in self.asks()}
        outer = [n for n, s in self.steps.items() if s.status == "running" and n not in inside]
        return "waiting" in under_way and not outer

    def _step_event(self, event: NodeEvent, step: StepView) -> None:
        node = event.node_id
        at = max(0.0, (event.at - self.started) * 1000)
        step.waiting = None
        if isinstance(event, NodeFinished | NodeFailedEvent):
            began = max(0.0, at - event.duration_ms)
            self.times.setdefault(node, Times(began)).end = at
        match event:
            case NodeStarted():
                step.status = "running"
                if node in self.times:
                    self.times[node].attempts.append(at)
                else:
                    self.times[node] = Times(at)
            case NodeWaiting():
                step.status = "waiting"
                step.waiting = {"message": event.message, "form": event.form}
            case NodeFinished():
                step.status, step.duration_ms = "completed", event.duration_ms
                step.cached, step.reason = event.cached, event.reason
                step.usage, step.saved = event.usage, event.saved
                if self._keeps(node):
                    step.inputs, step.outputs = event.inputs, event.outputs
            case NodeSkipped():
                step.status, step.reason = "skipped", event.reason
                self.times.setdefault(node, Times(at))
            case NodeFailedEvent():
                step.status, step.duration_ms = "failed", event.duration_ms
                step.error, step.inputs = event.problem.model_dump(), event.inputs
                step.usage = event.usage

    def _keeps(self, node: str) -> bool:
        if not is_inner(node):
            return True
        self._inner += 1
        return self._inner <= INNER_VALUES

    def _since(self, at: float, node: str) -> float:
        began = self.times[node].start if node in self.times else 0.0
        return max(0.0, (at - self.started) * 1000 - began)

    def _step(self, event: NodeEvent, titles: Mapping[str, tuple[str, str]]) -> StepView:
        node_id = event.node_id
        if node_id not in self.steps:
            named = (event.title or node_id.rpartition("/")[2], event.type)
            title, kind = titles.get(node_id, named)
            self.steps[node_id] = StepView(node_id=node_id, name=title, type=kind, status="running")
            self.order.append(node_id)
        return self.steps[node_id]

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.status in ("running", "waiting")

    def clock_ms(self) -> float:
        """How long it runs by now."""
        return max(0.0, (time.time() - self.started) * 1000) if self.started else 0.0

    def timeline(self, titles: Mapping[str, tuple[str, str]]) -> Timeline:
        """Its rows on one scale."""
        return build(
            self.steps,
            self.times,
            self.edges,
            order=self.order,
            now_ms=self.clock_ms() if self.live else self.duration_ms or 0.0,
            total_ms=self.duration_ms,
            titles=titles,
        )

    def used(self) -> dict[str, float]:
        """Tokens, calls and cost of the whole run, as far as they are known."""
        return usage.add(s.usage for node, s in self.steps.items() if not is_inner(node))

    def saved(self) -> dict[str, float]:
        """What reused results spared."""
        return usage.add(s.saved for node, s in self.steps.items() if not is_inner(node))

    def asks(self) -> dict[str, dict[str, Any]]:
        """Nodes that wait for a person: {"message", "form"}."""
        return {node: step.waiting for node, step in self.steps.items() if step.waiting is not None}

    def reused(self) -> tuple[int, int]:
        """How many steps of the canvas were reused, and how many there are of what was to run."""
        outer = [s for node, s in self.steps.items() if not is_inner(node) and self._asked(node)]
        return sum(step.cached for step in outer), len(outer)

    def failed_node(self) -> str | None:
        """The node of the canvas that failed."""
        failed = (n for n, s in self.steps.items() if s.status == "failed" and not is_inner(n))
        return next(failed, None)

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
            trigger=execution.trigger,
            outputs=execution.outputs,
            input_data=execution.input_data,
            error=execution.error,
            options=execution.options,
            parent_run=execution.parent_run,
            warnings=execution.warnings,
            steps={step.node_id: step for step in execution.steps},
            order=[step.node_id for step in execution.steps],
            node_ids=tuple(step.node_id for step in execution.steps),
            edges=edges_of(execution.graph),
        )
        state.time(execution.steps)
        return state

    def time(self, steps: Sequence[StepView]) -> None:
        """Note when steps of the history began."""
        from app.ui.text import parse_time

        for step in steps:
            moment = parse_time(step.started_at) if step.started_at else None
            if moment:
                at = max(0.0, (moment.timestamp() - self.started) * 1000)
                self.times[step.node_id] = Times(at)

    def add_inner(self, steps: Sequence[StepView]) -> None:
        """Take in steps of the history that ran inside a node."""
        for step in steps:
            if step.node_id not in self.steps:
                self.order.append(step.node_id)
            self.steps[step.node_id] = step
        self.time(steps)

    def answer(self) -> dict[str, Any] | None:
        """The answer of the run: among its named outputs, else the last one any node put out."""
        for value in self._named().values():
            if is_answer(value):
                return dict(value)
        for node in filter(self._asked, reversed(self.order)):
            for value in self.steps[node].outputs.values():
                if is_answer(value):
                    return dict(value)
        return None

    def words(self) -> str:
        """The first text among the named outputs; empty where there is none."""
        return next((words for v in self._named().values() if (words := text_of(v))), "")

    def _asked(self, node: str) -> bool:
        """Whether a step was to run; the others only stand in with what they gave before."""
        only = self.options.get("only")
        return only is None or outer_of(node) in only

    def _named(self) -> Mapping[str, Any]:
        """The named outputs; of a run of a part they may come from what did not run."""
        return self.outputs if self.options.get("only") is None else {}


def text_of(value: Any) -> str:
    """The words of a Text; empty for any other value."""
    if isinstance(value, dict) and set(value) == {"text"}:
        value = value["text"]
    return value.strip() if isinstance(value, str) else ""


def edges_of(graph: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Wires of a workflow file, as (source, target)."""
    edges = (graph or {}).get("edges") or ()
    return [(str(e["source"]), str(e["target"])) for e in edges]


def is_answer(value: Any) -> bool:
    """Whether JSON data is an `Answer`."""
    return isinstance(value, dict) and "sentences" in value and "citations" in value
