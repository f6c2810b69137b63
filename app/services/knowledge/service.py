"""Knowledge bases, their documents, chunks and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.services.clock import iso
from app.services.ingestion.kb_pipeline import PipelineChecks
from app.services.ingestion.service import IngestService
from app.services.knowledge.document_lists import Wanted, list_documents
from app.services.knowledge.indexer import Indexer
from app.services.knowledge.passages import joined_text
from app.services.knowledge.settings import SettingsReader, checked_name
from app.services.models import ModelService
from app.services.rows import LOCKED, chunk_view, commit_view, document_view
from app.services.threads import call
from app.services.views import (
    ChunkView,
    CommitView,
    DocumentStatus,
    DocumentText,
    DocumentView,
    KnowledgeBaseHealth,
    KnowledgeBaseStats,
    KnowledgeBaseView,
    Page,
)
from storage import tables
from storage.blobs import Blobs
from storage.errors import NotFound
from storage.job_health import Health, health_of
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

_ALL_CHUNKS = 1_000_000
#: Ends of an upload that leave nothing to show of a document without a version.
_GONE = ("success", "cancelled")


class KnowledgeService:
    """The use cases of knowledge bases; `kb` is an id or a name everywhere."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        jobs: JobRepository,
        blobs: Blobs,
        models: ModelService,
        indexer: Indexer,
        ingest: IngestService,
        *,
        embedding_model: str = "default",
        pipelines: PipelineChecks | None = None,
    ) -> None:
        self._repository = repository
        self._jobs = jobs
        self._blobs = blobs
        self._indexer = indexer
        self._ingest = ingest
        self._embedding_model = embedding_model
        self._read = SettingsReader(repository, models, pipelines)

    async def create(
        self, name: str, description: str = "", config: Mapping[str, Any] | None = None
    ) -> KnowledgeBaseView:
        """Make an empty knowledge base.

        Raises RagloomError “invalid_config” or “invalid_name”, ModelUnavailable, Conflict.
        """
        settings, warnings = await self._read.read(
            {"embedding_model": self._embedding_model, **(config or {})}
        )
        row = await call(
            self._repository.create,
            checked_name(name),
            description,
            settings.model_dump(),
            warnings,
        )
        return await call(self._view, row)

    async def list(self, limit: int = 50, offset: int = 0) -> Page[KnowledgeBaseView]:
        """Knowledge bases, oldest first."""

        def read() -> Page[KnowledgeBaseView]:
            rows, total = self._repository.list(limit, offset)
            return Page(items=[self._view(row) for row in rows], total=total)

        return await call(read)

    async def get(self, kb: str) -> KnowledgeBaseView:
        """One knowledge base. Raises NotFound."""
        return await call(lambda: self._view(self._repository.find(kb)))

    async def update(
        self,
        kb: str,
        name: str | None = None,
        description: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> KnowledgeBaseView:
        """Change what is given; keys of `config` that are not given stay as they are."""
        row = await call(self._repository.find, kb)
        fields: dict[str, Any] = {}
        if name is not None:
            fields["name"] = checked_name(name)
        if description is not None:
            fields["description"] = description
        if config is not None:
            settings, warnings = await self._read.read({**row.config, **config}, row.config)
            if settings.embedding_model != row.config["embedding_model"]:
                stats = await call(self._stats, row.id)
                await self._read.check_model_change(row, settings, stats)
            # The models are left alone: a branch with others may be taken over just now.
            unasked = {"embedding_model", "language_models"} - config.keys()
            fields |= {"config": settings.model_dump(exclude=unasked), "warnings": warnings}
        if fields:
            row = await call(self._repository.update, row.id, **fields)
        return await call(self._view, row)

    async def delete(self, kb: str) -> None:
        """Remove a knowledge base, its documents and its history; work under way is cancelled."""
        row = await call(self._repository.find, kb)
        await self._ingest.stop_all(row.id)
        await call(self._repository.delete, row.id)
        await self._indexer.drop(row.id)

    async def stats(self, kb: str) -> KnowledgeBaseStats:
        """Sizes and state."""
        return await call(self._stats, kb)

    async def head(self, kb: str) -> str:
        """The newest commit of `main`: another one says that something changed. Raises NotFound."""

        def read() -> str:
            return self._repository.resolve(self._repository.find(kb).id, "main").id

        return await call(read)

    async def branches(self, kb: str) -> tuple[str, ...]:
        """Names of its branches."""
        return await call(self._branches, kb)

    async def documents(
        self, kb: str, ref: str = "main", limit: int = 50, offset: int = 0, text: str = "",
        status: DocumentStatus | None = None, language: str = "",
        filters: Mapping[str, Any] | None = None, locked: bool | None = None,
    ) -> Page[DocumentView]:  # fmt: skip
        """Documents on their way in or failed first, then those at `ref` by file name.

        `text` is a part of the name or title, `filters` are those of a search, `locked` tells
        those that wait for a password from the others. What is on its way has no language, author
        or date yet. Raises NotFound, InvalidFilter.
        """
        wanted = Wanted(text, status, language, filters or {}, locked)
        return await call(
            list_documents, self._repository, self._jobs, kb, ref, wanted, limit, offset
        )

    async def health(self, kb_ids: Sequence[str]) -> dict[str, KnowledgeBaseHealth]:
        """What of each knowledge base needs somebody, and its size in bytes."""

        def read() -> dict[str, KnowledgeBaseHealth]:
            work = health_of(self._repository.db, kb_ids, LOCKED)
            return {
                kb_id: KnowledgeBaseHealth(
                    **work.get(kb_id, Health())._asdict(),
                    indexing=self._indexer.busy(kb_id),
                    size=self._repository.index_bytes(kb_id),
                )
                for kb_id in kb_ids
            }

        return await call(read)

    async def document(self, kb: str, document_id: str, ref: str = "main") -> DocumentView:
        """One document. Raises NotFound."""

        def read() -> DocumentView:
            row = self._repository.find(kb)
            document = self._repository.document(row.id, document_id)
            version = self._version(row.id, document_id, ref)
            task = self._jobs.latest_task(document_id)
            if version is None and (task is None or task.status in _GONE):
                raise NotFound("document", document_id)
            return document_view(document, version, _overlay(task, version))

        return await call(read)

    async def delete_document(self, kb: str, document_id: str, author: str = "") -> CommitView:
        """Take a document off `main`, or give up one that is on its way in or failed."""
        row = await call(self._repository.find, kb)
        await call(self._repository.document, row.id, document_id)
        dismissed = await self._ingest.dismiss(document_id)
        try:
            commit = await call(
                self._repository.remove_document,
                row.id,
                "main",
                document_id,
                author,
                "Delete a document",
            )
        except NotFound:
            if not dismissed:
                raise
            commit = await call(self._repository.resolve, row.id, "main")
        else:
            self._indexer.touch(row.id)
        return commit_view(commit)

    async def chunks(
        self, kb: str, document_id: str, limit: int = 100, offset: int = 0, ref: str = "main",
        *, disabled: bool = False,
    ) -> Page[ChunkView]:  # fmt: skip
        """Chunks of a document in reading order; with `disabled`, those left out of search too."""

        def read() -> Page[ChunkView]:
            row = self._repository.find(kb)
            document = self._repository.document(row.id, document_id)
            version = self._version(row.id, document_id, ref)
            if version is None:
                return Page(items=[], total=0)
            if disabled:
                rows, total = self._repository.chunk_window(version.id, limit, offset)
            else:
                chunks, total = self._repository.chunks(version.id, limit, offset)
                rows = [(chunk, False) for chunk in chunks]
            views = [chunk_view(c, document.filename, disabled=off) for c, off in rows]
            return Page(items=views, total=total)

        return await call(read)

    async def chunk(self, kb: str, chunk_id: str) -> ChunkView:
        """One chunk, of whichever version. Raises NotFound."""

        def read() -> ChunkView:
            row = self._repository.find(kb)
            chunk = self._repository.chunk(chunk_id)
            document = self._repository.document(row.id, chunk.document_id)
            return chunk_view(chunk, document.filename)

        return await call(read)

    async def original(self, kb: str, document_id: str, ref: str = "main") -> tuple[Path, str, str]:
        """Path, file name and media type of the file that was uploaded. Raises NotFound."""

        def read() -> tuple[Path, str, str]:
            row = self._repository.find(kb)
            document = self._repository.document(row.id, document_id)
            version = self._version(row.id, document_id, ref)
            if version is not None:
                return self._blobs.path(version.content_hash), document.filename, version.media_type
            task = self._jobs.latest_task(document_id)
            if task is None or not task.blob:
                raise NotFound("document", document_id)
            return self._blobs.path(task.blob), document.filename, task.media_type

        return await call(read)

    async def text(self, kb: str, document_id: str, ref: str = "main") -> DocumentText:
        """The extracted text, with its chunks (disabled ones too) as offsets in it."""

        def read() -> DocumentText:
            row = self._repository.find(kb)
            document = self._repository.document(row.id, document_id)
            version = self._version(row.id, document_id, ref)
            if version is None:
                raise NotFound("document", document_id)
            rows, _ = self._repository.chunk_window(version.id, _ALL_CHUNKS, 0)
            sources = self._repository.corrections(version.id).sources
            return DocumentText(
                document_id=document_id,
                filename=document.filename,
                text=joined_text([chunk for chunk, _ in rows], sources),
                chunks=[chunk_view(chunk, document.filename, disabled=off) for chunk, off in rows],
            )

        return await call(read)

    async def commits(
        self, kb: str, ref: str = "main", limit: int = 50, offset: int = 0
    ) -> Page[CommitView]:
        """History of a ref, newest first."""

        def read() -> Page[CommitView]:
            row = self._repository.find(kb)
            rows, total = self._repository.commits(row.id, ref, limit, offset)
            return Page(items=[commit_view(commit) for commit in rows], total=total)

        return await call(read)

    def _view(self, row: tables.KnowledgeBase) -> KnowledgeBaseView:
        head = self._repository.head(row.id)
        documents, chunks = self._repository.counts(head.id) if head else (0, 0)
        return KnowledgeBaseView(
            knowledge_base_id=row.id,
            name=row.name,
            description=row.description,
            config=row.config,
            warnings=row.warnings,
            document_count=documents,
            chunk_count=chunks,
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
        )

    def _stats(self, kb: str) -> KnowledgeBaseStats:
        row = self._repository.find(kb)
        commit = self._repository.resolve(row.id, "main")
        documents, chunks = self._repository.counts(commit.id)
        unfinished = self._jobs.open_tasks(row.id)
        return KnowledgeBaseStats(
            knowledge_base_id=row.id,
            document_count=documents,
            chunk_count=chunks,
            index_size=self._repository.index_bytes(row.id),
            last_updated=iso(row.updated_at),
            embedding_model=row.config["embedding_model"],
            languages=self._repository.languages(commit.id),
            commit=commit.id,
            commits=self._repository.commit_count(row.id),
            branches=[ref.name for ref in self._repository.branches(row.id)],
            pending_documents=sum(task.status in ("queued", "running") for task in unfinished),
            failed_documents=sum(task.status == "error" for task in unfinished),
            indexing=self._indexer.busy(row.id),
        )

    def _branches(self, kb: str) -> tuple[str, ...]:
        row = self._repository.find(kb)
        return tuple(ref.name for ref in self._repository.branches(row.id))

    def _version(self, kb_id: str, document_id: str, ref: str) -> tables.DocumentVersion | None:
        commit = self._repository.resolve(kb_id, ref)
        version_id = self._repository.manifest(commit.id).get(document_id)
        return None if version_id is None else self._repository.version(version_id)


def _overlay(
    task: tables.Task | None, version: tables.DocumentVersion | None
) -> tables.Task | None:
    """The task, where it says something about the document that its version does not."""
    settled = task is not None and version is not None and task.status in _GONE
    return None if settled else task
