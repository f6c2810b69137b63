"""From one's own files to the first answer: drop them, watch them being read, ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath

from nicegui import events, ui

from app.documents.media import KINDS_IN_WORDS
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.uploads import IncomingFile
from app.services.rows import locked
from app.services.views import TaskView
from app.services.workflows import templates
from app.ui import jobs, live, parts
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.common import SCANS, ask_password
from app.ui.person import person_name

_OVER = ("success", "error", "cancelled")
#: What can be done on the canvas that opens.
_NEXT = """**Your files can be asked**

- Type a question at the bottom and press Enter
- Click *Retrieve*, then *Data*, to see which passages were found
- For freely written answers choose a language model in *Generate*
- *Chat*, at the top, is the page for whoever only asks"""


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/begin", response_timeout=30)
    async def begin_page() -> None:
        services = get_services()
        with frame(services, "Workflows", [Crumb("Ask my own files")]):
            Begin(services).build()


class Begin:
    """The page: a place for files, their way into a knowledge base, and what comes then."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kb = ""
        self._name = ""
        self._rows: dict[str, _Row] = {}
        self._jobs = 0
        self._left = False

    def build(self) -> None:
        """Show the place for files."""
        limit = self._services.settings.max_upload_mb
        with parts.div("rl-begin"):
            parts.label("Ask your own files", "rl-begin-title")
            parts.label(
                "Drop files here. They are read and indexed on this machine, a workflow that "
                "answers from them is made, and you type the first question.",
                "rl-muted rl-prose",
            )
            upload = ui.upload(
                multiple=True,
                auto_upload=True,
                max_file_size=self._services.settings.max_upload_bytes,
                on_multi_upload=self._take,
                on_rejected=self._refuse,
            ).mark("begin-upload")
            self._zone = parts.drop_zone(
                "Choose files, or drop them here",
                f"{KINDS_IN_WORDS}, or a zip of them; up to {limit} MB each.",
                upload,
            )
            self._zone.classes(add="rl-begin-zone").props["autofocus"] = True
            self._said = parts.div("rl-col").props('role="status"')
            with parts.div("rl-list rl-hidden") as self._list:
                pass
            self._next = parts.div("rl-row rl-wrap")
            with parts.div("rl-row rl-wrap rl-small rl-begin-links"):
                with parts.link("/templates", "rl-more"):
                    parts.tag("span", "All templates")
                with parts.link("/knowledge", "rl-more"):
                    parts.tag("span", "Knowledge bases that are there")

    def _refuse(self) -> None:
        limit = self._services.settings.max_upload_mb
        parts.toast(f"A file was left out: it is larger than {limit} MB.", tone="danger")

    async def _take(self, event: events.MultiUploadEventArguments) -> None:
        """Make the knowledge base with the first files, and put all of them into it."""
        files = [IncomingFile(file.name, data=await file.read()) for file in event.files]
        if not files:
            return
        self._said.clear()
        try:
            if not self._kb:
                await self._make_shelf(files[0].filename)
            job = await self._services.ingest.submit(self._kb, files, None, author="page")
        except RagloomError as error:
            with self._said:
                parts.error_notice(error)
            return
        self._list.classes(remove="rl-hidden")
        with self._list:
            live.follow(lambda: self._watch(job.job_id), "files to ask")

    async def _make_shelf(self, filename: str) -> None:
        base = PurePosixPath(filename).stem.replace("_", " ").strip()[:80] or "My files"
        known = {kb.name for kb in (await self._services.knowledge.list(limit=500)).items}
        name, number = base, 2
        while name in known:
            name, number = f"{base} {number}", number + 1
        made = await self._services.knowledge.create(name, "Made from files to ask.")
        self._kb, self._name = made.knowledge_base_id, made.name

    async def _watch(self, job_id: str) -> None:
        self._jobs += 1
        with self._list:
            async for task in self._services.ingest.watch(job_id=job_id):
                self._show(task)
            self._jobs -= 1
            await self._go_on()

    def _show(self, task: TaskView) -> None:
        key = task.document_id or task.filename
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._mend)
        row.update(task)

    async def _mend(self, task: TaskView) -> None:
        """Try a file that could not be read once more: with its password, or by recognition."""
        with Expecting() as met:
            if locked(task):
                password = await ask_password(task.filename)
                if not password:
                    return
                job = await self._services.ingest.give_password(
                    self._kb, task.document_id, password
                )
            else:
                job = await self._services.ingest.retry(self._kb, task.document_id, {"ocr": "auto"})
        if met.error:
            parts.failed(met.error)
            return
        self._next.clear()
        with self._list:
            live.follow(lambda: self._watch(job.job_id), "files to ask")

    async def _go_on(self) -> None:
        """Once no file is on its way: to the canvas, or say what else can be done."""
        if self._left or self._jobs or any(row.status not in _OVER for row in self._rows.values()):
            return
        failed = [row for row in self._rows.values() if row.status != "success"]
        if not failed:
            await self._leave()
            return
        self._next.clear()
        with self._next:
            if len(failed) < len(self._rows):
                parts.primary("Ask the others", self._leave, icon="arrow_forward")
            shelf = f"/knowledge/{self._kb}"
            parts.quiet("Open the knowledge base", lambda: ui.navigate.to(shelf), icon="menu_book")

    async def _leave(self) -> None:
        if not self._left:
            self._left = True
            ui.navigate.to(await self._workflow())

    async def _workflow(self) -> str:
        template = templates.get(templates.FIRST)
        name = f"Ask {self._name}"[:120]
        graph = templates.copy_of(template, [self._name], name=name, sample=False)
        for note in graph["graph"].get("notes", []):
            note["text"] = _NEXT
        made = await self._services.workflows.create(graph, author=await person_name())
        return f"/workflows/{made.workflow_id}#ask"


class _Row:
    """A file on its way."""

    def __init__(self, mend: Callable[[TaskView], Awaitable[None]]) -> None:
        self._mend = mend
        self.status = ""
        with parts.div("rl-list-row rl-begin-row") as self._box:
            self._name = parts.label("", "rl-ellipsis")
            with parts.div("rl-stages").props('role="progressbar"') as self._bars:
                self._fills = []
                for stage in jobs.STAGES:
                    with ui.element("i"):
                        self._fills.append(ui.element("b").style("width: 0"))
                        ui.tooltip(stage)
            self._words = parts.label("", "rl-muted rl-small")
            self._act = parts.div()

    def update(self, task: TaskView) -> None:
        """Show how far it is."""
        self.status = task.status
        self._name.text = task.filename
        self._bars.props["aria-label"] = task.filename
        failed = task.status in ("error", "cancelled")
        share = 1.0 if task.status == "success" else 0.0 if failed else jobs.fraction(task)
        for number, fill in enumerate(self._fills):
            part = max(0.0, min(1.0, share * len(jobs.STAGES) - number))
            fill.style(f"width: {part * 100:.0f}%")
        self._box.classes(**{"add" if failed else "remove": "rl-is-over"})
        self._words.classes(**{"add" if failed else "remove": "rl-danger"})
        self._act.clear()
        if task.status == "success":
            self._words.text = "done"
        elif not failed:
            self._words.text = jobs.words(task)
        else:
            self._words.text = task.error_message or task.status
            self._offer(task)

    def _offer(self, task: TaskView) -> None:
        """What can be done about a file that was not read."""
        with self._act:
            if locked(task):
                parts.quiet("Give its password", lambda: self._mend(task), icon="key")
            elif (task.error or {}).get("code") in SCANS:
                parts.quiet("Recognise its text", lambda: self._mend(task), icon="text_snippet")
