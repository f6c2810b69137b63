"""Every run of every workflow, newest first; two of them can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.runs.search import search_runs
from app.services.views import ExecutionView
from app.ui import differences, parts, text
from app.ui.frame import frame
from app.ui.pages.canvas.run_list import TRIGGERS, compare_href, run_href
from app.ui.pages.common import RUN_TONES, MoreList, answered, asked, run_badge

_COLUMNS = "grid-template-columns: 118px minmax(0, 2.2fr) minmax(0, 1.2fr) 92px 84px 104px"


def run_row(run: ExecutionView) -> None:
    """One run in a list; it opens on the canvas."""
    with parts.link(run_href(run), "rl-list-row rl-runs-row").style(_COLUMNS):
        with parts.div():
            run_badge(run.status)
        with parts.div("rl-col").style("gap: 0"):
            parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
            parts.label(answered(run)[:160], "rl-muted rl-small rl-ellipsis")
        parts.label(run.workflow_name or "Unsaved workflow", "rl-muted rl-ellipsis")
        parts.label(TRIGGERS.get(run.trigger, run.trigger), "rl-muted rl-small")
        parts.label(text.duration(run.duration_ms), "rl-num rl-small")
        with parts.div("rl-num"):
            parts.moment(run.started_at)


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/runs", response_timeout=30)
    async def runs_page(workflow: str = "", trigger: str = "") -> None:
        services = get_services()
        with frame(services, "Runs"):
            differences.head()
            await RunsPage(services).build(workflow, trigger)


class RunsPage:
    """The list with its filters, and the runs that are ticked."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: Ticked runs: id -> (when it began, its box).
        self._ticked: dict[str, tuple[str, ui.checkbox]] = {}

    async def build(self, workflow: str, trigger: str) -> None:
        """Fill the page; at first with runs of this workflow, and that were started this way."""
        workflows = await self._services.workflows.list(limit=200, offset=0)
        names = {"": "All workflows", **{w.workflow_id: w.name for w in workflows.items}}
        with parts.div("rl-toolbar"):
            self._text = ui.input(placeholder="Search questions and answers")
            self._text.props("debounce=300 clearable").classes("rl-filter")
            self._which = ui.select(names, value=workflow if workflow in names else "")
            self._which.style("min-width: 200px")
            self._status = ui.select(
                {"": "Any status", **{key: words for key, (_, _, words) in RUN_TONES.items()}},
                value="",
            ).style("min-width: 140px")
            sources = {key: word for key, word in TRIGGERS.items() if key != "ui"}
            self._trigger = ui.select(
                {"": "From anywhere", **_sentence(sources)},
                value=trigger if trigger in sources else "",
            )
            self._trigger.style("min-width: 140px")
            for field, name in (
                (self._text, "Search"), (self._which, "Workflow"),
                (self._status, "Status"), (self._trigger, "Started from"),
            ):  # fmt: skip
                field.props["aria-label"] = name
                field.on_value_change(self.refresh)
            parts.div("rl-grow")
            parts.icon_button("refresh", "Look again", self.refresh)
        with parts.div("rl-list") as self._box:
            with parts.div("rl-run-pick"):
                parts.div()
                with parts.div("rl-list-head rl-runs-row").style(_COLUMNS):
                    for name in (
                        "Status",
                        "Question and answer",
                        "Workflow",
                        "From",
                        "Took",
                        "When",
                    ):
                        parts.label(name, "rl-num" if name in ("Took", "When") else "")
            self._listing = MoreList(self._load, self._row)
        with parts.div("rl-picked-bar rl-hidden").props('role="status"') as self._bar:
            self._said = parts.label("")
            self._go = parts.primary("Compare", self._compare, icon="compare_arrows")
            parts.bare("Clear", self._clear)
        with (
            parts.div() as self._nothing,
            parts.empty(
                "history", "No run yet", "Open a workflow and press Run; what happened stays here."
            ),
        ):
            parts.primary("Open workflows", lambda: ui.navigate.to("/"))
        with parts.div() as self._none_such, parts.empty("filter_alt_off", "No such run"):
            parts.quiet("Show all runs", self._show_all)
        await self.refresh()

    async def _load(self, limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await search_runs(
            self._services.database,
            workflow_id=self._which.value or None,
            status=self._status.value or None,
            trigger=self._trigger.value or None,
            text=self._text.value or "",
            limit=limit,
            offset=offset,
        )
        return page.items, page.total

    async def refresh(self) -> None:
        """List the runs that fit the filters; ticks are forgotten."""
        self._ticked.clear()
        self._show_ticked()
        total = await self._listing.reset()
        filters = (self._which, self._status, self._trigger, self._text)
        filtered = any(field.value for field in filters)
        for place, shown in (
            (self._box, total > 0),
            (self._nothing, not total and not filtered),
            (self._none_such, not total and filtered),
        ):
            place.classes(remove="rl-hidden") if shown else place.classes(add="rl-hidden")

    def _show_all(self) -> None:
        self._which.value = self._status.value = self._trigger.value = self._text.value = ""

    def _row(self, run: ExecutionView) -> None:
        with parts.div("rl-run-pick"):
            box = ui.checkbox()
            box.on_value_change(lambda event: self._tick(run, box, bool(event.value)))
            question = asked(run.input_data) or "run without a question"
            box.props["aria-label"] = f"Compare: {question[:80]}"
            run_row(run)

    def _tick(self, run: ExecutionView, box: ui.checkbox, on: bool) -> None:
        if on:
            self._ticked[run.execution_id] = (run.started_at, box)
            if len(self._ticked) > 2:
                # The oldest tick gives way, so that two are always two.
                _, first = self._ticked.pop(next(iter(self._ticked)))
                first.value = False
        else:
            self._ticked.pop(run.execution_id, None)
        self._show_ticked()

    def _show_ticked(self) -> None:
        count = len(self._ticked)
        self._said.text = "2 runs" if count == 2 else "1 run; tick another to compare them"
        self._go.set_enabled(count == 2)
        self._bar.classes(remove="rl-hidden") if count else self._bar.classes(add="rl-hidden")

    def _compare(self) -> None:
        if len(self._ticked) == 2:
            older, newer = sorted(self._ticked, key=lambda id_: self._ticked[id_][0])
            ui.navigate.to(compare_href(older, newer))

    def _clear(self) -> None:
        for _, box in list(self._ticked.values()):
            box.value = False


def _sentence(words: dict[str, str]) -> dict[str, str]:
    return {key: word[:1].upper() + word[1:] for key, word in words.items()}
