"""Open workflows: one editor each for all tabs, saved by itself, with its unsaved edits on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from app.engine.graph import Graph
from app.engine.problems import Problem, RagloomError
from app.services.container import Services
from app.services.views import WorkflowView
from app.ui.canvas.drafts import Drafts
from app.ui.canvas.editor import Change, GraphEditor
from app.ui.canvas.history import ELSEWHERE
from app.ui.canvas.hub import EditorHub
from app.ui.canvas.ops import ReplaceGraph
from app.ui.canvas.saving import Autosave, SaveCall, SaveState
from app.ui.person import NOBODY

log = logging.getLogger(__name__)

#: Seconds without an edit after which models and inner workflows are looked at.
_LOOK_AFTER_S = 0.4
#: More names than this in one revision say little.
_MOST_AUTHORS = 4


class _Session(Autosave):
    """Knows who edited since it was last saved, and has what lies around the graph looked at."""

    def __init__(
        self,
        editor: GraphEditor,
        save: SaveCall,
        *,
        on_state: Callable[[SaveState], None],
        look_around: Callable[[Graph], Awaitable[list[Problem]]],
    ) -> None:
        self._authors: dict[str, None] = {}
        self._look_around = look_around
        #: Whether something was saved elsewhere since the last look began.
        self._again = False
        self._looking = asyncio.create_task(self._look(0.0), name="look around")
        super().__init__(editor, save, on_state=on_state)

    def close(self) -> None:
        """Stop saving and looking."""
        self._looking.cancel()
        super().close()

    def take_authors(self) -> list[str]:
        """The names of those who did, for the revision that is saved now."""
        names, self._authors = list(self._authors), {}
        return names

    def give_back(self, names: list[str]) -> None:
        """It was not saved: their edits are part of the next revision."""
        self._authors = {**dict.fromkeys(names), **self._authors}

    def _edited(self, change: Change) -> None:
        if change.by is not None and change.graph_changed:
            self._authors[change.by.name] = None
        if change.stale:
            self.look_around(_LOOK_AFTER_S)
        super()._edited(change)

    def look_around(self, pause_s: float = 0.0) -> None:
        """Have models and inner workflows looked at anew after a pause."""
        self._looking.cancel()
        self._looking = asyncio.create_task(self._look(pause_s), name="look around")

    def saved_elsewhere(self) -> None:
        """Look again, however often others save: a look that is under way is not given up."""
        self._again = True
        if self._looking.done():
            self.look_around(_LOOK_AFTER_S)

    async def _look(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        self._again = True
        while self._again:
            self._again = False
            try:
                self.editor.tell_around(await self._look_around(self.editor.graph))
            except Exception:
                # The graph is edited and saved all the same, and a run says what keeps it.
                log.exception("what lies around a workflow could not be checked")
            if self._again:
                await asyncio.sleep(_LOOK_AFTER_S)


class Sessions:
    """Editors by workflow."""

    def __init__(self, get_services: Callable[[], Services]) -> None:
        self._get_services = get_services
        self._hub = EditorHub()
        self._saving: WeakValueDictionary[str, _Session] = WeakValueDictionary()
        self._listens = False

    async def open(self, workflow: WorkflowView) -> Autosave:
        """The editor of a workflow, with edits restored that were not saved before a stop."""
        services = self._get_services()
        if not self._listens:
            self._listens = True
            services.workflows.on_change(self._changed)
        workflow_id = workflow.workflow_id
        drafts = Drafts(Path(services.settings.data) / "drafts")

        async def save(graph: dict[str, object], base_revision: int) -> int:
            session = self._saving[workflow_id]
            names = session.take_authors()
            author = ", ".join(names[:_MOST_AUTHORS]) or NOBODY
            try:
                saved = await self._get_services().workflows.save(
                    workflow_id, graph, base_revision, author
                )
            except BaseException:
                session.give_back(names)
                raise
            return saved.revision

        async def opener() -> Autosave:
            draft = drafts.read(workflow_id)
            if draft is not None and draft.graph == workflow.graph:
                draft = None  # it was saved, and the server killed before that was noted
            editor = GraphEditor(
                Graph.parse(workflow.graph),
                services.registry,
                revision=draft.revision if draft else workflow.revision,
                on_change=lambda graph: _kept(
                    lambda: drafts.write(workflow_id, graph, editor.revision)
                ),
            )

            def settled(state: SaveState) -> None:
                if state.status == "saved":
                    _kept(lambda: drafts.clear(workflow_id))
                    _kept(lambda: drafts.write_history(workflow_id, editor.dump_history()))

            editor.restore_history(drafts.read_history(workflow_id))
            autosave = _Session(
                editor,
                save,
                on_state=settled,
                look_around=lambda graph: services.workflows.problems_around(graph, workflow_id),
            )
            self._saving[workflow_id] = autosave
            if draft is not None:
                # Saved after the usual pause; where somebody saved meanwhile, that asks first.
                editor.apply(
                    [ReplaceGraph(graph=draft.graph, label="Restore edits", allow_empty=True)]
                )
            return autosave

        known = self._saving.get(workflow_id)
        autosave = await self._hub.open(workflow_id, opener)
        if autosave is known:  # while nobody had it open, nothing was looked at
            known.look_around()
        return autosave

    async def settle(self, workflow_id: str) -> int | None:
        """Save what was edited and not saved yet; the newest revision, None if nobody edits.

        Raises RagloomError “conflict” where that cannot be saved.
        """
        session = self._saving.get(workflow_id)
        if session is None or self._hub.get(workflow_id) is not session.editor:
            return None
        state = await session.save_now()
        if state.status in ("conflict", "failed"):
            raise RagloomError(
                "The workflow is open on a canvas with edits that are not saved.",
                code="conflict",
                fix="Open it, settle that there, and try again.",
            )
        return state.revision

    def adopt(self, workflow_id: str, graph: dict[str, Any], revision: int) -> None:
        """Show a revision that was made elsewhere on the canvases that are open; undo works."""
        editor = self._hub.get(workflow_id)
        if editor is not None and editor.revision != revision:
            editor.adopt(Graph.parse(graph), revision, label="Restore a version")

    def _changed(self, workflow_id: str, workflow: WorkflowView | None) -> None:
        for id_, session in list(self._saving.items()):
            # Workflows may run this one; one subscriber is the saving itself.
            if id_ != workflow_id and session.editor.viewers > 1 and self._holds_any(session):
                session.saved_elsewhere()
        if workflow is not None:
            self._saved(workflow)

    def _holds_any(self, session: _Session) -> bool:
        """Whether a node may run another workflow."""
        registry = self._get_services().registry
        types = {spec.type for spec in session.editor.graph.nodes.values()}
        return any(cls is not None and cls.has_body for cls in map(registry.get, types))

    def _saved(self, workflow: WorkflowView) -> None:
        """Show what was saved elsewhere where nothing of one's own is in the way; undo works."""
        session = self._saving.get(workflow.workflow_id)
        if session is None or self._hub.get(workflow.workflow_id) is not session.editor:
            return
        editor = session.editor
        # While it saves itself, or asks which version to keep, this is nothing new.
        clean = session.state.status == "saved" and not editor.dirty
        if clean and workflow.revision > editor.revision:
            editor.adopt(Graph.parse(workflow.graph), workflow.revision, label=ELSEWHERE)

    async def delete(self, workflow_id: str) -> None:
        """Delete a workflow with what was edited last; `bring_back` undoes it."""
        services = self._get_services()
        session = self._saving.get(workflow_id)
        if session is not None and self._hub.get(workflow_id) is session.editor:
            await session.save_now()
        await services.workflows.delete(workflow_id)
        self._hub.close(workflow_id)

    async def bring_back(self, workflow_id: str) -> None:
        """Undo a deletion."""
        await self._get_services().workflows.bring_back(workflow_id)


def _kept(write: Callable[[], None]) -> None:
    """Write beside the database. On a full disk editing goes on, and saving says what is wrong."""
    try:
        write()
    except OSError as error:
        log.warning("Edits could not be written to disk: %s", error)
