"""The drawer under the canvas: timeline of the run, its output, problems, other runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from app.engine.problems import Problem
from app.ui import parts
from app.ui.pages.canvas.run_list import ComparePanel, History, RunsPanel
from app.ui.pages.canvas.run_panels import OutputPanel, TimelinePanel
from app.ui.run_state import RunState


@dataclass
class DrawerActions:
    """What the drawer asks the page to do."""

    #: Select a node on the canvas.
    select: Callable[[str], Any]
    #: Show the data of a step.
    inspect: Callable[[str], Any]
    history: History
    resume: Callable[[str], Any]


class Drawer:
    """Tabs Timeline · Output · Problems · Runs · Compare."""

    def __init__(self, actions: DrawerActions) -> None:
        self._select = actions.select
        self._run = RunState()
        with parts.div("rl-drawer-head"):
            with ui.tabs() as tabs:
                timeline = ui.tab("Timeline", label="Run timeline")
                output = ui.tab("Output")
                self._problems_tab = ui.tab("Problems")
                runs = ui.tab("Runs")
                compare = ui.tab("Compare")
            tabs.classes("rl-drawer-tabs")
            parts.icon_button("keyboard_arrow_down", "Close the drawer").on(
                "click", js_handler="() => ragloom.panel('drawer', 'closed')"
            )
        self.panels = ui.tab_panels(tabs, value="Timeline", animated=False)
        tabs.on_value_change(self._opened)
        with self.panels.classes("rl-drawer-body"):
            with ui.tab_panel(timeline), parts.div("rl-panel-room"):
                self._notes = parts.div("rl-col")
                self.timeline = TimelinePanel(actions.inspect)
            with ui.tab_panel(output), parts.div("rl-panel-room"):
                self.output = OutputPanel(actions.select, actions.inspect)
            with ui.tab_panel(self._problems_tab):
                self._problems = parts.div("rl-panel-room")
            with ui.tab_panel(runs), parts.div("rl-panel-room"):
                self._runs = RunsPanel(actions.history, resume=actions.resume)
            with ui.tab_panel(compare), parts.div("rl-panel-room"):
                self._compare = ComparePanel(actions.history)
        self.show_problems([], {})

    def open(self, tab: str) -> None:
        """Bring a tab to the front and open the drawer."""
        self.panels.set_value(tab)
        ui.run_javascript("ragloom.panel('drawer', 'open')")

    async def _opened(self, event: Any) -> None:
        await self._fill(str(event.value))

    async def _fill(self, tab: str) -> None:
        if tab == "Runs":
            await self._runs.show()
        elif tab == "Compare":
            await self._compare.show(self._run)

    async def show_run(self, run: RunState, titles: dict[str, tuple[str, str]]) -> None:
        """Draw the timeline of a run; once it has ended its output, and the lists it is on."""
        if run.warnings or self._run.warnings:
            self._show_notes(run)
        self._run = run
        self.timeline.show(run, titles)
        if not run.live:
            await self.output.show(run, titles)
            await self._fill(str(self.panels.value))

    def _show_notes(self, run: RunState) -> None:
        self._notes.clear()
        with self._notes:
            for warning in run.warnings:
                with parts.notice("warn", warning):
                    pass

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
                self._problem(problem, titles)

    def _problem(self, problem: Problem, titles: dict[str, tuple[str, str]]) -> None:
        with parts.tag("button", "", "rl-problem") as row:
            wrong = problem.severity == "error"
            ui.icon("error" if wrong else "warning").classes("rl-danger" if wrong else "rl-warn")
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
            row.on("click", lambda: self._select(node))
