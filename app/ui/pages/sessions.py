"""Open workflows: one editor each for all tabs, saved by itself, with its unsaved edits on disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from app.engine.graph import Graph
from app.services.container import Services
from app.services.views import WorkflowView
from app.ui.canvas.drafts import Drafts
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.hub import EditorHub
from app.ui.canvas.ops import ReplaceGraph
from app.ui.canvas.saving import Autosave, SaveState


class Sessions:
    """Editors by workflow, and what was deleted last, for its undo."""

    def __init__(self, get_services: Callable[[], Services]) -> None:
        self._get_services = get_services
        self._hub = EditorHub()
        self._deleted: dict[str, WorkflowView] = {}

    async def open(self, workflow: WorkflowView) -> Autosave:
        """The editor of a workflow, with edits restored that were not saved before a stop."""
        services = self._get_services()
        workflow_id = workflow.workflow_id
        drafts = Drafts(Path(services.settings.data) / "drafts")

        async def save(graph: dict[str, object], base_revision: int) -> int:
            saved = await self._get_services().workflows.save(
                workflow_id, graph, base_revision, "page"
            )
            return saved.revision

        async def opener() -> Autosave:
            draft = drafts.read(workflow_id)
            editor = GraphEditor(
                Graph.parse(workflow.graph),
                services.registry,
                revision=draft.revision if draft else workflow.revision,
                on_change=lambda graph: drafts.write(workflow_id, graph, editor.revision),
            )

            def settled(state: SaveState) -> None:
                if state.status == "saved":
                    drafts.clear(workflow_id)
                    drafts.write_history(workflow_id, editor.dump_history())

            editor.restore_history(drafts.read_history(workflow_id))
            autosave = Autosave(editor, save, on_state=settled)
            if draft is not None and draft.graph != workflow.graph:
                # Saved after the usual pause; where somebody saved meanwhile, that asks first.
                editor.apply(
                    [ReplaceGraph(graph=draft.graph, label="Restore edits", allow_empty=True)]
                )
            return autosave

        return await self._hub.open(workflow_id, opener)

    async def delete(self, workflow_id: str) -> str:
        """Delete a workflow; return a token that `restore` takes."""
        services = self._get_services()
        workflow = await services.workflows.get(workflow_id)
        editor = self._hub.get(workflow_id)
        if editor is not None:
            workflow = workflow.model_copy(update={"graph": editor.dump()})
        await services.workflows.delete(workflow_id)
        self._hub.close(workflow_id)
        Drafts(Path(services.settings.data) / "drafts").forget(workflow_id)
        token = secrets.token_urlsafe(8)
        self._deleted[token] = workflow
        while len(self._deleted) > 20:
            del self._deleted[next(iter(self._deleted))]
        return token

    def deleted(self, token: str) -> WorkflowView | None:
        """What was deleted under a token."""
        return self._deleted.get(token)

    async def restore(self, token: str) -> None:
        """Bring a deleted workflow back, as a new one with the same graph."""
        workflow = self._deleted.pop(token, None)
        if workflow is not None and workflow.graph is not None:
            await self._get_services().workflows.create(workflow.graph, author="page")
