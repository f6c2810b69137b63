"""Rows as views: what leaves the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from app.engine.values import Box
from app.services.clock import iso
from app.services.sources.views import SourceItemView
from app.services.views import (
    ChunkView,
    CommitView,
    DocumentStatus,
    DocumentView,
    JobProgress,
    JobView,
    TaskView,
)
from storage import tables

#: Status of a task -> that of its document.
STATUS_OF_TASK: dict[str, DocumentStatus] = {
    "queued": "queued",
    "running": "processing",
    "success": "ready",
    "error": "error",
    "cancelled": "cancelled",
}
#: Ends of a parse that a password may mend.
LOCKED = ("encrypted", "wrong_password")


def locked(one: tables.Task | TaskView | DocumentView | SourceItemView) -> bool:
    """Whether an encrypted file waits for its password."""
    status = one.document_status if isinstance(one, SourceItemView) else one.status
    return status == "error" and (one.error or {}).get("code") in LOCKED


def chunk_view(row: tables.Chunk, filename: str, *, disabled: bool = False) -> ChunkView:
    """A stored chunk."""
    return ChunkView(
        chunk_id=row.id,
        document_id=row.document_id,
        document_name=filename,
        ordinal=row.ordinal,
        content=row.content,
        page=row.page,
        headings=list(row.headings),
        boxes=[Box(**box) for box in row.boxes],
        start=row.start,
        end=row.end,
        language=row.language,
        metadata=row.meta,
        disabled=disabled,
    )


def commit_view(row: tables.Commit) -> CommitView:
    """A commit."""
    return CommitView(
        commit_id=row.id,
        parents=row.parents,
        author=row.author,
        message=row.message,
        created_at=iso(row.created_at),
        **{key: len(row.summary.get(key, ())) for key in ("added", "changed", "removed")},
    )


def document_view(
    document: tables.Document,
    version: tables.DocumentVersion | None,
    task: tables.Task | None = None,
) -> DocumentView:
    """A document at a commit, overlaid with what is under way or went wrong with it."""
    view = DocumentView(
        document_id=document.id,
        filename=document.filename,
        status="ready",
        created_at=iso(document.created_at),
        updated_at=iso(version.created_at if version else document.created_at),
    )
    if version is not None:
        view.media_type, view.size, view.pages = version.media_type, version.size, version.pages
        view.chunk_count, view.language = version.chunk_count, version.language
        view.title, view.metadata, view.version_id = version.title, version.meta, version.id
        view.processing, view.embedding_model = version.processing, version.embedding_model
    if task is not None:
        view.status = STATUS_OF_TASK[task.status]
        view.stage, view.error = task.stage, task.error
        view.progress = task.done / task.total if task.total else None
        view.size, view.media_type = view.size or task.size, view.media_type or task.media_type
        view.updated_at = iso(task.updated_at)
    return view


def task_view(row: tables.Task) -> TaskView:
    """One file of a job."""
    error = row.error
    return TaskView(
        task_id=row.id,
        document_id=row.document_id,
        filename=row.filename,
        status=cast(Any, row.status),
        stage=row.stage,
        done=row.done,
        total=row.total,
        change=row.change,
        chunks_created=row.chunks_created,
        processing_time=round(row.processing_time, 3),
        error_message=f"{error['message']} {error.get('fix', '')}".strip() if error else None,
        error=error,
    )


def job_view(row: tables.Job, tasks: Sequence[tables.Task], progress: JobProgress) -> JobView:
    """A batch of files; without tasks for a list."""
    return JobView(
        job_id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        kind=row.kind,
        branch=row.branch,
        author=row.author,
        status=cast(Any, row.status),
        results=[task_view(task) for task in tasks],
        progress=progress,
        reason=row.reason,
        resumes_at=None if row.retry_at is None else iso(row.retry_at),
        created_at=iso(row.created_at),
        finished_at=None if row.finished_at is None else iso(row.finished_at),
        warnings=next(
            (task.processing["warnings"] for task in tasks if task.processing.get("warnings")), []
        ),
    )
