"""Rows of jobs and tasks within a transaction that the caller holds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id
from storage.tables import Document, Job, Task

OPEN = ("queued", "running")
#: Of jobs: those that files still come of.
OPEN_JOBS = (*OPEN, "paused")

# Made once, and asked without the ORM, as those in `storage.commits`: every file that is ingested
# passes through them.
_TAKE = (
    update(Task)
    .where(col(Task.id) == bindparam("task"), col(Task.status) == "queued")
    .values(
        status="running",
        attempts=col(Task.attempts) + 1,
        stage="",
        done=0,
        total=0,
        error=None,
        change="",
        updated_at=bindparam("at"),
    )
)
_SUCCEED = (
    update(Task)
    .where(col(Task.id) == bindparam("task"), col(Task.status) == bindparam("before"))
    .values(
        status="success",
        error=None,
        change=bindparam("what"),
        chunks_created=bindparam("chunks"),
        processing_time=bindparam("took"),
        updated_at=bindparam("at"),
    )
)
_STATE = (
    columns(col(Job.status), col(Job.paused_at), col(Job.retry_at), col(Job.pauses))
    .where(col(Job.id) == bindparam("job"))
    .with_for_update()
)
_ANY_OPEN = (
    columns(col(Task.id))
    .where(col(Task.job_id) == bindparam("job"), col(Task.status).in_(OPEN))
    .limit(1)
)


def get_task(session: Session, task_id: str, *, lock: bool = False) -> Task:
    """A task; raises NotFound."""
    task = session.get(Task, task_id, with_for_update=lock or None)
    if task is None:
        raise NotFound("task", task_id)
    return task


def get_job(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """A job; raises NotFound."""
    job = session.get(Job, job_id, with_for_update=lock or None)
    if job is None:
        raise NotFound("job", job_id)
    return job


def take(session: Session, task_id: str, now: float) -> Task | None:
    """Let a queued task run; None where it is not queued any more."""
    if session.connection().execute(_TAKE, {"task": task_id, "at": now}).rowcount != 1:
        return None
    task = get_task(session, task_id)
    state = session.connection().execute(_STATE, {"job": task.job_id}).one()
    if state.status != "running" or state.paused_at is not None or state.retry_at is not None:
        go_on(get_job(session, task.job_id, lock=True))
        session.flush()
        settle(session, task.job_id)
    return task


def succeed(
    session: Session,
    task_id: str,
    job_id: str,
    change: str,
    chunks: int,
    took: float,
    *,
    before: str = "running",
) -> bool:
    """End a task well, and with the last one its job; False where its status is not `before`."""
    ended = {"what": change, "chunks": chunks, "took": took, "at": time.time()}
    connection = session.connection()
    if connection.execute(_SUCCEED, {"task": task_id, "before": before, **ended}).rowcount != 1:
        return False
    state = connection.execute(_STATE, {"job": job_id}).one()
    # The job is held before its tasks are looked at: two that end at once must not both find the
    # other one open.
    left = connection.execute(_ANY_OPEN, {"job": job_id}).first()
    if left is None or state.status != "running" or state.paused_at is not None or state.pauses:
        settle(session, job_id).pauses = 0
    return True


def requeue(task: Task) -> None:
    """Let a task begin anew."""
    task.status, task.stage, task.done, task.total = "queued", "", 0, 0
    task.error, task.change = None, ""
    task.updated_at = time.time()


def cancel_tasks(session: Session, which: Any, statuses: Sequence[str]) -> list[str]:
    """Cancel tasks of these statuses and settle their jobs; returns the ids of the tasks."""
    query = select(Task).where(which, col(Task.status).in_(statuses)).with_for_update()
    tasks = session.exec(query).all()
    now = time.time()
    for task in tasks:
        task.status = "cancelled"
        task.updated_at = now
    session.flush()
    for job_id in {task.job_id for task in tasks}:
        settle(session, job_id)
    return [task.id for task in tasks]


def settle(session: Session, job_id: str) -> Job:
    """Derive a job's status from its tasks, and from whether it is held."""
    job = session.get_one(Job, job_id, with_for_update=True)
    query = select(Task.status).where(col(Task.job_id) == job_id).distinct()
    statuses = set(session.exec(query).all())
    if statuses & set(OPEN):
        if job.paused_at is not None:
            job.status = "paused"
        else:
            job.status = "queued" if statuses <= {"queued", "error"} else "running"
        job.finished_at = None
        return job
    go_on(job)
    job.pauses = 0
    if "cancelled" in statuses:
        job.status = "cancelled"
    else:
        job.status = "failed" if statuses == {"error"} else "completed"
    job.finished_at = job.finished_at or time.time()
    return job


def go_on(job: Job) -> None:
    """End a pause; how often it was paused in a row stays."""
    job.paused_at, job.retry_at, job.reason = None, None, None


def document_ids(
    db: Database, session: Session, kb_id: str, filenames: Sequence[str]
) -> dict[str, str]:
    """File name -> id of its document, made where there is none yet."""
    query = select(Document.filename, Document.id).where(
        col(Document.knowledge_base_id) == kb_id,
        db.among(Document.filename, list(dict.fromkeys(filenames))),
    )
    found = dict(session.exec(query).all())
    missing = [name for name in dict.fromkeys(filenames) if name not in found]
    if missing:
        now = time.time()
        rows = [
            {"id": new_id("doc"), "knowledge_base_id": kb_id, "filename": name, "created_at": now}
            for name in missing
        ]
        db.insert_missing(session, Document, rows)
        found = dict(session.exec(query).all())
    return found


def insert_tasks(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add tasks; what a row does not name has its default."""
    usual = {
        name: field.get_default(call_default_factory=True)
        for name, field in Task.model_fields.items()
        if not field.is_required()
    }
    session.connection().execute(insert(Task), [{**usual, **row} for row in rows])
