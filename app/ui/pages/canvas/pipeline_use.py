"""On the canvas: the knowledge bases whose files go through this workflow."""

from __future__ import annotations

from nicegui import ui

from app.engine.problems import InvalidWorkflow, RagloomError
from app.services.container import Services
from app.services.ingestion.trials import fills
from app.services.views import WorkflowView
from app.ui import live, parts, text
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.saving import Autosave, SaveState

_MOST = 200


class PipelineUse:
    """A sign beside the workflow's name, and the dialog that puts the workflow to use."""

    def __init__(
        self,
        services: Services,
        workflow: WorkflowView,
        editor: GraphEditor,
        autosave: Autosave,
    ) -> None:
        self._services, self._workflow = services, workflow
        self._editor, self._autosave = editor, autosave
        self._revision = 0
        #: Knowledge base -> revision in use, and its name.
        self._users: dict[str, tuple[int, str]] = {}
        self._sign = parts.div("rl-pipeline rl-hidden").mark("pipeline-sign")
        live.follow(self._read, f"pipelines of {workflow.workflow_id}")
        stop = autosave.listen(self._saved)
        self._sign.client.on_delete(stop)

    async def _read(self) -> None:
        users = await self._services.pipelines.users_of(self._workflow.workflow_id)
        found = {}
        for kb, revision in users.items():
            found[kb] = (revision, (await self._services.knowledge.get(kb)).name)
        self._users = found
        self._draw()

    def _saved(self, state: SaveState) -> None:
        if state.revision != self._revision:
            self._draw()

    def _draw(self) -> None:
        if self._sign.is_deleted:
            return
        self._revision = self._autosave.state.revision
        self._sign.clear()
        self._sign.classes(remove="rl-hidden") if self._users else self._sign.classes("rl-hidden")
        if not self._users:
            return
        behind = [kb for kb, (revision, _) in self._users.items() if revision != self._revision]
        names = [name for _, name in self._users.values()]
        words = names[0] if len(names) == 1 else text.count(len(names), "knowledge base")
        with self._sign:
            with ui.icon("account_tree"):
                ui.tooltip(f"Files of {', '.join(names)} go through this workflow.")
            parts.tag("span", f"Pipeline of {words}", "rl-ellipsis")
            if behind:
                button = parts.tag("button", "Use these changes", "rl-more").mark("use-changes")
                button.on("click", lambda: self._use_again(behind))
                with button:
                    ui.tooltip("Files still go through an earlier version.")

    async def _use_again(self, bases: list[str]) -> None:
        for kb in bases:
            if not await self._use(kb):
                return
        parts.toast("Files go through the workflow as it is now from now on.")

    async def _use(self, kb: str) -> bool:
        state = await self._autosave.save_now()
        if state.status != "saved":
            parts.toast(state.message or "The workflow is not saved yet.", tone="danger")
            return False
        try:
            await self._services.pipelines.use(kb, self._workflow.workflow_id)
        except InvalidWorkflow as error:
            await _explain(error)
            return False
        except RagloomError as error:
            parts.failed(error)
            return False
        await self._read()
        return True

    async def ask(self) -> None:
        """Ask for a knowledge base, and have its files go through this workflow."""
        page = await self._services.knowledge.list(limit=_MOST, offset=0)
        if not page.items:
            parts.toast("There is no knowledge base yet.", tone="danger")
            return
        names = {kb.knowledge_base_id: kb.name for kb in page.items}
        wanted = fills(self._editor.graph)
        first = next((kb for kb, name in names.items() if wanted in (kb, name)), next(iter(names)))
        with parts.dialog("Use as pipeline of a knowledge base") as box:
            parts.label(
                "Files that come in from now on go through this workflow, as it is now. Later "
                "changes of it count once you use them.",
                "rl-muted",
            )
            chosen = ui.select(names, value=first, label="Knowledge base", with_input=True)
            chosen.classes("rl-grow").mark("pipeline-kb")
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: box.submit(None))
                parts.primary("Use it", lambda: box.submit(chosen.value)).mark("use-pipeline")
        kb = await parts.ask(box)
        if not kb or not await self._use(str(kb)):
            return
        parts.toast(f"Files of “{names[str(kb)]}” go through this workflow from now on.")


async def _explain(error: InvalidWorkflow) -> None:
    """Every reason why a workflow cannot serve, with what would mend it."""
    with parts.dialog("This workflow cannot be a pipeline yet") as box:
        with parts.div("rl-col"):
            for problem in error.problems:
                with parts.notice("warn", problem.message, problem.fix):
                    pass
        with parts.div("rl-dialog-actions"):
            parts.primary("Close", lambda: box.submit(None))
    await parts.ask(box)
