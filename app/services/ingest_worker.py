"""Workers that take queued files one by one through the ingestion workflow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from app.engine.events import Event, RunFinished
from app.engine.graph import Graph
from app.engine.problems import Problem
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.services.broadcast import Broadcast
from app.services.kb_pipeline import graph_for, identity_of
from app.services.pipeline import first_row, stage_of
from app.services.problems import explain
from app.services.processing import stored_processing
from app.services.rows import task_view
from app.services.threads import call
from app.services.views import TaskView
from app.services.world import Origin, ServiceWorld
from storage import ids, tables
from storage.errors import NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Between looks at the queue when nobody called: work of other processes, a database that was away.
_IDLE_S = 30.0
_CONTENDED_S = 0.5
#: A file that was under way at two deaths of the process gets its last chance only after the
#: process has lived this long: that it was stopped over and over says nothing about the file.
_SETTLED_S = 5.0
#: Between attempts to write down how a file ended, while the disk is full.
_BACKOFF_S = (0.2, 1.0, 5.0, 15.0)
#: Time for a cancelled document to let go of its threads.
_GRACE_S = 2.0
_KNOWN_JOBS = 100


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """A change of one file's state."""

    kb_id: str
    job_id: str
    view: TaskView

    @classmethod
    def of(cls, task: tables.Task) -> TaskUpdate:
        """The state of a task as it is now."""
        return cls(task.knowledge_base_id, task.job_id, task_view(task))


