"""Adding documents: drop many files, watch each of them move through its stages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingest import IncomingFile
from app.services.views import TaskView
from app.ui import jobs, live, parts

#: The table under the list is read again at most this often, in seconds.
_REFRESH_S = 1.0


class Uploads:
    """A place to drop files, and the list of those on their way."""

    def __init__(self, services: Services, kb: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._services, self._kb, self._changed = services, kb, changed
        self._rows: dict[str, _Row] = {}
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
            f"Drop files or folders here, or click. PDF, Word, PowerPoint, Excel, HTML, Markdown, text; up to {limit} MB each.",
            upload,
        )
        with parts.div("rl-list rl-hidden") as self._list:
            self._room = parts.div()
        live.follow(self._watch, "documents on their way")

    def _refuse(self) -> None:
        limit = self._services.settings.max_upload_mb
        parts.toast(f"A file was left out: it is larger than {limit} MB.", tone="danger")

    async def _take(self, event: events.UploadEventArguments) -> None:
        data = await event.file.read()
        try:
            job = await self._services.ingest.submit(
                self._kb, [IncomingFile(filename=event.file.name, data=data)], None, author="page"
            )
            if any(result.status == "error" for result in job.results):
                self._refresh_soon()  # refused at once: it never was on its way
        except RagloomError as error:
            parts.failed(error)

    async def _watch(self) -> None:
        async for task in self._services.ingest.watch(kb=self._kb):
            with self._list:
                self._show(task)

    def _show(self, task: TaskView) -> None:
        row = self._rows.get(task.document_id)
        over = task.status not in ("queued", "running")
        if row is None:
            if over:
                return
            self._list.classes(remove="rl-hidden")
            with self._room:
                row = self._rows[task.document_id] = _Row(task)
        row.update(task)
        if over:
            del self._rows[task.document_id]
            row.leave(task)
            self._refresh_soon()

    def _refresh_soon(self) -> None:
        if self._due:
            return
        self._due = True

        async def refresh() -> None:
            self._due = False
            await self._changed()

        with self._list:
            ui.timer(_REFRESH_S, refresh, once=True)


class _Row:
    def __init__(self, task: TaskView) -> None:
        columns = "grid-template-columns: minmax(0,1fr) 124px 150px"
        self.element = parts.div("rl-list-row").style(columns)
        with self.element:
            parts.label(task.filename, "rl-ellipsis")
            with parts.div("rl-stages").props('role="progressbar"') as self.bars:
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

    def leave(self, task: TaskView) -> None:
        if task.status == "success":
            self.words.text = f"done · {task.chunks_created} chunks"
            self.words.classes(add="rl-ok")
            with self.element:
                ui.timer(4.0, self.element.delete, once=True)
        else:
            self.bars.classes(add="rl-hidden")
            self.element.style("grid-template-columns: minmax(0,1fr) minmax(0,2fr)")
            self.words.text = task.error_message or task.status
            self.words.classes(add="rl-danger")
            with self.element:
                ui.timer(8.0, self.element.delete, once=True)
