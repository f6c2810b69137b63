"""Batches: many inputs through one workflow, one row each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, update
from sqlmodel import col, select

from storage.automation_tables import Batch, BatchRow
from storage.database import Database
from storage.errors import NotFound

#: Statuses of rows that are not over.
OPEN = ("queued", "running")
#: Rows of batches that are over, together; the oldest batches beyond them are removed.
KEPT_ROWS = 100_000


class BatchRepository:
    """Batches in SQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, batch: Batch, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep a batch with the inputs of its rows, in one transaction."""
        table = BatchRow.__table__  # type: ignore[attr-defined]
        with self._db.write() as session:
            session.add(batch)
            session.flush()
            if rows:
                session.connection().execute(
                    insert(table),
                    [
                        {
                            "batch_id": batch.id,
                            "ordinal": ordinal,
                            "input_data": dict(row),
                            "status": "queued",
                            "outputs": {},
                            "usage": {},
                        }
                        for ordinal, row in enumerate(rows)
                    ],
                )

    def get(self, batch_id: str) -> tuple[Batch, dict[str, int]]:
        """A batch, and how many of its rows have which status; raises NotFound."""
        counts = (
            select(BatchRow.status, func.count())
            .where(col(BatchRow.batch_id) == batch_id)
            .group_by(col(BatchRow.status))
        )
        with self._db.read() as session:
            batch = session.get(Batch, batch_id)
            if batch is None:
                raise NotFound("batch", batch_id)
            return batch, dict(session.exec(counts).all())

    def list(self, workflow_id: str | None, limit: int, offset: int) -> tuple[_Batches, int]:
        """Batches, newest first; and how many."""
        query = select(Batch)
        if workflow_id is not None:
            query = query.where(col(Batch.workflow_id) == workflow_id)
        page = query.order_by(col(Batch.created_at).desc(), col(Batch.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page.limit(limit).offset(offset)).all()), total

    def rows(self, batch_id: str, limit: int, offset: int) -> tuple[_Rows, int]:
        """Rows in their order; and how many."""
        query = select(BatchRow).where(col(BatchRow.batch_id) == batch_id)
        page = query.order_by(col(BatchRow.ordinal))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page.limit(limit).offset(offset)).all()), total

    def open_rows(self, batch_id: str) -> _Rows:
        """Rows that are not over, in their order."""
        query = select(BatchRow).where(
            col(BatchRow.batch_id) == batch_id, col(BatchRow.status).in_(OPEN)
        )
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(BatchRow.ordinal))).all())

    def running(self) -> _Batches:
        """Batches that are not over."""
        query = select(Batch).where(col(Batch.status) == "running")
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(Batch.created_at))).all())

    def claim(self, batch_id: str, ordinal: int, run_id: str) -> bool:
        """Make a queued row one that `run_id` runs; one of several servers gets True."""
        with self._db.write() as session:
            found = session.connection().execute(
                update(BatchRow)
                .where(
                    col(BatchRow.batch_id) == batch_id,
                    col(BatchRow.ordinal) == ordinal,
                    col(BatchRow.status) == "queued",
                )
                .values(status="running", run_id=run_id)
            )
        return bool(found.rowcount)

    def set_row(self, batch_id: str, ordinal: int, **values: Any) -> None:
        """Set columns of a row."""
        with self._db.write() as session:
            session.exec(
                update(BatchRow)
                .where(col(BatchRow.batch_id) == batch_id, col(BatchRow.ordinal) == ordinal)
                .values(**values)
            )

    def retry(self, batch_id: str) -> int:
        """Queue rows that failed or were cancelled once more; returns how many. Raises NotFound."""
        with self._db.write() as session:
            held = select(Batch.id).where(col(Batch.id) == batch_id).with_for_update()
            if session.exec(held).first() is None:  # removed with age meanwhile
                raise NotFound("batch", batch_id)
            found = session.connection().execute(
                update(BatchRow)
                .where(
                    col(BatchRow.batch_id) == batch_id,
                    col(BatchRow.status).in_(("failed", "cancelled")),
                )
                .values(
                    status="queued", run_id=None, error=None, outputs={}, duration_ms=None, usage={}
                )
            )
            if found.rowcount:
                session.exec(
                    update(Batch)
                    .where(col(Batch.id) == batch_id)
                    .values(status="running", finished_at=None)
                )
        return int(found.rowcount)

    def end(self, batch_id: str, status: str) -> None:
        """A batch is over; rows that did not begin are cancelled with it."""
        with self._db.write() as session:
            session.exec(
                update(BatchRow)
                .where(col(BatchRow.batch_id) == batch_id, col(BatchRow.status).in_(OPEN))
                .values(status="cancelled")
            )
            session.exec(
                update(Batch)
                .where(col(Batch.id) == batch_id, col(Batch.status) == "running")
                .values(status=status, finished_at=time.time())
            )


def prune_batches(db: Database, before: float | None, max_rows: int = KEPT_ROWS) -> None:
    """Remove batches that ended before `before`, and the oldest beyond `max_rows` rows.

    The newest one stays however many rows it has, and so do those that are not over.
    """
    ended = func.coalesce(col(Batch.finished_at), col(Batch.created_at))
    over = (
        select(Batch.id, ended, func.count(col(BatchRow.ordinal)))
        .outerjoin(BatchRow, col(BatchRow.batch_id) == col(Batch.id))
        .where(col(Batch.status) != "running")
        .group_by(col(Batch.id))
        .order_by(ended.desc(), col(Batch.id))
    )
    doomed, kept = [], 0
    with db.read() as session:
        for batch_id, end, rows in session.exec(over):
            too_many = kept > 0 and kept + rows > max_rows
            if too_many or (before is not None and end < before):
                doomed.append(batch_id)
            kept += rows
    if doomed:
        remove_over(db, doomed)


def remove_over(db: Database, batch_ids: Sequence[str]) -> None:
    """Remove those of these batches that are over; one may have been tried again meanwhile."""
    over = select(Batch.id).where(db.among(Batch.id, batch_ids), col(Batch.status) != "running")
    with db.write() as session:
        doomed = session.exec(over.order_by(col(Batch.id)).with_for_update()).all()
        session.exec(delete(BatchRow).where(db.among(BatchRow.batch_id, doomed)))
        session.exec(delete(Batch).where(db.among(Batch.id, doomed)))


_Batches = list[Batch]
_Rows = list[BatchRow]
