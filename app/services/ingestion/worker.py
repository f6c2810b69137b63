"""Workers that take queued files one by one through the ingestion workflow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from app.engine.events import Event
from app.engine.graph import Graph
from app.engine.plan import Plan, make_plan
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.services.broadcast import Broadcast
from app.services.ingestion.kb_pipeline import graph_for, identity_of
from app.services.ingestion.pace import Pace
from app.services.ingestion.pauses import PAUSING, Patience, Pauses
from app.services.ingestion.pipeline import first_row, stage_of
from app.services.ingestion.processing import stored_processing
from app.services.ingestion.versions import Origin
from app.services.memory import give_back
from app.services.problems import explain
from app.services.rows import task_view
from app.services.runs.world import ServiceWorld
from app.services.threads import call
from app.services.views import TaskView
from storage import ids, tables
from storage.arrivals import Arrival, arrival
from storage.errors import NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

if TYPE_CHECKING:
    from pydantic import SecretStr

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Between looks at the queue when nobody called: work of other processes, a database that was away.
_IDLE_S = 30.0
_CONTENDED_S = 0.5
#: A file that was under way at many deaths of the process gets its last chance only after the
#: process has lived this long: that it was stopped over and over says nothing about the file.
_SETTLED_S = 5.0
#: Between returns of memory that documents needed and nobody needs any more.
_TIDY_S = 10.0
#: Time for a cancelled document to let go of its threads.
_GRACE_S = 2.0
_KNOWN_JOBS = 100
_KNOWN_PASSWORDS = 1_000
_KNOWN_WAYS = 20


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """A change of one file's state."""

    task: tables.Task

    @property
    def kb_id(self) -> str:
        """Where the file goes."""
        return self.task.knowledge_base_id

    @property
    def job_id(self) -> str:
        """The job it came with."""
        return self.task.job_id

    @property
    def view(self) -> TaskView:
        """The state when it is read: most changes are overtaken before anybody looks."""
        return task_view(self.task)


@dataclass(frozen=True, slots=True)
class JobChange:
    """Something about a job is not as it was."""

    kb_id: str
    job_id: str


@dataclass(frozen=True, slots=True)
class _Way:
    """The workflow that files go through, ready to run."""

    #: What it was made for: the knowledge base's settings, and the upload's.
    decisive: tuple[dict[str, Any], dict[str, Any]]
    #: What decides which chunks a file becomes.
    identity: dict[str, Any]
    graph: Graph
    plan: Plan


