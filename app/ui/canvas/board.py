"""The state of a run as the canvas shows it, from the run's events or its stored steps."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
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
from app.engine.options import KEPT, PINNED, PINNED_SAME

Status = dict[str, Any]


_NodeEvent = NodeStarted | NodeProgress | NodeWaiting | NodeFinished | NodeSkipped | NodeFailedEvent


class RunBoard:
    """Turns events into statuses: `canvas.set_statuses(board.feed(event))`."""

    def __init__(self) -> None:
        self.statuses: dict[str, Status] = {}
        self._started: dict[str, float] = {}
        self._nodes: Collection[str] = ()

    def feed(self, event: Event) -> dict[str, Status | None]:
        """Take in an event; return the statuses it changed, None for one that is gone."""
        changed = self._changes(event)
        for node, new in changed.items():
            if new is None:
                self.statuses.pop(node, None)
            else:
                self.statuses[node] = new
        return changed

    def _changes(self, event: Event) -> dict[str, Status | None]:
        if isinstance(event, RunStarted):
            self._nodes = set(event.node_ids)
            return {node: {"state": "waiting"} for node in event.node_ids}
        if isinstance(event, RunFinished):
            # What a stopped run left unfinished neither waits nor runs any more.
            now: dict[str, Status | None] = {"running": {"state": "cancelled"}, "waiting": None}
            now["asking"] = now["running"]
            left = {node: status["state"] for node, status in self.statuses.items()}
            return {node: now[state] for node, state in left.items() if state in now}
        if isinstance(event, TokenEvent):
            return {}
        outer = self._outer(event.node_id)
        if outer is None:
            return {event.node_id: self._status(event)}
        nested = self._nested(outer, event)
        return {} if nested is None else {outer: nested}

    def _outer(self, node: str) -> str | None:
        """The node of the workflow that an inner node (`map[3]/retrieve`) runs inside."""
        if "/" not in node or node in self._nodes:
            return None
        outer = node.partition("/")[0]
        return outer if outer in self._nodes else re.sub(r"\[[^\[\]]*\]$", "", outer)

    def _nested(self, outer: str, event: _NodeEvent) -> Status | None:
        """What the card of a node shows of what happens inside it."""
        status = self.statuses.get(outer)
        if status is None or status["state"] not in ("running", "asking"):
            return None
        if isinstance(event, NodeWaiting):
            return {**status, "state": "asking", "message": event.message}
        if isinstance(event, NodeStarted):
            inner = event.title or event.node_id.rpartition("/")[2]
            return {**self._running(outer), **_progress(status), "inner": inner}
        if status["state"] == "asking" and isinstance(event, NodeFinished):
            return {**self._running(outer), **_progress(status)}
        return None

    def _status(self, event: _NodeEvent) -> Status:
        match event:
            case NodeStarted():
                self._started[event.node_id] = event.at
                return self._running(event.node_id)
            case NodeWaiting():
                return {"state": "asking", "message": event.message}
            case NodeProgress():
                progress = {"done": event.done, "total": event.total, "message": event.message}
                return {**self._running(event.node_id), **progress}
            case NodeFinished():
                return {
                    "state": "cached" if event.cached else "done",
                    "duration_ms": event.duration_ms,
                    "reason": event.reason,
                    "items": item_counts(event.outputs),
                    **_stands_in(event.reason),
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


def _progress(status: Status) -> Status:
    return {key: status[key] for key in ("done", "total") if key in status}


_STEP_STATES = {
    "waiting": "asking",
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


#: What is said of outputs that were given, by the reason of the step.
_WORDS = {PINNED: "Pinned", PINNED_SAME: "Pinned", KEPT: "Kept"}


def _stands_in(reason: str) -> Status:
    return {"word": _WORDS[reason]} if reason in _WORDS else {}


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
            "message": str((step.get("waiting") or {}).get("message", "")),
            "duration_ms": step.get("duration_ms") or 0,
            "reason": step.get("reason") or "",
            "error": error or "",
            "items": item_counts(step.get("outputs") or {}),
            **_stands_in(step.get("reason") or ""),
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
