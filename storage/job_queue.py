"""Whose turn it is: which queued file is worked on next, so that no job waits for all of another."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, func
from sqlalchemy import select as columns
from sqlmodel import Session, col

from storage.job_rows import OPEN
from storage.tables import Job, Task

#: Queued tasks of a job looked at together for one that may begin: as a rule the first one may.
_FIRST_CANDIDATES, _CANDIDATES = 4, 64

# Made once: every file that is ingested takes its turn through them.
_AT_WORK = (
    columns(col(Task.job_id), func.count())
    .where(col(Task.status) == "running")
    .group_by(col(Task.job_id))
)
_QUEUED = (
    columns(col(Task.job_id), col(Task.attempts), col(Job.created_at), col(Job.pauses))
    .join(Job, col(Job.id) == col(Task.job_id))
    .where(
        col(Task.status) == "queued",
        col(Task.attempts) < bindparam("attempts"),
        col(Job.paused_at).is_(None) | (col(Job.retry_at) <= bindparam("now")),
    )
    .distinct()
)
_WITHIN = (
    columns(col(Task.id), col(Task.document_id))
    .where(
        col(Task.job_id) == bindparam("job"),
        col(Task.status) == "queued",
        col(Task.attempts) == bindparam("attempts"),
    )
    .order_by(col(Task.deferred), col(Task.ordinal))
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_OPEN_TASKS = (
    columns(
        col(Task.id),
        col(Task.job_id),
        col(Task.document_id),
        col(Task.attempts),
        col(Task.status),
        col(Job.retry_at),
        col(Job.pauses),
    )
    .join(Job, col(Job.id) == col(Task.job_id))
    .where(
        col(Task.status).in_(OPEN),
        (col(Task.status) == "running")
        | col(Job.paused_at).is_(None)
        | col(Job.retry_at).is_not(None),
        col(Task.document_id).in_(bindparam("documents", expanding=True)),
    )
    .order_by(col(Job.created_at), col(Task.job_id), col(Task.ordinal))
)


class _Share(NamedTuple):
    """Queued tasks of a job that were tried equally often; the least goes first."""

    attempts: int
    at_work: int
    #: When the job was last given a turn: a number that only grows.
    served: int
    created_at: float
    job_id: str
    pauses: int


class Turns:
    """Gives jobs their turns: to the one with the fewest tasks at work, then to the one that was
    served longest ago, then to the oldest.

    Who was served when is not kept: after a restart the turns begin with the oldest job.
    """

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._numbers = itertools.count(1)

    def next(self, session: Session, attempts: int, now: float) -> str | None:
        """The task that is to begin, of those tried fewer than `attempts` times."""
        shares = self._shares(session, attempts, now)
        self._served = {s.job_id: s.served for s in shares if s.served}
        for share in shares:
            if share.pauses and share.at_work:
                continue  # Of a job that was paused one task is tried alone.
            if (found := self._within(session, share, now)) is not None:
                task_id, job_id = found
                self._served[job_id] = next(self._numbers)
                return task_id
        return None

    def _shares(self, session: Session, attempts: int, now: float) -> list[_Share]:
        connection = session.connection()
        at_work = {row[0]: row[1] for row in connection.execute(_AT_WORK)}
        queued = connection.execute(_QUEUED, {"attempts": attempts, "now": now})
        return sorted(
            _Share(
                row.attempts,
                at_work.get(row.job_id, 0),
                self._served.get(row.job_id, 0),
                row.created_at,
                row.job_id,
                row.pauses,
            )
            for row in queued
        )

    def _within(self, session: Session, share: _Share, now: float) -> tuple[str, str] | None:
        """The first task of a job that may begin, or what must go before it, each with its job."""
        which: dict[str, Any] = {"job": share.job_id, "attempts": share.attempts}
        connection = session.connection()
        offset, limit = 0, _FIRST_CANDIDATES
        while rows := connection.execute(
            _WITHIN, {**which, "limit": limit, "offset": offset}
        ).all():
            foremost = self._foremost(session, {row.document_id for row in rows}, now)
            for row in rows:
                first = foremost.get(row.document_id)
                if first is None or first.attempts > share.attempts:
                    continue
                # An earlier upload of the same name goes first, in the turn of this one.
                if first.id == row.id or not first.pauses:
                    return first.id, first.job_id
            offset, limit = offset + len(rows), _CANDIDATES
        return None

    def _foremost(self, session: Session, documents: Collection[str], now: float) -> dict[str, Any]:
        """Document -> its oldest open task; none where it is under way or waits with its job.

        What waits for a person is passed over: it is cancelled when the person lets it go on.
        """
        found: dict[str, Any] = {}
        busy: set[str] = set()
        for row in session.connection().execute(_OPEN_TASKS, {"documents": list(documents)}):
            found.setdefault(row.document_id, row)
            if row.status == "running":
                busy.add(row.document_id)
        return {
            document: row
            for document, row in found.items()
            if document not in busy and (row.retry_at is None or row.retry_at <= now)
        }
