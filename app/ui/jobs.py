"""Files on their way into knowledge bases, shown in the top bar of every page."""

from __future__ import annotations

from nicegui import ui

from app.services.container import Services
from app.services.ingestion.watch import GOING
from app.services.views import JobView, TaskView
from app.ui import live, parts, text

#: Files that the button lists at most; of the others it gives the number.
_LISTED = 8
STAGES = ("extract", "chunk", "quality", "embed", "index")


def fraction(task: TaskView) -> float:
    """How far a file is over all stages, 0..1."""
    if task.status not in ("queued", "running"):
        return 1.0
    if task.status == "queued":
        return 0.0
    step = next((i for i, s in enumerate(STAGES) if task.stage.startswith(s)), 0)
    inside = task.done / task.total if task.total else 0.0
    return min(1.0, (step + min(1.0, inside)) / len(STAGES))


def words(task: TaskView) -> str:
    """Where a file is: “waiting”, “embed 12 of 80”, “done”."""
    if task.status == "queued":
        return "waiting"
    if task.status == "running":
        count = f" {task.done} of {task.total}" if task.total > 1 else ""
        return f"{task.stage or 'starting'}{count}"
    return {"success": "done", "error": "failed", "cancelled": "cancelled"}[task.status]


def build(services: Services) -> None:
    """Add the button; it is there only while something is on its way."""
    _Button(services)


class _Button:
    """How many files are on their way, and where each of them is."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: Files being read.
        self._tasks: dict[str, TaskView] = {}
        #: Jobs since nothing was on its way, also those that are over by now.
        self._jobs: dict[str, JobView] = {}
        self._rows: list[_Row] = []
        self._button = ui.button(color=None).classes("rl-quiet rl-hidden").mark("jobs")
        with self._button:
            self._spinner = ui.spinner(size="16px")
            self._still = ui.icon("pause_circle", size="18px").classes("rl-hidden")
            self._summary = parts.tag("span", "", "rl-small").style("margin-left: 8px")
            with ui.menu() as self._menu:
                self._room = parts.div("rl-col").style("padding: 8px 12px; width: 320px; gap: 10px")
            self._menu.on_value_change(self._list)
        with self._room:
            self._more = parts.label("", "rl-muted rl-small")
        live.follow(self._watch, "files in the top bar")
        live.follow(self._watch_jobs, "jobs in the top bar")

    async def _watch(self) -> None:
        async for task in self._services.ingest.watch():
            self._tasks.pop(task.document_id, None)
            if task.status == "running":
                self._tasks[task.document_id] = task
            with self._button:
                self._show()

    async def _watch_jobs(self) -> None:
        async for job in self._services.ingest.watch_jobs():
            self._jobs[job.job_id] = job
            with self._button:
                self._show()

    def _show(self) -> None:
        going = [job for job in self._jobs.values() if job.status in (*GOING, "paused")]
        if not going:
            self._jobs.clear()
            self._button.classes(add="rl-hidden")
            return
        self._button.classes(remove="rl-hidden")
        waits = all(job.status == "paused" for job in going)
        self._spinner.classes(**{"add" if waits else "remove": "rl-hidden"})
        self._still.classes(**{"remove" if waits else "add": "rl-hidden"})
        over, total = self._count()
        alone = next(iter(self._tasks.values()), None) if total == 1 else None
        self._summary.text = words(alone) if alone else f"{over} of {text.count(total, 'file')}"
        self._list()

    def _count(self) -> tuple[int, int]:
        """Files that are through, and all."""
        each = [job.progress for job in self._jobs.values()]
        return sum(p.done + p.failed + p.cancelled for p in each), sum(p.total for p in each)

    def _list(self) -> None:
        """List the files while somebody looks: they may come by the hundred, on every open page."""
        if not self._menu.value:
            return
        tasks = list(self._tasks.values())[:_LISTED]
        while len(self._rows) < len(tasks):
            with self._room:
                self._rows.append(_Row())
            self._more.move(self._room)  # stays the last one
        for number, row in enumerate(self._rows):
            row.show(tasks[number] if number < len(tasks) else None)
        over, total = self._count()
        waiting = max(0, total - over - len(tasks))
        self._more.text = f"{text.count(waiting, 'file')} waiting" if waiting else ""


class _Row:
    """A file and how far it is."""

    def __init__(self) -> None:
        self._root = parts.div("rl-col rl-gap-4")
        with self._root:
            with parts.div("rl-row"):
                self._name = parts.label("", "rl-ellipsis rl-grow rl-small")
                self._words = parts.label("", "rl-muted rl-small")
            self._bar = ui.linear_progress(0.0, show_value=False, size="4px")

    def show(self, task: TaskView | None) -> None:
        """Show a file, or nothing."""
        self._root.classes(**{"remove" if task else "add": "rl-hidden"})
        if task is not None:
            self._name.text, self._words.text = task.filename, words(task)
            self._bar.value = fraction(task)
