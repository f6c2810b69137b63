"""Another embedding model for a knowledge base: on a copy first, which then becomes what is used.

A copy is a branch; that word is the one of REST and of workflows.
"""

from __future__ import annotations

import asyncio

from nicegui import ui

from app.services.container import Services
from app.services.ingestion.processing import KnowledgeConfig
from app.services.ingestion.reembed import ReembeddingView
from app.services.knowledge.adoption import MAIN, Adoption, Side
from app.services.views import BranchView, DeletedBranch, KnowledgeBaseView
from app.ui import live, parts, person, text
from app.ui.expecting import Expecting
from app.ui.forms import Choices
from app.ui.pages.knowledge.processing_form import ProcessingForm, said_in_place

#: Settings that cannot change while there are documents.
SETTINGS = ("embedding_model", "language_models")
_POLL_S = 1.0
_STATES = {
    "running": "is being embedded",
    "paused": "waits to be embedded",
    "completed": "is embedded",
    "failed": "failed to be embedded",
    "stopped": "was stopped while it was embedded",
}


async def build(services: Services, kb: KnowledgeBaseView, choices: Choices) -> None:
    """Fill the part of the settings."""
    kb_id = kb.knowledge_base_id
    parts.tag("h2", "Another embedding model", "rl-strong rl-form-part")
    parts.label(
        "Try it on a copy of this knowledge base. Everybody goes on with what is here, and you can "
        "try the copy under Search, until you choose to use it. Files are not read again.",
        "rl-muted rl-small",
    )
    others = [name for name in KnowledgeConfig.model_fields if name not in SETTINGS]
    form = ProcessingForm(kb.config, choices, model=KnowledgeConfig, without=others)
    parts.label("Name of the copy", "rl-field-title")
    with parts.div("rl-row rl-wrap"):
        name = ui.input(value="other-model").props('aria-label="Name of the copy"')
        with name.style("width: 200px"):
            ui.tooltip("For REST and workflows the copy is a branch of this name.")
        go = parts.quiet("Make the copy").mark("reembed")
    said, room = parts.div("rl-col"), parts.div("rl-col").mark("copies")
    shown: dict[str, _Copy] = {}

    def show(branch: str) -> None:
        if branch in shown:
            shown[branch].follow()
            return
        with room:
            shown[branch] = _Copy(services, kb_id, branch)

    async def start() -> None:
        branch = (name.value or "").strip()

        async def begin() -> None:
            await services.reembedding.start(
                kb_id,
                str(form.values.get("embedding_model") or "default"),
                branch,
                language_models=form.values.get("language_models") or {},
                author=await person.person_name(),
            )

        if await said_in_place(said, begin):
            show(branch)

    go.on_click(start)
    for branch in await services.knowledge.branches(kb_id):
        view = await _found(services, kb_id, branch)
        if view is not None and (branch != MAIN or view.status != "completed"):
            show(branch)


async def _found(services: Services, kb: str, branch: str) -> ReembeddingView | None:
    with Expecting("not_found"):
        return await services.reembedding.get(kb, branch)
    return None


