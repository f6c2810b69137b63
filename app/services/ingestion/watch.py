"""How far jobs are: their views, and changes as they happen."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from app.services.broadcast import Broadcast, Watcher
from app.services.ingestion.worker import IngestWorkers, JobChange, TaskUpdate
from app.services.rows import LOCKED, job_view, locked, task_view
from app.services.threads import call
from app.services.views import JobProgress, JobView, Page, TaskView
from storage import tables
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

ENDED = ("completed", "failed", "cancelled")
GOING = ("queued", "running")
#: Another process may finish a job without this one hearing of it.
_POLL_S = 2.0
#: Progress of a job is told at most this often.
_PROGRESS_S = 0.4


class IngestWatch:
    """Looks at jobs; part of `IngestService`."""

    def __init__(self, jobs: JobRepository, repository: KnowledgeRepository) -> None:
        self._jobs = jobs
        self._repository = repository
        self._updates: Broadcast[TaskUpdate] = Broadcast()
        self._changes: Broadcast[JobChange] = Broadcast()
        self._workers: IngestWorkers

    async def job(self, job_id: str) -> JobView:
        """A job with the state of each file. Raises NotFound."""
        return await call(self._job, job_id)

    async def brief(self, job_id: str) -> JobView:
        """A job without its files. Raises NotFound."""
        return (await call(lambda: self._views([self._jobs.job(job_id)])))[0]

    async def jobs(
        self,
        kb: str | None = None,
        statuses: Sequence[str] = (),
        limit: int = 50,
        offset: int = 0,
    ) -> Page[JobView]:
        """Jobs without their files, newest first. Raises NotFound."""

        def read() -> Page[JobView]:
            kb_id = None if kb is None else self._repository.find(kb).id
            rows, total = self._jobs.list(kb_id, statuses, limit, offset)
            return Page(items=self._views(rows), total=total)

        return await call(read)

    async def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """The job once it has ended, or as it is after `timeout_s`."""
        watcher = self._updates.join(
            lambda update: update.job_id == job_id and update.task.status not in GOING
        )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while (view := await self.job(job_id)).status not in ENDED:
                        async for _ in self._until_ended(watcher, view):
                            pass
                    return view
            return await self.job(job_id)
        finally:
            self._updates.leave(watcher)

    async def watch(
        self, kb: str | None = None, job_id: str | None = None
    ) -> AsyncIterator[TaskView]:
        """States of files as they change, beginning with those they have now.

        Ends with the job when `job_id` is given; goes on until the server stops otherwise.
        """
        kb_id = None if kb is None else (await call(self._repository.find, kb)).id
        watcher = self._updates.join(_about(kb_id, job_id))
        try:
            if job_id is not None:
                for view in (await self.job(job_id)).results:
                    yield view
                while (job := await self.job(job_id)).status not in ENDED and not watcher.closed:
                    async for view in self._until_ended(watcher, job):
                        yield view
                # What changed between the last look and the end of the job.
                for view in job.results:
                    yield view
                return
            if kb_id is not None:
                for task in await call(self._jobs.open_tasks, kb_id):
                    yield task_view(self._workers.live(task))
            while not watcher.closed:
                await watcher.changed(None)
                for update in watcher.take():
                    yield update.view
        finally:
            self._updates.leave(watcher)

    async def watch_jobs(
        self, kb: str | None = None, job_id: str | None = None
    ) -> AsyncIterator[JobView]:
        """Jobs without their files as they move, those that are not over first.

        Ends with the job when `job_id` is given; goes on until the server stops otherwise.
        """
        kb_id = None if kb is None else (await call(self._repository.find, kb)).id
        watcher = self._changes.join(_about(kb_id, job_id))
        try:
            if job_id is not None:
                views = [await self.brief(job_id)]
            else:
                views = (await self.jobs(kb_id, (*GOING, "paused"), limit=500)).items
            while True:
                for view in views:
                    yield view
                if watcher.closed or (job_id is not None and views and views[0].status in ENDED):
                    return
                # Rates fall while nothing happens: what is watched is told every now and then.
                await watcher.changed(_POLL_S if job_id is not None else None)
                await asyncio.sleep(_PROGRESS_S)
                ids = [change.job_id for change in watcher.take()]
                views = await call(self._known, [job_id] if job_id is not None else ids)
        finally:
            self._changes.leave(watcher)

    async def follow(self, job_id: str) -> AsyncIterator[TaskView | JobView]:
        """The files of a job as they change, its progress in between, until it has ended."""
        merged: asyncio.Queue[TaskView | JobView | BaseException | None] = asyncio.Queue(100)

        async def pump(source: AsyncIterator[TaskView] | AsyncIterator[JobView]) -> None:
            try:
                async for view in source:
                    await merged.put(view)
                await merged.put(None)
            except Exception as error:  # whoever follows must hear of it
                await merged.put(error)

        pumps = [
            asyncio.create_task(pump(self.watch(job_id=job_id))),
            asyncio.create_task(pump(self.watch_jobs(job_id=job_id))),
        ]
        try:
            left = len(pumps)
            while left:
                view = await merged.get()
                if isinstance(view, BaseException):
                    raise view
                if view is None:
                    left -= 1
                else:
                    yield view
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _until_ended(
        self, watcher: Watcher[TaskUpdate], view: JobView
    ) -> AsyncIterator[TaskView]:
        """Changes of a job until its files seem to have ended, or nothing was heard for a while.

        The job is not looked up in between: with many files that would cost more than the files.
        """
        going = {r.task_id for r in view.results if r.status in GOING}
        while going and not watcher.closed:
            await watcher.changed(_POLL_S)
            updates = watcher.take()
            for update in updates:
                yield update.view
                if update.task.status not in GOING:
                    going.discard(update.task.id)
            if not updates:
                return

    def _job(self, job_id: str) -> JobView:
        job, tasks = self._jobs.job(job_id), self._jobs.tasks(job_id)
        counts = Counter("locked" if locked(task) else task.status for task in tasks)
        shown = self._workers.patience.shown(job)
        live = [self._workers.live(task) for task in tasks]
        return job_view(shown, live, self._progress(shown, counts))

    def _known(self, job_ids: Iterable[str]) -> list[JobView]:
        return self._views(self._jobs.some(list(job_ids)))

    def _views(self, rows: Sequence[tables.Job]) -> list[JobView]:
        counts = self._jobs.counts([row.id for row in rows], LOCKED)
        shown = [self._workers.patience.shown(row) for row in rows]
        return [job_view(row, [], self._progress(row, counts[row.id])) for row in shown]

    def _progress(self, job: tables.Job, counts: Mapping[str, int]) -> JobProgress:
        found = JobProgress(
            total=sum(counts.values()),
            done=counts.get("success", 0),
            failed=counts.get("error", 0) + counts.get("locked", 0),
            locked=counts.get("locked", 0),
            cancelled=counts.get("cancelled", 0),
        )
        if job.status not in GOING:
            return found
        running = self._workers.under_way(job.id)
        found.stages = dict(Counter(task.stage or "starting" for task in running))
        rates = self._workers.pace.rates(job.id)
        found.files_per_s, found.chunks_per_s = rates.files_per_s, rates.chunks_per_s
        left = counts.get("queued", 0) + counts.get("running", 0)
        if rates.files_per_s:
            found.eta_s = left / rates.files_per_s
        elif rates.chunks_per_s and left == len(running) and all(t.total for t in running):
            # Few files, all of which say how many chunks they have.
            chunks = sum(t.total - t.done for t in running)
            found.eta_s = chunks / rates.chunks_per_s
        return found


def _about(kb_id: str | None, job_id: str | None) -> Callable[[TaskUpdate | JobChange], bool]:
    """Whether what happened concerns this knowledge base and this job; None stands for any."""
    return lambda event: job_id in (None, event.job_id) and kb_id in (None, event.kb_id)
