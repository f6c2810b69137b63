"""What happens on the canvas page: selection, settings, runs and what they show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.engine.events import NodeFailedEvent, RunFinished, TokenEvent
from app.engine.graph import Graph
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.services.container import Services
from app.services.uploads import IncomingFile, UploadLimits, store
from app.services.views import ExecutionView, WorkflowView
from app.ui import live, parts
from app.ui.canvas.board import RunBoard, statuses_of_steps
from app.ui.canvas.editor import Change, GraphEditor
from app.ui.canvas.flow import FlowCanvas, Selection
from app.ui.canvas.ops import Refused, Rename, SetConfig, SetInfo, SetPolicy
from app.ui.canvas.saving import Autosave
from app.ui.canvas.view import touched
from app.ui.forms import Choices
from app.ui.pages.drawer import Drawer
from app.ui.pages.inspector import Inspector, NodeFacts
from app.ui.pages.runbar import RunBar, RunInput
from app.ui.run_state import RunState

#: Streamed text is drawn this often, in seconds.
_DRAW_S = 0.08


async def keep_file(services: Services, filename: str, data: bytes) -> dict[str, Any]:
    """Keep an uploaded file; return its reference for settings and inputs."""
    settings = services.settings
    limits = UploadLimits(settings.max_upload_bytes, settings.max_request_bytes, 1)
    kept = await store(IncomingFile(filename, data=data), services.folder.blobs, limits)
    if kept.error:
        raise RagloomError(kept.error["message"], fix=kept.error.get("fix", ""))
    return {"filename": kept.filename, "blob": kept.blob, "size": kept.size}


async def branches_of(services: Services, kb: str) -> list[str]:
    """The branches of a knowledge base; of one that is not here, the one every base has."""
    try:
        return list(await services.knowledge.branches(kb))
    except Exception as error:
        if parts.code_of(error) != "not_found":
            raise
        return ["main"]


async def picker_choices(services: Services) -> Choices:
    """What the pickers of the inspector offer."""
    from app.documents.chunk import chunker_names

    bases = await services.knowledge.list(limit=200, offset=0)
    models: dict[str, dict[str, str]] = {}
    for model in await services.models.available():
        words = str(model["name"]) if model["ready"] else f"{model['name']} (needs setting up)"
        models.setdefault(str(model["kind"]), {})[str(model["name"])] = words
    return Choices(
        knowledge_bases={kb.name: kb.name for kb in bases.items},
        models=models,
        chunkers=chunker_names(),
        branches=partial(branches_of, services),
        keep_file=partial(keep_file, services),
    )


def run_inputs(graph: Graph) -> list[RunInput]:
    """The values a run of this graph asks for, from its input nodes."""
    found: dict[str, RunInput] = {}
    for node in graph.nodes.values():
        if node.type not in _INPUTS or node.disabled:
            continue
        name, title, kind = _INPUTS[node.type]
        name = str(node.config.get("name") or name)
        default = str(node.config.get("default") or "")
        found.setdefault(name, RunInput(name, node.title or title, default, kind))
    return list(found.values())


#: Type of an input node -> usual name of its value, words for it, how it is given.
_INPUTS = {
    "question": ("question", "Ask a question", "text"),
    "text_input": ("text", "Text", "text"),
    "file_input": ("file", "File", "files"),
    "files": ("files", "Files", "files"),
}


class Workbench:
    """Joins the parts of the page; the page sets `root`, `canvas`, `bar`, `drawer`, `inspector`."""

    root: ui.element
    canvas: FlowCanvas
    bar: RunBar
    drawer: Drawer
    inspector: Inspector

    def __init__(
        self,
        services: Services,
        workflow: WorkflowView,
        editor: GraphEditor,
        autosave: Autosave | None,
    ) -> None:
        self._services, self._workflow = services, workflow
        self._editor, self._autosave = editor, autosave
        self._node: str | None = None
        self._run = RunState()
        self._board = RunBoard()
        self._stale: set[str] = set()
        self._running = False
        self._following = ""

    @property
    def read_only(self) -> bool:
        """True where a past run is shown."""
        return self._autosave is None

    def titles(self) -> dict[str, tuple[str, str]]:
        """Node id -> title, type."""
        views = {id_: self._editor.node_view(id_) or {} for id_ in self._editor.graph.nodes}
        return {id_: (v.get("title", id_), v.get("type", "")) for id_, v in views.items()}

    async def open(self, past: ExecutionView | None) -> None:
        """Fill the page: the given run, else the newest of this workflow."""
        run = past
        if run is None:
            newest = await self._services.runs.list(
                workflow_id=self._workflow.workflow_id, limit=1, offset=0
            )
            if newest.items:
                run = await self._services.runs.get(newest.items[0].execution_id)
        self.bar.set_inputs(run_inputs(self._editor.graph), past.input_data if past else None)
        self.bar.disable(self.read_only)
        self._show_node()
        self.drawer.show_problems(self._editor.problems, self.titles())
        if run is None:
            return
        if run.status == "running":
            self._follow(run.execution_id)
            return
        self._run = RunState.of(run)
        self.canvas.set_statuses(
            statuses_of_steps([step.model_dump() for step in run.steps]), replace=True
        )
        if past is None and run.graph:
            self._stale = set(touched(Graph.parse(run.graph), self._editor.graph))
            self.canvas.mark_stale(self._stale)
        self.drawer.show_run(self._run, self.titles())
        if past is not None:
            self.bar.show(self._run, self._failed_node())

    # ---- selection and settings ----
    def selected(self, selection: Selection) -> None:
        """Show the selected node in the inspector."""
        self._node = selection.nodes[0] if len(selection.nodes) == 1 else None
        self._show_node()
        shown = "true" if selection.nodes else "false"
        ui.run_javascript(f"ragloom.reveal('inspector', {shown})")

    def add_node(self, kind: str) -> None:
        """Put a node of a type into the middle of the canvas."""
        self.canvas.add_at_centre(kind)

    def show_node(self, node: str) -> None:
        """Select a node and bring it to the middle."""
        self.canvas.select([node])
        self.canvas.centre_on(node)

    def _show_node(self) -> None:
        with self.root:
            self.inspector.show(
                self._facts(), read_only=self.read_only, found_by=self._run.found_by()
            )

    def _facts(self) -> NodeFacts | None:
        spec = self._editor.graph.nodes.get(self._node) if self._node else None
        if spec is None:
            return None
        step = self._run.steps.get(spec.id)
        return NodeFacts(
            node_id=spec.id,
            type=spec.type,
            title=self.titles()[spec.id][0],
            config=spec.config,
            disabled=spec.disabled,
            pinned=spec.pinned is not None,
            retries=spec.retries,
            timeout_s=spec.timeout_s,
            on_error=spec.on_error if isinstance(spec.on_error, str) else "fallback",
            problems=[p for p in self._editor.problems if p.node == spec.id],
            step=step.model_copy() if step else None,
            tokens=self._run.tokens.get(spec.id, ""),
            stale=spec.id in self._stale,
        )

    def overview(self) -> None:
        """Draw what the workflow is as a whole, for the inspector while no node is selected."""
        graph = self._editor.graph
        titles = self.titles()
        with parts.div("rl-overview"):
            note = ui.textarea(
                value=graph.description,
                placeholder="What this workflow is for",
                on_change=lambda e: self._apply(SetInfo(description=e.value or "")),
            ).props("debounce=400")
            note.props["aria-label"] = "Description"
            if self.read_only:
                note.props("readonly")
            with parts.div("rl-col rl-gap-4"):
                parts.label("Results", "rl-strong rl-small")
                outputs = graph.named_outputs(self._services.registry)
                for name, (node, port) in outputs.items():
                    row = parts.tag("button", "", "rl-end")
                    with row.on("click", lambda node=node: self.show_node(node)):
                        parts.tag("span", name, "rl-mono rl-small")
                        parts.tag("span", "from", "rl-muted rl-small")
                        title = titles.get(node, (node, ""))[0]
                        parts.tag("span", f"{title} · {port}", "rl-small rl-ellipsis")
                if not outputs:
                    parts.label("Nothing comes out yet.", "rl-muted rl-small")
            if not self.read_only:
                with parts.div("rl-keys"):
                    for what, key in (
                        ("Add a node", "Tab"), ("Run", "Ctrl Enter"), ("Undo", "Ctrl Z"), ("All keys", "?"),
                    ):  # fmt: skip
                        parts.tag("span", what, "rl-muted")
                        parts.tag("kbd", key)

    def changed(self, change: Change) -> None:
        """Follow an edit, of this tab or another one."""
        self._stale |= change.stale & self._run.steps.keys()
        with self.root:
            self.bar.set_inputs(run_inputs(self._editor.graph))
            self.drawer.show_problems(change.problems, self.titles())
        if self._node is not None and (self._node in change.nodes or self._node in change.stale):
            self._show_node()

    def _apply(self, op: Any) -> None:
        try:
            self._editor.apply([op])
        except Refused as error:
            self.canvas.refuse(str(error))

    def set_config(self, node: str, config: dict[str, Any]) -> None:
        """Write a node's settings."""
        self._apply(SetConfig(node=node, config=config))

    def rename(self, node: str, title: str) -> None:
        """Give a node a title."""
        self._apply(Rename(node=node, title=title))

    def set_policy(self, node: str, policy: dict[str, Any]) -> None:
        """Change how a node is run."""
        self._apply(SetPolicy(node=node, **policy))

    # ---- what the canvas asks for ----
    async def node_action(self, action: str, node: str) -> None:
        """Answer the canvas: run to here, open, show problems, pin."""
        if action == "run_to":
            await self.run_to(node)
        elif action == "open":
            ui.run_javascript("ragloom.panel('inspector', 'open')")
        elif action == "problems":
            self.drawer.open("Problems")
        elif action == "toggle_pinned":
            self._toggle_pinned(node)

    def _toggle_pinned(self, node: str) -> None:
        spec = self._editor.graph.nodes[node]
        step = self._run.steps.get(node)
        if spec.pinned is not None:
            self.set_policy(node, {"pinned": None})
        elif step is not None and step.status == "completed" and not step.truncated:
            self.set_policy(node, {"pinned": step.outputs})
        else:
            self.canvas.refuse("Run this node once; its output can be pinned then.")

    async def command(self, name: str) -> None:
        """Answer a key the canvas passed on."""
        if name == "save" and self._autosave is not None:
            await self._autosave.save_now()
        elif name == "run":
            await self.bar.press()

    # ---- runs ----
    async def history(self) -> Sequence[ExecutionView]:
        """The newest runs of this workflow."""
        page = await self._services.runs.list(
            workflow_id=self._workflow.workflow_id, limit=50, offset=0
        )
        return page.items

    async def run_to(self, node: str) -> None:
        """Run a node and what it needs."""
        await self.run(self.bar.values, targets=[node])
        self.canvas.select([node])
        self.inspector.open_data()

    async def run(self, values: dict[str, Any], targets: list[str] | None = None) -> None:
        """Start a run of the graph as it is on the screen."""
        if self.read_only or self._running:
            return
        self._running = True
        self.bar.running(True)
        try:
            state = await self._autosave.save_now() if self._autosave else None
            saved = state is not None and state.status == "saved"
            run_id = await self._services.runs.start(
                workflow_id=self._workflow.workflow_id,
                graph=None if saved else self._editor.dump(),
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
        problems = list(error.problems) or [
            Problem(code=error.code, message=error.message, fix=error.fix)
        ]
        self.drawer.show_problems(problems, self.titles())
        self.drawer.open("Problems")
        node = next((p.node for p in problems if p.node and p.severity == "error"), None)
        if node:
            self.show_node(node)

    async def stop(self) -> None:
        """Cancel the run."""
        if self._following:
            await self._services.runs.cancel(self._following)

    def open_output(self) -> None:
        """Show the result in the drawer."""
        self.drawer.open("Output")
        self.bar.hide()

    def _ended(self) -> None:
        self._running = False
        self._following = ""
        self.bar.running(False)

    def _follow(self, run_id: str) -> None:
        self._running = True
        self._following = run_id
        self.bar.running(True)
        self._run = RunState(run_id=run_id, status="running")
        self._board = RunBoard()
        self._stale = set()
        self.canvas.clear_statuses()
        with self.root:
            self.bar.show(self._run)
            live.follow(partial(self._watch, run_id), f"watch {run_id}")

    async def _watch(self, run_id: str) -> None:
        drawn = 0.0
        async for event in self._services.runs.watch(run_id):
            self._run.apply(event, self.titles())
            changed = self._board.feed(event)
            if changed:
                self.canvas.set_statuses(changed)
            if isinstance(event, TokenEvent) and time.monotonic() - drawn < _DRAW_S:
                continue
            drawn = time.monotonic()
            with self.root:
                self.bar.show(self._run, self._failed_node())
                if isinstance(event, RunFinished) or not isinstance(event, TokenEvent):
                    self.drawer.show_run(self._run, self.titles())
                if self._node is not None and getattr(event, "node_id", None) == self._node:
                    self._show_node()
            if isinstance(event, NodeFailedEvent):
                self.canvas.select([event.node_id])
                self.canvas.centre_on(event.node_id)
        with self.root:
            self._ended()
            self.bar.show(self._run, self._failed_node())
            self._show_node()

    def _failed_node(self) -> str | None:
        return next((n for n, s in self._run.steps.items() if s.status == "failed"), None)
