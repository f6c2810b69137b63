"""What is shown while files come in: a bar for all of them, one for each under way, and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.commands.show import STATE, err, short
from app.services.clock import duration
from app.services.views import JobProgress, JobView, TaskView

_STAGES = ("extract", "chunk", "quality", "embed", "index")


class FileBars:
    """A bar for each file under way, and a line for each that has arrived."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[stage]}"),
            console=err,
            transient=True,
        )
        #: Files that were not handed in yet.
        self._waiting = total
        self._all = self._progress.add_task("[bold]All files", total=total, stage="")
        self._bars: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        self._jobs: dict[str, JobView] = {}
        self._said: dict[str, str] = {}

    def __enter__(self) -> FileBars:
        if err.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if err.is_terminal:
            self._progress.stop()

    def submitted(self, job: JobView, files: int) -> None:
        """So many files are a job now; an archive among them is as many as it holds."""
        self._waiting -= files
        self.job(job)

    def job(self, job: JobView) -> None:
        """Move the bar of all files; say why a job waits."""
        self._jobs[job.job_id] = job
        held = ""
        if job.status == "paused":
            held = _held(job)
            if self._said.get(job.job_id) != held:
                self._progress.console.print(f"[yellow]Paused:[/] {escape(held)}")
        self._said[job.job_id] = held
        progress = [job.progress for job in self._jobs.values()]
        total = self._waiting + sum(p.total for p in progress)
        over = sum(p.done + p.failed + p.cancelled for p in progress)
        rates = [p.files_per_s for p in progress if p.files_per_s]
        words = [f"{over}/{total}"]
        words += _lost(progress)
        if rates:
            words.append(f"{sum(rates):.1f} files/s")
            words.append(f"{duration((total - over) / sum(rates))} left")
        self._progress.update(self._all, total=total, completed=over, stage=" · ".join(words))

    def file(self, task: TaskView) -> None:
        """Move the bar of a file, or end it."""
        key = task.task_id or task.document_id or task.filename
        if key in self._ended:
            return
        if task.status == "running" and key not in self._bars:
            name = escape(short(task.filename, 40))
            self._bars[key] = self._progress.add_task(name, total=1.0, stage="")
        if key in self._bars:
            self._progress.update(self._bars[key], completed=_fraction(task), stage=_stage(task))
        if task.status in ("success", "error", "cancelled"):
            self._ended.add(key)
            self._progress.console.print(_ended(task))
        if task.status != "running" and key in self._bars:
            self._progress.remove_task(self._bars.pop(key))


def reasons(results: Iterable[TaskView]) -> None:
    """How many files are in, and for each other one why it is not."""
    found = list(results)
    others = [result for result in found if result.status != "success"]
    if not others:
        return
    err.print(f"{len(found) - len(others)} of {len(found)} files are in; these are not:")
    for result in others:
        why = result.error_message or result.status
        err.print(f"  [red]·[/] {escape(result.filename)}: {escape(why)}")


def job_line(job: JobView) -> str:
    """A job in one line."""
    progress = job.progress
    words = [f"{progress.done} of {progress.total} files"]
    words += _lost([progress])
    if progress.files_per_s:
        words.append(f"{progress.files_per_s:.1f} files/s")
    if progress.eta_s is not None:
        words.append(f"{duration(progress.eta_s)} left")
    if job.status == "paused":
        words.append(_held(job))
    return f"{job.job_id}  {job.status}  {job.kind}  {job.created_at}  {' · '.join(words)}"


def _lost(progress: Sequence[JobProgress]) -> list[str]:
    locked = sum(p.locked for p in progress)
    failed = sum(p.failed for p in progress) - locked
    return [f"{n} {word}" for n, word in ((failed, "failed"), (locked, "locked")) if n]


def _held(job: JobView) -> str:
    if job.reason is None:
        return f"`ragloom jobs resume {job.job_id}` goes on."
    when = f" Tried again at {job.resumes_at}." if job.resumes_at else ""
    return f"{job.reason['message']} {job.reason.get('fix', '')}{when}"


def _fraction(task: TaskView) -> float:
    place = next((i for i, s in enumerate(_STAGES) if task.stage.startswith(s)), 0)
    inside = min(1.0, task.done / task.total) if task.total else 0.0
    return (place + inside) / len(_STAGES)


def _stage(task: TaskView) -> str:
    return f"{task.stage} {task.done}/{task.total}" if task.total else task.stage


def _ended(task: TaskView) -> str:
    name = escape(task.filename)
    if task.status == "success":
        count = f"{task.chunks_created} chunk{'s' * (task.chunks_created != 1)}"
        note = "unchanged" if task.change == "unchanged" else count
        return f"{STATE['ok']} {name} [dim]{note}, {task.processing_time:.1f} s[/]"
    if task.status == "cancelled":
        return f"[yellow]–[/] {name} [dim]cancelled[/]"
    return f"{STATE['error']} {name}: {escape(task.error_message or 'It failed.')}"
