"""Where documents come from by themselves: sources, their refreshes, and the state of each item."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.source_tables import Source, SourceItem, SourceRefresh
from storage.tables import Document, Job, KnowledgeBase, Task

#: Refreshes of a source that are remembered.
KEPT_REFRESHES = 50
#: Failures that the report of a refresh names.
_KEPT_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an item between refreshes."""

    filename: str
    etag: str
    last_modified: str
    stamp: str
    sha: str
    size: int
    outcome: str
    seen: int
    changed_at: float | None


class SourceRepository:
    """Sources in SQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: Source) -> None:
        """Keep a new source. Raises NotFound without its knowledge base."""
        with self._db.write() as session:
            if session.get(KnowledgeBase, row.knowledge_base_id) is None:
                raise NotFound("knowledge base", row.knowledge_base_id)
            session.add(row)

    def list(self, kb_id: str) -> list[Source]:
        """Sources of a knowledge base, oldest first."""
        query = select(Source).where(col(Source.knowledge_base_id) == kb_id)
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(Source.created_at), col(Source.id))).all())

    def get(self, source_id: str) -> Source:
        """A source; raises NotFound."""
        with self._db.read() as session:
            return _source(session, source_id)

    def change(self, source_id: str, values: Mapping[str, Any]) -> Source:
        """Set columns. Raises NotFound."""
        with self._db.write() as session:
            row = _source(session, source_id)
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = time.time()
        return row

    def remove(self, source_id: str) -> None:
        """Forget a source and what is known of its items; documents stay. Raises NotFound."""
        with self._db.write() as session:
            _source(session, source_id)
            _remove(session, [source_id])

    # -- times ------------------------------------------------------------------------------

    def due(self, now: float) -> _Sources:
        """Sources whose time has come, earliest first."""
        query = select(Source).where(col(Source.enabled), col(Source.next_at) <= now)
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(Source.next_at))).all())

    def next_time(self) -> float | None:
        """When the next source is due."""
        query = select(func.min(Source.next_at)).where(col(Source.enabled))
        with self._db.read() as session:
            return session.exec(query).one()

    def advance(self, source_id: str, expected: float | None, values: Mapping[str, Any]) -> bool:
        """Set columns of a source that is still due at `expected`; one server gets True."""
        with self._db.write() as session:
            found = session.connection().execute(
                update(Source)
                .where(col(Source.id) == source_id, col(Source.next_at) == expected)
                .values(**values)
            )
        return bool(found.rowcount)

    # -- refreshes --------------------------------------------------------------------------

    def begin(self, source_id: str, trigger: str, *, full: bool = False) -> SourceRefresh:
        """Begin a refresh. Raises NotFound, and Conflict while another one is under way."""
        with self._db.write() as session:
            source = session.get(Source, source_id, with_for_update=True)
            if source is None:
                raise NotFound("source", source_id)
            before = session.get(SourceRefresh, (source_id, source.refreshes))
            if before is not None and before.status == "running":
                raise Conflict(
                    f"“{source.name}” is being refreshed already.",
                    fix="Wait until that refresh has ended, or cancel it.",
                )
            source.refreshes += 1
            row = SourceRefresh(
                source_id=source_id,
                number=source.refreshes,
                trigger=trigger,
                full=full,
                started_at=time.time(),
            )
            session.add(row)
            mine = col(SourceRefresh.source_id) == source_id
            old = col(SourceRefresh.number) <= source.refreshes - KEPT_REFRESHES
            session.exec(delete(SourceRefresh).where(mine, old))
            session.exec(
                delete(SourceItem).where(
                    col(SourceItem.source_id) == source_id, col(SourceItem.outcome) == "removed"
                )
            )
        return row

    def running(self) -> _Refreshes:
        """Refreshes under way, oldest first."""
        query = select(SourceRefresh).where(col(SourceRefresh.status) == "running")
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(SourceRefresh.started_at))).all())

    def latest(self, sources: Sequence[Source]) -> dict[str, SourceRefresh]:
        """The newest refresh of each source that has one, by its id."""
        ids = [source.id for source in sources]
        newest = (
            select(col(SourceRefresh.source_id), func.max(SourceRefresh.number).label("number"))
            .where(self._db.among(SourceRefresh.source_id, ids))
            .group_by(col(SourceRefresh.source_id))
            .subquery()
        )
        query = select(SourceRefresh).join(
            newest,
            (newest.c.source_id == col(SourceRefresh.source_id))
            & (newest.c.number == col(SourceRefresh.number)),
        )
        with self._db.read() as session:
            return {row.source_id: row for row in session.exec(query).all()}

    def refresh(self, source_id: str, number: int) -> SourceRefresh:
        """One refresh; raises NotFound."""
        with self._db.read() as session:
            row = session.get(SourceRefresh, (source_id, number))
        if row is None:
            raise NotFound("refresh of the source", f"{source_id}/{number}")
        return row

    def refreshes(self, source_id: str, limit: int, offset: int) -> tuple[_Refreshes, int]:
        """Refreshes of a source, newest first; and how many."""
        query = select(SourceRefresh).where(col(SourceRefresh.source_id) == source_id)
        page = query.order_by(col(SourceRefresh.number).desc()).limit(limit).offset(offset)
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page).all()), total

    def listed(self, source_id: str, number: int, total: int, notes: Sequence[str]) -> None:
        """Note how many items a refresh found. Raises NotFound."""
        with self._db.write() as session:
            row = _refresh(session, source_id, number)
            row.total, row.notes = total, list(notes)

    def end(
        self,
        source_id: str,
        number: int,
        status: str,
        *,
        notes: Sequence[str] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> SourceRefresh:
        """A refresh is over: completed, failed or cancelled. Raises NotFound."""
        with self._db.write() as session:
            row = _refresh(session, source_id, number)
            row.status, row.error = status, None if error is None else dict(error)
            row.notes = row.notes if notes is None else list(notes)
            row.counts, row.finished_at = _counts(session, source_id, number), time.time()
            failed = select(SourceItem).where(
                col(SourceItem.source_id) == source_id,
                col(SourceItem.seen) == number,
                col(SourceItem.outcome) == "failed",
            )
            first = session.exec(failed.order_by(col(SourceItem.key)).limit(_KEPT_FAILURES))
            row.failures = [{"key": item.key, **(item.error or {})} for item in first]
        return row

    # -- items ------------------------------------------------------------------------------

    def known(self, source_id: str) -> dict[str, Known]:
        """What is remembered of every item, by its key."""
        columns = (
            SourceItem.key, SourceItem.filename, SourceItem.etag, SourceItem.last_modified,
            SourceItem.stamp, SourceItem.sha, SourceItem.size, SourceItem.outcome,
            SourceItem.seen, SourceItem.changed_at,
        )  # fmt: skip
        mine = col(SourceItem.source_id) == source_id
        with self._db.read() as session:
            rows = session.connection().execute(select(*columns).where(mine))  # type: ignore[call-overload]
            return {key: Known(*rest) for key, *rest in rows}

    def record(
        self, source_id: str, number: int, items: Sequence[SourceItem], job_id: str | None = None
    ) -> None:
        """Write down what became of items, and the job that reads them, in one transaction.

        Raises NotFound when the source or the refresh is gone.
        """
        with self._db.write() as session:
            row = _refresh(session, source_id, number)
            for item in items:
                session.merge(item)
            if job_id is not None:
                row.jobs = [*row.jobs, job_id]

    def counts(self, source_id: str, number: int) -> dict[str, int]:
        """Items by outcome that a refresh dealt with so far."""
        with self._db.read() as session:
            return _counts(session, source_id, number)

    def item_counts(self, source_ids: Sequence[str]) -> dict[str, int]:
        """How many items each source holds."""
        query = (
            select(col(SourceItem.source_id), func.count())
            .where(
                self._db.among(SourceItem.source_id, source_ids),
                col(SourceItem.outcome) != "removed",
            )
            .group_by(col(SourceItem.source_id))
        )
        with self._db.read() as session:
            return dict(session.exec(query).all())

    def items(
        self, source_id: str, limit: int, offset: int, outcome: str | None = None
    ) -> tuple[_Items, int]:
        """Items, failed ones first, then by key; and how many."""
        query = select(SourceItem).where(col(SourceItem.source_id) == source_id)
        if outcome is not None:
            query = query.where(col(SourceItem.outcome) == outcome)
        failed_first = (col(SourceItem.outcome) != "failed", col(SourceItem.key))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            page = query.order_by(*failed_first).limit(limit).offset(offset)
            return list(session.exec(page).all()), total

    def unseen(self, source_id: str, number: int) -> _Items:
        """Items that a refresh did not come across."""
        query = select(SourceItem).where(
            col(SourceItem.source_id) == source_id,
            col(SourceItem.seen) < number,
            col(SourceItem.outcome) != "removed",
        )
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(SourceItem.key))).all())

    # -- documents --------------------------------------------------------------------------

    def documents(self, kb_id: str, filename: str) -> _Ids:
        """Ids of the documents that an item became: more than one where it was an archive."""
        inside = filename + "/"
        query = select(Document.id).where(
            col(Document.knowledge_base_id) == kb_id,
            (col(Document.filename) == filename)
            | (func.substr(col(Document.filename), 1, len(inside)) == inside),
        )
        with self._db.read() as session:
            return list(session.exec(query).all())

    def shared(self, kb_id: str, source_id: str, filename: str) -> bool:
        """Whether another source of the knowledge base holds a document of this name too."""
        query = (
            select(SourceItem.key)
            .join(Source, col(Source.id) == col(SourceItem.source_id))
            .where(
                col(Source.knowledge_base_id) == kb_id,
                col(Source.id) != source_id,
                col(SourceItem.filename) == filename,
                col(SourceItem.outcome) != "removed",
                col(SourceItem.sha) != "",
            )
        )
        with self._db.read() as session:
            return session.exec(query.limit(1)).first() is not None

    def newest_tasks(self, kb_id: str, filenames: Sequence[str]) -> dict[str, Task]:
        """The newest upload of each file name that was ever handed in."""
        rank = func.row_number().over(
            partition_by=col(Task.document_id),
            order_by=(col(Job.created_at).desc(), col(Task.ordinal).desc()),
        )
        ranked = (
            select(col(Task.id).label("id"), rank.label("rank"))
            .join(Job, col(Job.id) == col(Task.job_id))
            .where(col(Task.knowledge_base_id) == kb_id, self._db.among(Task.filename, filenames))
            .subquery()
        )
        query = select(Task).join(ranked, ranked.c.id == col(Task.id)).where(ranked.c.rank == 1)
        with self._db.read() as session:
            return {task.filename: task for task in session.exec(query).all()}

    def cancelled(self, source_id: str) -> set[str]:
        """File names of items whose newest upload was cancelled before it was read."""
        later = aliased(Job)
        again = aliased(Task)
        newer = (
            select(again.id)
            .join(later, col(later.id) == col(again.job_id))
            .where(
                col(again.document_id) == col(Task.document_id),
                col(later.created_at) > col(Job.created_at),
            )
        )
        query = (
            select(Task.filename)
            .join(Job, col(Job.id) == col(Task.job_id))
            .join(Source, col(Source.knowledge_base_id) == col(Task.knowledge_base_id))
            .join(
                SourceItem,
                (col(SourceItem.source_id) == col(Source.id))
                & (col(SourceItem.filename) == col(Task.filename)),
            )
            .where(col(Source.id) == source_id, col(Task.status) == "cancelled", ~newer.exists())
        )
        with self._db.read() as session:
            return set(session.exec(query).all())


_Sources = list[Source]
_Refreshes = list[SourceRefresh]
_Items = list[SourceItem]
_Ids = list[str]


def remove_sources_of(session: Session, kb_id: str) -> None:
    """Forget the sources of a knowledge base, within a transaction that writes."""
    mine = select(Source.id).where(col(Source.knowledge_base_id) == kb_id)
    _remove(session, session.exec(mine).all())


def _remove(session: Session, source_ids: Sequence[str]) -> None:
    for table, owner in (
        (SourceItem, SourceItem.source_id),
        (SourceRefresh, SourceRefresh.source_id),
        (Source, Source.id),
    ):
        session.exec(delete(table).where(col(owner).in_(source_ids)))


def new_source_id() -> str:
    """A fresh id."""
    return new_id("src")


def _source(session: Session, source_id: str) -> Source:
    row = session.get(Source, source_id)
    if row is None:
        raise NotFound("source", source_id)
    return row


def _refresh(session: Session, source_id: str, number: int) -> SourceRefresh:
    row = session.get(SourceRefresh, (source_id, number), with_for_update=True)
    if row is None:
        raise NotFound("source", source_id)
    return row


def _counts(session: Session, source_id: str, number: int) -> dict[str, int]:
    query = (
        select(col(SourceItem.outcome), func.count())
        .where(col(SourceItem.source_id) == source_id, col(SourceItem.seen) == number)
        .group_by(col(SourceItem.outcome))
    )
    return dict(session.exec(query).all())
