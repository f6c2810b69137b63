"""The list of workflows: the home page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.views import WorkflowView
from app.services.workflows import templates
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.frame import frame
from app.ui.pages.canvas.sessions import Sessions
from app.ui.pages.common import MoreList, run_badge
from app.ui.pages.importing import import_file
from app.ui.pages.templates import preview
from app.ui.person import person_name
from app.ui.thumbnail import thumbnail


def blank(name: str) -> dict[str, Any]:
    """A workflow file without nodes."""
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": name, "description": "", "outputs": {}},
        "nodes": [],
        "edges": [],
    }


def graphs_in(listed: Sequence[WorkflowView], full: Sequence[WorkflowView]) -> list[WorkflowView]:
    """Entries of a list with their graphs filled in."""
    return [
        one.model_copy(update={"graph": whole.graph})
        for one, whole in zip(listed, full, strict=True)
    ]


def register(get_services: Callable[[], Services], sessions: Sessions) -> None:
    """Add the page."""

    @ui.page("/", response_timeout=30)
    async def workflows_page(undo: str = "") -> None:
        services = get_services()
        with frame(services, "Workflows"):
            await WorkflowList(services, sessions).build(undo)

    @ui.page("/workflows", response_timeout=30)
    async def workflows_alias() -> None:
        ui.navigate.to("/")


class WorkflowList:
    """The cards, and what can be done with each."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services, self._sessions = services, sessions

    async def build(self, undo: str) -> None:
        """Show the list; `undo` is the id of a workflow that was just deleted."""
        with parts.div("rl-toolbar"):
            self._search = ui.input(placeholder="Filter by name").props("debounce=200 clearable")
            self._search.classes("rl-filter").on_value_change(self._refresh)
            parts.div("rl-grow")
            parts.quiet("Ask my own files", lambda: ui.navigate.to("/begin"), icon="note_add")
            parts.quiet("Templates", lambda: ui.navigate.to("/templates"), icon="dashboard")
            parts.quiet("Import", partial(import_file, self._services), icon="upload_file")
            with parts.primary("New workflow", icon="add").mark("new-workflow"), ui.menu():
                ui.menu_item("Empty canvas", self._create_blank)
                ui.menu_item("Ask my own files", lambda: ui.navigate.to("/begin"))
                ui.separator()
                for template in templates.templates()[:5]:
                    ui.menu_item(template.name, partial(preview, self._services, template))
                ui.menu_item("All templates…", lambda: ui.navigate.to("/templates")).mark(
                    "all-templates"
                )
                ui.separator()
                ui.menu_item("Import a file…", partial(import_file, self._services))
        with (
            parts.div() as self._nothing,
            parts.empty(
                "account_tree",
                "No workflow here yet",
                "A workflow is a graph of steps: a question comes in, passages are found, an "
                "answer with citations comes out.",
            ),
        ):
            parts.primary("Ask my own files", lambda: ui.navigate.to("/begin"), icon="note_add")
            parts.quiet("Templates", lambda: ui.navigate.to("/templates"), icon="dashboard")
            parts.quiet("Empty canvas", self._create_blank)
        self._listing = MoreList(self._load, self._card, step=48)
        self._listing.room.classes("rl-cards")
        await self._refresh()
        if undo:
            self._offer_undo("The workflow", undo)

    async def _load(self, limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await self._services.workflows.list(
            limit=limit, offset=offset, text=self._search.value or ""
        )
        graphs = await asyncio.gather(
            *(self._services.workflows.get(w.workflow_id) for w in page.items)
        )
        return graphs_in(page.items, graphs), page.total

    async def _refresh(self) -> None:
        total = await self._listing.reset()
        hide = total or self._search.value
        self._nothing.classes(add="rl-hidden") if hide else self._nothing.classes(
            remove="rl-hidden"
        )

    async def _create(self, graph: dict[str, Any]) -> None:
        try:
            workflow = await self._services.workflows.create(graph, author=await person_name())
        except RagloomError as error:
            parts.failed(error)
            return
        ui.navigate.to(f"/workflows/{workflow.workflow_id}")

    async def _create_blank(self) -> None:
        await self._create(blank("Untitled workflow"))

    async def _duplicate(self, workflow: WorkflowView) -> None:
        graph = (await self._services.workflows.get(workflow.workflow_id)).graph
        if graph is not None:
            await self._create(
                {**graph, "graph": {**graph["graph"], "name": f"{workflow.name} copy"}}
            )

    async def _delete(self, workflow: WorkflowView) -> None:
        try:
            await self._sessions.delete(workflow.workflow_id)
        except RagloomError as error:
            parts.failed(error)
            return
        self._offer_undo(f"“{workflow.name}”", workflow.workflow_id)
        await self._refresh()

    def _offer_undo(self, name: str, workflow_id: str) -> None:
        async def back() -> None:
            with Expecting("not_found") as met:
                await self._sessions.bring_back(workflow_id)
            if met.error:
                parts.failed(met.error)
            await self._refresh()

        parts.toast(f"{name} was deleted.", undo=back)

    def _card(self, workflow: WorkflowView) -> None:
        with parts.link(f"/workflows/{workflow.workflow_id}", "rl-card"):
            with parts.div("rl-thumb").props("aria-hidden=true"):
                # Numbers and names of our own colours only: nothing of the file is in it as text.
                ui.html(thumbnail(workflow.graph or {}, self._services.registry), sanitize=False)
            with parts.div("rl-row"):
                parts.label(workflow.name, "rl-strong rl-ellipsis rl-grow")
                more = parts.icon_button("more_horiz", "More")
                more.on("click", js_handler="(e) => { e.preventDefault(); e.stopPropagation() }")
                with more, ui.menu():
                    chat = f"/workflows/{workflow.workflow_id}/chat"
                    ui.menu_item("Chat", lambda: ui.navigate.to(chat))
                    ui.menu_item("Duplicate", partial(self._duplicate, workflow))
                    ui.menu_item("Delete", partial(self._delete, workflow)).mark("delete")
            description = workflow.description or "No description."
            parts.label(description, "rl-muted rl-small rl-clamp rl-card-text")
            with parts.div("rl-row rl-wrap").style("margin-top: auto"):
                parts.label(text.count(workflow.node_count, "node"), "rl-muted rl-small")
                parts.div("rl-grow")
                last = workflow.last_run
                if last:
                    run_badge(str(last.get("status", "")))
                    parts.moment(last.get("started_at"))
                else:
                    parts.label("Not run yet", "rl-muted rl-small")
