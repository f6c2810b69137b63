"""Settings of a knowledge base: its name, how documents are processed, its models, its pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.processing import KnowledgeConfig
from app.services.reembed import ReembeddingView
from app.services.views import KnowledgeBaseView
from app.ui import live, parts, person, text
from app.ui.forms import Choices
from app.ui.pages import knowledge_pipeline
from app.ui.pages.pickers import picker_choices
from app.ui.pages.processing_form import ProcessingForm, told

#: Settings that have a place of their own, or nothing to choose.
_ELSEWHERE = ("pipeline", "search_engine", "vector_store")
#: Settings that cannot change while there are documents.
_MODELS = ("embedding_model", "language_models")
_POLL_S = 1.0


async def build(services: Services, kb_id: str) -> None:
    """Fill the tab."""
    kb = await services.knowledge.get(kb_id)
    _names(services, kb)
    parts.tag("h2", "How documents are processed", "rl-strong rl-form-part")
    parts.label(
        "What is uploaded from now on goes this way. Documents that are there stay as they are "
        "until you process them again.", "rl-muted rl-small",
    )  # fmt: skip
    await knowledge_pipeline.build(services, kb_id)
    choices = await picker_choices(services)
    empty = not kb.document_count
    without = _ELSEWHERE if empty else (*_ELSEWHERE, *_MODELS)
    form = ProcessingForm(kb.config, choices, model=KnowledgeConfig, without=without)
    said = parts.div("rl-col")

    async def save() -> None:
        if await _told(said, lambda: services.knowledge.update(kb_id, config=form.values)):
            parts.toast("Saved. Process documents again to have them follow.")

    with parts.div("rl-row rl-wrap"):
        parts.primary("Save processing", save).mark("save-processing")
        parts.quiet("Process all documents again", lambda: _all_again(services, kb_id))
    if not empty:
        await _models(services, kb, choices)
    parts.tag("h2", "Delete", "rl-strong rl-form-part")
    with parts.div("rl-row"):
        parts.quiet(
            "Delete this knowledge base", lambda: _delete(services, kb), icon="delete_outline"
        ).classes("rl-danger")


def _names(services: Services, kb: KnowledgeBaseView) -> None:
    with parts.div("rl-col rl-gap-4"):
        parts.label("Name", "rl-field-title")
        name = ui.input(value=kb.name).props('aria-label="Name"')
    with parts.div("rl-col rl-gap-4"):
        parts.label("What it holds", "rl-field-title")
        description = ui.textarea(value=kb.description).props('aria-label="What it holds"')

    async def save() -> None:
        try:
            await services.knowledge.update(
                kb.knowledge_base_id, name=name.value.strip(), description=description.value or ""
            )
        except Exception as error:
            if not hasattr(error, "fix"):
                raise
            parts.failed(error)
            return
        parts.toast("Saved.")

    with parts.div("rl-row"):
        parts.primary("Save", save)
    parts.label(f"Id: {kb.knowledge_base_id}", "rl-muted rl-small rl-mono")


async def _told(room: ui.element, do: Callable[[], Awaitable[Any]]) -> bool:
    """Do something; what is wrong with it is said in place."""
    room.clear()
    try:
        await do()
    except Exception as error:
        if not hasattr(error, "fix"):
            raise
        with room:
            told(error)
        return False
    return True


async def _all_again(services: Services, kb: str) -> None:
    stats = await services.knowledge.stats(kb)
    if not await parts.confirm(
        f"Process {text.count(stats.document_count, 'document')} again?",
        "They are read and cut as the settings say by now. Corrections are kept where their text "
        "is still the same.",
        "Process again",
    ):
        return
    try:
        await services.ingest.reprocess(kb, None, None, await person.person_name())
    except Exception as error:
        if not hasattr(error, "fix"):
            raise
        parts.failed(error)
        return
    parts.toast("They are on their way; the list of documents shows how far.")


# ---- models ----
async def _models(services: Services, kb: KnowledgeBaseView, choices: Choices) -> None:
    kb_id = kb.knowledge_base_id
    parts.tag("h2", "Another embedding model", "rl-strong rl-form-part")
    parts.label(
        "Another model needs every document embedded anew. That happens on a branch, which can be "
        "searched and compared before anything changes here; nothing is read again.",
        "rl-muted rl-small",
    )
    others = [name for name in KnowledgeConfig.model_fields if name not in _MODELS]
    form = ProcessingForm(kb.config, choices, model=KnowledgeConfig, without=others)
    with parts.div("rl-row rl-wrap"):
        branch = ui.input("Branch", value="other-model").style("width: 200px")
        go = parts.quiet("Embed anew on this branch").mark("reembed")
    room = parts.div("rl-col")
    shown: list[str] = []

    async def start() -> None:
        name = (branch.value or "").strip()

        async def begin() -> None:
            await services.reembedding.start(
                kb_id,
                str(form.values.get("embedding_model") or "default"),
                name,
                language_models=form.values.get("language_models") or {},
                author=await person.person_name(),
            )

        if await _told(said, begin) and name not in shown:
            shown.append(name)
            _progress(services, kb_id, name, room)

    said = parts.div("rl-col")
    go.on_click(start)
    for name in await services.knowledge.branches(kb_id):
        try:
            view = await services.reembedding.get(kb_id, name)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            continue
        if view.status in ("running", "paused"):
            shown.append(name)
            _progress(services, kb_id, name, room)


def _progress(services: Services, kb: str, branch: str, room: ui.element) -> None:
    with room, parts.div("rl-row rl-wrap") as row:
        words = parts.label("", "rl-small")
        stop = parts.bare("Stop", lambda: services.reembedding.stop(kb, branch))

    def tell(view: ReembeddingView) -> None:
        state = {"running": "is being embedded", "paused": "waits to be embedded", "completed": "is embedded", "failed": "failed",
                 "stopped": "was stopped"}[view.status]  # fmt: skip
        words.text = f"{branch} {state} by {view.embedding_model}: {view.done} of {view.documents}"
        if view.error:
            words.text += ". " + " ".join(parts.error_words(view.error))
        if view.status not in ("running", "paused"):
            stop.classes(add="rl-hidden")

    async def watch() -> None:
        while not row.is_deleted:
            view = await services.reembedding.get(kb, branch)
            with row:
                tell(view)
            if view.status not in ("running", "paused"):
                return
            await asyncio.sleep(_POLL_S)

    live.follow(watch, f"embedding of {branch}")


async def _delete(services: Services, kb: KnowledgeBaseView) -> None:
    if await parts.confirm(
        f"Delete “{kb.name}”?",
        f"{text.count(kb.document_count, 'document')} with their passages and history are removed. This cannot be undone.",
        "Delete knowledge base",
    ):
        await services.knowledge.delete(kb.knowledge_base_id)
        ui.navigate.to("/knowledge")
