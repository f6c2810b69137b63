"""Runs of the canvas page: started, followed while they live, and shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.engine.events import NodeFailedEvent, RunFinished, TokenEvent
from app.engine.graph import Graph
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.services.views import ExecutionView
from app.ui import live, parts
from app.ui.canvas.board import RunBoard, statuses_of_steps
from app.ui.canvas.view import touched
from app.ui.pages.bench import Bench
from app.ui.run_state import RunState

#: Streamed text is drawn this often, in seconds.
_DRAW_S = 0.08


class Running:
    """Starts runs of the graph on the screen and shows one of them, live or past."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._running = False
        self._following = ""

    async def open(self, past: ExecutionView | None) -> None:
        """Show the given run, else the newest of this workflow."""
        bench = self._bench
        run = past
        if run is None:
            newest = await bench.services.runs.list(
                workflow_id=bench.workflow.workflow_id, limit=1, offset=0
            )
            if newest.items:
                run = await bench.services.runs.get(newest.items[0].execution_id)
        if run is None:
            return
        if run.status == "running":
            self._follow(run.execution_id)
            return
        bench.run = RunState.of(run)
        bench.canvas.set_statuses(
            statuses_of_steps([step.model_dump() for step in run.steps]), replace=True
        )
        if past is None and run.graph:
            bench.stale = set(touched(Graph.parse(run.graph), bench.editor.graph))
            bench.canvas.mark_stale(bench.stale)
        bench.drawer.show_run(bench.run, bench.titles())
        if past is not None:
            bench.bar.show(bench.run, self._failed_node())

    async def history(self) -> Sequence[ExecutionView]:
        """The newest runs of this workflow."""
        page = await self._bench.services.runs.list(
            workflow_id=self._bench.workflow.workflow_id, limit=50, offset=0
        )
        return page.items

    async def run_to(self, node: str) -> None:
        """Run a node and what it needs."""
        await self.run(self._bench.bar.values, targets=[node])
        self._bench.canvas.select([node])
        self._bench.inspector.open_data()

    async def run(self, values: dict[str, Any], targets: list[str] | None = None) -> None:
        """Start a run of the graph as it is on the screen."""
        bench = self._bench
        if bench.read_only or self._running:
            return
        self._running = True
        bench.bar.running(True)
        try:
            state = await bench.autosave.save_now() if bench.autosave else None
            saved = state is not None and state.status == "saved"
            run_id = await bench.services.runs.start(
                workflow_id=bench.workflow.workflow_id,
                graph=None if saved else bench.editor.dump(),
                input_data={k: v for k, v in values.items() if v},
                trigger="page",
                targets=targets,
            )
        except InvalidWorkflow as error:
            self._ended()
            self._cannot_run(error)
            return
        except RagloomError as error:
            self._ended()
            parts.failed(error)
            return
        self._follow(run_id)

    def _cannot_run(self, error: InvalidWorkflow) -> None:
        bench = self._bench
        problems = list(error.problems) or [
            Problem(code=error.code, message=error.message, fix=error.fix)
        ]
        bench.drawer.show_problems(problems, bench.titles())
        bench.drawer.open("Problems")
        node = next((p.node for p in problems if p.node and p.severity == "error"), None)
        if node:
            bench.show_node(node)

    async def stop(self) -> None:
        """Cancel the run."""
        if self._following:
            await self._bench.services.runs.cancel(self._following)

    def open_output(self) -> None:
        """Show the result in the drawer."""
        self._bench.drawer.open("Output")
        self._bench.bar.hide()

    def _ended(self) -> None:
        self._running = False
        self._following = ""
        self._bench.bar.running(False)

    def _follow(self, run_id: str) -> None:
        bench = self._bench
        self._running = True
        self._following = run_id
        bench.bar.running(True)
        bench.run = RunState(run_id=run_id, status="running")
        bench.board = RunBoard()
        bench.stale = set()
        bench.canvas.clear_statuses()
        with bench.root:
            bench.bar.show(bench.run)
            live.follow(partial(self._watch, run_id), f"watch {run_id}")

    async def _watch(self, run_id: str) -> None:
        bench = self._bench
        drawn = 0.0
        async for event in bench.services.runs.watch(run_id):
            bench.run.apply(event, bench.titles())
            changed = bench.board.feed(event)
            if changed:
                bench.canvas.set_statuses(changed)
            if isinstance(event, TokenEvent) and time.monotonic() - drawn < _DRAW_S:
                continue
            drawn = time.monotonic()
            with bench.root:
                bench.bar.show(bench.run, self._failed_node())
                if isinstance(event, RunFinished) or not isinstance(event, TokenEvent):
                    bench.drawer.show_run(bench.run, bench.titles())
                if bench.node is not None and getattr(event, "node_id", None) == bench.node:
                    bench.refresh()
            if isinstance(event, NodeFailedEvent):
                bench.show_node(event.node_id)
        with bench.root:
            self._ended()
            bench.bar.show(bench.run, self._failed_node())
            bench.refresh()

    def _failed_node(self) -> str | None:
        return next((n for n, s in self._bench.run.steps.items() if s.status == "failed"), None)
