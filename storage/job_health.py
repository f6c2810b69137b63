"""What of the work on knowledge bases needs somebody: failed and waiting files, paused jobs."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, func
from sqlmodel import col, select

from storage.database import Database
from storage.tables import Job, Task


class Health(NamedTuple):
    """Documents whose newest task failed or is under way, and jobs that are paused.

    Those that wait for a password are among the failed ones, and counted as `locked`, too.
    """

    failed: int = 0
    locked: int = 0
    pending: int = 0
    paused: int = 0


def state(locks: Collection[str]) -> ColumnElement[str]:
    """The status of a task; “locked” where its error has a code that a password mends."""
    locked = and_(col(Task.status) == "error", col(Task.error)["code"].as_string().in_(locks))
    return case((locked, "locked"), else_=col(Task.status))


def health_of(db: Database, kb_ids: Collection[str], locks: Collection[str]) -> dict[str, Health]:
    """By knowledge base; those without any work are left out.

    `locks` are the codes of errors that a password mends.
    """
    rank = func.row_number().over(
        partition_by=col(Task.document_id),
        order_by=(col(Job.created_at).desc(), col(Task.ordinal).desc()),
    )
    newest = (
        select(Task.knowledge_base_id, state(locks).label("state"), rank.label("rank"))
        .join(Job, col(Job.id) == col(Task.job_id))
        .where(db.among(Task.knowledge_base_id, kb_ids))
        .subquery()
    )
    tasks = (
        select(newest.c.knowledge_base_id, newest.c.state, func.count())
        .where(newest.c.rank == 1)
        .group_by(newest.c.knowledge_base_id, newest.c.state)
    )
    jobs = (
        select(Job.knowledge_base_id, func.count())
        .where(db.among(Job.knowledge_base_id, kb_ids), col(Job.status) == "paused")
        .group_by(col(Job.knowledge_base_id))
    )
    found: dict[str, Health] = {}
    with db.read() as session:
        for kb_id, status, count in session.exec(tasks):
            known = found.get(kb_id, Health())
            if status == "locked":
                known = known._replace(failed=known.failed + count, locked=count)
            elif status == "error":
                known = known._replace(failed=known.failed + count)
            elif status in ("queued", "running"):
                known = known._replace(pending=known.pending + count)
            found[kb_id] = known
        for kb_id, count in session.exec(jobs):
            found[kb_id] = found.get(kb_id, Health())._replace(paused=count)
    return found
