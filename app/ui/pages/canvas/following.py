"""The run a canvas page shows: opened from the history, or followed while it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from app.engine.events import NodeFailedEvent, RunStarted
from app.engine.graph import Graph
from app.services.threads import call
from app.services.views import ExecutionView
from app.ui import live
from app.ui.canvas.board import RunBoard, statuses_of_steps
from app.ui.canvas.view import follow_from
from app.ui.expecting import Expecting
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.freshness import given_anyway
from app.ui.pages.canvas.pace import Pace
from app.ui.pages.canvas.run_request import RunRequest
from app.ui.port_values import port_values
from app.ui.run_state import INNER_VALUES, RunState
from app.ui.timeline import is_inner, outer_of

#: Seconds between two looks at which node waits to be let go.
_LOOK_S = 0.15
#: Newest runs among which the one to open with is looked for.
_NEWEST = 20
#: Runs of which the results are read to see where pinned data comes from.
_READ = 6
#: Options of runs in which nodes got something else than their graph gives them.
_ITS_OWN = ("only", "inputs", "config", "pin", "given", "dry")


class Following:
    """Shows one run on the canvas, in the bar, the drawer and the inspector."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        #: Whether the bar is taken by a run, and the run that is followed.
        self.busy = False
        self.run_id = ""
        self.request = RunRequest()
        #: The node that waits to be let go.
        self._next = ""
        #: Nodes of which there is news that is not drawn yet.
        self._touched: set[str] = set()

    async def open(self, run: ExecutionView | None) -> None:
        """Show the given run, else the newest of this workflow."""
        bench = self._bench
        asked = run is not None
        if not bench.read_only:
            live.follow(self.listen, f"runs of {bench.workflow.workflow_id}")
        if run is None:
            newest = await bench.services.runs.list(
                workflow_id=bench.workflow.workflow_id, limit=_NEWEST, offset=0
            )
            found = newest_to_show(newest.items)
            run = await bench.services.runs.get(found) if found else None
        if run is None:
            return
        if run.status in ("running", "waiting"):
            self.follow(run.execution_id, run.input_data)
            return
        await self._show(run, asked=asked)

    async def listen(self) -> None:
        """Show the runs that other people start on this workflow, while none is shown here."""
        bench = self._bench
        begun = bench.services.runs.begun
        workflow_id = bench.workflow.workflow_id
        starts = begun.join(lambda b: b.workflow_id == workflow_id and b.trigger == "page")
        try:
            while not bench.root.is_deleted and not starts.closed:
                await starts.changed(None)
                for start in starts.take():
                    if not self.busy and start.run_id != bench.run.run_id:
                        self.request = RunRequest()
                        self.follow(start.run_id)
        finally:
            begun.leave(starts)

    async def _show(self, run: ExecutionView, *, asked: bool) -> None:
        bench = self._bench
        bench.run = RunState.of(run)
        await self._load_inner(run)
        await self._load_parent(run)
        shown = {**bench.run.kept, **{step.node_id: step for step in run.steps}}
        bench.canvas.set_statuses(
            statuses_of_steps([step.model_dump() for step in shown.values()]), replace=True
        )
        if not bench.read_only and run.graph:
            graph = Graph.parse(run.graph)
            bench.freshness.start(graph, run.input_data)
            bench.canvas.mark_stale(bench.find_stale())
            if any(spec.pinned is not None for spec in graph.nodes.values()):
                live.follow(partial(self._look_back, run, graph, bench.run), "earlier runs")
        bench.canvas.set_port_values(port_values(shown))
        await bench.drawer.show_run(bench.run, bench.titles())
        if asked or run.status == "interrupted":
            bench.bar.show(bench.run)

    async def _look_back(self, run: ExecutionView, graph: Graph, shown: RunState) -> None:
        """Learn what earlier runs tell of pins; they are read once the page is there."""
        own, bench = await self._given_anyway(run, graph), self._bench
        if own and bench.run is shown and not bench.root.is_deleted:
            bench.freshness.learn(own)
            bench.canvas.mark_stale(bench.find_stale())

    async def _given_anyway(self, run: ExecutionView, graph: Graph) -> set[str]:
        """Pinned nodes of a run that gave the same by themselves in another one."""
        bench = self._bench
        pinned = {id_ for id_, spec in graph.nodes.items() if spec.pinned is not None}
        found: set[str] = set()
        newest = await bench.services.runs.list(
            workflow_id=bench.workflow.workflow_id, limit=_NEWEST, offset=0
        )
        for other in _alike(run, newest.items):
            if pinned <= found:
                break
            with Expecting("not_found"):
                whole = await bench.services.runs.get(other.execution_id)
                if any(whole.options.get(name) for name in _ITS_OWN):
                    continue
                found |= await call(
                    given_anyway, graph, run.input_data, whole, bench.services.registry
                )
        return found

    async def _load_inner(self, run: ExecutionView) -> None:
        """Fetch the first steps that ran inside nodes with a workflow of their own."""
        bench = self._bench
        for step in run.steps:
            cls = bench.services.registry.get(step.type)
            if cls is None or not cls.has_body:
                continue
            inside = await bench.services.runs.steps_inside(
                run.execution_id, step.node_id, limit=INNER_VALUES
            )
            bench.run.add_inner(inside.items)

    async def _load_parent(self, run: ExecutionView) -> None:
        """Of a run of single nodes, show the others as they were in the run it built on."""
        if not run.parent_run or not run.options.get("only"):
            return
        with Expecting("not_found") as met:
            parent = await self._bench.services.runs.get(run.parent_run)
        if met.error:
            return
        ran = {step.node_id for step in run.steps}
        self._bench.run.kept = {s.node_id: s for s in parent.steps if s.node_id not in ran}

    def ended(self) -> None:
        """The bar is free for another run."""
        self.busy = False
        self.run_id = ""
        self._bench.bar.running(False)

    def follow(self, run_id: str, input_data: Mapping[str, Any] | None = None) -> None:
        """Show a live run from its beginning until it ends."""
        bench = self._bench
        before = bench.run
        bench.freshness.start(
            bench.editor.graph,
            input_data or {},
            behind=bench.stale if self.request.partial else (),
        )
        self.busy = True
        self.run_id = run_id
        bench.bar.running(True)
        bench.run = RunState(run_id=run_id, status="running", input_data=dict(input_data or {}))
        bench.run.edges = bench.wires()
        if self.request.dry:
            bench.run.options["dry"] = True
        if self.request.only is not None:
            bench.run.options["only"] = list(self.request.only)
        bench.board = RunBoard()
        if not self.request.partial:
            before = RunState()
            bench.stale = set()
            bench.canvas.clear_statuses()
        with bench.root:
            bench.bar.show(bench.run)
            live.follow(partial(self._watch, run_id, before), f"watch {run_id}")
            live.follow(partial(self._mark_next, run_id), f"steps of {run_id}")

    async def _watch(self, run_id: str, before: RunState) -> None:
        bench = self._bench
        pace = Pace(self.draw)
        async for event in bench.services.runs.watch(run_id):
            if self.run_id != run_id:
                await pace.end()
                return
            bench.run.apply(event, bench.titles())
            node = getattr(event, "node_id", "")
            if isinstance(event, RunStarted) and before.steps:
                self._keep(before, self.request.only or event.node_ids)
            bench.show_statuses(event)
            self._touched.add(outer_of(node))
            if isinstance(event, NodeFailedEvent):
                bench.show_node(outer_of(event.node_id))
            pace.poke()
        await pace.end()
        if self.run_id == run_id:
            self._leave_behind(before)
            self.ended()
            bench.canvas.set_port_values(port_values({**bench.run.kept, **bench.run.steps}))
            await self.draw()

    def _keep(self, before: RunState, runs: Sequence[str]) -> None:
        """What is not run this time stays shown as it was."""
        bench = self._bench
        gone = set(runs) & set(before.steps)
        bench.freshness.ran(runs)
        bench.stale -= set(runs)
        for node, step in before.steps.items():
            if node not in gone and not is_inner(node):
                bench.run.kept[node] = step
        bench.canvas.set_statuses(dict.fromkeys(gone))

    def _leave_behind(self, before: RunState) -> None:
        """Nodes that take from what ran alone, and did not run, are out of date where it differs."""
        bench, only = self._bench, self.request.only
        if only is None:
            return
        known = {**before.kept, **before.steps}
        now = bench.run.steps
        differ = [n for n in only if n in now and n in known and now[n].outputs != known[n].outputs]
        bench.freshness.leave_behind(follow_from(differ, bench.editor.graph) - set(only))
        bench.canvas.mark_stale(bench.find_stale())

    async def draw(self) -> None:
        """Draw what a run changes beside the canvas."""
        bench = self._bench
        if bench.root.is_deleted:
            return
        touched_now, self._touched = self._touched, set()
        with bench.root:
            bench.bar.show(bench.run, bench.title(self._next) if self._next else "")
            await bench.drawer.show_run(bench.run, bench.titles())
            if bench.node is not None and (bench.node in touched_now or not bench.run.live):
                bench.refresh()

    async def _mark_next(self, run_id: str) -> None:
        """Show which node goes at the next press of Step, here and on the canvas."""
        bench = self._bench
        while self.run_id == run_id and not bench.root.is_deleted:
            paused = next(iter(bench.services.runs.paused(run_id)), "")
            if paused != self._next:
                self._next = paused
                if paused:
                    bench.bar.stepping()
                    bench.canvas.select([paused], shown=True)
                    bench.canvas.set_statuses({paused: {"state": "waiting", "message": "Next"}})
                await self.draw()
            await asyncio.sleep(_LOOK_S)
        self._next = ""


def _alike(run: ExecutionView, runs: Iterable[ExecutionView]) -> list[ExecutionView]:
    """Other whole runs of the same inputs: what they gave, they gave by themselves."""
    found = [
        other
        for other in runs
        if other.execution_id != run.execution_id
        and other.status == "completed"
        and other.parent_run is None
        and other.input_data == run.input_data
    ]
    return found[:_READ]


def newest_to_show(runs: Sequence[ExecutionView]) -> str:
    """The run a page opens with: the newest that somebody started here, else one that has ended."""
    for run in runs:
        if run.trigger in ("page", "background") or run.status == "waiting":
            return run.execution_id
    ended = (run.execution_id for run in runs if run.status != "running")
    return next(ended, "")
