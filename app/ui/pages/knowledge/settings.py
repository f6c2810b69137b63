"""Settings of a knowledge base: its name, how documents are processed, its models, its pipeline."""

from __future__ import annotations

from nicegui import ui

from app.services.container import Services
from app.services.ingestion.processing import KnowledgeConfig
from app.services.views import KnowledgeBaseView
from app.ui import parts, person, text
from app.ui.expecting import Expecting
from app.ui.pages.canvas.pickers import picker_choices
from app.ui.pages.knowledge import models as knowledge_models
from app.ui.pages.knowledge import pipeline as knowledge_pipeline
from app.ui.pages.knowledge.processing_form import ProcessingForm, said_in_place

#: Settings that have a place of their own, or nothing to choose.
_ELSEWHERE = ("pipeline", "search_engine", "vector_store")


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
    without = _ELSEWHERE if empty else (*_ELSEWHERE, *knowledge_models.SETTINGS)
    form = ProcessingForm(kb.config, choices, model=KnowledgeConfig, without=without)
    said = parts.div("rl-col")

    async def save() -> None:
        if await said_in_place(said, lambda: services.knowledge.update(kb_id, config=form.values)):
            parts.toast("Saved. Process documents again to have them follow.")

    with parts.div("rl-row rl-wrap"):
        parts.primary("Save processing", save).mark("save-processing")
        parts.quiet("Process all documents again", lambda: _all_again(services, kb_id))
    if not empty:
        await knowledge_models.build(services, kb, choices)
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
        with Expecting() as met:
            await services.knowledge.update(
                kb.knowledge_base_id, name=name.value.strip(), description=description.value or ""
            )
        if met.error:
            parts.failed(met.error)
            return
        parts.toast("Saved.")

    with parts.div("rl-row"):
        parts.primary("Save", save)
    parts.label(f"Id: {kb.knowledge_base_id}", "rl-muted rl-small rl-mono")


async def _all_again(services: Services, kb: str) -> None:
    stats = await services.knowledge.stats(kb)
    if not await parts.confirm(
        f"Process {text.count(stats.document_count, 'document')} again?",
        "They are read and cut as the settings say by now. Corrections are kept where their text "
        "is still the same.",
        "Process again",
    ):
        return
    with Expecting() as met:
        await services.ingest.reprocess(kb, None, None, await person.person_name())
    if met.error:
        parts.failed(met.error)
        return
    parts.toast("They are on their way; the list of documents shows how far.")


async def _delete(services: Services, kb: KnowledgeBaseView) -> None:
    if await parts.confirm(
        f"Delete “{kb.name}”?",
        f"{text.count(kb.document_count, 'document')} with their passages and history are removed. This cannot be undone.",
        "Delete knowledge base",
    ):
        await services.knowledge.delete(kb.knowledge_base_id)
        ui.navigate.to("/knowledge")
