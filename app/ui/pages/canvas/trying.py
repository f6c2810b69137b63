"""Trying the workflow on the canvas on one document: nothing is written, every step is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.services.ingestion.trials import can_try, fills, trial
from app.services.views import DocumentView
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.pickers import keep_file
from app.ui.pages.canvas.run_request import RunRequest
from app.ui.pages.canvas.running import Running

_MOST_BASES = 200
_LISTED = 8


@dataclass(frozen=True)
class _Choice:
    """A document to try on, and the knowledge base to compare with."""

    file: Mapping[str, Any]
    kb: str


class Trying:
    """Asks for a document, and runs the workflow on it without writing."""

    def __init__(self, bench: Bench, running: Running) -> None:
        self._bench, self._running = bench, running
        self._last: _Choice | None = None

    def possible(self) -> bool:
        """Whether the graph on the screen takes files in and indexes them."""
        return not self._bench.read_only and can_try(self._bench.editor.graph)

    async def ask(self) -> None:
        """Ask for a document, and run."""
        if not self._running.free():
            return
        choice = await _Dialog(self._bench, self._last).ask()
        if choice is not None:
            self._last = choice
            await self.run(choice)

    async def run(self, choice: _Choice) -> None:
        """Run on a document."""
        asked = trial(self._bench.editor.graph, choice.file, choice.kb)
        values = {**self._bench.bar.values, **asked.input_data}
        await self._running.start(RunRequest(asked.options), values)


class _Dialog:
    def __init__(self, bench: Bench, last: _Choice | None) -> None:
        self._bench, self._last = bench, last
        self._services = bench.services
        self._kb = ""

    async def ask(self) -> _Choice | None:
        page = await self._services.knowledge.list(limit=_MOST_BASES, offset=0)
        names = {kb.knowledge_base_id: kb.name for kb in page.items}
        wanted = fills(self._bench.editor.graph)
        self._kb = next((kb for kb, name in names.items() if wanted in (kb, name)), "") or next(
            iter(names), ""
        )
        with parts.dialog("Try on a document", wide=True) as self._box:
            parts.label(
                "Every step runs and shows what it made. Nothing is written: the index tells what "
                "it would change.",
                "rl-muted",
            )
            if self._last is not None:
                last = self._last
                parts.quiet(
                    f"Again on {last.file['filename']}",
                    lambda: self._box.submit(last),
                    icon="replay",
                ).mark("try-again")
            self._drop()
            if names:
                with parts.div("rl-row rl-wrap"):
                    chosen = ui.select(names, value=self._kb, label="Knowledge base")
                    chosen.style("min-width: 200px").mark("try-kb")
                    chosen.on_value_change(lambda e: self._choose_kb(e.value))
                    self._search = ui.input("Find a document").props("debounce=200 clearable")
                    self._search.classes("rl-grow").on_value_change(self._list)
                self._rows = parts.div("rl-col rl-gap-4").style("min-height: 120px")
                await self._list()
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: self._box.submit(None))
        found = await parts.ask(self._box)
        return found if isinstance(found, _Choice) else None

    def _drop(self) -> None:
        upload = ui.upload(
            auto_upload=True,
            max_file_size=self._services.settings.max_upload_bytes,
            on_upload=self._take,
            on_rejected=lambda: parts.toast("The file is too large.", tone="danger"),
        ).mark("try-upload")
        zone = parts.drop_zone(
            "A file of yours",
            "Drop it here, or click. It is not added to a knowledge base.",
            upload,
        )
        zone.classes("rl-slim")

    async def _take(self, event: events.UploadEventArguments) -> None:
        try:
            file = await keep_file(self._services, event.file.name, await event.file.read())
        except RagloomError as error:
            parts.failed(error)
            return
        self._box.submit(_Choice(file, self._kb))

    async def _choose_kb(self, kb: str) -> None:
        self._kb = kb
        await self._list()

    async def _list(self) -> None:
        page = await self._services.knowledge.documents(
            self._kb, limit=_LISTED, offset=0, text=self._search.value or "", status="ready"
        )
        if self._rows.is_deleted:
            return
        self._rows.clear()
        with self._rows:
            if not page.items:
                parts.label("No document is found.", "rl-muted rl-small")
            for document in page.items:
                self._row(document)
            if page.total > len(page.items):
                parts.label(f"and {page.total - len(page.items):,} more", "rl-muted rl-small")

    def _row(self, document: DocumentView) -> None:
        with parts.tag("button", "", "rl-pick-row") as row:
            row.props('type="button"').mark("try-document")
            ui.icon("description").classes("rl-muted")
            parts.tag("span", document.filename, "rl-ellipsis rl-grow")
            pages = text.count(document.pages, "page") if document.pages else ""
            parts.tag("span", pages, "rl-muted rl-small")
        row.on("click", partial(self._pick, document))

    async def _pick(self, document: DocumentView) -> None:
        with Expecting("not_found") as met:
            path, filename, media_type = await self._services.knowledge.original(
                self._kb, document.document_id
            )
        if met.error:
            parts.toast("The original of this document is not there any more.", tone="danger")
            return
        file = {
            "filename": filename,
            "blob": path.parent.name + path.name,  # the blob folder splits hashes
            "size": document.size or 0,
            "media_type": media_type,
        }
        self._box.submit(_Choice(file, self._kb))