class IngestWorkers:
    """Claims queued files, and keeps a few documents under way at once."""

    def __init__(
        self,
        jobs: JobRepository,
        repository: KnowledgeRepository,
        registry: Registry,
        world: ServiceWorld,
        updates: Broadcast[TaskUpdate],
        *,
        count: int,
        timeout_s: float,
    ) -> None:
        self._jobs = jobs
        self._repository = repository
        self._registry = registry
        self._world = world
        self._updates = updates
        self._slots = asyncio.Semaphore(count)
        self._timeout_s = timeout_s
        self._wake = asyncio.Event()
        self._began = time.monotonic()
        self._dispatcher: asyncio.Task[None] | None = None
        self._processing: set[asyncio.Task[None]] = set()
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Progress of what runs here; it changes too often for the database.
        self._live: dict[str, tables.Task] = {}
        #: Jobs seen lately; author and branch never change.
        self._known_jobs: dict[str, tables.Job] = {}

    def start(self) -> None:
        """Start working."""
        self._began = time.monotonic()
        self._dispatcher = asyncio.create_task(self._dispatch(), name="ingest")

    async def close(self) -> None:
        """Stop; documents under way go back to the queue."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        for task in self._processing:
            task.cancel()
        await asyncio.gather(*self._processing, return_exceptions=True)

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def stop(self, task_ids: Collection[str]) -> None:
        """Break off documents that are under way here."""
        running = [self._running[task_id] for task_id in task_ids if task_id in self._running]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_GRACE_S)

    def live(self, task: tables.Task) -> tables.Task:
        """The task with its progress, where it runs here."""
        known = self._live.get(task.id)
        return known if known is not None and task.status == "running" else task

    async def _dispatch(self) -> None:
        while True:
            await self._slots.acquire()
            self._wake.clear()
            task = await self._insist("take a file from the queue", self._claim)
            if task is not None and not await self._postponed(task):
                work = asyncio.create_task(self._process(task), name=f"process {task.id}")
                self._processing.add(work)
                work.add_done_callback(self._processed)
                if task.attempts > 1:
                    await asyncio.wait([work])
                continue
            self._slots.release()
            if task is not None:
                continue
            # Files of one name wait for each other: what ends may let another begin.
            idle = _CONTENDED_S if self._processing else _IDLE_S
            if not self._settled():
                idle = min(idle, _SETTLED_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._wake.wait()

    def _claim(self) -> tables.Task | None:
        return self._jobs.claim(last_chances=self._settled())

    def _settled(self) -> bool:
        return time.monotonic() - self._began > _SETTLED_S

    async def _postponed(self, task: tables.Task) -> bool:
        """Put a file back that was under way when a process died, until nothing else is.

        It is tried alone: should it bring this process down too, no other file is suspected.
        """
        if task.attempts == 1 or not self._processing:
            return False
        await self._insist("put a file back", lambda: self._jobs.release(task.id))
        await asyncio.wait(self._processing)
        return True

    def _processed(self, work: asyncio.Task[None]) -> None:
        self._processing.discard(work)
        self._slots.release()
        if not work.cancelled() and (error := work.exception()):
            log.error("an upload was left undone", exc_info=error)

    async def _process(self, task: tables.Task) -> None:
        run = asyncio.create_task(self._ingest(task), name=f"ingest {task.id}")
        self._running[task.id] = run
        self._live[task.id] = task
        self._updates.publish(task.id, TaskUpdate.of(task))
        try:
            await asyncio.wait([run])
            if run.cancelled():
                # Cancelled by its job, which has noted that already.
                return
            if error := run.exception():
                report = explain(error)
                await self._end(task, lambda: self._jobs.fail(task.id, report.data()))
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.wait([run], timeout=_GRACE_S)
            await call(self._jobs.release, task.id)
            raise
        finally:
            self._running.pop(task.id, None)
            self._live.pop(task.id, None)

    async def _ingest(self, task: tables.Task) -> None:
        started = time.monotonic()
        base, job = await call(self._context, task)
        processing = stored_processing(task.processing)
        model = await self._world.models.vector_name(base.config["embedding_model"])
        identity = identity_of(base, processing)
        known = await call(self._known, task, job.branch, identity, model)
        if known is not None:
            await self._finish(task, "unchanged", known.chunk_count, started)
            return
        graph = await graph_for(
            base, job.branch, processing, self._timeout_s, self._world.workflows
        )
        origin = Origin(job.author, identity, base, task.document_id)
        runner = Runner(self._registry, self._world.bound(origin), payloads=False)
        finished = await runner.run(
            graph,
            {"files": [_reference(task)]},
            task.id,
            lambda event: self._follow(task, event, graph),
        )
        if finished.problem is not None:
            await self._fail(task, finished.problem, started)
        else:
            await self._succeed(task, finished, started)

    def _context(self, task: tables.Task) -> tuple[tables.KnowledgeBase, tables.Job]:
        job = self._known_jobs.get(task.job_id)
        if job is None:
            if len(self._known_jobs) > _KNOWN_JOBS:
                self._known_jobs.clear()
            job = self._known_jobs[task.job_id] = self._jobs.job(task.job_id)
        return self._repository.get(task.knowledge_base_id), job

    def _known(
        self, task: tables.Task, branch: str, identity: dict[str, Any], model: str
    ) -> tables.DocumentVersion | None:
        """The version this would become, where the branch holds it already."""
        settings = ids.config_hash(identity, model)
        found = self._repository.versions([ids.version_id(task.document_id, task.blob, settings)])
        if not found:
            return None
        commit = self._repository.resolve(task.knowledge_base_id, branch)
        current = self._repository.manifest(commit.id).get(task.document_id)
        return found[0] if current == found[0].id else None

    async def _succeed(self, task: tables.Task, finished: RunFinished, started: float) -> None:
        row = first_row(finished.outputs)
        await self._finish(task, row["change"], row["chunks"], started)

    async def _finish(self, task: tables.Task, change: str, chunks: int, started: float) -> None:
        took = time.monotonic() - started
        await self._end(
            task,
            lambda: self._jobs.finish(
                task.id, change=change, chunks_created=chunks, processing_time=took
            ),
        )

    async def _fail(self, task: tables.Task, problem: Problem, started: float) -> None:
        error = {"code": problem.code, "message": problem.message, "fix": problem.fix}
        took = time.monotonic() - started
        await self._end(task, lambda: self._jobs.fail(task.id, error, processing_time=took))

    async def _end(self, task: tables.Task, write: Callable[[], tables.Task]) -> None:
        try:
            ended = await self._insist(f"note how {task.filename} ended", write)
        except NotFound:
            return  # Its knowledge base was deleted meanwhile.
        self._live.pop(task.id, None)
        self._updates.publish(ended.id, TaskUpdate.of(ended))

    async def _insist(self, what: str, write: Callable[[], T]) -> T:
        """Write to the database, as often as it takes while the disk is full or it is away."""
        attempt = 0
        while True:
            try:
                return await call(write)
            except NotFound:
                raise
            except Exception as error:
                pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
                log.warning("Could not %s, trying again: %s", what, error)
                await asyncio.sleep(pause)
                attempt += 1

    def _follow(self, task: tables.Task, event: Event, graph: Graph) -> None:
        stage = stage_of(event, graph)
        live = self._live.get(task.id)
        if stage is not None and live is not None:
            live.stage, live.done, live.total = stage
            live.updated_at = event.at
            self._updates.publish(task.id, TaskUpdate.of(live))


def _reference(task: tables.Task) -> dict[str, Any]:
    return {
        "filename": task.filename,
        "blob": task.blob,
        "size": task.size,
        "media_type": task.media_type,
        "document_id": task.document_id,
    }
