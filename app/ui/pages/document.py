"""One document: its pages or text on the left, its passages on the right, linked both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import ChunkView, DocumentView
from app.ui import answer, parts, text, viewers
from app.ui.frame import Crumb, Frame, frame
from app.ui.pages.common import missing
from app.ui.pages.files import original_href, page_href

_LIMIT = 2_000
_PAGES = 30


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/knowledge/{kb}/documents/{document_id}", response_timeout=30)
    async def document_page(kb: str, document_id: str, chunk: str = "") -> None:
        services = get_services()
        try:
            base = await services.knowledge.get(kb)
            document = await services.knowledge.document(kb, document_id)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            missing(services, "Knowledge", error)
            return
        crumbs = [
            Crumb(base.name, f"/knowledge/{base.knowledge_base_id}"),
            Crumb(document.title or document.filename),
        ]
        with frame(services, "Knowledge", crumbs, full=True) as bar:
            _actions(bar, base.knowledge_base_id, document)
            await DocumentViewer(services, base.knowledge_base_id, document, chunk).build()


def _actions(bar: Frame, kb: str, document: DocumentView) -> None:
    with bar.beside:
        facts = [f"{document.pages} pages" if document.pages else "", text.size(document.size)]
        parts.label(" · ".join(f for f in facts if f), "rl-muted rl-small rl-wide-only")
    with bar.actions:
        button = parts.icon_button("download", "Download the original")
        button.props["href"] = original_href(kb, document.document_id)
        button.props["download"] = True


class DocumentViewer:
    """Keeps the chosen passage in step on both sides."""

    def __init__(self, services: Services, kb: str, document: DocumentView, chosen: str) -> None:
        self._services, self._kb, self._document, self._chosen = services, kb, document, chosen
        self._cards: dict[str, ui.element] = {}
        self._marks: dict[str, list[ui.element]] = {}
        self._first_page = 1

    async def build(self) -> None:
        """Read the passages and show both sides."""
        page = await self._services.knowledge.chunks(
            self._kb, self._document.document_id, limit=_LIMIT, offset=0
        )
        self._chunks = page.items
        with parts.div("rl-doc"):
            with parts.div("rl-doc-left") as self._left:
                await self._show_left()
            with parts.div("rl-doc-right"):
                self._show_chunks(page.total)
        if self._chosen:
            self.choose(self._chosen)
            ui.run_javascript(
                "ragloom.scrollTo('.rl-doc-left .rl-on'); ragloom.scrollTo('.rl-doc-right .rl-on')"
            )

    def choose(self, chunk_id: str) -> None:
        """Light a passage on both sides."""
        for known, card in self._cards.items():
            on = known == chunk_id
            card.classes(add="rl-on") if on else card.classes(remove="rl-on")
            for mark in self._marks.get(known, ()):
                mark.classes(add="rl-on") if on else mark.classes(remove="rl-on")
        self._chosen = chunk_id
        ui.run_javascript(
            f"history.replaceState(null, '', '?chunk=' + encodeURIComponent({json.dumps(chunk_id)}))"
        )

    def _from_list(self, chunk: ChunkView) -> None:
        self.choose(chunk.chunk_id)
        ui.run_javascript("ragloom.scrollTo('.rl-doc-left .rl-on')")

    def _from_page(self, chunk_id: str) -> None:
        self.choose(chunk_id)
        ui.run_javascript("ragloom.scrollTo('.rl-doc-right .rl-on')")

    def _show_chunks(self, total: int) -> None:
        parts.label(text.count(total, "passage"), "rl-muted rl-small")
        if not self._chunks:
            parts.label("This document has no passages.", "rl-muted")
        for chunk in self._chunks:
            with parts.div("rl-chunk rl-click") as card:
                with parts.div("rl-row"):
                    parts.label(str(chunk.ordinal + 1), "rl-rank")
                    where = answer.place({"page": chunk.page, "headings": chunk.headings})
                    parts.label(where, "rl-muted rl-small rl-ellipsis")
                parts.label(viewers.condensed(chunk.content), "rl-chunk-text rl-folded")
            card.style("cursor: pointer; flex: none")
            card.on("click", lambda chunk=chunk: self._from_list(chunk))
            self._cards[chunk.chunk_id] = card

    async def _show_left(self) -> None:
        if self._document.media_type == "application/pdf" and self._document.pages:
            self._show_pages()
            return
        await self._show_text()

    # ---- pages of a PDF ----
    def _show_pages(self) -> None:
        pages = self._document.pages or 1
        wanted = next((c.page for c in self._chunks if c.chunk_id == self._chosen and c.page), 1)
        first = max(1, min(wanted - 5, pages - _PAGES + 1)) if pages > _PAGES else 1
        self._first_page, self._last_page = first, min(pages, first + _PAGES - 1)
        if first > 1:
            parts.quiet(f"Show pages 1 to {first - 1}", self._more_before)
        self._sheets = parts.div()
        with self._sheets:
            for number in range(first, self._last_page + 1):
                self._sheet(number)
        if self._last_page < pages:
            self._after = parts.quiet("Show more pages", self._more_after)

    def _more_before(self) -> None:
        ui.navigate.to(f"/knowledge/{self._kb}/documents/{self._document.document_id}")

    def _more_after(self) -> None:
        pages = self._document.pages or 1
        start = self._last_page + 1
        self._last_page = min(pages, start + _PAGES - 1)
        with self._sheets:
            for number in range(start, self._last_page + 1):
                self._sheet(number)
        if self._last_page >= pages:
            self._after.delete()
        if self._chosen:
            self.choose(self._chosen)

    def _sheet(self, number: int) -> None:
        version = self._document.version_id or ""
        with parts.div("rl-sheet"):
            image = ui.element("img").props("loading=lazy")
            image.props["src"] = page_href(self._kb, self._document.document_id, number, version)
            image.props["alt"] = f"Page {number}"
            image.style("min-height: 240px")
            for chunk in self._chunks:
                for box in chunk.boxes:
                    if box.page == number:
                        self._box(chunk, box)
        parts.label(f"{number}", "rl-sheet-number")

    def _box(self, chunk: ChunkView, box: Any) -> None:
        mark = parts.div("rl-box").style(
            f"left:{box.x0 * 100:.2f}%;top:{box.y0 * 100:.2f}%;"
            f"width:{(box.x1 - box.x0) * 100:.2f}%;height:{(box.y1 - box.y0) * 100:.2f}%"
        )
        mark.on("click", lambda: self._from_page(chunk.chunk_id))
        self._marks.setdefault(chunk.chunk_id, []).append(mark)

    # ---- text of anything else ----
    async def _show_text(self) -> None:
        whole = await self._services.knowledge.text(self._kb, self._document.document_id)
        with parts.div("rl-paper"):
            for piece, chunk_id in pieces(whole.text, whole.chunks):
                if chunk_id is None:
                    parts.tag("span", piece)
                    continue
                mark = parts.tag("mark", piece)
                mark.on("click", lambda chunk_id=chunk_id: self._from_page(chunk_id))
                self._marks.setdefault(chunk_id, []).append(mark)


def pieces(whole: str, chunks: Sequence[ChunkView]) -> list[tuple[str, str | None]]:
    """The text cut where passages begin and end; where they overlap, the later one begins."""
    result: list[tuple[str, str | None]] = []
    placed = sorted(
        (c for c in chunks if c.start is not None and c.end is not None and c.end > c.start),
        key=lambda c: c.start or 0,
    )
    at = 0
    for position, chunk in enumerate(placed):
        start = max(at, chunk.start or 0)
        following = placed[position + 1].start if position + 1 < len(placed) else None
        end = chunk.end or start
        if following is not None:
            end = min(end, max(start, following))
        if start > at:
            result.append((whole[at:start], None))
        if end > start:
            result.append((whole[start:end], chunk.chunk_id))
            at = end
    if at < len(whole):
        result.append((whole[at:], None))
    return result