class IngestWorkers:
    """Claims queued files, and keeps a few documents under way at once."""

    def __init__(
        self,
        jobs: JobRepository,
        repository: KnowledgeRepository,
        registry: Registry,
        world: ServiceWorld,
        updates: Broadcast[TaskUpdate],
        changes: Broadcast[JobChange],
        *,
        count: int,
        timeout_s: float,
    ) -> None:
        self._jobs = jobs
        self._repository = repository
        self._registry = registry
        self._world = world
        self._updates = updates
        self._changes = changes
        self.pauses = Pauses()
        self.pace = Pace()
        self.patience = Patience(self._blocked)
        #: Jobs that moved when the database became unavailable.
        self._held: list[str] = []
        #: Task -> password of its file, until it ended.
        self._passwords: dict[str, SecretStr] = {}
        self._slots = asyncio.Semaphore(count)
        self._timeout_s = timeout_s
        self._wake = asyncio.Event()
        self._began = self._tidied = time.monotonic()
        self._tidying: asyncio.Task[None] | None = None
        self._dispatcher: asyncio.Task[None] | None = None
        self._processing: set[asyncio.Task[None]] = set()
        #: Task -> its run, and the work on it, which ends once the queue knows what became of it.
        self._running: dict[str, tuple[asyncio.Task[None], asyncio.Task[None]]] = {}
        #: Progress of what runs here; it changes too often for the database.
        self._live: dict[str, tables.Task] = {}
        #: Jobs seen lately; author and branch never change.
        self._known_jobs: dict[str, tables.Job] = {}
        #: Job -> what its last file went through.
        self._ways: dict[str, _Way] = {}

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
        if self._tidying is not None:
            await asyncio.gather(self._tidying, return_exceptions=True)

    def wake(self) -> None:
        """There is something to do, or what kept it may be over."""
        self._wake.set()
        self.patience.wake()

    def unlock(self, task_id: str, password: SecretStr) -> None:
        """Try a password when the task is next processed; it is forgotten when the task ends."""
        while len(self._passwords) >= _KNOWN_PASSWORDS:
            del self._passwords[next(iter(self._passwords))]
        self._passwords[task_id] = password

    def lock(self, task_id: str) -> None:
        """Forget the password of a task."""
        self._passwords.pop(task_id, None)

    async def stop(self, task_ids: Collection[str]) -> None:
        """Break off documents that are under way here."""
        running = [self._running[task_id] for task_id in task_ids if task_id in self._running]
        for task_id in task_ids:
            # Its threads may take a while to let go; nothing more is told of it.
            self._live.pop(task_id, None)
        for run, _ in running:
            run.cancel()
        if running:
            await asyncio.wait([work for _, work in running], timeout=_GRACE_S)

    def live(self, task: tables.Task) -> tables.Task:
        """The task with its progress, where it runs here."""
        known = self._live.get(task.id)
        return known if known is not None and task.status == "running" else task

    def under_way(self, job_id: str) -> list[tables.Task]:
        """The tasks of a job that run here, with their progress."""
        return [task for task in list(self._live.values()) if task.job_id == job_id]

    def tell(self, task: tables.Task) -> None:
        """Publish the state of a task."""
        self._updates.publish(task.id, TaskUpdate(task))
        self.tell_job(task.knowledge_base_id, task.job_id)

    def tell_job(self, kb_id: str, job_id: str) -> None:
        """Publish that something about a job changed."""
        self._changes.publish(job_id, JobChange(kb_id, job_id))

    async def _dispatch(self) -> None:
        while True:
            await self._slots.acquire()
            self._wake.clear()
            task, retry_at = await self._insist("take a file from the queue", self._claim)
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
            if retry_at is not None:
                idle = min(idle, max(0.01, retry_at - time.time()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._wake.wait()

    def _claim(self) -> tuple[tables.Task | None, float | None]:
        """A task, or when to look for one of a job that is paused until then."""
        task = self._jobs.claim(last_chances=self._settled())
        return task, self._jobs.next_retry() if task is None else None

    def _settled(self) -> bool:
        return time.monotonic() - self._began > _SETTLED_S

    async def _postponed(self, task: tables.Task) -> bool:
        """Put a file back that was under way when a process died, until nothing else is.

        It is tried alone: should it bring this process down too, no other file is suspected.
        """
        others = list(self._processing)
        if task.attempts == 1 or not others:
            return False
        await self._insist("put a file back", lambda: self._jobs.release(task.id))
        # Those that were there before: nothing may be under way by now, and one cannot wait for that.
        await asyncio.wait(others)
        return True

    def _processed(self, work: asyncio.Task[None]) -> None:
        self._processing.discard(work)
        self._slots.release()
        if not work.cancelled() and (error := work.exception()):
            log.error("an upload was left undone", exc_info=error)
        stopping = self._dispatcher is None or self._dispatcher.done()
        due = time.monotonic() - self._tidied > _TIDY_S or not self._processing
        if due and not stopping:
            self._tidied = time.monotonic()
            self._tidying = asyncio.create_task(call(give_back), name="give memory back")

    async def _process(self, task: tables.Task) -> None:
        run = asyncio.create_task(self._ingest(task), name=f"ingest {task.id}")
        work = asyncio.current_task()
        assert work is not None
        self._running[task.id] = run, work
        self._live[task.id] = task
        self.pace.begin(task.job_id)
        self.tell(task)
        started = time.monotonic()
        try:
            await asyncio.wait([run])
            if run.cancelled():
                await self._stopped(task)
            elif error := run.exception():
                await self._failed(task, explain(error).data(), started)
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.wait([run], timeout=_GRACE_S)
            await call(self._jobs.release, task.id)
            raise
        finally:
            self._running.pop(task.id, None)
            self._live.pop(task.id, None)
            self.pace.drop(task.id)

    async def _stopped(self, task: tables.Task) -> None:
        """Its job was cancelled, which is noted already, or paused: then it goes back."""

        def release() -> tables.Task:
            self._jobs.release(task.id)
            return self._jobs.task(task.id)

        await self._end(task, release)

    async def _ingest(self, task: tables.Task) -> None:
        started, at = time.monotonic(), time.time()
        found, job = await call(self._arrival, task)
        base = found.base
        embedding = await self._world.knowledge.embeddings.chosen(found.models)
        way = await self._way(task, base, job)
        settings = ids.config_hash(way.identity, embedding.key)
        if found.version == ids.version_id(task.document_id, task.blob, settings):
            known = await call(self._repository.version, found.version)
            await self._finish(task, "unchanged", known.chunk_count, started)
            return
        ending = self._jobs.finishing(task, at)
        origin = Origin(
            job.author,
            way.identity,
            base,
            task.document_id,
            found.models,
            corrected=found.corrected,
            within=ending,
            password=self._passwords.get(task.id),
        )
        runner = Runner(self._registry, self._world.bound(origin), payloads=False)
        finished = await runner.run(
            way.plan,
            {"files": [_reference(task)]},
            task.id,
            lambda event: self._follow(task, event, way.graph),
        )
        if finished.problem is not None:
            problem = finished.problem
            error = {"code": problem.code, "message": problem.message, "fix": problem.fix}
            await self._failed(task, error, started)
        elif (ended := ending.ended()) is not None:
            self._ended(task, ended)
        else:  # it had nothing to commit
            row = first_row(finished.outputs)
            await self._finish(task, row["change"], row["chunks"], started)

    async def _way(self, task: tables.Task, base: tables.KnowledgeBase, job: tables.Job) -> _Way:
        """What a file goes through: found once for all files of a job that have the same."""
        decisive = (base.config, task.processing)
        way = self._ways.get(job.id)
        if way is None or way.decisive != decisive:
            processing = stored_processing(task.processing)
            graph = await graph_for(
                base, job.branch, processing, self._timeout_s, self._world.workflows
            )
            plan = await call(make_plan, graph, self._registry)
            way = _Way(decisive, identity_of(base, processing), graph, plan)
            while len(self._ways) >= _KNOWN_WAYS:
                del self._ways[next(iter(self._ways))]
            self._ways[job.id] = way
        return way

    def _arrival(self, task: tables.Task) -> tuple[Arrival, tables.Job]:
        """Where a file goes, what it finds there, and for whom."""
        job = self._known_jobs.get(task.job_id)
        if job is None:
            if len(self._known_jobs) > _KNOWN_JOBS:
                self._known_jobs.clear()
            job = self._known_jobs[task.job_id] = self._jobs.job(task.job_id)
        db = self._repository.db
        return arrival(db, task.knowledge_base_id, job.branch, task.document_id), job

    async def _finish(self, task: tables.Task, change: str, chunks: int, started: float) -> None:
        took = time.monotonic() - started

        def write() -> tables.Task:
            ended = self._jobs.task(task.id)
            if ended.status != "running":
                return ended
            return self._jobs.finish(
                task.id, change=change, chunks_created=chunks, processing_time=took
            )

        await self._end(task, write)

    async def _failed(self, task: tables.Task, error: dict[str, Any], started: float) -> None:
        took = time.monotonic() - started
        if error["code"] not in PAUSING:
            await self._end(task, lambda: self._jobs.fail(task.id, error, processing_time=took))
            return
        pauses = self.pauses

        def suspend() -> tables.Task:
            first, longest = pauses.first_s, pauses.longest_s
            return self._jobs.suspend(task.id, error, first_s=first, longest_s=longest)[0]

        log.warning("An upload is paused: %s", error["message"])
        self.pace.hold(task.job_id)
        await self._end(task, suspend)

    async def _end(self, task: tables.Task, write: Callable[[], tables.Task]) -> None:
        try:
            ended = await self._insist(f"note how {task.filename} ended", write)
        except NotFound:
            return  # Its knowledge base was deleted meanwhile.
        self._ended(task, ended)

    def _ended(self, task: tables.Task, ended: tables.Task) -> None:
        """Tell what became of a task."""
        if ended.status in ("success", "error"):
            self.pace.ended(task.job_id, task.id, ended.chunks_created)
        if ended.status != "queued":
            self.lock(task.id)
        self._live.pop(task.id, None)
        self.tell(ended)

    async def _insist(self, what: str, write: Callable[[], T]) -> T:
        return await self.patience.insist(what, write, self.pauses.writing_s)

    def _blocked(self) -> None:
        """What is the matter with the database, or is not any more, concerns every job."""
        if self.patience.blocked is not None:
            self._held += self.pace.hold_all()
        else:
            while self._held:
                self.pace.begin(self._held.pop())
        for job in self._known_jobs.values():
            self.tell_job(job.knowledge_base_id, job.id)

    def _follow(self, task: tables.Task, event: Event, graph: Graph) -> None:
        stage = stage_of(event, graph)
        live = self._live.get(task.id)
        if stage is not None and live is not None:
            live.stage, live.done, live.total = stage
            live.updated_at = event.at
            if live.stage in ("embed", "index"):
                self.pace.embedded(task.job_id, task.id, live.done)
            self.tell(live)


def _reference(task: tables.Task) -> dict[str, Any]:
    return {
        "filename": task.filename,
        "blob": task.blob,
        "size": task.size,
        "media_type": task.media_type,
        "document_id": task.document_id,
    }
