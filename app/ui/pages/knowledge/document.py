"""One document: its pages or text on the left, its chunks on the right, linked and editable."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from app.documents.media import DRAWN, page_word
from app.services.container import Services
from app.services.rows import locked
from app.services.views import DocumentView, KnowledgeBaseView
from app.ui import document_view, parts, person, text
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, Frame, frame
from app.ui.pages.common import missing
from app.ui.pages.knowledge import document_panels as panels
from app.ui.pages.knowledge.files import original_href, page_href
from app.ui.pages.knowledge.processing_form import ask_processing

#: What others changed is looked for this often, in seconds.
_LOOK_S = 2.0

_PANELS = ("Chunks", "Conflicts", "Quality", "History", "Details")


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/knowledge/{kb}/documents/{document_id}", response_timeout=30)
    async def document_page(kb: str, document_id: str, chunk: str = "", panel: str = "") -> None:
        services = get_services()
        with Expecting("not_found") as met:
            base = await services.knowledge.get(kb)
            document = await services.knowledge.document(kb, document_id)
        if met.error:
            missing(services, "Knowledge", met.error)
            return
        crumbs = [
            Crumb(base.name, f"/knowledge/{base.knowledge_base_id}"),
            Crumb(document.title or document.filename),
        ]
        if document.version_id is None:
            with frame(services, "Knowledge", crumbs):
                _not_there(base, document)
        else:
            with frame(services, "Knowledge", crumbs, full=True) as bar:
                await DocumentPage(services, base, document).build(bar, chunk, panel)


def _not_there(base: KnowledgeBaseView, document: DocumentView) -> None:
    """A document that is on its way, or failed, and never was in."""
    icon, title, fix = "hourglass_empty", "It is on its way in.", "Come back when it is done."
    if document.error:
        icon = "lock" if locked(document) else "error_outline"
        title, fix = parts.error_words(document.error)
    with parts.empty(icon, title, fix):
        parts.primary(
            "All documents", lambda: ui.navigate.to(f"/knowledge/{base.knowledge_base_id}")
        )


class DocumentPage:
    """The view of the chunks, and what is known of the document beside it."""

    def __init__(self, services: Services, base: KnowledgeBaseView, document: DocumentView) -> None:
        self._services, self._base, self._document = services, base, document
        self._kb = base.knowledge_base_id
        self._name: str | None = None
        self._panel = "Chunks"

    async def build(self, bar: Frame, chunk: str, panel: str) -> None:
        """Show everything, beginning at a chunk if one is named, or with what a panel tells."""
        document = self._document
        number, same = None, True
        if chunk:
            number, same = await self._services.passages.number_of(
                self._kb, document.document_id, chunk
            )
        pages = 0
        if document.media_type in DRAWN:
            pages = document.pages or 1
        href = page_href(self._kb, document.document_id, 0, document.version_id or "")
        with bar.beside:
            self._facts = parts.label("", "rl-doc-facts rl-muted rl-small rl-wide-only")
        with bar.actions:
            again = parts.icon_button("restart_alt", "Process again with other settings")
            again.on_click(self._again)
            button = parts.icon_button("download", "Download the original")
            button.props["href"] = original_href(self._kb, document.document_id)
            button.props["download"] = True
        self._view = document_view.DocumentView(
            self._services,
            self._kb,
            document.document_id,
            href=href.replace("/0?", "/{page}?"),
            pages=pages,
            author=self._author,
            corrected=self._corrected,
        )
        self._view.begin_at(number)
        with self._view:
            with parts.div("rl-doc-head"):
                self._tabs = parts.div("rl-doc-tabs").props('role="tablist"')
            if chunk and not same:
                words = "This passage was changed since it was cited."
                if number is None:
                    words = "This passage is not part of the document any more."
                with parts.notice("warn", words, "What stands at its place now is shown."):
                    pass
            self._room = parts.div("rl-doc-panel rl-col rl-gap-16")
        await self._show(panel if panel in _PANELS else "Chunks")
        self._tell()
        ui.timer(_LOOK_S, self._look)

    async def _look(self) -> None:
        """Show what somebody else changed meanwhile; an edit that is begun stays as it is."""
        known = self._document.version_id
        with Expecting("not_found") as met:
            now = await self._services.knowledge.document(self._kb, self._document.document_id)
        if met.error:
            return  # it was removed; what is shown can still be read
        if now.version_id == known or self._document.version_id != known or self._view.busy:
            return
        self._document = now
        await self._view.renew()
        if self._panel == "Chunks":
            self._tell()
        else:
            await self._show(self._panel)

    def _tell(self) -> None:
        document = self._document
        facts = [
            text.count(document.pages, page_word(document.filename)) if document.pages else "",
            text.count(document.chunk_count, "chunk"),
            text.size(document.size),
        ]
        self._facts.text = " · ".join(fact for fact in facts if fact)
        meta = document.metadata
        counts = {
            "Quality": len((meta.get("quality") or {}).get("findings", ())),
            "Conflicts": len(meta.get("edit_conflicts", ())),
        }
        self._tabs.clear()
        with self._tabs:
            for name in _PANELS:
                if name == "Conflicts" and not counts[name] and self._panel != name:
                    continue
                on = name == self._panel
                button = ui.element("button").classes("rl-doc-tab" + (" rl-on" if on else ""))
                button.mark(f"panel-{name}")
                button.props["type"] = "button"
                button.props["role"], button.props["aria-selected"] = "tab", str(on).lower()
                button.on("click", lambda name=name: self._show(name))
                with button:
                    parts.tag("span", name)
                    if counts.get(name):
                        tone = " is-warn" if name == "Conflicts" else ""
                        parts.tag("span", str(counts[name]), "rl-doc-count" + tone)

    async def _show(self, name: str) -> None:
        self._panel = name
        self._view.props["data-panel"] = name
        self._room.clear()
        self._tell()
        document = self._document
        with self._room:
            if name == "Quality":
                panels.quality(document, self._go_to)
            elif name == "Conflicts":
                panels.conflicts(document, self._apply, self._drop)
            elif name == "History":
                await panels.history(self._services, self._kb, document, self._restore)
            elif name == "Details":
                panels.details(document)

    async def _go_to(self, start: int) -> None:
        number = await self._services.passages.number_at(
            self._kb, self._document.document_id, start
        )
        await self._show("Chunks")
        await self._view.go(number)

    async def _corrected(self) -> None:
        """Read what the document is by now."""
        self._document = await self._services.knowledge.document(
            self._kb, self._document.document_id
        )
        self._tell()

    async def _author(self) -> str:
        if self._name is None:
            self._name = await person.person_name()
        return self._name

    async def _apply(self, position: int) -> None:
        conflict = self._document.metadata["edit_conflicts"][position]
        await self._settle(position, "apply", conflict)

    async def _drop(self, position: int) -> None:
        conflict = self._document.metadata["edit_conflicts"][position]
        await self._settle(position, "drop", conflict)

    async def _settle(self, position: int, action: str, conflict: dict[str, object]) -> None:
        with Expecting() as met:
            done = await self._services.corrections.settle(
                self._kb, self._document.document_id, position,
                "apply" if action == "apply" else "drop", author=await self._author(),
            )  # fmt: skip
        if met.error:
            parts.failed(met.error)
            return
        await self._corrected()
        number = done.chunks[0].ordinal if done.chunks else None
        if number is not None:
            await self._show("Chunks")
            await self._view.go(number)
        else:
            await self._show(
                "Conflicts" if self._document.metadata.get("edit_conflicts") else "Chunks"
            )
        words = "The edit was made again" if action == "apply" else "The edit was dropped"
        self._view.undo(done, words, number or 0)

    async def _restore(self, version_id: str, when: str) -> None:
        with Expecting() as met:
            done = await self._services.corrections.restore(
                self._kb, self._document.document_id, version_id,
                expected=self._document.version_id, author=await self._author(),
            )  # fmt: skip
        if met.error:
            parts.failed(met.error)
            await self._corrected()
            return
        await self._corrected()
        await self._view.go(0)
        await self._show("History")
        self._view.undo(done, f"The state of {when} is back", 0)

    async def _again(self) -> None:
        used = await panels.settings_of(self._services, self._document)
        config = await ask_processing(
            self._services, self._kb, used, f"Process {self._document.filename} again"
        )
        if config is None:
            return
        with Expecting() as met:
            job = await self._services.ingest.reprocess(
                self._kb, [self._document.document_id], config, await self._author()
            )
        if met.error:
            parts.failed(met.error)
            return
        await self._wait(job.job_id)

    async def _wait(self, job_id: str) -> None:
        parts.toast("It is being processed again. You can go on reading.")
        job = await self._services.ingest.job(job_id)
        while job.status in ("queued", "running") and not self._view.is_deleted:
            job = await self._services.ingest.wait(job_id, 2.0)
        if self._view.is_deleted:
            return
        failed = next((task for task in job.results if task.error), None)
        if failed is not None and failed.error:
            parts.toast(" ".join(parts.error_words(failed.error)), tone="danger")
            return
        if job.status != "completed":
            parts.toast(f"Processing is {job.status}; the list of documents says more.")
            return
        await self._corrected()
        lost = len(self._document.metadata.get("edit_conflicts", ()))
        await self._show("Conflicts" if lost else "Chunks")
        await self._view.go(0)
        unchanged = bool(job.results) and job.results[0].change == "unchanged"
        parts.toast(
            "Nothing changed with these settings." if unchanged else "It was processed again."
        )
