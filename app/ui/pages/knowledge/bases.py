"""The list of knowledge bases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.documents.media import KINDS_IN_WORDS
from app.services.container import Services
from app.services.views import KnowledgeBaseHealth, KnowledgeBaseView
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.frame import frame
from app.ui.pages.common import MoreList, health_badges

#: While documents come in, the list is read again this often, in seconds.
_LOOK_S = 3.0


async def create_dialog(services: Services) -> None:
    """Ask for a name and make a knowledge base."""
    with parts.dialog("New knowledge base") as box:
        name = ui.input(placeholder="Name").props("autofocus").mark("kb-name")
        name.props["aria-label"] = "Name"
        description = ui.textarea(placeholder="What it holds (optional)")
        description.props["aria-label"] = "What it holds"
        parts.label(
            "Documents are read, cut into passages and indexed on this machine. Every change is kept as a commit.",
            "rl-muted rl-small",
        )
        room = parts.div()

        async def create() -> None:
            room.clear()
            if not (name.value or "").strip():
                with room:
                    parts.label("Give it a name.", "rl-danger rl-small")
                return
            with Expecting() as met:
                made = await services.knowledge.create(name.value.strip(), description.value or "")
            if met.error:
                with room:
                    parts.error_notice(met.error)
                return
            ui.navigate.to(f"/knowledge/{made.knowledge_base_id}")
            box.submit(True)

        name.on("keydown.enter", create)
        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            parts.primary("Create", create)
    await parts.ask(box)


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/knowledge", response_timeout=30)
    async def knowledge_page() -> None:
        services = get_services()
        with frame(services, "Knowledge"):
            await _build(services)


async def _build(services: Services) -> None:
    busy = [False]

    async def load(limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await services.knowledge.list(limit=limit, offset=offset)
        known = await services.knowledge.health([kb.knowledge_base_id for kb in page.items])
        busy[0] = any(health.pending or health.indexing for health in known.values())
        return [(kb, known[kb.knowledge_base_id]) for kb in page.items], page.total

    with parts.div("rl-toolbar"):
        parts.label("Documents your workflows can search and cite.", "rl-muted")
        parts.div("rl-grow")
        parts.primary("New knowledge base", lambda: create_dialog(services), icon="add")
    with (
        parts.div("rl-hidden") as nothing,
        parts.empty(
            "menu_book",
            "No knowledge base yet",
            f"Drop your files and ask them, or make one first and fill it later: {KINDS_IN_WORDS}.",
        ),
    ):
        parts.primary("Ask my own files", lambda: ui.navigate.to("/begin"), icon="note_add")
        parts.quiet("New knowledge base", lambda: create_dialog(services), icon="add")
    listing = MoreList(load, _card, step=48)
    listing.room.classes("rl-cards")
    if not await listing.reset():
        nothing.classes(remove="rl-hidden")

    async def look() -> None:
        if busy[0]:
            await listing.reset()

    ui.timer(_LOOK_S, look)


def _card(item: tuple[KnowledgeBaseView, KnowledgeBaseHealth]) -> None:
    kb, health = item
    with parts.link(f"/knowledge/{kb.knowledge_base_id}", "rl-card"):
        parts.label(kb.name, "rl-strong rl-ellipsis")
        parts.label(kb.description or "No description.", "rl-muted rl-small rl-clamp").style(
            "min-height: 38px"
        )
        work = (health.pending, health.failed, health.paused)
        if kb.document_count or any(work):
            with parts.div("rl-row rl-wrap rl-gap-4"):
                health_badges(health)
                if kb.warnings:
                    with parts.badge("Note", "warn", "info"):
                        ui.tooltip(" ".join(kb.warnings))
        with parts.div("rl-row rl-wrap").style("margin-top: auto"):
            parts.label(text.count(kb.document_count, "document"), "rl-muted rl-small")
            parts.label(text.count(kb.chunk_count, "chunk"), "rl-muted rl-small")
            if health.size:
                parts.label(text.size(health.size), "rl-muted rl-small")
            parts.div("rl-grow")
            parts.moment(kb.updated_at)
