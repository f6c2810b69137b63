"""One knowledge base: its documents, a search to try, its history and its settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.views import CommitView, DocumentView, KnowledgeBaseView, SearchConfig
from app.ui import parts, text, viewers
from app.ui.frame import Crumb, frame
from app.ui.pages import knowledge_pipeline, sources
from app.ui.pages.common import MoreList, knowledge_choices, missing
from app.ui.pages.files import original_href
from app.ui.pages.uploads import Uploads

_COLUMNS = "grid-template-columns: minmax(0, 1fr) 108px 72px 84px 92px 76px 72px"


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/knowledge/{kb}", response_timeout=30)
    async def knowledge_base_page(kb: str, tab: str = "Documents", q: str = "") -> None:
        services = get_services()
        try:
            view = await services.knowledge.get(kb)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            missing(services, "Knowledge", error)
            return
        crumb = Crumb(view.name, choices=lambda: knowledge_choices(services))
        with frame(services, "Knowledge", [crumb]):
            await _build(services, view, tab, q)


async def _build(services: Services, kb: KnowledgeBaseView, tab: str, q: str) -> None:
    kb_id = kb.knowledge_base_id
    with parts.div("rl-row rl-wrap rl-gap-16") as facts:
        pass

    async def refresh_facts() -> None:
        stats = await services.knowledge.stats(kb_id)
        facts.clear()
        with facts:
            parts.label(text.count(stats.document_count, "document"))
            parts.label(text.count(stats.chunk_count, "chunk"))
            parts.label(text.size(stats.index_size), "rl-muted")
            languages = sorted(stats.languages, key=lambda k: -stats.languages[k])[:3]
            if languages:
                parts.label(", ".join(text.language(code) for code in languages), "rl-muted")
            if stats.indexing:
                parts.badge("Indexing", "accent", "sync")
                ui.timer(1.0, refresh_facts, once=True)
            elif stats.failed_documents:
                parts.badge(
                    text.count(stats.failed_documents, "failed document"), "danger", "error_outline"
                )
            else:
                parts.badge("Healthy", "ok", "check")
            if stats.commit:
                parts.label(f"main at {stats.commit[:8]}", "rl-muted rl-mono")

    await refresh_facts()
    for warning in kb.warnings:
        with parts.notice("warn", warning):
            pass
    with ui.tabs().style("border-bottom: 1px solid var(--rl-border)") as tabs:
        for name in ("Documents", "Sources", "Search", "History", "Settings"):
            ui.tab(name)
    panels = ui.tab_panels(tabs, value=tab, animated=False).style("width: 100%")
    with panels:
        with ui.tab_panel("Documents"), parts.div("rl-col rl-gap-16"):
            await _documents(services, kb_id, refresh_facts)
        with ui.tab_panel("Sources"), parts.div("rl-col rl-gap-16"):
            await sources.build(services, kb_id)
        with ui.tab_panel("Search"), parts.div("rl-col rl-gap-16"):
            await _search(services, kb_id, q)
        with ui.tab_panel("History"), parts.div("rl-col"):
            await _history(services, kb_id, tabs)
        with ui.tab_panel("Settings"), parts.div("rl-col rl-gap-16 rl-prose"):
            await _settings(services, kb)


# ---- documents ----
async def _documents(services: Services, kb: str, refresh_facts: Callable[[], Any]) -> None:
    async def load(limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await services.knowledge.documents(
            kb, limit=limit, offset=offset, text=search.value or ""
        )
        return page.items, page.total

    async def refresh() -> None:
        total = await listing.reset()
        shown = total > 0 or bool(search.value)
        for element, visible in ((table, shown), (bar, shown), (hint, not shown)):
            element.classes(remove="rl-hidden") if visible else element.classes(add="rl-hidden")
        await refresh_facts()

    async def delete(document: DocumentView) -> None:
        if not await parts.confirm(
            f"Remove “{document.filename}”?",
            "It is no longer found from now on. Earlier commits still hold it.",
            "Remove",
        ):
            return
        try:
            await services.knowledge.delete_document(kb, document.document_id, "page")
        except RagloomError as error:
            parts.failed(error)
        await refresh()

    async def retry(document: DocumentView) -> None:
        try:
            await services.ingest.retry(kb, document.document_id)
        except RagloomError as error:
            parts.failed(error)
        await refresh()

    Uploads(services, kb, refresh)
    with parts.div("rl-toolbar") as bar:
        search = ui.input(placeholder="Filter by name").props("debounce=200 clearable")
        search.classes("rl-filter").on_value_change(refresh)
    with (
        parts.div("rl-hidden") as hint,
        parts.empty(
            "upload_file",
            "No documents yet",
            "Drop files above. The first can be searched before the last is done.",
        ),
    ):
        pass
    with parts.div("rl-list") as table:
        with parts.div("rl-list-head rl-docs-row").style(_COLUMNS):
            for name in ("Name", "Status", "Pages", "Chunks", "Language", "Size", ""):
                parts.label(name, "rl-num" if name in ("Pages", "Chunks", "Size") else "")
        listing = MoreList(load, lambda d: _document_row(kb, d, retry, delete))
    await refresh()


_STATUS = {
    "ready": ("ok", "check", "Ready"),
    "error": ("danger", "error_outline", "Failed"),
    "queued": ("", "schedule", "Waiting"),
    "processing": ("accent", "sync", "Working"),
    "cancelled": ("warn", "block", "Cancelled"),
}


def _document_row(
    kb: str,
    document: DocumentView,
    retry: Callable[[DocumentView], Any],
    delete: Callable[[DocumentView], Any],
) -> None:
    ready = document.version_id is not None
    href = f"/knowledge/{kb}/documents/{document.document_id}"
    with parts.div("rl-list-row rl-docs-row").style(_COLUMNS):
        with parts.div("rl-col").style("gap: 0"):
            if ready:
                with parts.link(href, "rl-ellipsis rl-doc-link"):
                    parts.tag("span", document.title or document.filename)
            else:
                parts.label(document.filename, "rl-ellipsis")
            if document.title and document.title != document.filename and ready:
                parts.label(document.filename, "rl-muted rl-small rl-ellipsis")
            if document.error:
                title, fix = parts.error_words(document.error)
                parts.label(title, "rl-danger rl-small")
                if fix:
                    parts.label(fix, "rl-muted rl-small")
        tone, icon, word = _STATUS[document.status]
        with parts.div():
            parts.badge(word, tone, icon)
        parts.label(str(document.pages or ""), "rl-num rl-muted")
        parts.label(text.short(document.chunk_count) if ready else "", "rl-num rl-muted")
        parts.label(text.language(document.language), "rl-muted rl-ellipsis")
        parts.label(text.size(document.size) if document.size else "", "rl-num rl-muted")
        with parts.div("rl-row rl-gap-4").style("justify-content: flex-end"):
            if document.status in ("error", "cancelled"):
                parts.icon_button("refresh", "Try again", lambda: retry(document))
            with parts.icon_button("more_horiz", "More"), ui.menu():
                if ready:
                    ui.menu_item("Open", lambda: ui.navigate.to(href))
                    ui.menu_item(
                        "Download original",
                        lambda: ui.download(original_href(kb, document.document_id)),
                    )
                ui.menu_item("Remove", lambda: delete(document))


# ---- search ----
async def _search(services: Services, kb: str, q: str) -> None:
    with parts.div("rl-toolbar"):
        query = ui.input(placeholder="Ask or search, to see what a workflow would find", value=q)
        query.classes("rl-grow").mark("kb-search")
        go = parts.primary("Search", icon="search")
    with parts.div("rl-toolbar"):
        kind = ui.toggle(
            {"hybrid": "Hybrid", "semantic": "Meaning", "keyword": "Words", "adaptive": "Adaptive"},
            value="hybrid",
        ).classes("rl-segments").props(parts.SEGMENTS)  # fmt: skip
        parts.label("Passages", "rl-muted rl-small").style("margin-left: 8px")
        k = ui.number(value=8, min=1, max=100, step=1).style("width: 76px")
        rerank = ui.switch("Rerank")
    room = parts.div("rl-col")

    async def run() -> None:
        if not (query.value or "").strip():
            return
        go.props("loading")
        try:
            config = SearchConfig(
                search_type=kind.value, k=int(k.value or 8), rerank=bool(rerank.value)
            )
            found = await services.search.search(kb, query.value, config)
        except RagloomError as error:
            room.clear()
            with room:
                parts.error_notice(error)
            return
        finally:
            go.props(remove="loading")
        room.clear()
        with room:
            took = text.duration(found.metadata.get("took_ms"))
            words = text.count(len(found.results), "passage")
            parts.label(f"{words} in {took}" if took else words, "rl-muted rl-small")
            if not found.results:
                parts.label("Nothing was found. Try other words, or the other kind of search.")
            viewers.chunks([c.model_dump(mode="json") for c in found.results], kb, limit=20)

    go.on_click(run)
    query.on("keydown.enter", run)
    for control in (kind, rerank):
        control.on_value_change(run)
    if q:
        await run()


# ---- history ----
async def _history(services: Services, kb: str, tabs: ui.tabs) -> None:
    async def load(limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await services.knowledge.commits(kb, "main", limit=limit, offset=offset)
        return page.items, page.total

    parts.label("Every change of this knowledge base, newest first.", "rl-muted")
    with parts.div("rl-list"):
        listing = MoreList(load, _commit_row)

    async def opened(event: Any) -> None:
        if event.value == "History":
            await listing.reset()

    tabs.on_value_change(opened)
    await listing.reset()


def _commit_row(commit: CommitView) -> None:
    with parts.div("rl-list-row rl-commit-row").style(
        "grid-template-columns: 84px minmax(0,1fr) 150px 110px 100px"
    ):
        parts.label(commit.commit_id[:8], "rl-mono rl-muted")
        parts.label(commit.message, "rl-ellipsis")
        with parts.div("rl-row rl-gap-4"):
            for number, word, tone in (
                (commit.added, "added", "ok"), (commit.changed, "changed", ""), (commit.removed, "removed", "danger"),
            ):  # fmt: skip
                if number:
                    parts.badge(f"{number} {word}", tone)
        parts.label(commit.author, "rl-muted rl-ellipsis")
        with parts.div("rl-num"):
            parts.moment(commit.created_at)


# ---- settings ----
async def _settings(services: Services, kb: KnowledgeBaseView) -> None:
    name = ui.input(value=kb.name)
    description = ui.textarea(value=kb.description)
    name.props["aria-label"], description.props["aria-label"] = "Name", "Description"

    async def save() -> None:
        try:
            await services.knowledge.update(
                kb.knowledge_base_id, name=name.value.strip(), description=description.value or ""
            )
        except RagloomError as error:
            parts.failed(error)
            return
        parts.toast("Saved.")

    async def delete() -> None:
        if await parts.confirm(
            f"Delete “{kb.name}”?",
            f"{text.count(kb.document_count, 'document')} with their passages and history are removed. This cannot be undone.",
            "Delete knowledge base",
        ):
            await services.knowledge.delete(kb.knowledge_base_id)
            ui.navigate.to("/knowledge")

    with parts.div("rl-row"):
        parts.primary("Save", save)
    stats = await services.knowledge.stats(kb.knowledge_base_id)
    parts.label("How files come in", "rl-strong")
    await knowledge_pipeline.build(services, kb.knowledge_base_id)
    parts.label("How documents are processed", "rl-strong")
    viewers.facts(
        {"Embedding model": stats.embedding_model, "Knowledge base id": kb.knowledge_base_id}
    )
    if kb.config:
        parts.label(
            json.dumps(kb.config, indent=2, ensure_ascii=False), "rl-mono rl-small rl-pre rl-card"
        )
    parts.label("Delete", "rl-strong")
    with parts.div("rl-row"):
        parts.quiet("Delete this knowledge base", delete, icon="delete_outline").classes(
            "rl-danger"
        )
