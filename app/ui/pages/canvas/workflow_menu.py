"""The top bar of the canvas page: how saving goes, and what can be done with the workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from nicegui import ui

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.exports.svg import Theme
from app.services.views import WorkflowView
from app.ui import parts, tour
from app.ui.canvas.editor import Change, GraphEditor
from app.ui.canvas.ops import SetInfo
from app.ui.canvas.saving import Autosave, SaveState
from app.ui.frame import Frame
from app.ui.pages.canvas.pipeline_use import PipelineUse
from app.ui.pages.canvas.sessions import Sessions
from app.ui.pages.importing import import_file
from app.ui.person import person_name

_WORDS = {
    "saved": ("cloud_done", "Saved"),
    "unsaved": ("edit", "Saving soon"),
    "saving": ("sync", "Saving…"),
    "conflict": ("call_split", "Conflict"),
    "failed": ("error_outline", "Not saved"),
}


#: Icon, name and use of each format.
_FORMATS = {
    "json": ("data_object", "Workflow file (JSON)", "To keep, share, or import again."),
    "png": ("image", "Picture (PNG)", "For slides and documents."),
    "svg": ("draw", "Picture (SVG)", "Sharp at any size."),
    "mermaid": ("schema", "Diagram (Mermaid)", "For Markdown that draws diagrams."),
    "python": (
        "code",
        "Program (Python)",
        "Runs the workflow with the engine, without the server.",
    ),
}
_ENTRY = (
    "grid-template-columns: 24px 1fr; width: 100%; border-width: 0; background: none; "
    "font: inherit; text-align: left; padding-block: 10px"
)


class WorkflowMenu:
    """Save state with the choices of a conflict; rename, duplicate, export, import, delete."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        workflow: WorkflowView,
        editor: GraphEditor,
        autosave: Autosave | None,
    ) -> None:
        self._services, self._sessions, self._workflow = services, sessions, workflow
        self._editor, self._autosave = editor, autosave
        self._pipeline: PipelineUse | None = None

    def build(self, bar: Frame, *, read_only: bool) -> None:
        """Fill the bar."""
        self._bar = bar
        if self._autosave is not None:
            with bar.beside:
                self._state = parts.div("rl-save").mark("save-state")
            self._show_state(self._autosave.state)
            with bar.beside:
                self._pipeline = PipelineUse(
                    self._services, self._workflow, self._editor, self._autosave
                )
            forget = [
                self._autosave.listen(self._show_state),
                self._editor.subscribe(self._renamed),
            ]
            bar.beside.client.on_delete(lambda: [stop() for stop in forget])
            with bar.beside:
                save = parts.tag("button", "", "rl-hidden").props("data-rl-key=save tabindex=-1")
                save.on("click", self._autosave.save_now)
        with bar.actions:
            if not read_only:
                tour.offer()
            parts.bare("Chat", self._go("chat"), icon="chat_bubble_outline").mark("chat").classes(
                "rl-wide-only"
            )
            parts.icon_button("history", "History", self._go("history")).mark("history").classes(
                "rl-wide-only"
            )
            parts.icon_button("file_download", "Export as JSON", self.export).mark("export")
            with parts.icon_button("more_horiz", "More").mark("more"), ui.menu():
                if not read_only:
                    ui.menu_item("Rename", self.rename)
                ui.menu_item("Duplicate", self.duplicate)
                ui.menu_item("Copy link", self.copy_link)
                ui.separator()
                ui.menu_item("Chat and share", self._go("chat"))
                ui.menu_item("History", self._go("history"))
                ui.menu_item("Automation", self._go("automation"))
                ui.menu_item("Batch", self._go("batch"))
                if self._pipeline is not None:
                    ui.menu_item("Use as pipeline of a knowledge base…", self._pipeline.ask).mark(
                        "as-pipeline"
                    )
                ui.separator()
                ui.menu_item("Export as…", self.export_as)
                ui.menu_item("Import a workflow", lambda: import_file(self._services))
                if not read_only:
                    ui.menu_item("Show me around", lambda: ui.run_javascript(tour.script()))
                    ui.separator()
                    ui.menu_item("Delete", self.delete)

    def _show_state(self, state: SaveState) -> None:
        icon, words = _WORDS[state.status]
        self._state.clear()
        bad = state.status in ("conflict", "failed")
        self._state.classes(add="rl-is-danger") if bad else self._state.classes(
            remove="rl-is-danger"
        )
        with self._state:
            ui.icon(icon)
            parts.tag("span", words)
            if state.message:
                ui.tooltip(f"{state.message} {state.fix}".strip())
            if state.status == "conflict":
                parts.tag("button", "Keep mine", "rl-more").on("click", self._keep_mine)
                parts.tag("button", "Load theirs", "rl-more").on("click", self._take_theirs)

    async def _keep_mine(self) -> None:
        if self._autosave is not None:
            newest = await self._services.workflows.get(self._workflow.workflow_id)
            await self._autosave.keep_mine(newest.revision)

    async def _take_theirs(self) -> None:
        if self._autosave is not None:
            newest = await self._services.workflows.get(self._workflow.workflow_id)
            self._autosave.take_theirs(Graph.parse(newest.graph), newest.revision)

    def _renamed(self, change: Change) -> None:
        name = self._editor.graph.name
        crumb = self._bar.crumbs[-1]
        for child in crumb.default_slot.children[:1]:
            if getattr(child, "text", name) != name:
                child.text = name  # type: ignore[attr-defined]

    async def rename(self) -> None:
        """Ask for a new name."""
        name = await parts.prompt("Rename the workflow", "Name", self._editor.graph.name)
        if name:
            self._editor.apply([SetInfo(name=name)])

    async def duplicate(self) -> None:
        """Make a copy and open it."""
        graph = self._editor.dump()
        graph["graph"]["name"] = f"{graph['graph']['name']} copy"
        try:
            copy = await self._services.workflows.create(graph, author=await person_name())
        except RagloomError as error:
            parts.failed(error)
            return
        ui.navigate.to(f"/workflows/{copy.workflow_id}")

    def export(self) -> None:
        """Download the workflow file, as it is on the screen."""
        name = re.sub(r"[^\w.-]+", "-", self._editor.graph.name.strip().lower()).strip("-")
        content = json.dumps(self._editor.dump(), ensure_ascii=False, indent=2) + "\n"
        ui.download.content(content, f"{name or 'workflow'}.json", "application/json")

    async def export_as(self) -> None:
        """Ask for a format, and download the workflow in it, as it is on the screen."""
        with parts.dialog("Export the workflow") as box:
            dark = ui.checkbox("Pictures in the colours of the dark theme")
            with parts.div("rl-list").style("flex: none"):
                for format, (icon, name, hint) in _FORMATS.items():
                    choose = partial(box.submit, format)
                    with parts.tag("button", "", "rl-list-row rl-click") as entry:
                        ui.icon(icon).classes("rl-muted").style("font-size: 20px")
                        with parts.div("rl-col").style("gap: 0; align-items: flex-start"):
                            parts.label(name, "rl-strong")
                            parts.label(hint, "rl-muted rl-small")
                    entry.props('type="button"').style(_ENTRY)
                    entry.on("click", choose).mark(f"export-{format}")
            with parts.div("rl-dialog-actions"):
                parts.bare("Close", lambda: box.submit(None))
        format = await parts.ask(box)
        if format is None:
            return
        theme: Theme = "dark" if dark.value else "light"
        try:
            made = await self._services.exports.export(
                self._editor.dump(), str(format), theme=theme
            )
        except RagloomError as error:
            parts.failed(error)
            return
        ui.download.content(made.content, made.filename, made.media_type)

    def copy_link(self) -> None:
        """Put the address of this workflow on the clipboard."""
        ui.run_javascript("ragloom.copy(location.origin + location.pathname)")
        parts.toast("The link was copied.")

    def _go(self, page: str) -> Callable[[], None]:
        address = f"/workflows/{quote(self._workflow.workflow_id)}/{page}"
        return lambda: ui.navigate.to(address)

    async def delete(self) -> None:
        """Delete; the list offers to undo it."""
        try:
            await self._sessions.delete(self._workflow.workflow_id)
        except RagloomError as error:
            parts.failed(error)
            return
        ui.navigate.to(f"/workflows?undo={quote(self._workflow.workflow_id)}")
