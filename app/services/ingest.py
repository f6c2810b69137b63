"""Putting files into knowledge bases: durable from the moment an upload is acknowledged.

Originals go to the blob folder, one job with a task for each file to the database; then workers run
the ingestion workflow for one document each. Several documents are under way at once, so that one
is read while another is embedded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.broadcast import Broadcast, Watcher
from app.services.ingest_worker import IngestWorkers, TaskUpdate
from app.services.processing import KnowledgeConfig, read_processing
from app.services.rows import job_view, task_view
from app.services.threads import call
from app.services.uploads import IncomingFile, StoredFile, UploadLimits, store
from app.services.views import JobView, TaskView
from app.services.world import ServiceWorld
from storage import tables
from storage.blobs import Blobs
from storage.errors import NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

__all__ = ["IncomingFile", "IngestLimits", "IngestService"]

_ENDED = ("completed", "failed", "cancelled")
_GOING = ("queued", "running")
#: Another process may finish a job without this one hearing of it.
_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What an upload may hold, and how much is worked on at once."""

    file_bytes: int = 100 * 1024 * 1024
    request_bytes: int = 1_000 * 1024 * 1024
    files: int = 1_000
    workers: int = 3
    timeout_s: float = 3_600.0


class IngestService:
    """Takes uploads, runs them in the background, and tells how far they are."""

    def __init__(
        self,
        jobs: JobRepository,
        repository: KnowledgeRepository,
        blobs: Blobs,
        registry: Registry,
        world: ServiceWorld,
        limits: IngestLimits | None = None,
    ) -> None:
        self._jobs = jobs
        self._repository = repository
        self._blobs = blobs
        self.limits = limits or IngestLimits()
        self._updates: Broadcast[TaskUpdate] = Broadcast()
        self._workers = IngestWorkers(
            jobs,
            repository,
            registry,
            world,
            self._updates,
            count=self.limits.workers,
            timeout_s=self.limits.timeout_s,
        )

    def start(self) -> None:
        """Start the workers; they go on with what an earlier process left."""
        self._workers.start()

    async def close(self) -> None:
        """Stop the workers; what is under way starts over at the next start."""
        await self._workers.close()
        self._updates.close()

    async def submit(
        self,
        kb: str,
        files: Sequence[IncomingFile],
        processing_config: Mapping[str, Any] | None = None,
        *,
        branch: str = "main",
        author: str = "",
    ) -> JobView:
        """Take files in. When this returns, no crash loses them.

        A file that is refused (empty, too large) is an error of its own in the results. Raises
        NotFound, RagloomError “invalid_config”, “no_files” or “too_many_files”, StorageFull.
        """
        row = await call(self._repository.find, kb)
        await call(self._repository.resolve, row.id, branch)
        base = KnowledgeConfig(**row.config).processing()
        processing, warnings = read_processing(processing_config, base)
        limits = UploadLimits(self.limits.file_bytes, self.limits.request_bytes, self.limits.files)
        limits.check_count(len(files))
        stored = [await store(file, self._blobs, limits) for file in files]
        settings = {**processing.model_dump(), **({"warnings": warnings} if warnings else {})}
        job = await call(
            self._jobs.create, row.id, [_task(file, settings) for file in stored], branch, author
        )
        self._workers.wake()
        return await self.job(job.id)

    async def job(self, job_id: str) -> JobView:
        """A job with the state of each file. Raises NotFound."""
        return await call(self._job, job_id)

    async def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """The job once it has ended, or as it is after `timeout_s`."""
        watcher = self._updates.join(lambda update: update.job_id == job_id)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while (view := await self.job(job_id)).status not in _ENDED:
                        async for _ in self._until_ended(watcher, view):
                            pass
                    return view
            return await self.job(job_id)
        finally:
            self._updates.leave(watcher)

    async def _until_ended(
        self, watcher: Watcher[TaskUpdate], view: JobView
    ) -> AsyncIterator[TaskView]:
        """Changes of a job until its files seem to have ended, or nothing was heard for a while.

        The job is not looked up in between: with many files that would cost more than the files.
        """
        going = {r.task_id for r in view.results if r.status in _GOING}
        while going and not watcher.closed:
            await watcher.changed(_POLL_S)
            updates = watcher.take()
            for update in updates:
                yield update.view
                if update.view.status not in _GOING:
                    going.discard(update.view.task_id)
            if not updates:
                return

    async def watch(
        self, kb: str | None = None, job_id: str | None = None
    ) -> AsyncIterator[TaskView]:
        """States of files as they change, beginning with those they have now.

        Ends with the job when `job_id` is given; goes on until the server stops otherwise.
        """
        kb_id = None if kb is None else (await call(self._repository.find, kb)).id
        watcher = self._updates.join(
            lambda update: (
                (job_id is None or update.job_id == job_id)
                and (kb_id is None or update.kb_id == kb_id)
            )
        )
        try:
            if job_id is not None:
                for view in (await self.job(job_id)).results:
                    yield view
                while (job := await self.job(job_id)).status not in _ENDED and not watcher.closed:
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

    async def cancel(self, job_id: str) -> JobView:
        """Stop a job; files that are in already stay."""
        running = await call(self._jobs.cancel, job_id)
        await self._workers.stop(running)
        job, tasks = await call(lambda: (self._jobs.job(job_id), self._jobs.tasks(job_id)))
        for task in tasks:
            self._updates.publish(task.id, TaskUpdate.of(task))
        return job_view(job, tasks)

    async def retry(self, kb: str, document_id: str) -> JobView:
        """Try a failed or cancelled file once more. Raises NotFound, RagloomError “conflict”."""
        task = await call(self._latest, kb, document_id)
        if task.status not in ("error", "cancelled") or not task.blob:
            raise RagloomError(
                f"{task.filename} cannot be tried again: "
                + ("its file was not kept." if not task.blob else "it did not fail."),
                code="conflict",
                fix="Upload the file again.",
            )
        await call(self._jobs.retry, task.id)
        self._workers.wake()
        return await self.job(task.job_id)

    async def dismiss(self, document_id: str) -> bool:
        """Give up whatever is open or failed of a document; returns whether there was any."""
        dismissed = await call(self._jobs.dismiss, document_id)
        await self._workers.stop(dismissed)
        return bool(dismissed)

    async def stop_all(self, kb_id: str) -> None:
        """Cancel everything on its way into a knowledge base."""
        for job_id in {task.job_id for task in await call(self._jobs.open_tasks, kb_id)}:
            await self._workers.stop(await call(self._jobs.cancel, job_id))

    def _job(self, job_id: str) -> JobView:
        job, tasks = self._jobs.job(job_id), self._jobs.tasks(job_id)
        return job_view(job, [self._workers.live(task) for task in tasks])

    def _latest(self, kb: str, document_id: str) -> tables.Task:
        row = self._repository.find(kb)
        self._repository.document(row.id, document_id)
        task = self._jobs.latest_task(document_id)
        if task is None:
            raise NotFound("upload of document", document_id)
        return task


def _task(file: StoredFile, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "media_type": file.media_type,
        "blob": file.blob,
        "size": file.size,
        "processing": settings,
        "error": file.error,
    }
