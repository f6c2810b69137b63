"""The documents of a knowledge base: filtered, ticked, and what is done with those that are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from nicegui import events, ui

from app.services.container import Services
from app.services.knowledge.document_lists import document_filters
from app.services.rows import locked
from app.services.views import DocumentView, KnowledgeBaseStats
from app.ui import parts, person, text
from app.ui.expecting import Expecting
from app.ui.pages.common import SCANS, MoreList, ask_password
from app.ui.pages.knowledge.days import Days
from app.ui.pages.knowledge.files import original_href
from app.ui.pages.knowledge.processing_form import ask_processing
from app.ui.pages.knowledge.uploads import Uploads

_STATUS = {
    "ready": ("ok", "check", "Ready"),
    "error": ("danger", "error_outline", "Failed"),
    "queued": ("", "schedule", "Waiting"),
    "processing": ("accent", "sync", "Working"),
    "cancelled": ("warn", "block", "Cancelled"),
}
#: Of those that failed, what a password opens.
_LOCKED = ("warn", "lock", "Locked")


class Documents:
    """The tab; `changed` hears that documents came, went or changed, and says what there is."""

    def __init__(
        self,
        services: Services,
        kb: str,
        changed: Callable[[], Awaitable[KnowledgeBaseStats]],
    ) -> None:
        #: The status to begin with.
        self._wanted = ""
        self._built = False
        self._services, self._kb, self._changed = services, kb, changed
        self._ticked: dict[str, tuple[DocumentView, ui.checkbox]] = {}
        self._shown: dict[str, tuple[DocumentView, ui.checkbox]] = {}
        #: Menus of rows that are open, and whether the list waits for them.
        self._menus, self._stale = 0, False

    async def build(self) -> None:
        """Show everything."""
        Uploads(self._services, self._kb, self.refresh)
        self._room = parts.div("rl-hidden")
        with parts.div("rl-toolbar rl-docs-bar") as self._bar:
            self._text = ui.input(placeholder="Filter by name").props("debounce=200 clearable")
            self._text.classes("rl-filter")
            words = {key: word for key, (_, _, word) in _STATUS.items() if key != "cancelled"}
            words["locked"] = _LOCKED[2]
            self._status = ui.select({"": "Any status", **words}, value=self._wanted)
            self._status.props["aria-label"] = "Status"
            self._language = ui.select({"": "Any language"}, value="")
            self._language.props["aria-label"] = "Language"
            self._more = parts.bare("More filters", self._fold_more, icon="tune")
            self._more.props["aria-expanded"] = "false"
        with parts.div("rl-toolbar rl-docs-more rl-hidden") as self._more_bar:
            self._author = ui.input(placeholder="Author").props("debounce=200 clearable")
            self._author.props["aria-label"] = "Author, or sender of a mail"
            self._days = Days(self.refresh)
        for field in (self._text, self._status, self._language, self._author):
            field.on_value_change(self.refresh)
        with parts.div("rl-docs-picked rl-hidden") as self._picked:
            self._count = parts.label("", "rl-strong")
            parts.div("rl-grow")
            parts.bare("Process again…", self._again, icon="restart_alt")
            self._retry_all = parts.bare("Try again", self._retry_ticked, icon="refresh")
            parts.bare("Remove", self._remove_ticked, icon="delete_outline")
            parts.icon_button("close", "Untick all", self._untick)
        with (
            parts.div("rl-hidden") as self._nothing,
            parts.empty(
                "upload_file",
                "No documents yet",
                "Drop files above. The first can be searched before the last is done.",
            ),
        ):
            pass
        with (
            parts.div("rl-hidden") as self._none_such,
            parts.empty("filter_alt_off", "No such document"),
        ):
            parts.quiet("Show all documents", self._show_all)
        with parts.div("rl-list") as self._table:
            with parts.div("rl-list-head rl-docs-row"):
                self._all = ui.checkbox()
                self._all.props["aria-label"] = "Tick all that are shown"
                self._all.on("click", lambda: self._tick_all(bool(self._all.value)))
                for name in ("Name", "Status", "Pages", "Chunks", "Language", "Size", ""):
                    parts.label(name, "rl-num" if name in ("Pages", "Chunks", "Size") else "")
            self._listing = MoreList(self._load, self._row)
        self._built = True
        await self.refresh()

    def show(self, status: str) -> None:
        """List all documents of a status, and no others."""
        self._wanted = status
        if self._built:
            self._show_all()
            self._status.value = status

    async def refresh(self) -> None:
        """List the documents that fit the filters; ticks are kept where the document is shown."""
        if self._menus:
            self._stale = True  # it would close under the pointer
            return
        self._stale = False
        total = await self._listing.reset()
        self._shown = {key: one for key, one in self._shown.items() if not one[1].is_deleted}
        self._ticked = {key: self._shown[key] for key in self._ticked if key in self._shown}
        for _, box in list(self._ticked.values()):
            box.value = True
        self._tell()
        filtered = bool(
            self._text.value or self._status.value or self._language.value or self._filters()
        )
        for element, visible in (
            (self._table, total > 0),
            (self._bar, total > 0 or filtered),
            (self._nothing, not total and not filtered),
            (self._none_such, not total and filtered),
        ):
            element.classes(remove="rl-hidden") if visible else element.classes(add="rl-hidden")
        stats = await self._changed()
        wanted = {*stats.languages, self._language.value} - {""}
        languages = {"": "Any language", **{code: text.language(code) for code in sorted(wanted)}}
        if languages != self._language.options:
            self._language.set_options(languages)

    async def _load(self, limit: int, offset: int) -> tuple[Sequence[Any], int]:
        status = self._status.value or None
        page = await self._services.knowledge.documents(
            self._kb,
            limit=limit,
            offset=offset,
            text=self._text.value or "",
            status="error" if status == "locked" else status,
            locked=status == "locked" if status in ("error", "locked") else None,
            language=self._language.value or "",
            filters=self._filters(),
        )
        return page.items, page.total

    def _filters(self) -> dict[str, Any]:
        return document_filters(self._author.value or "", *self._days.span)

    def _fold_more(self) -> None:
        """Show the other filters, or take them away: none filters unseen."""
        folded = self._more.props["aria-expanded"] == "true"
        self._more.props["aria-expanded"] = "false" if folded else "true"
        self._more_bar.classes(**{"add" if folded else "remove": "rl-hidden"})
        if folded:
            self._author.value = ""
            self._days.clear()

    def _show_all(self) -> None:
        self._text.value = self._status.value = self._language.value = self._author.value = ""
        self._days.clear()

    async def _menu(self, event: events.ValueChangeEventArguments[bool]) -> None:
        self._menus += 1 if event.value else -1
        if not self._menus and self._stale:
            await self.refresh()

    # ---- ticks ----
    def _tick(self, document: DocumentView, box: ui.checkbox, on: bool) -> None:
        if on:
            self._ticked[document.document_id] = (document, box)
        else:
            self._ticked.pop(document.document_id, None)
        self._tell()

    def _tick_all(self, on: bool) -> None:
        for _, box in list(self._shown.values()):
            box.value = on

    def _untick(self) -> None:
        for _, box in list(self._ticked.values()):
            box.value = False

    def _tell(self) -> None:
        count = len(self._ticked)
        self._count.text = f"{count} ticked"
        self._all.value = bool(count) and count == len(self._shown)
        self._picked.classes(remove="rl-hidden") if count else self._picked.classes("rl-hidden")
        failed = any(d.status in ("error", "cancelled") for d, _ in self._ticked.values())
        self._retry_all.set_enabled(failed)

    def _those(self) -> list[DocumentView]:
        return [document for document, _ in self._ticked.values()]

    # ---- what is done with them ----
    async def _remove_ticked(self) -> None:
        await self._remove(self._those())

    async def _remove(self, documents: Sequence[DocumentView]) -> None:
        one = documents[0].filename if len(documents) == 1 else f"{len(documents)} documents"
        if not await parts.confirm(
            f"Remove “{one}”?" if len(documents) == 1 else f"Remove {one}?",
            "It is no longer found from now on. Earlier commits still hold it."
            if len(documents) == 1
            else "They are no longer found from now on. Earlier commits still hold them.",
            "Remove",
        ):
            return
        author = await person.person_name()
        await self._each(
            documents,
            lambda d: self._services.knowledge.delete_document(self._kb, d.document_id, author),
        )

    async def _retry_ticked(self) -> None:
        await self._retry([d for d in self._those() if d.status in ("error", "cancelled")])

    async def _retry(self, documents: Sequence[DocumentView]) -> None:
        await self._each(documents, lambda d: self._services.ingest.retry(self._kb, d.document_id))

    async def _each(
        self, documents: Sequence[DocumentView], do: Callable[[DocumentView], Awaitable[Any]]
    ) -> None:
        """Do it to each; the first that cannot be done is told, the others are done."""
        problems = []
        for document in documents:
            with Expecting() as met:
                await do(document)
            if met.error:
                problems.append(met.error)
        if problems:
            parts.failed(problems[0])
        self._untick()
        await self.refresh()

    async def _again(self) -> None:
        await self._process(self._those())

    async def _process(self, documents: Sequence[DocumentView]) -> None:
        used = documents[0].processing if len(documents) == 1 else {}
        name = documents[0].filename if len(documents) == 1 else f"{len(documents)} documents"
        config = await ask_processing(self._services, self._kb, used, f"Process {name} again")
        if config is not None:
            await self._process_with(documents, config)

    async def _recognise(self, document: DocumentView) -> None:
        config = {**document.processing, "ocr": "auto"}
        config.pop("pipeline", None)
        await self._process_with([document], config)

    async def _process_with(
        self, documents: Sequence[DocumentView], config: dict[str, Any]
    ) -> None:
        author = await person.person_name()
        there = [d.document_id for d in documents if d.version_id is not None]
        with Expecting() as met:
            if there:
                await self._services.ingest.reprocess(self._kb, there, config, author)
            for document in documents:
                if document.version_id is None and document.status in ("error", "cancelled"):
                    await self._services.ingest.retry(self._kb, document.document_id, config)
        if met.error:
            parts.failed(met.error)
        self._untick()
        await self.refresh()

    async def _password(self, document: DocumentView) -> None:
        given = await ask_password(document.filename)
        if given:
            await self._each(
                [document],
                lambda d: self._services.ingest.give_password(self._kb, d.document_id, given),
            )

    # ---- a row ----
    def _row(self, document: DocumentView) -> None:
        ready = document.version_id is not None
        href = f"/knowledge/{self._kb}/documents/{document.document_id}"
        with parts.div("rl-list-row rl-docs-row"):
            box = ui.checkbox()
            box.props["aria-label"] = f"Tick {document.filename}"
            box.on_value_change(lambda event: self._tick(document, box, bool(event.value)))
            self._shown[document.document_id] = (document, box)
            with parts.div("rl-col").style("gap: 0"):
                self._name(document, href, ready)
            tone, icon, word = _STATUS[document.status]
            if locked(document):
                tone, icon, word = _LOCKED
            with parts.div():
                parts.badge(word, tone, icon)
            parts.label(str(document.pages or ""), "rl-num rl-muted")
            parts.label(text.short(document.chunk_count) if ready else "", "rl-num rl-muted")
            parts.label(text.language(document.language), "rl-muted rl-ellipsis")
            parts.label(text.size(document.size) if document.size else "", "rl-num rl-muted")
            with parts.div("rl-row rl-gap-4").style("justify-content: flex-end"):
                self._actions(document, href, ready)

    def _act(
        self, do: Callable[[Any], Awaitable[None]], what: Any
    ) -> Callable[[], Awaitable[None]]:
        """Do something with a row; what it asks and says outlives the row."""

        async def act() -> None:
            with self._room:
                await do(what)

        return act

    def _name(self, document: DocumentView, href: str, ready: bool) -> None:
        # A file without a title of its own has that of its name.
        named = PurePosixPath(document.filename).stem
        if ready:
            with parts.link(href, "rl-ellipsis rl-doc-link"):
                own = "" if document.title == named else document.title
                parts.tag("span", own or document.filename)
        else:
            parts.label(document.filename, "rl-ellipsis")
        if ready and document.title not in ("", document.filename, named):
            parts.label(document.filename, "rl-muted rl-small rl-ellipsis")
        if lost := len(document.metadata.get("edit_conflicts", ())):
            with parts.link(f"{href}?panel=Conflicts", "rl-doc-lost"):
                parts.tag("span", text.count(lost, "correction") + " to look at")
        if document.error:
            title, fix = parts.error_words(document.error)
            tone = "rl-danger"
            if locked(document):
                tone, fix = "rl-warn", "Give its password, or upload a copy without one."
            parts.label(title, f"{tone} rl-small")
            if fix:
                parts.label(fix, "rl-muted rl-small")

    def _actions(self, document: DocumentView, href: str, ready: bool) -> None:
        failed = document.status in ("error", "cancelled")
        if locked(document):
            parts.icon_button("key", "Give the password", self._act(self._password, document))
        elif failed and (document.error or {}).get("code") in SCANS:
            parts.icon_button(
                "document_scanner",
                "Read with text recognition",
                self._act(self._recognise, document),
            )
        elif failed:
            parts.icon_button("refresh", "Try again", self._act(self._retry, [document]))
        with (
            parts.icon_button("more_horiz", f"More of {document.filename}"),
            ui.menu().on_value_change(self._menu),
        ):
            if ready:
                ui.menu_item("Open", lambda: ui.navigate.to(href))
                ui.menu_item(
                    "Download original",
                    lambda: ui.download(original_href(self._kb, document.document_id)),
                )
            if ready or failed:
                ui.menu_item("Process again…", self._act(self._process, [document]))
            ui.menu_item("Remove", self._act(self._remove, [document]))
