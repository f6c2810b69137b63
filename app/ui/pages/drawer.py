"""The drawer under the canvas: timeline of the run, its output, problems, earlier runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from app.engine.problems import Problem
from app.services.views import ExecutionView
from app.ui import answer, parts, text, viewers
from app.ui.pages.common import answered, asked, run_badge
from app.ui.run_state import RunState, is_answer


class Drawer:
    """Tabs Timeline · Output · Problems · History; `select(node_id)` leads to a node."""

    def __init__(
        self,
        select: Callable[[str], Any],
        history: Callable[[], Awaitable[Sequence[ExecutionView]]],
    ) -> None:
        self._select, self._history = select, history
        self._shown_run = ""
        with parts.div("rl-drawer-head"):
            with ui.tabs() as tabs:
                self._timeline_tab = ui.tab("Timeline", label="Run timeline")
                self._output_tab = ui.tab("Output")
                self._problems_tab = ui.tab("Problems")
                self._history_tab = ui.tab("History")
            parts.div("rl-grow")
            parts.icon_button("keyboard_arrow_down", "Close the drawer").on(
                "click", js_handler="() => ragloom.panel('drawer', 'closed')"
            )
        self.panels = ui.tab_panels(tabs, value="Timeline", animated=False)
        tabs.on_value_change(self._opened)
        with self.panels.classes("rl-drawer-body"):
            with ui.tab_panel(self._timeline_tab):
                self._timeline = parts.div("rl-panel-room")
            with ui.tab_panel(self._output_tab):
                self._output = parts.div("rl-panel-room")
            with ui.tab_panel(self._problems_tab):
                self._problems = parts.div("rl-panel-room")
            with ui.tab_panel(self._history_tab):
                self._runs = parts.div("rl-panel-room")
        self.show_run(RunState(), {})
        self.show_problems([], {})

    def open(self, tab: str) -> None:
        """Bring a tab to the front and open the drawer."""
        self.panels.set_value(tab)
        ui.run_javascript("ragloom.panel('drawer', 'open')")

    async def _opened(self, event: Any) -> None:
        if event.value == "History":
            await self.show_history()

    async def show_history(self) -> None:
        """List the newest runs of this workflow."""
        runs = await self._history()
        self._runs.clear()
        with self._runs:
            if not runs:
                parts.label("This workflow has not run yet.", "rl-muted")
            for run in runs:
                href = f"/workflows/{run.workflow_id}?run={run.execution_id}"
                with parts.link(href, "rl-history-row"):
                    run_badge(run.status)
                    parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
                    parts.label(answered(run)[:200], "rl-muted rl-ellipsis rl-grow rl-wide-only")
                    parts.label(text.duration(run.duration_ms), "rl-small rl-muted")
                    parts.moment(run.started_at)

    def show_run(self, run: RunState, titles: dict[str, tuple[str, str]]) -> None:
        """Draw the timeline and the output of a run."""
        self._draw_timeline(run, titles)
        self._draw_output(run)

    def _draw_timeline(self, run: RunState, titles: dict[str, tuple[str, str]]) -> None:
        self._timeline.clear()
        with self._timeline:
            if not run.order:
                parts.label(
                    "Run the workflow to see when each node worked, and for how long.", "rl-muted"
                )
                return
            ends = [
                run.offsets.get(n, 0.0) * 1000 + (run.steps[n].duration_ms or 0.0)
                for n in run.order
            ]
            total = max(run.duration_ms or 0.0, *ends, 1.0)
            with parts.div("rl-timeline"):
                for node in run.order:
                    self._timeline_row(run, node, titles, total)

    def _timeline_row(
        self, run: RunState, node: str, titles: dict[str, tuple[str, str]], total: float
    ) -> None:
        step = run.steps[node]
        left = run.offsets.get(node, 0.0) * 1000 / total * 100
        width = max(0.4, (step.duration_ms or 0.0) / total * 100)
        with parts.tag("button", "", "rl-timeline-row").on("click", lambda: self._select(node)):
            parts.tag("span", titles.get(node, (step.name, ""))[0], "rl-ellipsis")
            with parts.tag("span", "", "rl-timeline-lane"):
                bar = ui.element("i").classes(f"rl-timeline-bar rl-step-{step.status}")
                if step.cached:
                    bar.classes("rl-step-cached")
                if step.status != "skipped":
                    bar.style(
                        f"left:{min(left, 99.5):.2f}%;width:{min(width, 100 - min(left, 99.5)):.2f}%"
                    )
            words = {"skipped": "skipped", "failed": "failed", "cancelled": "cancelled"}.get(
                step.status
            )
            time = text.duration(step.duration_ms) if step.status == "completed" else ""
            parts.tag(
                "span", words or ("reused" if step.cached else time), "rl-muted rl-small rl-num"
            )

    def _draw_output(self, run: RunState) -> None:
        self._output.clear()
        with self._output:
            if run.error and run.status == "failed":
                parts.error_notice(run.error)
                node = run.error.get("node")
                if node:
                    parts.quiet(
                        "Show the node", lambda: self._select(str(node)), icon="my_location"
                    ).style("align-self: flex-start")
            if not run.outputs:
                if run.status != "failed":
                    parts.label("The named outputs of the workflow appear here.", "rl-muted")
                return
            for name, value in run.outputs.items():
                with parts.div("rl-port"):
                    if len(run.outputs) > 1:
                        parts.label(text.words(name), "rl-strong rl-small")
                    if is_answer(value):
                        answer.show(value, run.found_by(), on_node=self._select)
                    else:
                        viewers.show(value, run.found_by())

    def show_problems(
        self, problems: Sequence[Problem], titles: dict[str, tuple[str, str]]
    ) -> None:
        """List problems; a click leads to the node."""
        count = f"Problems ({len(problems)})" if problems else "Problems"
        self._problems_tab.props["label"] = count
        self._problems_tab.update()
        self._problems.clear()
        with self._problems:
            if not problems:
                with parts.div("rl-row rl-muted"):
                    ui.icon("check_circle").classes("rl-ok").style("font-size: 18px")
                    parts.tag("span", "Nothing is in the way of a run.")
            for problem in problems:
                with parts.tag("button", "", "rl-problem") as row:
                    wrong = problem.severity == "error"
                    ui.icon("error" if wrong else "warning").classes(
                        "rl-danger" if wrong else "rl-warn"
                    )
                    with parts.div("rl-col rl-grow").style("gap: 0"):
                        with parts.div("rl-row rl-wrap"):
                            title = titles.get(problem.node or "", ("", ""))[0]
                            if title and f"“{title}”" not in problem.message:
                                parts.label(title, "rl-strong")
                            parts.label(problem.message)
                        if problem.fix:
                            parts.label(problem.fix, "rl-muted rl-small")
                node = problem.node or (problem.edge[2] if problem.edge else None)
                if node:
                    row.on("click", lambda node=node: self._select(node))
