"""Where a knowledge base's documents come from: folders, pages, sitemaps, and their refreshes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.rows import locked
from app.services.sources.views import OUTCOMES, RefreshView, SourceItemView, SourceView
from app.ui import live, parts, text, theme
from app.ui.expecting import Expecting
from app.ui.pages.common import MoreList
from app.ui.pages.knowledge.sources_forms import KINDS, ask_source

_STATES = {
    "running": ("accent", "sync", "Refreshing"),
    "completed": ("ok", "check", "Up to date"),
    "failed": ("danger", "error_outline", "Failed"),
    "cancelled": ("warn", "block", "Cancelled"),
}
_OUTCOME_TONES = {
    "added": "ok",
    "changed": "accent",
    "failed": "danger",
    "removed": "warn",
    "gone": "warn",
}
_DOCUMENT = {"queued": "Waiting", "processing": "Being read", "error": "Could not be read",
             "cancelled": "Cancelled"}  # fmt: skip
#: Changes of one source are drawn at most this often, in seconds.
_PACE_S = 0.3
#: What is around the list is told of documents at most this often, in seconds.
_TELL_S = 1.0
#: “in 5 minutes” is said anew this often, in seconds.
_LOOK_S = 30.0
#: Failures and notes of a refresh that its row shows.
_SHOWN = 5


async def build(
    services: Services, kb_id: str, changed: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Draw the sources of a knowledge base into the page around it.

    `changed` is called now and then while documents come in.
    """
    stamp = int((theme.STATIC / "sources.css").stat().st_mtime)
    ui.add_head_html(f'<link rel="stylesheet" href="/_ragloom/static/sources.css?v={stamp}">')
    panel = SourcesPanel(services, kb_id, changed)
    await panel.build()


class SourcesPanel:
    """The list, and what can be done with each source."""

    def __init__(
        self,
        services: Services,
        kb_id: str,
        changed: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._services, self._sources, self._kb = services, services.sources, kb_id
        self._changed = changed
        self._rows: dict[str, _Row] = {}

    async def build(self) -> None:
        """Fill the panel, and keep it as things are."""
        with parts.div("rl-row rl-wrap") as self._head:
            parts.label(
                "Folders, pages and sitemaps whose documents are taken in, and followed as they "
                "change.",
                "rl-muted rl-grow rl-src-intro",
            )
            parts.primary("Add source", self.add, icon="add").mark("add-source")
        self._list = parts.div("rl-list")
        self._empty = parts.div()
        with (
            self._empty,
            parts.empty(
                "move_to_inbox",
                "No sources yet",
                "Documents that live elsewhere come in by themselves: name a folder, a page or a "
                "sitemap, and how often to look for changes.",
            ),
        ):
            for kind, (_, icon, words) in KINDS.items():
                parts.quiet(words, partial(self.add, kind), icon=icon).mark(f"add-{kind}")
        # Dialogs and notes live here: rows come and go while they are open.
        self.room = parts.div()
        await self._refresh()
        live.follow(self._watch, "sources of a knowledge base")
        if self._changed is not None:
            live.follow(self._watch_documents, "documents of sources")
        ui.timer(_LOOK_S, self._refresh)

    async def _watch(self) -> None:
        changed: set[str] = set()
        drawing: asyncio.Task[None] | None = None

        async def draw() -> None:
            await asyncio.sleep(_PACE_S)
            changed.clear()
            await self._refresh()

        async for source_id in self._sources.watch(self._kb):
            changed.add(source_id)
            if drawing is None or drawing.done():
                drawing = asyncio.create_task(draw())

    async def _watch_documents(self) -> None:
        telling: asyncio.Task[None] | None = None

        async def tell() -> None:
            await asyncio.sleep(_TELL_S)
            if self._changed is not None:
                await self._changed()

        async for _ in self._services.ingest.watch(kb=self._kb):
            if telling is None or telling.done():
                telling = asyncio.create_task(tell())

    async def _refresh(self) -> None:
        with Expecting("not_found") as met:
            found = await self._sources.list(self._kb)
        if met.error:
            return  # the knowledge base was deleted while the page was open
        if self._list.is_deleted:
            return
        for source_id in set(self._rows) - {source.source_id for source in found}:
            self._rows.pop(source_id).element.delete()
        for source in found:
            row = self._rows.get(source.source_id)
            if row is None:
                with self._list:
                    row = self._rows[source.source_id] = _Row(self)
            row.update(source)
        for element, shown in ((self._list, found), (self._head, found), (self._empty, not found)):
            element.set_visibility(bool(shown))

    # -- what can be done -------------------------------------------------------------------

    async def add(self, kind: str = "") -> None:
        """Ask for a new source."""
        with self.room:
            await ask_source(self._services, self._kb, kind)
        await self._refresh()

    async def edit(self, source: SourceView) -> None:
        """Ask what to change."""
        with self.room:
            await ask_source(self._services, self._kb, known=source)
        await self._refresh()

    async def refresh(self, source: SourceView, *, full: bool = False) -> None:
        """Begin a refresh."""
        await self._do(self._sources.refresh(self._kb, source.source_id, full=full, trigger="page"))

    async def cancel(self, source: SourceView) -> None:
        """Stop a refresh."""
        await self._do(self._sources.cancel(self._kb, source.source_id))

    async def pause(self, source: SourceView) -> None:
        """Pause its schedule, or take it up again."""
        await self._do(self._sources.change(self._kb, source.source_id, enabled=not source.enabled))

    async def remove(self, source: SourceView) -> None:
        """Ask whether its documents go too, and forget the source."""
        with self.room, parts.dialog(f"Remove “{source.name}”?") as box:
            parts.label("It is not followed any more.", "rl-muted")
            documents = ui.checkbox(
                f"Remove its documents too ({text.count(source.items, 'document')})"
            ).mark("remove-documents")
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: box.submit(False))
                yes = ui.button("Remove", on_click=lambda: box.submit(True), color=None)
                yes.classes("rl-bad").mark("confirm")
        if await parts.ask(box):
            await self._do(
                self._sources.remove(
                    self._kb, source.source_id, documents=bool(documents.value), author="page"
                )
            )

    async def show_items(self, source: SourceView) -> None:
        """List its files or pages, failed ones first."""

        async def load(limit: int, offset: int) -> tuple[Sequence[Any], int]:
            page = await self._sources.items(self._kb, source.source_id, limit, offset)
            return page.items, page.total

        with self.room, parts.dialog(source.name, wide=True) as box:
            with parts.div("rl-list rl-src-items"):
                listing = MoreList(load, partial(_item, self._kb))
            with parts.div("rl-dialog-actions"):
                parts.bare("Close", lambda: box.submit(None))
        await listing.reset()
        await parts.ask(box)

    async def _do(self, work: Any) -> None:
        with Expecting() as met:
            await work
        if met.error:
            with self.room:
                parts.failed(met.error)
        await self._refresh()


