"""The jobs of a knowledge base in a few lines: how far they are, and what keeps them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from app.services.clock import duration
from app.services.container import Services
from app.services.ingestion.watch import GOING
from app.services.views import JobView
from app.ui import live, parts, text
from app.ui.expecting import Expecting

#: Something to do with some jobs, by id.
Steer = Callable[[list[str]], Awaitable[Any]]


class Jobs:
    """One line for what is under way, one for each reason to wait, one for what failed.

    Files that come in together may be many jobs; people think of them as one. `changed` hears that
    a job began or ended, whoever began it.
    """

    def __init__(self, services: Services, kb: str, changed: Callable[[], None]) -> None:
        self._services, self._kb, self._changed = services, kb, changed
        self._jobs: dict[str, JobView] = {}
        self._opened, self._dismissed = datetime.now(UTC), set[str]()
        #: Jobs that were not over when the page was opened.
        self._before: set[str] = set()
        #: Files that had failed when a job that had been over was first told here: a file of it
        #: tried once more is no news of the others.
        self._failed_before: dict[str, int] = {}
        self._room = parts.div("rl-col rl-gap-8")
        ingest = services.ingest
        with self._room:
            self._under_way = _Line(
                ("Pause", "pause", _each(ingest.pause)), ("Cancel", "close", _cancel(services))
            )
            self._paused = parts.div("rl-col rl-gap-8")
            self._over = _Line(("Try these again", "refresh", _each(ingest.retry_failed)))
            with self._over.actions:
                parts.icon_button("close", "Dismiss", self._dismiss)
        self._waits: dict[str, _Pause] = {}
        live.follow(self._watch, "jobs of a knowledge base")

    async def _watch(self) -> None:
        ingest = self._services.ingest
        under_way = await ingest.jobs(self._kb, (*GOING, "paused"), limit=500)
        self._before = {job.job_id for job in under_way.items}
        async for job in ingest.watch_jobs(kb=self._kb):
            if job.job_id in self._jobs or job.status in (*GOING, "paused") or self._new(job):
                known = self._jobs.get(job.job_id)
                if known is None or known.status != job.status:
                    self._changed()
                if known is None:
                    self._failed_before[job.job_id] = 0 if self._new(job) else _failed(job)
                self._jobs[job.job_id] = job
                with self._room:
                    self._draw()

    def _new(self, job: JobView) -> bool:
        """Whether all it tells is news here: it was under way when the page was opened, or came
        later. A short one is over when it is first told; one that was over has been tried again.
        """
        made = text.parse_time(job.created_at)
        later = made is not None and made >= self._opened
        return (later or job.job_id in self._before) and job.job_id not in self._dismissed

    def _draw(self) -> None:
        jobs = list(self._jobs.values())
        going = [job for job in jobs if job.status in GOING]
        over = [job for job in jobs if job.status not in (*GOING, "paused")]
        # What has ended counts along with the rest of what was dropped.
        self._under_way.show([*over, *going] if going else [], going)
        self._draw_pauses([job for job in jobs if job.status == "paused"])
        failed = [
            job
            for job in over
            if not going and _failed(job) > self._failed_before.get(job.job_id, 0)
        ]
        self._over.show(failed, failed)
        if not going:
            self._jobs = {j.job_id: j for j in jobs if j.status == "paused" or j in failed}

    def _draw_pauses(self, paused: Sequence[JobView]) -> None:
        groups: dict[str, list[JobView]] = {}
        for job in paused:
            groups.setdefault((job.reason or {}).get("message", ""), []).append(job)
        for key in [key for key in self._waits if key not in groups]:
            self._waits.pop(key).remove()
        for key, jobs in groups.items():
            if key not in self._waits:
                with self._paused:
                    self._waits[key] = _Pause(self._services, jobs[0].reason)
            self._waits[key].show(jobs)

    def _dismiss(self) -> None:
        self._dismissed |= {k for k, j in self._jobs.items() if j.status not in (*GOING, "paused")}
        self._jobs = {k: j for k, j in self._jobs.items() if k not in self._dismissed}
        self._over.show([], [])


class _Line:
    """Words, a bar, and buttons that act on all jobs shown."""

    def __init__(self, *actions: tuple[str, str, Steer]) -> None:
        self._jobs: list[str] = []
        self._element = parts.div("rl-job-line rl-col rl-gap-4 rl-hidden").mark("job-line")
        with self._element:
            with parts.div("rl-row rl-wrap"):
                self.words = parts.label("", "rl-grow").props('role="status"')
                self.words.style("min-width: min(100%, 150px)")
                with parts.div("rl-row") as self.actions:
                    for name, icon, act in actions:
                        parts.bare(name, lambda act=act: act(list(self._jobs)), icon=icon)
            self._bar = ui.linear_progress(0, show_value=False, size="4px")

    def show(self, counted: Sequence[JobView], acted_on: Sequence[JobView]) -> None:
        """Show the sum of some jobs, none hides the line; buttons act on others."""
        self._jobs = [job.job_id for job in acted_on]
        self._element.classes(**{"remove" if counted else "add": "rl-hidden"})
        if not counted:
            return
        self.words.text = words(counted)
        total = sum(job.progress.total for job in counted)
        self._bar.value = sum(map(_over, counted)) / total if total else 0.0
        going = any(job.status in GOING for job in counted)
        self._bar.classes(**{"remove" if going else "add": "rl-hidden"})


def _each(
    steer: Callable[[str], Awaitable[JobView]],
) -> Callable[[list[str]], Awaitable[list[JobView]]]:
    """Steer jobs one by one; gives those that could be."""

    async def act(job_ids: list[str]) -> list[JobView]:
        steered = []
        for job_id in job_ids:
            with Expecting() as met:
                steered.append(await steer(job_id))
            if met.error and met.code != "conflict":  # it ended while the button was pressed
                parts.failed(met.error)
        return steered

    return act


def _cancel(services: Services) -> Steer:
    """Cancel jobs, and offer to take their files in after all."""

    async def act(job_ids: list[str]) -> None:
        files = [
            (job.knowledge_base_id, result.document_id)
            for job in await _each(services.ingest.cancel)(job_ids)
            for result in job.results
            if result.status == "cancelled"
        ]

        async def undo() -> None:
            problems = []
            for kb, document in files:
                with Expecting() as met:
                    await services.ingest.retry(kb, document)
                if met.error:  # it was uploaded again or removed, or its original is gone
                    problems.append(met.error)
            if problems:
                parts.failed(problems[0])
                back = len(files) - len(problems)
                parts.toast(f"{back} of {text.count(len(files), 'file')} taken in after all.")

        if files:
            parts.toast(f"{text.count(len(files), 'file')} cancelled.", undo=undo)

    return act


class _Pause:
    """Jobs that wait for the same reason, what to do about it, and the way on."""

    def __init__(self, services: Services, reason: dict[str, Any] | None) -> None:
        tone, title, hint = "accent", "Paused", ""
        if reason is not None:
            title, hint = parts.error_words(reason)
            tone = "warn"
        self._element = parts.div().mark("job-pause")
        with self._element, parts.notice(tone, title, hint, icon="pause_circle"):
            self._at = ""
            self._when = parts.div("rl-muted rl-small rl-hidden")
            ingest = services.ingest
            self._line = _Line(
                ("Go on now" if reason else "Go on", "play_arrow", _each(ingest.resume)),
                ("Cancel", "close", _cancel(services)),
            )

    def show(self, jobs: Sequence[JobView]) -> None:
        """Tell of these jobs."""
        self._line.show(jobs, jobs)
        times = [job.resumes_at for job in jobs if job.resumes_at]
        self._when.classes(**{"remove" if times else "add": "rl-hidden"})
        if times and min(times) != self._at:
            self._at = min(times)
            self._when.clear()
            with self._when:
                parts.tag("span", "Tried again by itself at ")
                parts.exact(self._at, clock=True)
                parts.tag("span", "; no file counts as failed.")

    def remove(self) -> None:
        """Take it off the page."""
        self._element.delete()


def words(jobs: Sequence[JobView]) -> str:
    """“12 of 40 files · 1 failed · 2.3 files/s · 12 s left” over some jobs."""
    progress = [job.progress for job in jobs]
    total, done = sum(p.total for p in progress), sum(p.done for p in progress)
    locked, cancelled = sum(p.locked for p in progress), sum(p.cancelled for p in progress)
    failed = sum(p.failed for p in progress) - locked
    found = [f"{done} of {text.count(total, 'file')} in"]
    if failed:
        found.append(f"{failed} failed")
    if locked:
        found.append(f"{locked} locked")
    if cancelled:
        found.append(f"{cancelled} cancelled")
    rate = sum(p.files_per_s or 0 for p in progress)
    if rate:
        found.append(f"{rate:.1f} files/s")
    left = [p.eta_s for p in progress if p.eta_s is not None]
    if rate and any(job.status in GOING for job in jobs):
        found.append(f"about {duration((total - sum(map(_over, jobs))) / rate)} left")
    elif left:
        found.append(f"about {duration(max(left))} left")
    return " · ".join(found)


def _failed(job: JobView) -> int:
    """Files that failed for good; encrypted ones ask for their passwords themselves."""
    return job.progress.failed - job.progress.locked


def _over(job: JobView) -> int:
    return job.progress.done + job.progress.failed + job.progress.cancelled
