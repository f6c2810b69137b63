"""One knowledge base: its documents, a search to try, its history and its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import (
    CommitView,
    KnowledgeBaseHealth,
    KnowledgeBaseStats,
    KnowledgeBaseView,
)
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.common import (
    MoreList,
    failure_badges,
    knowledge_choices,
    missing,
    state_badges,
)
from app.ui.pages.knowledge import settings as knowledge_settings
from app.ui.pages.knowledge import sources
from app.ui.pages.knowledge.documents import Documents
from app.ui.pages.knowledge.models import go_back
from app.ui.pages.knowledge.search import Search

#: What others changed is looked for this often, in seconds.
_LOOK_S = 2.0


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/knowledge/{kb}", response_timeout=30)
    async def knowledge_base_page(kb: str, tab: str = "Documents", q: str = "") -> None:
        services = get_services()
        with Expecting("not_found") as met:
            view = await services.knowledge.get(kb)
        if met.error:
            missing(services, "Knowledge", met.error)
            return
        crumb = Crumb(view.name, choices=lambda: knowledge_choices(services))
        with frame(services, "Knowledge", [crumb]):
            await _Base(services, view).build(tab, q)


class _Base:
    """The tabs, each filled when it is looked at for the first time."""

    def __init__(self, services: Services, kb: KnowledgeBaseView) -> None:
        self._services, self._kb = services, kb.knowledge_base_id
        self._warnings = kb.warnings
        self._head = ""

    async def build(self, tab: str, q: str) -> None:
        """Show a tab; `q` is asked in the search."""
        services, kb = self._services, self._kb
        self._head = await services.knowledge.head(kb)
        self._facts = _Facts(services, kb, self._list)
        await self._facts.refresh()
        for warning in self._warnings:
            with parts.notice("warn", warning):
                pass
        self._documents = Documents(services, kb, self._facts.refresh)
        self._history = _History(services, kb)
        self._search = Search(services, kb)
        self._fill: dict[str, Callable[[], Awaitable[None]]] = {
            "Documents": self._documents.build,
            "Sources": lambda: sources.build(services, kb, self._facts.refresh),
            "Search": lambda: self._search.build(q),
            "History": self._history.build,
            "Settings": lambda: knowledge_settings.build(services, kb),
        }
        with ui.tabs().props("outside-arrows").classes("rl-kb-tabs") as tabs:
            for name in self._fill:
                ui.tab(name)
        shown = tab if tab in self._fill else "Documents"
        self._rooms: dict[str, ui.element] = {}
        with ui.tab_panels(tabs, value=shown, animated=False).style("width: 100%") as panels:
            for name in self._fill:
                with ui.tab_panel(name):
                    self._rooms[name] = parts.div("rl-col rl-gap-16")
        self._rooms["Settings"].classes("rl-prose")
        self._panels = panels
        panels.on_value_change(lambda event: self._show(str(event.value)))
        await self._show(shown)
        ui.timer(_LOOK_S, self._look)

    async def _show(self, name: str) -> None:
        build = self._fill.pop(name, None)
        if build is not None:
            with self._rooms[name]:
                await build()
        elif name == "Search":
            await self._search.refresh()

    def _list(self, status: str) -> None:
        """Show the documents of a status."""
        self._documents.show(status)
        self._panels.value = "Documents"

    async def _look(self) -> None:
        """Follow what anybody changes: in another tab, over REST, on the command line."""
        with Expecting("not_found") as met:
            head = await self._services.knowledge.head(self._kb)
        if met.error:
            return  # it was deleted; what is shown can still be read
        if head == self._head:
            return
        self._head = head
        if "History" not in self._fill:
            await self._history.refresh()
        if "Documents" not in self._fill:
            await self._documents.refresh()
        else:
            await self._facts.refresh()


class _Facts:
    """The line under the name: sizes, languages, health."""

    def __init__(self, services: Services, kb: str, show: Callable[[str], None]) -> None:
        """`show` lists the documents of a status."""
        self._services, self._kb, self._list = services, kb, show
        #: What each part of the line tells: it is drawn anew when that differs, no focus is lost
        #: to what goes on beside it.
        self._told: dict[ui.element, object] = {}
        with parts.div("rl-row rl-wrap rl-gap-16 rl-kb-facts") as self._room:
            self._sizes, self._state, self._failures, self._commit, self._again = (
                ui.element("div").style("display: contents") for _ in range(5)
            )

    async def refresh(self) -> KnowledgeBaseStats:
        """Tell them as they are by now."""
        stats = await self._services.knowledge.stats(self._kb)
        health = (await self._services.knowledge.health([self._kb]))[self._kb]
        if not self._room.is_deleted:
            self._show(stats, health)
        return stats

    def _show(self, stats: KnowledgeBaseStats, health: KnowledgeBaseHealth) -> None:
        languages = sorted(stats.languages, key=lambda k: -stats.languages[k])[:3]
        sizes = (
            text.count(stats.document_count, "document"),
            text.count(stats.chunk_count, "chunk"),
            text.size(stats.index_size),
            ", ".join(text.language(code) for code in languages),
        )
        self._draw(self._sizes, sizes, lambda: _sizes(*sizes))
        self._draw(self._state, health, lambda: state_badges(health))
        self._draw(
            self._failures,
            (health.failed, health.locked),
            lambda: failure_badges(health, self._list),
        )
        self._draw(self._commit, stats.commit, lambda: _commit(stats.commit))
        self._again.clear()
        if health.indexing:
            with self._again:
                ui.timer(1.0, self.refresh, once=True)

    def _draw(self, room: ui.element, told: object, draw: Callable[[], None]) -> None:
        if room in self._told and self._told[room] == told:
            return
        self._told[room] = told
        room.clear()
        with room:
            draw()


def _sizes(documents: str, chunks: str, size: str, languages: str) -> None:
    parts.label(documents)
    parts.label(chunks)
    parts.label(size, "rl-muted")
    if languages:
        parts.label(languages, "rl-muted")


def _commit(commit: str | None) -> None:
    if commit:
        parts.label(f"main at {commit[:8]}", "rl-muted rl-mono rl-wide-only")


class _History:
    """The tab with every change."""

    def __init__(self, services: Services, kb: str) -> None:
        self._services, self._kb = services, kb
        #: The newest commit: what the knowledge base holds now.
        self._newest = ""

    async def build(self) -> None:
        """Show it."""
        parts.label("Every change of this knowledge base, newest first.", "rl-muted")
        with parts.div("rl-list"):
            self._listing = MoreList(self._load, self._row)
        await self.refresh()

    async def refresh(self) -> None:
        """List the changes there are by now."""
        await self._listing.reset()

    async def _load(self, limit: int, offset: int) -> tuple[Sequence[Any], int]:
        page = await self._services.knowledge.commits(self._kb, "main", limit=limit, offset=offset)
        if not offset:
            self._newest = page.items[0].commit_id
        return page.items, page.total

    def _row(self, commit: CommitView) -> None:
        newest = commit.commit_id == self._newest
        _commit_row(commit, None if newest else partial(self._ask_back, commit))

    async def _ask_back(self, commit: CommitView) -> None:
        if await parts.confirm(
            "Go back to this state?",
            f"Everybody then searches what it held after “{commit.message}”, "
            f"{text.ago(commit.created_at)}: documents that came later go, those removed since come "
            "back. Nothing is lost: what is here now stays in this list, to go back to as well.",
            "Go back",
            undoable=True,
        ):
            await self._back(commit.commit_id)

    async def _back(self, commit: str) -> None:
        done = await go_back(self._services, self._kb, commit)
        if done is None:
            return
        if done.before == done.commit.commit_id:
            parts.toast("Nothing has changed since: it holds that already.")
            return
        parts.toast("It holds again what it held then.", undo=partial(self._back, done.before))


def _commit_row(commit: CommitView, back: Callable[[], Awaitable[None]] | None) -> None:
    with parts.div("rl-list-row rl-commit-row").style(
        "grid-template-columns: 84px minmax(0,1fr) 150px 110px 100px 36px"
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
        if back is not None:
            parts.icon_button("history", "Go back to this state", back).mark("go-back")
