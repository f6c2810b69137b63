"""Putting files into knowledge bases: durable from the moment an upload is acknowledged.

Originals go to the blob folder, one job with a task for each file to the database; then workers run
the ingestion workflow for one document each. Several documents are under way at once, so that one
is read while another is embedded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.ingestion.processing import KnowledgeConfig, read_processing
from app.services.ingestion.uploads import IncomingFile, StoredFile, UploadLimits, store_all
from app.services.ingestion.watch import ENDED, IngestWatch
from app.services.ingestion.worker import IngestWorkers
from app.services.rows import locked
from app.services.runs.world import ServiceWorld
from app.services.threads import call
from app.services.views import JobView
from storage import tables
from storage.blobs import Blobs
from storage.errors import NotFound, StorageError
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository

__all__ = ["IncomingFile", "IngestLimits", "IngestService"]

_MAX_PASSWORD = 1_000


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What an upload may hold, and how much is worked on at once."""

    file_bytes: int = 100 * 1024 * 1024
    request_bytes: int = 1_000 * 1024 * 1024
    files: int = 1_000
    workers: int = 3
    timeout_s: float = 3_600.0


class IngestService(IngestWatch):
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
        super().__init__(jobs, repository)
        self._blobs = blobs
        self.limits = limits or IngestLimits()
        self._workers = IngestWorkers(
            jobs,
            repository,
            registry,
            world,
            self._updates,
            self._changes,
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
        self._changes.close()

    async def submit(
        self,
        kb: str,
        files: Sequence[IncomingFile],
        processing_config: Mapping[str, Any] | None = None,
        *,
        branch: str = "main",
        author: str = "",
        unpack: bool = True,
    ) -> JobView:
        """Take files in. When this returns, no crash loses them.

        A zip of files becomes one file for each of its members unless `unpack` is off. A file that
        is refused (empty, too large) is an error of its own in the results. Raises NotFound,
        RagloomError “invalid_config”, “no_files” or “too_many_files”, StorageFull, StorageReadOnly.
        """
        row = await call(self._repository.find, kb)
        await call(self._repository.branch, row.id, branch)
        settings = _settings(row, processing_config)
        limits = UploadLimits(self.limits.file_bytes, self.limits.request_bytes, self.limits.files)
        limits.check_count(len(files))
        stored = await store_all(files, self._blobs, limits, unpack=unpack)
        return await self._begin(
            row, [_task(f, settings) for f in stored], branch, author, "upload"
        )

    async def reprocess(
        self,
        kb: str,
        document_ids: Sequence[str] | None = None,
        processing_config: Mapping[str, Any] | None = None,
        author: str = "",
        *,
        branch: str = "main",
    ) -> JobView:
        """Process documents of a branch anew, all of them with None, with other settings.

        What people corrected in their chunks is kept, or listed as a conflict. Documents that would
        become what they are stay untouched. Raises NotFound, RagloomError “invalid_config”,
        “no_documents”.
        """
        row = await call(self._repository.find, kb)
        settings = _settings(row, processing_config)
        found = await call(self._there, row.id, branch, document_ids)
        if not found:
            raise RagloomError(
                "There are no documents to process.",
                code="no_documents",
                fix="Upload some first, or name documents of this knowledge base.",
            )
        tasks = [
            {
                "filename": document.filename,
                "media_type": version.media_type,
                "blob": version.content_hash,
                "size": version.size,
                "processing": settings,
            }
            for document, version in found
        ]
        return await self._begin(row, tasks, branch, author, "reprocess")

    async def pause(self, job_id: str) -> JobView:
        """Stop working on a job until it is resumed; files under way start over then.

        Raises NotFound, RagloomError “conflict” where it has ended.
        """
        self._must_be_open(await self.brief(job_id), "paused")
        await self._workers.stop(await call(self._jobs.pause, job_id))
        self._workers.pace.hold(job_id)
        return await self._told(job_id)

    async def resume(self, job_id: str) -> JobView:
        """Go on with a paused job at once, whoever paused it. Raises as `pause` does."""
        self._must_be_open(await self.brief(job_id), "resumed")
        await call(self._jobs.resume, job_id)
        self._workers.wake()
        return await self._told(job_id)

    async def cancel(self, job_id: str) -> JobView:
        """Stop a job; files that are in already stay, nothing comes in any more."""
        running = await call(self._jobs.cancel, job_id)
        await self._workers.stop(running)
        self._workers.pace.hold(job_id)
        return await self._told(job_id)

    async def retry_failed(self, job_id: str) -> JobView:
        """Try the failed files of a job once more. Raises NotFound, RagloomError “conflict”."""
        if not await call(self._jobs.retry_failed, job_id):
            raise RagloomError(
                "No file of this job can be tried again: none failed whose original was kept.",
                code="conflict",
                fix="Upload the files again.",
            )
        self._workers.pace.forget(job_id)
        self._workers.wake()
        return await self._told(job_id)

    async def retry(
        self, kb: str, document_id: str, processing_config: Mapping[str, Any] | None = None
    ) -> JobView:
        """Try a failed or cancelled file once more, with other settings where they are given.

        Raises NotFound, RagloomError “conflict” or “invalid_config”.
        """
        task = await call(self._latest, kb, document_id)
        if processing_config is None:
            return await self._retry(task)
        row = await call(self._repository.find, kb)
        return await self._retry(task, _settings(row, processing_config))

    async def give_password(self, kb: str, document_id: str, password: str) -> JobView:
        """Try an encrypted file once more with its password, which is kept in memory alone.

        Raises NotFound, Conflict, RagloomError “not_encrypted” or “invalid_password”.
        """
        task = await call(self._latest, kb, document_id)
        if not locked(task):
            raise RagloomError(
                f"{task.filename} waits for no password.",
                code="not_encrypted",
                fix="Look at the document: it says what it needs.",
            )
        if not 0 < len(password) <= _MAX_PASSWORD:
            raise RagloomError(
                f"A password has 1 to {_MAX_PASSWORD:,} characters.", code="invalid_password"
            )
        self._workers.unlock(task.id, SecretStr(password))
        try:
            return await self._retry(task)
        except (StorageError, RagloomError):  # nothing will use it, nor take it away
            self._workers.lock(task.id)
            raise

    async def _retry(self, task: tables.Task, processing: dict[str, Any] | None = None) -> JobView:
        if task.status not in ("error", "cancelled"):
            raise RagloomError(
                f"{task.filename} cannot be tried again: it did not fail.",
                code="conflict",
                fix="Look at the document: it is in, or on its way.",
            )
        if not task.blob:
            raise RagloomError(
                f"{task.filename} cannot be tried again: its file was not kept.",
                code="conflict",
                fix="Upload the file again.",
            )
        await call(self._jobs.retry, task.id, processing)
        self._workers.pace.forget(task.job_id)
        self._workers.wake()
        return await self.job(task.job_id)

    async def dismiss(self, document_id: str) -> bool:
        """Give up whatever is open or failed of a document; returns whether there was any."""
        dismissed = await call(self._jobs.dismiss, document_id)
        await self._workers.stop(dismissed)
        for task_id in dismissed:
            self._workers.tell(await call(self._jobs.task, task_id))
        return bool(dismissed)

    async def stop_all(self, kb_id: str) -> None:
        """Cancel everything on its way into a knowledge base."""
        for job_id in {task.job_id for task in await call(self._jobs.open_tasks, kb_id)}:
            await self._workers.stop(await call(self._jobs.cancel, job_id))

    async def _begin(
        self,
        row: tables.KnowledgeBase,
        tasks: Sequence[Mapping[str, Any]],
        branch: str,
        author: str,
        kind: str,
    ) -> JobView:
        job = await call(self._jobs.create, row.id, tasks, branch, author, kind)
        self._workers.wake()
        self._workers.tell_job(row.id, job.id)
        return await self.job(job.id)

    async def _told(self, job_id: str) -> JobView:
        """The job after it was steered; whoever watches hears of it and its files."""
        for task in await call(self._jobs.tasks, job_id):
            self._workers.tell(self._workers.live(task))
        return await self.job(job_id)

    def _must_be_open(self, job: JobView, what: str) -> None:
        if job.status in ENDED:
            raise RagloomError(
                f"The job has {job.status} and cannot be {what}.".replace("has failed", "failed"),
                code="conflict",
                fix="Retry its failed files, or upload them again.",
            )

    def _there(
        self, kb_id: str, branch: str, document_ids: Sequence[str] | None
    ) -> list[tuple[tables.Document, tables.DocumentVersion]]:
        """Documents of a branch with their versions. Raises NotFound."""
        manifest = self._repository.manifest(self._repository.resolve(kb_id, branch).id)
        wanted = list(manifest) if document_ids is None else list(dict.fromkeys(document_ids))
        for document_id in wanted:
            if document_id not in manifest:
                raise NotFound("document", document_id)
        versions = {v.document_id: v for v in self._repository.versions(list(manifest.values()))}
        documents = self._repository.documents(wanted)
        found = [(document, versions[document.id]) for document in documents]
        return sorted(found, key=lambda pair: pair[0].filename)

    def _latest(self, kb: str, document_id: str) -> tables.Task:
        row = self._repository.find(kb)
        self._repository.document(row.id, document_id)
        task = self._jobs.latest_task(document_id)
        if task is None:
            raise NotFound("upload of document", document_id)
        return task


def _settings(
    row: tables.KnowledgeBase, processing_config: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What tasks are given: settings, and warnings about them. Raises “invalid_config”."""
    base = KnowledgeConfig(**row.config).processing()
    processing, warnings = read_processing(processing_config, base)
    return {**processing.model_dump(), **({"warnings": warnings} if warnings else {})}


def _task(file: StoredFile, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "media_type": file.media_type,
        "blob": file.blob,
        "size": file.size,
        "processing": settings,
        "error": file.error,
    }
