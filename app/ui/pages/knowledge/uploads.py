"""Adding documents: drop many files, watch each of them move through its stages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import background_tasks, events, ui

from app.documents.media import KINDS_IN_WORDS
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.problems import speaks_for_itself
from app.services.rows import locked
from app.services.views import TaskView
from app.ui import jobs, live, parts, person, text
from app.ui.pages.knowledge.upload_jobs import Jobs

#: The table under the list is read again at most this often, in seconds.
_REFRESH_S = 1.0
#: Files that arrive within this time of each other become one job, in seconds.
_TOGETHER_S = 0.3
_TOGETHER_BYTES = 32 * 1024 * 1024
#: How long a file is shown after it ended, in seconds; the list of documents says it as well.
_DONE_S, _FAILED_S = 1.5, 5.0
#: Encrypted files that are asked about at once; the others are in the list of documents.
_MOST_LOCKED = 20
#: Failed documents that are looked up when the page is opened.
_KNOWN = 10_000


#: Shows and hides the files; how far they are stays.
_FOLD = """(e) => {
  const button = e.currentTarget, open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", open);
}"""


class Uploads:
    """A place to drop files, how far they are, and those that are being read."""

    def __init__(
        self, services: Services, kb: str, changed: Callable[[], Awaitable[object]]
    ) -> None:
        self._services, self._kb, self._changed = services, kb, changed
        self._rows: dict[str, _Row] = {}
        #: Document on its way -> where it was last.
        self._status: dict[str, str] = {}
        self._locked: dict[str, _Locked] = {}
        #: Documents that had failed before the page was opened ask in the list of documents.
        self._before: set[str] = set()
        self._arrived: list[IncomingFile] = []
        self._collecting = False
        self._author, self._asked = person.NOBODY, False
        self._due = False
        limit = services.settings.max_upload_mb
        upload = ui.upload(
            multiple=True,
            auto_upload=True,
            max_file_size=services.settings.max_upload_bytes,
            on_upload=self._take,
            on_rejected=self._refuse,
        ).mark("upload")
        parts.drop_zone(
            "Add documents",
            f"Drop files, folders or zip files here, or click. {KINDS_IN_WORDS}; up to {limit} MB each.",
            upload,
        )
        # It lies over the page: the documents stay where they are while files come and go.
        with parts.div("rl-coming"):
            Jobs(services, kb, self._refresh_soon)
            with parts.div("rl-coming-list rl-hidden") as self._list:
                fold = ui.element("button").classes("rl-coming-fold").props('type="button"')
                fold.props["aria-expanded"] = "true"
                fold.on("click", js_handler=_FOLD)
                with fold:
                    parts.tag("span", "Files", "rl-grow")
                    ui.icon("expand_more")
                self._room = parts.div("rl-coming-files")
        live.follow(self._watch, "documents on their way")

    def _refuse(self) -> None:
        limit = self._services.settings.max_upload_mb
        parts.toast(f"A file was left out: it is larger than {limit} MB.", tone="danger")

    async def _take(self, event: events.UploadEventArguments) -> None:
        data = await event.file.read()
        if not self._asked:
            self._asked = True
            self._author = await person.person_name()
        self._arrived.append(IncomingFile(filename=event.file.name, data=data))
        if sum(len(file.data or b"") for file in self._arrived) > _TOGETHER_BYTES:
            await self._submit()
        elif not self._collecting:
            self._collecting = True
            # Not a timer of the page: it goes on when the page is left.
            background_tasks.create(self._collect(), name="files that arrive together")

    async def _collect(self) -> None:
        await asyncio.sleep(_TOGETHER_S)
        self._collecting = False
        await self._submit()

    async def _submit(self) -> None:
        files, self._arrived = self._arrived, []
        if not files:
            return
        try:
            job = await self._services.ingest.submit(self._kb, files, None, author=self._author)
        except Exception as error:
            if not self._list.is_deleted:
                with self._list:
                    parts.failed(error)
            if not speaks_for_itself(error):
                raise  # nobody expected it: the log shall have it
            return
        if any(result.status == "error" for result in job.results):
            self._refresh_soon()  # refused at once: it never was on its way

    async def _watch(self) -> None:
        failed = await self._services.knowledge.documents(self._kb, status="error", limit=_KNOWN)
        self._before = {document.document_id for document in failed.items}
        async for task in self._services.ingest.watch(kb=self._kb):
            with self._list:
                self._show(task)

    def _show(self, task: TaskView) -> None:
        row = self._rows.get(task.document_id)
        if self._status.get(task.document_id) != task.status:
            self._status[task.document_id] = task.status
            self._refresh_soon()
        over = task.status not in ("queued", "running")
        if not over:
            self._before.discard(task.document_id)
        self._ask(task)
        if row is None and task.status == "running":
            with self._room:
                row = self._rows[task.document_id] = _Row(task)
        if row is not None:
            row.update(task)
            if task.status != "running":
                del self._rows[task.document_id]
                row.leave(task, self._tidy)
        if over:
            del self._status[task.document_id]
        self._tidy()

    def _tidy(self) -> None:
        """An empty list is not shown."""
        shown = bool(self._room.default_slot.children)
        self._list.classes(**{"remove" if shown else "add": "rl-hidden"})

    def _ask(self, task: TaskView) -> None:
        """Ask for the password of an encrypted file, until it is read or gone."""
        known = self._locked.get(task.document_id)
        fresh = task.document_id not in self._before
        if locked(task) and known is None and fresh and len(self._locked) < _MOST_LOCKED:
            with self._room:
                self._locked[task.document_id] = _Locked(self._services, self._kb, task, self._tidy)
        elif locked(task) and known is not None:
            known.refused(task)
        elif known is not None and task.status in ("success", "cancelled", "error"):
            self._locked.pop(task.document_id).remove()

    def _refresh_soon(self) -> None:
        if self._due or self._list.is_deleted:
            return
        self._due = True

        async def refresh() -> None:
            self._due = False
            await self._changed()

        with self._list:
            ui.timer(_REFRESH_S, refresh, once=True)


class _Row:
    def __init__(self, task: TaskView) -> None:
        self.element = parts.div("rl-list-row rl-coming-row")
        with self.element:
            parts.label(task.filename, "rl-ellipsis")
            with parts.div("rl-stages").props('role="progressbar"') as self.bars:
                self.bars.style("width: 100%")
                self._fills = []
                for stage in jobs.STAGES:
                    with ui.element("i"):
                        self._fills.append(ui.element("b").style("width: 0"))
                        ui.tooltip(stage)
            self.words = parts.label("", "rl-muted rl-small rl-ellipsis")

    def update(self, task: TaskView) -> None:
        done = jobs.fraction(task) * len(jobs.STAGES)
        for number, fill in enumerate(self._fills):
            fill.style(f"width: {max(0.0, min(1.0, done - number)) * 100:.0f}%")
        self.words.text = jobs.words(task)

    def leave(self, task: TaskView, gone: Callable[[], None]) -> None:
        """Say how it ended for a few seconds, then go."""

        def remove() -> None:
            self.element.delete()
            gone()

        if task.status == "success":
            self.words.text = f"done · {text.count(task.chunks_created, 'chunk')}"
            self.words.classes(add="rl-ok")
            with self.element:
                ui.timer(_DONE_S, remove, once=True)
        elif task.status in ("queued", "cancelled") or locked(task):
            self.element.delete()
        else:
            self.bars.classes(add="rl-hidden")
            self.words.classes(remove="rl-ellipsis")
            self.element.classes(add="rl-is-over")
            self.words.text = task.error_message or task.status
            self.words.classes(add="rl-danger")
            with self.element:
                ui.timer(_FAILED_S, remove, once=True)


class _Locked:
    """An encrypted file that waits for its password."""

    def __init__(
        self, services: Services, kb: str, task: TaskView, gone: Callable[[], None]
    ) -> None:
        self._services, self._kb, self._document = services, kb, task.document_id
        self._gone = gone
        self.element = parts.div("rl-list-row rl-row rl-wrap").mark("locked-file")
        self.element.style("display: flex")
        with self.element:
            ui.icon("lock").classes("rl-muted")
            with parts.div("rl-col rl-grow").style("gap: 0; min-width: min(100%, 180px)"):
                parts.label(task.filename, "rl-ellipsis")
                self._why = parts.label("", "rl-muted rl-small")
            with parts.div("rl-row"):
                self._entry = ui.input("Password", password=True).props("dense")
                self._entry.props('autocomplete="off"').classes("rl-filter")
                self._entry.on("keydown.enter", self._give)
                self._button = parts.quiet("Open", self._give)
                parts.icon_button("close", "Not now", self._dismiss)
        self.refused(task)

    def refused(self, task: TaskView) -> None:
        """Say why it cannot be read, and take another password."""
        if self.element.is_deleted:
            return
        wrong = (task.error or {}).get("code") == "wrong_password"
        self._why.text = (
            "That is not its password. Try another one." if wrong else "It is encrypted."
        )
        self._why.classes(**{"add" if wrong else "remove": "rl-danger"})
        self._button.enable()

    def remove(self) -> None:
        """Take it off the page."""
        if not self.element.is_deleted:
            self.element.delete()

    def _dismiss(self) -> None:
        """Its row in the list of documents takes the password later."""
        self.remove()
        self._gone()

    async def _give(self) -> None:
        password, self._entry.value = self._entry.value or "", ""
        if not password:
            return
        self._button.disable()
        try:
            await self._services.ingest.give_password(self._kb, self._document, password)
        except RagloomError as error:
            self._button.enable()
            parts.failed(error)
