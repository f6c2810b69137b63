"""Runs under way and runs that wait for a person, shown in the top bar of every page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from nicegui import ui

from app.services.container import Services
from app.services.views import ExecutionView
from app.ui import live, parts, text

#: Seconds between two looks; without a live run they cost nothing.
_LOOK_S = 2.0
_SHOWN = 8


def summary(running: int, waiting: int) -> str:
    """“2 wait for you”, “3 runs”."""
    if waiting:
        return "1 waits for you" if waiting == 1 else f"{waiting} wait for you"
    return text.count(running, "run")


def build(services: Services) -> None:
    """Add the button; it is there only while something runs or waits."""
    badge = _Badge()

    async def follow() -> None:
        while not badge.button.is_deleted:
            if services.runs.active:
                waiting = await services.runs.list(status="waiting", limit=_SHOWN)
                running = await services.runs.list(status="running", limit=_SHOWN)
                badge.show([*waiting.items, *running.items], waiting.total, running.total)
            else:
                badge.show([], 0, 0)
            await asyncio.sleep(_LOOK_S)

    live.follow(follow, "runs in the top bar")


class _Badge:
    """The button, and the list that it opens."""

    def __init__(self) -> None:
        self._shown: list[tuple[str, str]] = []
        with ui.button(color=None).classes("rl-quiet rl-hidden").mark("run-jobs") as self.button:
            self._spinner = parts.at_work()
            self._hand = ui.icon("front_hand").classes("rl-warn rl-hidden")
            self._words = parts.tag("span", "", "rl-small rl-wide-only").style("margin-left: 8px")
            with ui.menu():
                self._room = parts.div("rl-col rl-run-jobs")

    def show(self, runs: Sequence[ExecutionView], waiting: int, running: int) -> None:
        """Draw what has changed."""
        found: list[tuple[str, str]] = [(run.execution_id, run.status) for run in runs]
        if found == self._shown or self.button.is_deleted:
            return
        self._shown = found
        self._words.text = summary(running, waiting)
        self.button.props["aria-label"] = f"Runs: {self._words.text}"
        for element, on in (
            (self.button, bool(runs)), (self._hand, waiting > 0), (self._spinner, not waiting),
        ):  # fmt: skip
            element.classes(remove="rl-hidden") if on else element.classes(add="rl-hidden")
        self._room.clear()
        with self._room:
            for run in runs[:_SHOWN]:
                _row(run)
            if waiting + running > _SHOWN:
                parts.label(f"and {waiting + running - _SHOWN} more", "rl-muted rl-small")


def _row(run: ExecutionView) -> None:
    from app.ui.pages.common import asked, run_badge

    href = f"/workflows/{run.workflow_id}?run={quote(run.execution_id)}"
    with parts.link(href, "rl-history-row"):
        run_badge(run.status)
        with parts.div("rl-col rl-grow").style("gap: 0; min-width: 0"):
            parts.label(run.workflow_name or "Unsaved workflow", "rl-ellipsis rl-small rl-strong")
            parts.label(asked(run.input_data), "rl-ellipsis rl-small rl-muted")
        parts.moment(run.started_at)
