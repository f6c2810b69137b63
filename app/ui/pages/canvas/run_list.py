"""Tabs of the drawer that list runs of the workflow: to open, to take data from, to compare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.services.views import ExecutionView
from app.ui import parts, text, usage
from app.ui.pages.common import answered, asked, run_badge
from app.ui.run_state import RunState

History = Callable[[], Awaitable[Sequence[ExecutionView]]]

TRIGGERS = {
    "page": "page", "ui": "page", "api": "REST", "cli": "command line", "schedule": "schedule",
    "webhook": "webhook", "batch": "batch", "chat": "chat", "background": "background",
}  # fmt: skip


def run_href(run: ExecutionView) -> str:
    """Address of a run, as it was."""
    return f"/workflows/{run.workflow_id}?run={quote(run.execution_id)}"


def compare_href(a: str, b: str) -> str:
    """Address of two runs side by side."""
    return f"/compare?a={quote(a)}&b={quote(b)}"


class RunsPanel:
    """The newest runs of the workflow: those that still go, those that wait, and the past ones."""

    def __init__(self, history: History, *, resume: Callable[[str], Any]) -> None:
        self._history, self._resume = history, resume
        self._room = parts.div("rl-col rl-gap-4")

    async def show(self) -> None:
        """List them again."""
        runs = await self._history()
        if self._room.is_deleted:
            return
        self._room.clear()
        with self._room:
            if not runs:
                parts.label("This workflow has not run yet.", "rl-muted")
            for run in runs:
                self._row(run)

    def _row(self, run: ExecutionView) -> None:
        with parts.div("rl-history"):
            with parts.link(run_href(run), "rl-history-row rl-grow"):
                run_badge(run.status)
                parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
                parts.label(answered(run)[:200], "rl-muted rl-ellipsis rl-grow rl-wide-only")
                parts.label(
                    TRIGGERS.get(run.trigger, run.trigger), "rl-small rl-muted rl-wide-only"
                )
                if "cost_usd" in run.usage:
                    parts.label(usage.cost(run.usage), "rl-small rl-muted rl-wide-only")
                parts.label(text.duration(run.duration_ms), "rl-small rl-muted")
                parts.moment(run.started_at)
            if run.status == "interrupted":
                parts.quiet("Resume", lambda: self._resume(run.execution_id), icon="play_arrow")
            elif run.status not in ("running", "waiting"):
                parts.icon_button(
                    "push_pin",
                    "Open with its data pinned",
                    lambda: ui.navigate.to(f"/workflows/{run.workflow_id}?pin={run.execution_id}"),
                )


class ComparePanel:
    """Every other run of the workflow beside the one that is shown."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._room = parts.div("rl-col rl-gap-4")

    async def show(self, shown: RunState) -> None:
        """List what the shown run can be compared with."""
        others = [run for run in await self._history() if run.execution_id != shown.run_id]
        if self._room.is_deleted:
            return
        self._room.clear()
        with self._room:
            if not shown.run_id or not others:
                parts.label(
                    "Two runs can be compared step by step. Run the workflow once more, with "
                    "another question or other settings.",
                    "rl-muted rl-prose",
                )
                return
            parts.label("Compare the run that is shown with", "rl-muted rl-small")
            for run in others:
                self._row(shown, run)

    def _row(self, shown: RunState, run: ExecutionView) -> None:
        with parts.link(compare_href(run.execution_id, shown.run_id), "rl-history-row"):
            ui.icon("compare_arrows")
            parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
            for word in differences(shown, run):
                parts.badge(word)
            parts.label("", "rl-grow")
            parts.label(text.duration(run.duration_ms), "rl-small rl-muted")
            parts.moment(run.started_at)


def differences(shown: RunState, run: ExecutionView) -> list[str]:
    """What is plain to see of two runs, in a word each."""
    found: list[str] = []
    if run.status != shown.status:
        found.append(run.status)
    if run.input_data != shown.input_data and shown.input_data:
        found.append("other input")
    if run.status == shown.status == "completed":
        found.append("same result" if run.outputs == shown.outputs else "other result")
    return found
