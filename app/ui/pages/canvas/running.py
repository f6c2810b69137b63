"""Runs of the canvas page, started in every way there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.services.views import ExecutionView
from app.ui import parts
from app.ui.pages.canvas import run_request
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.following import Following
from app.ui.pages.canvas.run_request import RunRequest


class Running:
    """Starts runs of the graph on the screen; `Following` shows them."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._shown = Following(bench)
        self.open = self._shown.open

    async def history(self) -> Sequence[ExecutionView]:
        """The newest runs of this workflow."""
        page = await self._bench.services.runs.list(
            workflow_id=self._bench.workflow.workflow_id, limit=50, offset=0
        )
        return page.items

    # ---- ways to run ----
    async def whole(self, values: dict[str, Any]) -> None:
        """Run everything."""
        await self.start(RunRequest(), values)

    async def run_to(self, node: str) -> None:
        """Run a node and what it needs."""
        await self.as_shown(run_request.run_to(node))

    async def run_from(self, node: str) -> None:
        """Run a node and what follows; the rest is taken from the run that is shown.

        Where that rest has changed since, it runs, too, as far as its results are not known.
        """
        bench = self._bench
        if bench.read_only:
            await self.rerun(node)
            return
        before = bench.editor.graph.needed_for([node]) - {node}
        known = all(bench.step(other) is not None for other in before)
        if known and bench.run.run_id and not before & bench.stale:
            await self.as_shown(run_request.run_from(node))
        else:
            # What comes before it has changed, or has not run: that has to run first.
            await self.as_shown(run_request.run_again(node))

    async def selection(self) -> None:
        """Run the selected nodes only."""
        chosen = [node for node in self._bench.chosen if node in self._bench.editor.graph.nodes]
        if not chosen:
            self._bench.canvas.refuse("Select the nodes to run first.")
            return
        await self.as_shown(run_request.run_only(chosen))

    async def as_shown(self, request: RunRequest) -> None:
        """Run a part; after a run that only tried, on the same document and without writing."""
        shown = self._bench.run
        if shown.tried:
            await self.start(request.trying(), shown.input_data)
        else:
            await self.start(request)

    async def fresh(self) -> None:
        """Run everything anew, reusing nothing."""
        await self.start(run_request.run_fresh(self._bench.editor.graph.nodes))

    async def steps(self) -> None:
        """Run one node at a time, reusing nothing: what is reused would not stop."""
        await self.start(run_request.by_steps(self._bench.editor.graph.nodes))

    async def background(self) -> None:
        """Run without the page."""
        await self.start(RunRequest(background=True))

    async def start(self, request: RunRequest, values: Mapping[str, Any] | None = None) -> None:
        """Start a run of the graph as it is on the screen."""
        bench = self._bench
        if bench.read_only or (not request.background and not self.free()):
            return
        values = bench.bar.values if values is None else values
        self._shown.request = request
        if not request.background:
            self._shown.busy = True
            bench.bar.running(True)
        try:
            run_id = await self._started(request, values)
        except InvalidWorkflow as error:
            self._shown.ended()
            await self._cannot_run(error)
            return
        except RagloomError as error:
            self._shown.ended()
            parts.failed(error)
            return
        if request.background:
            parts.toast("It runs in the background. You will find it under Runs, page open or not.")
            return
        self._shown.follow(run_id, _given(values))
        if request.look_at:
            bench.canvas.select([request.look_at])
            bench.inspector.open_data()

    def free(self) -> bool:
        """Whether the page can follow another run; says why not."""
        if self._shown.busy:
            self._bench.canvas.refuse(
                "A run is under way. Stop it, or let it go on in the background."
            )
        return not self._shown.busy

    async def _started(self, request: RunRequest, values: Mapping[str, Any]) -> str:
        bench = self._bench
        state = await bench.autosave.save_now() if bench.autosave else None
        saved = state is not None and state.status == "saved"
        base = bench.run.run_id if request.on_shown and not bench.run.live else ""
        return await bench.services.runs.start(
            workflow_id=bench.workflow.workflow_id,
            graph=None if saved else bench.editor.dump(),
            input_data=_given(values),
            trigger="background" if request.background else "page",
            options=request.options,
            base_run=base or None,
            step=request.step,
        )

    async def rerun(self, start_from: str | None = None) -> None:
        """Run a past run again as it was, from a node on or from the beginning."""
        bench = self._bench
        try:
            run_id = await bench.services.runs.rerun(bench.run.run_id, from_=start_from)
        except RagloomError as error:
            parts.failed(error)
            return
        ui.navigate.to(f"/workflows/{bench.workflow.workflow_id}?run={run_id}")

    async def resume(self, run_id: str) -> None:
        """Go on with a run that the server's end broke off; what it finished is kept."""
        bench = self._bench
        try:
            await bench.services.runs.resume(run_id)
        except RagloomError as error:
            parts.failed(error)
            return
        if bench.read_only and bench.run.run_id != run_id:
            ui.navigate.to(f"/workflows/{bench.workflow.workflow_id}?run={run_id}")
            return
        self._shown.follow(run_id, bench.run.input_data)

    async def _cannot_run(self, error: InvalidWorkflow) -> None:
        bench = self._bench
        problems = list(error.problems) or [
            Problem(code=error.code, message=error.message, fix=error.fix)
        ]
        bench.drawer.show_problems(problems, bench.titles())
        bench.drawer.open("Problems")
        node = next((p.node for p in problems if p.node and p.severity == "error"), None)
        if node:
            bench.show_node(node)

    # ---- a run under way ----
    async def stop(self) -> None:
        """Cancel the run."""
        if self._shown.run_id:
            await self._bench.services.runs.cancel(self._shown.run_id)

    async def step(self) -> None:
        """Let the next node go."""
        if self._shown.run_id:
            self._bench.services.runs.step(self._shown.run_id)

    async def go_on(self) -> None:
        """Let all the other nodes go."""
        if self._shown.run_id:
            self._shown.request = RunRequest()
            self._bench.bar.stepping(False)
            self._bench.services.runs.step(self._shown.run_id, rest=True)
            await self._shown.draw()

    async def decide(self, node: str, decision: dict[str, Any]) -> None:
        """Answer what a node asks a person."""
        try:
            await self._bench.services.runs.decide(self._bench.run.run_id, node, decision)
        except RagloomError as error:
            parts.failed(error)

    def leave(self) -> None:
        """Let the run go on by itself, and have the bar for another one."""
        self._shown.ended()
        self._bench.bar.hide()
        parts.toast("It goes on in the background. You will find it under Runs.")

    def open_output(self) -> None:
        """Show the result in the drawer."""
        self._bench.drawer.open("Output")
        self._bench.bar.hide()


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs that were filled in."""
    return {name: value for name, value in values.items() if value}
