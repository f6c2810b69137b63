"""Everything the product can do, wired together over one data folder."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from app.engine.registry import Registry
from app.nodes import register_all
from app.services.automation.schedules import ScheduleService
from app.services.automation.webhooks import WebhookService
from app.services.chats.service import ChatService
from app.services.exports.service import ExportService
from app.services.ingestion.kb_pipeline import PipelineChecks
from app.services.ingestion.kb_workflows import PipelineService
from app.services.ingestion.reembed import ReembedService
from app.services.ingestion.service import IngestLimits, IngestService
from app.services.keys import KeyService, page_secret
from app.services.knowledge.adoption import AdoptionService
from app.services.knowledge.branches import BranchService
from app.services.knowledge.corrections import CorrectionService
from app.services.knowledge.files import FileService
from app.services.knowledge.indexer import Indexer
from app.services.knowledge.passages import PassageService
from app.services.knowledge.search import SearchService
from app.services.knowledge.service import KnowledgeService
from app.services.memory import few_heaps
from app.services.models import ModelService
from app.services.problems import Report, explain
from app.services.runs.batches import BatchService
from app.services.runs.compare import CompareService
from app.services.runs.durable import Durability
from app.services.runs.service import RunLimits, RunService
from app.services.runs.world import ServiceWorld, WorldKnowledge
from app.services.sources.folder import Roots
from app.services.sources.pages import WebPages
from app.services.sources.service import SourceService
from app.services.threads import call
from app.services.web import WebService
from app.services.workflows.history import HistoryService, summarise
from app.services.workflows.service import WorkflowService
from app.settings import Settings
from storage.automation import TriggerRepository
from storage.batches import BatchRepository
from storage.blobs import Blobs
from storage.chats import ChatRepository
from storage.database import Database
from storage.folder import DataFolder
from storage.jobs import JobRepository
from storage.keys import KeyRepository
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from storage.runs import RunRepository
from storage.sources import SourceRepository
from storage.workflows import WorkflowRepository

log = logging.getLogger(__name__)

_HOUSEKEEPING_S = 6 * 3600.0
#: Originals that nothing refers to are kept this long: their upload may be under way.
_ORPHAN_AGE_S = 24 * 3600.0
#: Deleted workflows can be brought back for this long.
_DELETED_KEPT_S = 7 * 24 * 3600.0


@dataclass
class Services:
    """The services over one data folder; `open` makes them, `close` lets the folder go."""

    settings: Settings
    folder: DataFolder
    database: Database
    repository: KnowledgeRepository
    registry: Registry
    models: ModelService
    files: FileService
    indexer: Indexer
    knowledge: KnowledgeService
    corrections: CorrectionService
    pipelines: PipelineService
    ingest: IngestService
    reembedding: ReembedService
    adoption: AdoptionService
    branches: BranchService
    search: SearchService
    passages: PassageService
    world: ServiceWorld
    workflows: WorkflowService
    history: HistoryService
    exports: ExportService
    compare: CompareService
    runs: RunService
    sources: SourceService
    schedules: ScheduleService
    webhooks: WebhookService
    batches: BatchService
    chats: ChatService
    keys: KeyService
    #: Set once the search indexes are open and the default model is loaded.
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    #: Why `ready` will not be set.
    startup_problem: Report | None = None
    _cleanup: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    async def open(
        cls, settings: Settings, *, background: bool = True, after: asyncio.Event | None = None
    ) -> Services:
        """Open the data folder: lock, migrate, and go on with what an earlier process left.

        With `background`, search indexes and models open behind it, once `after` is set, and
        `ready` tells when; else they are open on return. Raises DataFolderInUse, StorageFull.
        """
        few_heaps()
        async with AsyncExitStack() as cleanup:
            folder = DataFolder(settings.data)
            await call(folder.lock)
            cleanup.push_async_callback(call, folder.release)
            database = Database(_database_url(settings, folder))
            cleanup.push_async_callback(call, database.close)
            await call(database.upgrade)
            services = _wire(settings, folder, database, cleanup)
            await services._start(background, after)
            services._cleanup = cleanup.pop_all()
        return services

    async def close(self) -> None:
        """Stop everything in order; what is under way goes on at the next start."""
        await self._cleanup.aclose()

    async def _start(self, background: bool, after: asyncio.Event | None) -> None:
        cleanup = self._cleanup
        await call(self._recover)
        await self.runs.open()
        cleanup.push_async_callback(self.chats.close)
        cleanup.push_async_callback(self.runs.close)
        cleanup.push_async_callback(self.batches.close)
        cleanup.push_async_callback(self.schedules.close)
        await self.chats.open()
        self.ingest.start()
        cleanup.push_async_callback(self.ingest.close)
        cleanup.push_async_callback(self.reembedding.close)
        cleanup.push_async_callback(self.sources.close)
        opening = asyncio.create_task(self._open_stores(after), name="open-stores")
        keeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        cleanup.push_async_callback(_ended, opening, keeping, after)
        going_on = asyncio.create_task(self._go_on(opening), name="go-on")
        cleanup.push_async_callback(_cancelled, going_on)
        if not background:
            await going_on

    async def _go_on(self, opening: asyncio.Task[None]) -> None:
        """Once nodes have what they need: take up what was under way, and look at the clock."""
        await asyncio.wait([opening])
        for service in (self.runs, self.batches, self.reembedding, self.sources):
            try:
                await service.recover()
            except Exception:  # what cannot be gone on with holds up nothing else
                log.exception("%s could not go on", type(service).__name__)
        self.schedules.carry(self.sources)
        self.schedules.start()

    def _recover(self) -> None:
        jobs = JobRepository(self.database)
        if left := jobs.recover():
            log.info("Going on with %d documents that an earlier process left", left)

    async def _open_stores(self, after: asyncio.Event | None) -> None:
        """Open the search indexes and load the default model."""
        if after is not None:
            # Their imports take seconds that a server spends on answering first.
            await after.wait()
        try:
            projector = await call(_open_indexes, self.settings, self.folder, self.repository)
            self.indexer.opened(projector)
            await self.models.warm()
            await call(projector.reconcile_all)
        except Exception as error:
            self.startup_problem = explain(error)
            self.indexer.failed(error)
            log.exception("The search indexes could not be opened")
            return
        self.ready.set()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            try:
                await call(_purge, self.folder.path, self.database)
                freed = await call(_sweep, self.folder.blobs, self.database)
            except Exception:
                log.exception("What nobody uses could not be removed; trying again later")
            else:
                log.info("Removed %d bytes of originals that nothing uses", freed)


def _database_url(settings: Settings, folder: DataFolder) -> str:
    return settings.database_url.get_secret_value() if settings.database_url else folder.db_url


def _wire(
    settings: Settings, folder: DataFolder, database: Database, cleanup: AsyncExitStack
) -> Services:
    web = WebService(settings.http_allow, settings.http_allow_private)
    registry = Registry()
    register_all(registry, web)
    registry.discover()
    repository, jobs = KnowledgeRepository(database), JobRepository(database)
    runs = RunRepository(database, folder.payloads, settings.step_output_kb * 1024)
    models = ModelService(folder.path / "models", allow_downloads=settings.allow_downloads)
    cleanup.push_async_callback(models.close)
    files = FileService(folder.blobs, folder.path / "cache", settings)
    cleanup.push_async_callback(files.close)
    indexer = Indexer()
    cleanup.push_async_callback(indexer.close)
    search = SearchService(repository, models, indexer, max_query_chars=settings.max_query_chars)
    revisions = WorkflowRepository(database, summarise)
    workflows = WorkflowService(
        revisions,
        runs,
        registry,
        models,
        max_bytes=settings.max_workflow_mb * 1024 * 1024,
    )
    world = ServiceWorld(
        WorldKnowledge(repository, search, models, indexer),
        models,
        files,
        web,
        workflows,
        WebPages(web, folder.blobs),
    )
    ingest = IngestService(
        jobs, repository, folder.blobs, registry, world, _ingest_limits(settings)
    )
    knowledge = KnowledgeService(
        repository,
        jobs,
        folder.blobs,
        models,
        indexer,
        ingest,
        embedding_model=settings.embedding_model,
        pipelines=PipelineChecks(workflows, registry),
    )
    reembedding = ReembedService(repository, models, indexer, world.knowledge.embeddings)
    # The folder is locked: whoever comes with its name is the same server, started again.
    durability = Durability(
        runs,
        f"{socket.gethostname()}:{settings.data.resolve()}",
        shared=not database.is_sqlite,
    )
    stored_triggers = TriggerRepository(database)
    running = RunService(
        runs, workflows, registry, world, _run_limits(settings), durability=durability
    )
    return Services(
        settings=settings,
        folder=folder,
        database=database,
        repository=repository,
        registry=registry,
        models=models,
        files=files,
        indexer=indexer,
        knowledge=knowledge,
        corrections=CorrectionService(repository, world.knowledge),
        pipelines=PipelineService(repository, knowledge, workflows, registry),
        ingest=ingest,
        reembedding=reembedding,
        adoption=AdoptionService(repository, reembedding, models, indexer),
        branches=BranchService(repository, revisions, reembedding, indexer),
        search=search,
        world=world,
        workflows=workflows,
        history=HistoryService(revisions),
        exports=ExportService(workflows, registry),
        passages=PassageService(repository),
        compare=CompareService(running, knowledge),
        runs=running,
        sources=SourceService(
            SourceRepository(database),
            repository,
            ingest,
            knowledge,
            # A person names each source, so any public host may be asked.
            WebService(["*", *settings.http_allow], settings.http_allow_private),
            Roots(tuple(settings.allowed_roots), (folder.path,)),
        ),
        schedules=ScheduleService(stored_triggers, running, workflows),
        webhooks=WebhookService(stored_triggers, running, workflows),
        batches=BatchService(BatchRepository(database), running, workflows),
        chats=ChatService(ChatRepository(database), running, workflows, page_secret(settings.data)),
        keys=KeyService(
            KeyRepository(database),
            folder.path,
            configured=settings.api_key.get_secret_value() if settings.api_key else None,
            session_days=settings.session_days,
        ),
        _cleanup=cleanup,
    )


def _open_indexes(
    settings: Settings, folder: DataFolder, repository: KnowledgeRepository
) -> Projector:
    projector = Projector(
        repository.db,
        repository,
        VectorIndex(folder.chroma, url=settings.chroma_url),
        KeywordIndex(folder.tantivy),
    )
    projector.open()
    return projector


def _ingest_limits(settings: Settings) -> IngestLimits:
    return IngestLimits(
        file_bytes=settings.max_upload_bytes,
        request_bytes=settings.max_request_bytes,
        files=settings.max_files,
        workers=settings.ingest_workers,
        timeout_s=settings.ingest_timeout_s,
    )


def _run_limits(settings: Settings) -> RunLimits:
    return RunLimits(
        timeout_s=settings.run_timeout_s,
        concurrent=settings.max_concurrent_runs,
        retention_days=settings.retention_days,
        retention_runs=settings.retention_runs,
        retention_mb=settings.retention_mb,
        cache_mb=settings.cache_mb,
        memory_mb=settings.max_run_memory_mb,
    )


def _purge(folder: Path, database: Database) -> None:
    """Remove for good the workflows that were deleted long ago, and the drafts of their edits."""
    for workflow_id in WorkflowRepository(database).purge(_DELETED_KEPT_S):
        for draft in (folder / "drafts").glob(f"{workflow_id}*.json"):
            draft.unlink(missing_ok=True)


def _sweep(blobs: Blobs, database: Database) -> int:
    owners = (KnowledgeRepository(database), WorkflowRepository(database))
    return blobs.sweep(
        lambda shas: {sha for owner in owners for sha in owner.used_blobs(list(shas))},
        older_than_s=_ORPHAN_AGE_S,
    )


async def _ended(
    opening: asyncio.Task[None], keeping: asyncio.Task[None], after: asyncio.Event | None
) -> None:
    keeping.cancel()
    if after is not None and not after.is_set():
        opening.cancel()
    # The thread that opens the indexes cannot be stopped, and must not find the database closed.
    await asyncio.gather(opening, keeping, return_exceptions=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
