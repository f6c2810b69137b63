"""Joins the parts of the canvas page: what the canvas, the panels and the bar ask for."""

from __future__ import annotations

from nicegui import ui

from app.services.container import Services
from app.services.views import ExecutionView, WorkflowView
from app.ui.canvas.editor import Change, GraphEditor
from app.ui.canvas.saving import Autosave
from app.ui.pages.bench import Bench
from app.ui.pages.node_data import NodeData
from app.ui.pages.pickers import run_inputs
from app.ui.pages.running import Running
from app.ui.pages.selecting import Selecting


class Workbench(Bench):
    """The page's state, and who answers for what: `selecting`, `running` and `data`."""

    def __init__(
        self,
        services: Services,
        workflow: WorkflowView,
        editor: GraphEditor,
        autosave: Autosave | None,
    ) -> None:
        super().__init__(services, workflow, editor, autosave)
        self.selecting = Selecting(self)
        self.running = Running(self)
        self.data = NodeData(self)

    async def open(self, past: ExecutionView | None) -> None:
        """Fill the page: the given run, else the newest of this workflow."""
        self.bar.set_inputs(run_inputs(self.editor.graph), past.input_data if past else None)
        self.bar.disable(self.read_only)
        self.refresh()
        self.drawer.show_problems(self.editor.problems, self.titles())
        await self.running.open(past)

    def add_node(self, kind: str) -> None:
        """Put a node of a type into the middle of the canvas."""
        self.canvas.add_at_centre(kind)

    def changed(self, change: Change) -> None:
        """Follow an edit, of this tab or another one."""
        self.stale |= change.stale & self.run.steps.keys()
        with self.root:
            self.bar.set_inputs(run_inputs(self.editor.graph))
            self.drawer.show_problems(change.problems, self.titles())
        if self.node is not None and (self.node in change.nodes or self.node in change.stale):
            self.refresh()

    async def node_action(self, action: str, node: str) -> None:
        """Answer the canvas: run to here, open, show problems, pin."""
        if action == "run_to":
            await self.running.run_to(node)
        elif action == "open":
            ui.run_javascript("ragloom.panel('inspector', 'open')")
        elif action == "problems":
            self.drawer.open("Problems")
        elif action == "toggle_pinned":
            self.data.toggle_pinned(node)

    async def command(self, name: str) -> None:
        """Answer a key the canvas passed on."""
        if name == "save" and self.autosave is not None:
            await self.autosave.save_now()
        elif name == "run":
            await self.bar.press()
