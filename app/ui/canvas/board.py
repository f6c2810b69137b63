"""The state of a run as the canvas shows it, from the run's events or its stored steps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
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

Status = dict[str, Any]


class RunBoard:
    """Turns events into statuses: `canvas.set_statuses(board.feed(event))`."""

    def __init__(self) -> None:
        self.statuses: dict[str, Status] = {}
        self._started: dict[str, float] = {}

    def feed(self, event: Event) -> dict[str, Status | None]:
        """Take in an event; return the statuses it changed, None for one that is gone."""
        changed: dict[str, Status | None] = {}
        if isinstance(event, RunStarted):
            changed.update({node: {"state": "waiting"} for node in event.node_ids})
        elif isinstance(event, RunFinished):
            # What a stopped run left unfinished neither waits nor runs any more.
            for node, status in self.statuses.items():
                if status["state"] == "running":
                    changed[node] = {"state": "cancelled"}
                elif status["state"] == "waiting":
                    changed[node] = None
        elif not isinstance(event, TokenEvent):
            changed[event.node_id] = self._status(event)
        for node, new in changed.items():
            if new is None:
                self.statuses.pop(node, None)
            else:
                self.statuses[node] = new
        return changed

    def _status(
        self, event: NodeStarted | NodeProgress | NodeFinished | NodeSkipped | NodeFailedEvent
    ) -> Status:
        match event:
            case NodeStarted():
                self._started[event.node_id] = event.at
                return self._running(event.node_id)
            case NodeProgress():
                progress = {"done": event.done, "total": event.total, "message": event.message}
                return {**self._running(event.node_id), **progress}
            case NodeFinished():
                return {
                    "state": "cached" if event.cached else "done",
                    "duration_ms": event.duration_ms,
                    "reason": event.reason,
                    "items": item_counts(event.outputs),
                }
            case NodeSkipped():
                return {"state": "skipped", "reason": event.reason}
            case NodeFailedEvent():
                return {
                    "state": "failed",
                    "duration_ms": event.duration_ms,
                    "error": f"{event.problem.message} {event.problem.fix}".strip(),
                }

    def _running(self, node: str) -> Status:
        elapsed = max(0.0, time.time() - self._started.get(node, time.time()))
        return {"state": "running", "elapsed_ms": elapsed * 1000}


_STEP_STATES = {
    "completed": "done",
    "success": "done",
    "failed": "failed",
    "error": "failed",
    "skipped": "skipped",
    "running": "running",
    "queued": "waiting",
    "pending": "waiting",
    "cancelled": "cancelled",
}


def statuses_of_steps(steps: Iterable[Mapping[str, Any]]) -> dict[str, Status]:
    """Statuses of a past run from its steps (JSON data: node_id, status, duration_ms, …)."""
    statuses: dict[str, Status] = {}
    for step in steps:
        state = _STEP_STATES.get(str(step.get("status")), "idle")
        if state == "done" and step.get("cached"):
            state = "cached"
        error = step.get("error")
        if isinstance(error, Mapping):
            error = f"{error.get('message', '')} {error.get('fix', '')}".strip()
        statuses[step["node_id"]] = {
            "state": state,
            "duration_ms": step.get("duration_ms") or 0,
            "reason": step.get("reason") or "",
            "error": error or "",
            "items": item_counts(step.get("outputs") or {}),
        }
    return statuses


def item_counts(outputs: Mapping[str, Any]) -> dict[str, int]:
    """Items per output port, for values that hold several: passages, documents, rows."""
    counts: dict[str, int] = {}
    for port, value in outputs.items():
        if isinstance(value, Mapping):
            items = value.get("items", value.get("rows"))
            if isinstance(items, list | tuple):
                counts[port] = len(items)
    return counts