class _Row:
    """One source; while it is refreshed, only its progress is drawn anew."""

    def __init__(self, panel: SourcesPanel) -> None:
        self._panel = panel
        self._shape: tuple[Any, ...] = ()
        self.element = parts.div("rl-list-row rl-src-row").mark("source")

    def update(self, source: SourceView) -> None:
        """Show the source as it is now."""
        running = source.refresh is not None and source.refresh.status == "running"
        last = None if running else source.refresh
        shape = (running, last, source.model_dump(exclude={"refresh", "items"}), source.items)
        if running and source.refresh is not None and shape[:3] == self._shape[:3]:
            self._progress(source.refresh)
            return
        if shape == self._shape:
            return
        self._shape = shape
        self.element.clear()
        with self.element:
            self._who(source)
            with parts.div("rl-col rl-gap-4"):
                self._last(source.refresh)
            self._next(source)
            self._actions(source, running=running)
            if running and source.refresh is not None:
                with parts.div("rl-src-wide"):
                    self._bar = ui.linear_progress(0, show_value=False, size="4px")
                    self._bar.props["aria-label"] = "Progress"
                self._progress(source.refresh)
            elif source.refresh is not None:
                _report(source.refresh)

    def _who(self, source: SourceView) -> None:
        word, icon, _ = KINDS[source.kind]
        with parts.div("rl-row rl-src-who"):
            ui.icon(icon).classes("rl-muted").props["aria-label"] = word
            with parts.div("rl-col").style("gap: 0"):
                parts.label(source.name, "rl-strong rl-ellipsis")
                place = parts.label(source.location, "rl-muted rl-small rl-ellipsis")
                place.props["title"] = source.location

    def _last(self, last: RefreshView | None) -> None:
        if last is None:
            parts.label("Not refreshed yet", "rl-muted rl-small")
            return
        tone, icon, word = _STATES[last.status]
        if last.status == "completed" and last.failed:
            tone, icon, word = "warn", "warning", f"{text.short(last.failed)} failed"
        with parts.div("rl-row rl-gap-4 rl-wrap"):
            parts.badge(word, tone, icon).mark("source-state")
            if last.status != "running":
                parts.moment(last.finished_at)
        self._words = parts.label(_counts(last), "rl-muted rl-small")
        self._words.props["role"] = "status"

    def _next(self, source: SourceView) -> None:
        with parts.div("rl-col rl-src-next").style("gap: 0"):
            if not source.cron:
                parts.label("Only when asked", "rl-muted rl-small")
                return
            if source.enabled:
                following = parts.label(f"Next {source.next_words}", "rl-small")
                if source.next_at:
                    with following, ui.tooltip():
                        parts.exact(source.next_at)
            else:
                parts.label("Paused", "rl-small")
                if source.note:
                    parts.label(source.note, "rl-muted rl-small rl-src-line").mark("source-note")
            parts.label(
                f"{source.description} · {source.timezone}", "rl-muted rl-small rl-ellipsis"
            )

    def _actions(self, source: SourceView, *, running: bool) -> None:
        panel = self._panel
        with parts.div("rl-row rl-gap-4 rl-src-actions"):
            if running:
                parts.icon_button("stop", "Stop", partial(panel.cancel, source))
            else:
                button = parts.icon_button("sync", "Refresh", partial(panel.refresh, source))
                button.mark("refresh-source")
            with parts.icon_button("more_horiz", f"More of {source.name}"), ui.menu():
                ui.menu_item("What it holds", partial(panel.show_items, source))
                ui.menu_item("Edit", partial(panel.edit, source))
                if not running:
                    ui.menu_item(
                        "Take everything in anew", partial(panel.refresh, source, full=True)
                    )
                if source.cron:
                    words = "Pause its schedule" if source.enabled else "Take up its schedule"
                    ui.menu_item(words, partial(panel.pause, source))
                ui.menu_item("Remove", partial(panel.remove, source))

    def _progress(self, refresh: RefreshView) -> None:
        self._words.text = _counts(refresh)
        if refresh.total:
            self._bar.props(remove="indeterminate")
            self._bar.set_value(min(1.0, refresh.done / refresh.total))
        else:
            self._bar.props("indeterminate")


