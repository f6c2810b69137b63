"""Joins the parts of the canvas page: what the canvas, the panels and the bar ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import ExecutionView, WorkflowView
from app.ui.canvas.editor import Change, GraphEditor
from app.ui.canvas.saving import Autosave
from app.ui.pages.canvas import run_request
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.node_data import NodeData
from app.ui.pages.canvas.pickers import run_inputs
from app.ui.pages.canvas.running import Running
from app.ui.pages.canvas.selecting import Selecting
from app.ui.pages.canvas.trying import Trying
from app.ui.timeline import is_inner

#: What can be asked of a node while a past run is shown.
LOOKS = {"open", "problems", "download", "download_csv", "run_from"}


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
        self.trying = Trying(self, self.running)
        self.data = NodeData(self)

    async def open(self, run: ExecutionView | None) -> None:
        """Fill the page: the given run, else the newest of this workflow."""
        self.bar.set_inputs(run_inputs(self.editor.graph), run.input_data if run else None)
        self.bar.disable(self.read_only)
        self.refresh()
        self.drawer.show_problems(self.editor.problems, self.titles())
        await self.running.open(run)

    def inspect(self, step: str) -> None:
        """Show the data of a step: of its node, or of a step inside of one."""
        if is_inner(step):
            self.data.show_inner(step)
            return
        self.show_node(step)
        self.inspector.open_data()

    def add_node(self, kind: str) -> None:
        """Put a node of a type into the middle of the canvas."""
        self.canvas.add_at_centre(kind)

    def changed(self, change: Change) -> None:
        """Follow an edit, of this tab or another one."""
        with self.root:
            self.bar.set_inputs(run_inputs(self.editor.graph))
            self.drawer.show_problems(change.problems, self.titles())
        if self.node is None or self.node in change.nodes | self.turned:
            self.refresh()

    def has_pins(self) -> bool:
        """Whether any output is pinned."""
        return any(node.pinned is not None for node in self.editor.graph.nodes.values())

    async def node_action(self, action: str, node: str) -> None:
        """Answer the canvas: what is asked of one node."""
        if node not in self.editor.graph.nodes:
            return
        answers: dict[str, Callable[[str], Any]] = {
            "run_to": self.running.run_to,
            "run_from": self.running.run_from,
            "run_alone": self.run_alone,
            "run_selection": lambda _: self.running.selection(),
            "toggle_pinned": self.data.toggle_pinned,
            "pin": self.data.toggle_pinned,
            "edit_output": self.data.edit_outputs,
            "download": self.data.download,
            "download_csv": self.data.download_csv,
            "open": lambda _: ui.run_javascript("ragloom.settings()"),
            "problems": lambda _: self.drawer.open("Problems"),
        }
        answer = answers.get(action)
        if answer is None or (self.read_only and action not in LOOKS):
            return
        result = answer(node)
        if inspect.isawaitable(result):
            await result

    async def run_alone(self, node: str) -> None:
        """Run one node with inputs that can be changed first."""
        if not self.running.free():
            return
        inputs = await self.data.ask_inputs(node)
        if inputs is not None:
            await self.running.as_shown(run_request.run_alone(node, inputs))

    async def command(self, name: str) -> None:
        """Answer a key the canvas passed on."""
        if name == "save" and self.autosave is not None:
            await self.autosave.save_now()
        elif name == "run":
            await self.bar.press()
