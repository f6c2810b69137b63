"""Every run of every workflow, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import ExecutionView
from app.ui import parts, text
from app.ui.frame import frame
from app.ui.pages.common import MoreList, answered, asked, run_badge

_COLUMNS = "grid-template-columns: 118px minmax(0, 2.2fr) minmax(0, 1.2fr) 76px 84px 104px"
_TRIGGERS = {"ui": "page", "api": "REST", "cli": "command line"}


def run_row(run: ExecutionView) -> None:
    """One run in a list; it opens on the canvas."""
    href = f"/workflows/{run.workflow_id}?run={run.execution_id}" if run.workflow_id else "#"
    with parts.link(href, "rl-list-row rl-runs-row").style(_COLUMNS):
        with parts.div():
            run_badge(run.status)
        with parts.div("rl-col").style("gap: 0"):
            parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
            parts.label(answered(run)[:160], "rl-muted rl-small rl-ellipsis")
        parts.label(run.workflow_name or "Unsaved workflow", "rl-muted rl-ellipsis")
        parts.label(_TRIGGERS.get(run.trigger, run.trigger), "rl-muted rl-small")
        parts.label(text.duration(run.duration_ms), "rl-num rl-small")
        with parts.div("rl-num"):
            parts.moment(run.started_at)


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/runs", response_timeout=30)
    async def runs_page() -> None:
        services = get_services()
        with frame(services, "Runs"):
            await _build(services)


async def _build(services: Services) -> None:
    workflows = await services.workflows.list(limit=200, offset=0)

    async def load(limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await services.runs.list(
            workflow_id=which.value or None,
            status=status.value or None,
            limit=limit,
            offset=offset,
        )
        return page.items, page.total

    async def refresh() -> None:
        total = await listing.reset()
        filtered = bool(which.value or status.value)
        for place, shown in (
            (box, total > 0),
            (nothing, not total and not filtered),
            (none_such, not total and filtered),
        ):
            place.classes(remove="rl-hidden") if shown else place.classes(add="rl-hidden")

    async def show_all() -> None:
        which.value = status.value = ""

    with parts.div("rl-toolbar"):
        which = ui.select(
            {"": "All workflows", **{w.workflow_id: w.name for w in workflows.items}}, value=""
        ).style("min-width: 240px")
        status = ui.select(
            {
                "": "Any status",
                "completed": "Completed",
                "failed": "Failed",
                "cancelled": "Cancelled",
                "running": "Running",
            },
            value="",
        ).style("min-width: 140px")
        which.on_value_change(refresh)
        status.on_value_change(refresh)
        parts.div("rl-grow")
        parts.icon_button("refresh", "Look again", refresh)
    with parts.div("rl-list") as box:
        with parts.div("rl-list-head rl-runs-row").style(_COLUMNS):
            for name in ("Status", "Question and answer", "Workflow", "From", "Took", "When"):
                parts.label(name, "rl-num" if name in ("Took", "When") else "")
        listing = MoreList(load, run_row)
    with (
        parts.div() as nothing,
        parts.empty(
            "history", "No run yet", "Open a workflow and press Run; what happened stays here."
        ),
    ):
        parts.primary("Open workflows", lambda: ui.navigate.to("/"))
    with parts.div() as none_such, parts.empty("filter_alt_off", "No such run"):
        parts.quiet("Show all runs", show_all)
    await refresh()
