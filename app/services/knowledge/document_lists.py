"""The documents of a knowledge base as a list: filtered, with those on their way in first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from app.services.rows import STATUS_OF_TASK, document_view, locked
from app.services.views import DocumentStatus, DocumentView, Page
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository
from storage.tables import Task


class Wanted(NamedTuple):
    """Which documents are looked for; what is empty restricts nothing."""

    #: A part of the name or title.
    text: str = ""
    status: DocumentStatus | None = None
    language: str = ""
    #: Those of a search.
    filters: Mapping[str, Any] = {}
    #: Those of the status that wait for a password, or the others.
    locked: bool | None = None

    def fits(self, task: Task) -> bool:
        """Whether the status of a document on its way, or failed, is one that is looked for."""
        if self.status is not None and STATUS_OF_TASK[task.status] != self.status:
            return False
        return self.locked is None or locked(task) == self.locked


def document_filters(
    author: str = "", since: date | None = None, until: date | None = None
) -> dict[str, Any]:
    """Filters, as a search takes them, for a part of an author's name and a span of days.

    Dates of documents are text in ISO 8601, so that they compare as they are.
    """
    filters: dict[str, Any] = {}
    if author.strip():
        filters["author"] = {"$contains": author.strip()}
    span = {} if since is None else {"$gte": since.isoformat()}
    if until is not None and until < date.max:
        span["$lt"] = (until + timedelta(days=1)).isoformat()
    if span:
        filters["date"] = span
    return filters


def list_documents(
    repository: KnowledgeRepository,
    jobs: JobRepository,
    kb: str,
    ref: str,
    wanted: Wanted,
    limit: int,
    offset: int,
) -> Page[DocumentView]:
    """Documents on their way in or failed first, then those at `ref` by file name.

    What is on its way has no language, author or date yet. Raises NotFound, InvalidFilter.
    """
    row = repository.find(kb)
    commit = repository.resolve(row.id, ref)
    tasks = {task.document_id: task for task in jobs.open_tasks(row.id)}
    manifest = repository.manifest(commit.id)
    status = wanted.status
    fitting = {document_id: task for document_id, task in tasks.items() if wanted.fits(task)}
    new = [
        task
        for document_id, task in fitting.items()
        if document_id not in manifest
        and wanted.text.casefold() in task.filename.casefold()
        and not wanted.language
        and not wanted.filters
    ]
    only = None if status in (None, "ready") else set(fitting)
    if wanted.filters:
        holding = repository.documents_with(commit.id, wanted.filters)
        only = holding if only is None else holding & only
    coming = new[offset : offset + limit]
    found, total = repository.documents_at(
        commit.id,
        limit - len(coming),
        max(0, offset - len(new)),
        wanted.text or None,
        language=wanted.language or None,
        only=None if only is None else sorted(only),
        but=list(tasks) if status == "ready" else (),
    )
    documents = {d.id: d for d in repository.documents([task.document_id for task in coming])}
    items = [
        document_view(documents[task.document_id], None, task)
        for task in coming
        if task.document_id in documents
    ]
    items += [
        document_view(document, version, tasks.get(document.id)) for document, version in found
    ]
    return Page(items=items, total=len(new) + total)
