"""One knowledge base: its documents, a search to try, its history and its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import CommitView, KnowledgeBaseView
from app.ui import parts, text
from app.ui.frame import Crumb, frame
from app.ui.pages import knowledge_search, knowledge_settings, sources
from app.ui.pages.common import MoreList, health_badges, knowledge_choices, missing
from app.ui.pages.knowledge_documents import Documents

_TABS = ("Documents", "Sources", "Search", "History", "Settings")


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
    facts = _Facts(services, kb_id)
    await facts.refresh()
    for warning in kb.warnings:
        with parts.notice("warn", warning):
            pass
    with ui.tabs().style("border-bottom: 1px solid var(--rl-border)") as tabs:
        for name in _TABS:
            ui.tab(name)
    panels = ui.tab_panels(tabs, value=tab if tab in _TABS else _TABS[0], animated=False)
    rooms: dict[str, ui.element] = {}
    with panels.style("width: 100%"):
        for name in _TABS:
            with ui.tab_panel(name):
                rooms[name] = parts.div("rl-col rl-gap-16")
    rooms["Settings"].classes("rl-prose")
    fill: dict[str, Callable[[], Awaitable[None]]] = {
        "Documents": lambda: Documents(services, kb_id, facts.refresh).build(),
        "Sources": lambda: sources.build(services, kb_id, facts.refresh),
        "Search": lambda: knowledge_search.build(services, kb_id, q),
        "History": lambda: _history(services, kb_id, tabs),
        "Settings": lambda: knowledge_settings.build(services, kb_id),
    }

    async def show(name: str) -> None:
        """Fill a tab when it is looked at for the first time."""
        build = fill.pop(name, None)
        if build is not None:
            with rooms[name]:
                await build()

    panels.on_value_change(lambda event: show(str(event.value)))
    await show(str(panels.value))


class _Facts:
    """The line under the name: sizes, languages, health."""

    def __init__(self, services: Services, kb: str) -> None:
        self._services, self._kb = services, kb
        self._room = parts.div("rl-row rl-wrap rl-gap-16")

    async def refresh(self) -> None:
        """Tell them as they are by now."""
        stats = await self._services.knowledge.stats(self._kb)
        health = (await self._services.knowledge.health([self._kb]))[self._kb]
        if self._room.is_deleted:
            return
        self._room.clear()
        with self._room:
            parts.label(text.count(stats.document_count, "document"))
            parts.label(text.count(stats.chunk_count, "chunk"))
            parts.label(text.size(stats.index_size), "rl-muted")
            languages = sorted(stats.languages, key=lambda k: -stats.languages[k])[:3]
            if languages:
                parts.label(", ".join(text.language(code) for code in languages), "rl-muted")
            health_badges(health)
            if health.indexing:
                ui.timer(1.0, self.refresh, once=True)
            if stats.commit:
                parts.label(f"main at {stats.commit[:8]}", "rl-muted rl-mono")


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