class _Copy:
    """How far a copy is, and what can be done with it."""

    def __init__(self, services: Services, kb: str, branch: str) -> None:
        self._services, self._kb, self._branch = services, kb, branch
        self._following = False
        with parts.div("rl-row rl-wrap") as self._row:
            self._words = parts.label("", "rl-small rl-grow").style("min-width: min(100%, 240px)")
            with parts.div("rl-row"):
                self._stop = parts.bare("Stop", self._break_off)
                self._use = parts.quiet("Use this copy", self._ask).mark("adopt")
                self._used = parts.badge("taken over", "ok")
                with self._used:
                    ui.tooltip("This knowledge base holds all of it by now.")
                self._delete = parts.icon_button(
                    "delete_outline", "Delete this copy", self._ask_delete
                ).mark("delete-copy")
        for element in (self._stop, self._use, self._used, self._delete):
            element.classes("rl-hidden")
        self.follow()

    def follow(self) -> None:
        """Tell how it goes until it has ended."""
        if not self._following:
            self._following = True
            live.follow(self._watch, f"embedding of {self._branch}")

    async def _watch(self) -> None:
        try:
            while not self._row.is_deleted:
                view = await _found(self._services, self._kb, self._branch)
                if view is None:  # What there was before was brought back.
                    self._row.classes("rl-hidden")
                    return
                whole = view.status == "completed" and self._branch != MAIN
                used = whole and await self._services.adoption.is_used(self._kb, self._branch)
                with self._row:
                    self._tell(view, whole=whole, used=used)
                if view.status not in ("running", "paused"):
                    return
                await asyncio.sleep(_POLL_S)
        finally:
            self._following = False

    def _tell(self, view: ReembeddingView, *, whole: bool, used: bool) -> None:
        what = "This knowledge base" if self._branch == MAIN else f"“{self._branch}”"
        documents = text.count(view.documents, "document")
        words = (
            f"{what} {_STATES[view.status]} by {view.embedding_model}: {view.done} of {documents}."
        )
        if view.error:
            words += " " + " ".join(parts.error_words(view.error))
        self._words.text = words
        going = view.status in ("running", "paused")
        self._row.classes(remove="rl-hidden")
        for element, there in (
            (self._stop, going), (self._use, whole and not used), (self._used, used),
            (self._delete, self._branch != MAIN),
        ):  # fmt: skip
            element.classes(**{"remove" if there else "add": "rl-hidden"})

    async def _break_off(self) -> None:
        await self._services.reembedding.stop(self._kb, self._branch)

    async def _ask(self) -> None:
        if await parts.confirm(
            f"Use the copy “{self._branch}” from now on?",
            "Everybody then searches what is in the copy, with its model: pages, chats and "
            "workflows. What was added or corrected here meanwhile stays and is embedded by that "
            "model, too. Under History you can go back to how it is now.",
            "Use the copy",
            undoable=True,
        ):
            await self._adopt(None)

    async def _adopt(self, prefer: Side | None) -> None:
        author = await person.person_name()
        with Expecting() as met:
            done = await self._services.adoption.adopt(
                self._kb, self._branch, prefer=prefer, author=author
            )
        if met.error:
            if met.code == "merge_conflict" and prefer is None:
                await self._choose(parts.error_words(met.error)[0])
            else:
                parts.failed(met.error)
            return
        with self._row:
            parts.toast(f"“{self._branch}” is in use.", undo=lambda: self._back(done))
            self.follow()

    async def _ask_delete(self) -> None:
        with Expecting() as met:
            copy = await self._services.branches.get(self._kb, self._branch)
            if await parts.confirm(
                f"Delete the copy “{self._branch}”?", _what_is_lost(copy), "Delete the copy"
            ):
                deleted = await self._services.branches.delete(self._kb, self._branch)
                with self._row:
                    self._row.classes("rl-hidden")
                    parts.toast(
                        f"The copy “{self._branch}” is deleted.",
                        undo=lambda: self._bring_back(deleted),
                    )
        if met.error:
            parts.failed(met.error)

    async def _bring_back(self, deleted: DeletedBranch) -> None:
        with Expecting() as met:
            await self._services.branches.bring_back(self._kb, deleted)
        if met.error:
            parts.failed(met.error)
            return
        with self._row:
            self.follow()

    async def _choose(self, changed: str) -> None:
        """Both sides changed a document: ask whose version to take."""
        with parts.dialog("Some documents were changed both here and in the copy") as box:
            parts.label(changed)
            parts.label("Which of them do you want? The others stay in the history.", "rl-muted")
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: box.submit(None))
                parts.quiet("Those that are here", lambda: box.submit("main"))
                parts.quiet("Those of the copy", lambda: box.submit("branch"))
        prefer = await parts.ask(box)
        if prefer is not None:
            await self._adopt(prefer)

    async def _back(self, done: Adoption) -> None:
        if await go_back(self._services, self._kb, done.before):
            self.follow()


def _what_is_lost(copy: BranchView) -> str:
    if copy.taken_over:
        return "Nothing is lost: this knowledge base holds all of it by now."
    lost = [
        f"the vectors of {copy.embedding_model} for {text.count(copy.document_count, 'document')}",
        "whatever was corrected only there",
    ]
    if copy.only_here:
        lost.insert(1, f"{text.count(copy.only_here, 'document')} that only the copy has")
    return (
        f"What is lost: {', '.join(lost[:-1])}, and {lost[-1]}. What everybody uses stays as it is."
    )


async def go_back(services: Services, kb: str, commit: str) -> Adoption | None:
    """Bring an earlier state back; what is wrong with that is said in a toast."""
    with Expecting() as met:
        return await services.adoption.restore(kb, commit, author=await person.person_name())
    if met.error:
        parts.failed(met.error)
    return None