def _counts(refresh: RefreshView) -> str:
    counted = [(name, getattr(refresh, name)) for name in OUTCOMES]
    said = ", ".join(f"{text.short(number)} {name}" for name, number in counted if number)
    if refresh.status != "running":
        return said or ("" if refresh.error else "Nothing was found")
    if refresh.total is None:
        return "Looking what is there"
    return f"{refresh.done} of {refresh.total}" + (f" · {said}" if said else "")


def _report(last: RefreshView) -> None:
    """Why a refresh failed, in whole or in part, and what it left out."""
    if not (last.error or last.failures or last.notes):
        return
    with parts.div("rl-col rl-gap-4 rl-src-wide"):
        if last.error:
            parts.error_notice(last.error)
        for failure in last.failures[:_SHOWN]:
            message, fix = parts.error_words(failure)
            with parts.div("rl-small rl-src-line"):
                parts.tag("span", message, "rl-danger")
                parts.tag("span", f" {fix}", "rl-muted")
        if last.failed > _SHOWN:
            parts.label(f"and {text.short(last.failed - _SHOWN)} more", "rl-muted rl-small")
        if last.notes:
            with parts.tag("details", "", "rl-small rl-muted"):
                parts.tag("summary", "What was left out")
                for note in last.notes:
                    parts.label(note, "rl-src-line")


def _item(kb_id: str, item: SourceItemView) -> None:
    with parts.div("rl-list-row rl-src-item"):
        with parts.div("rl-col").style("gap: 0"):
            if item.document_id and item.document_status == "ready":
                with parts.link(f"/knowledge/{kb_id}/documents/{item.document_id}", "rl-ellipsis"):
                    parts.tag("span", item.key)
            else:
                parts.label(item.key, "rl-ellipsis").props["title"] = item.key
            if item.error:
                message, fix = parts.error_words(item.error)
                colour = "rl-danger"
                if locked(item):
                    colour, fix = "rl-warn", "Give its password in the list of documents."
                parts.label(f"{message} {fix}".strip(), f"{colour} rl-small rl-src-line")
        word = _DOCUMENT.get(item.document_status, "") if item.outcome != "failed" else ""
        tone = "danger" if item.document_status == "error" else _OUTCOME_TONES.get(item.outcome, "")
        icon = ""
        if locked(item):
            tone, icon, word = "warn", "lock", "Locked"
        with parts.div():
            parts.badge(word or text.words(item.outcome), tone, icon)
        with parts.div("rl-num"):
            parts.moment(item.changed_at or item.checked_at)
