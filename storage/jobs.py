"""Jobs: batches of files on their way into a knowledge base, one task a file.

A job is durable from the moment `create` returns. Tasks are claimed by workers; what a dead process
left running is queued again by `recover`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id
from storage.knowledge import ensure_document
from storage.tables import Job, KnowledgeBase, Task

#: A file that was being processed when the process died this many times is not tried again.
MAX_ATTEMPTS = 3

_OPEN = ("queued", "running")
CRASHED = {
    "code": "worker_crashed",
    "message": "The server stopped each time while it processed this file.",
    "fix": "Check the file, then upload or retry it on its own.",
}


class JobRepository:
    """Jobs and tasks in SQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(
        self,
        kb_id: str,
        files: Sequence[Mapping[str, Any]],
        branch: str = "main",
        author: str = "",
    ) -> Job:
        """Record a job with its tasks in one transaction.

        A file has `filename`, `blob`, `size`, `media_type` and `processing`; one with an `error`
        (code, message, fix) is refused from the start and only recorded.
        """
        now = time.time()
        job = Job(
            id=new_id("job"), knowledge_base_id=kb_id, branch=branch, author=author, created_at=now
        )
        with self._db.write() as session:
            if session.get(KnowledgeBase, kb_id) is None:
                raise NotFound("knowledge base", kb_id)
            session.add(job)
            session.flush()
            for ordinal, file in enumerate(files):
                error = file.get("error")
                document = ensure_document(self._db, session, kb_id, file["filename"])
                session.add(
                    Task(
                        id=new_id("task"),
                        job_id=job.id,
                        knowledge_base_id=kb_id,
                        document_id=document.id,
                        filename=file["filename"],
                        blob=file.get("blob", ""),
                        size=file.get("size", 0),
                        media_type=file.get("media_type", ""),
                        processing=dict(file.get("processing") or {}),
                        ordinal=ordinal,
                        status="error" if error else "queued",
                        error=error,
                        updated_at=now,
                    )
                )
            session.flush()
            _settle(session, job.id)
        return job

    def claim(self, *, last_chances: bool = True) -> Task | None:
        """Take the oldest queued task, now running; None when there is none.

        Without `last_chances`, tasks that would be given up if the process died once more stay
        in the queue.

        Those that were running when a process died come last, so that one that brings the process
        down again keeps the fewest others waiting. Two files of one name in one knowledge base are
        never processed side by side or out of order: the later upload must win.
        """
        busy = aliased(Task)
        same_document = select(busy.id).where(
            col(busy.document_id) == col(Task.document_id),
            (col(busy.status) == "running")
            | ((col(busy.status) == "queued") & (col(busy.attempts) > col(Task.attempts))),
        )
        query = (
            select(Task)
            .join(Job, col(Job.id) == col(Task.job_id))
            .where(
                col(Task.status) == "queued",
                ~same_document.exists(),
                col(Task.attempts) < MAX_ATTEMPTS - (0 if last_chances else 1),
            )
            .order_by(col(Task.attempts), col(Job.created_at), col(Task.job_id), col(Task.ordinal))
            .limit(1)
            .with_for_update(skip_locked=True, of=Task)
        )
        with self._db.write() as session:
            task = session.exec(query).first()
            if task is None:
                return None
            task.status = "running"
            task.attempts += 1
            task.stage, task.done, task.total = "", 0, 0
            task.updated_at = time.time()
            _settle(session, task.job_id)
        return task

    def progress(self, task_id: str, stage: str, done: int, total: int) -> None:
        """Note how far a running task is."""
        values = {"stage": stage, "done": done, "total": total, "updated_at": time.time()}
        with self._db.write() as session:
            session.exec(
                update(Task)
                .where(col(Task.id) == task_id, col(Task.status) == "running")
                .values(**values)
            )

    def finish(
        self, task_id: str, *, change: str, chunks_created: int, processing_time: float
    ) -> Task:
        """A task succeeded; `change` is added, updated or unchanged."""
        return self._end(
            task_id,
            status="success",
            change=change,
            chunks_created=chunks_created,
            processing_time=processing_time,
            error=None,
        )

    def fail(self, task_id: str, error: Mapping[str, Any], *, processing_time: float = 0.0) -> Task:
        """A task failed for good; `error` has code, message and fix."""
        return self._end(
            task_id, status="error", error=dict(error), processing_time=processing_time
        )

    def recover(self) -> int:
        """Queue again what a dead process left running; returns how many tasks.

        Only the owner of the data folder calls this, before its workers start.
        """
        with self._db.write() as session:
            left = session.exec(select(Task).where(col(Task.status) == "running")).all()
            for task in left:
                if task.attempts >= MAX_ATTEMPTS:
                    task.status, task.error = "error", CRASHED
                else:
                    task.status, task.stage, task.done, task.total = "queued", "", 0, 0
                task.updated_at = time.time()
            session.flush()
            for job_id in {task.job_id for task in left}:
                _settle(session, job_id)
        return len(left)

    def job(self, job_id: str) -> Job:
        """A job; raises NotFound."""
        with self._db.read() as session:
            job = session.get(Job, job_id)
        if job is None:
            raise NotFound("job", job_id)
        return job

    def tasks(self, job_id: str) -> list[Task]:
        """Tasks of a job in the order of its files."""
        query = select(Task).where(col(Task.job_id) == job_id).order_by(col(Task.ordinal))
        with self._db.read() as session:
            return list(session.exec(query).all())

    def task(self, task_id: str) -> Task:
        """A task; raises NotFound."""
        with self._db.read() as session:
            return _task(session, task_id)

    def open_tasks(self, kb_id: str) -> list[Task]:
        """The newest task of each document that is queued, running or failed, oldest first."""
        rank = func.row_number().over(
            partition_by=col(Task.document_id),
            order_by=(col(Job.created_at).desc(), col(Task.ordinal).desc()),
        )
        ranked = (
            select(col(Task.id).label("id"), col(Job.created_at).label("at"), rank.label("rank"))
            .join(Job, col(Job.id) == col(Task.job_id))
            .where(col(Task.knowledge_base_id) == kb_id)
            .subquery()
        )
        query = (
            select(Task)
            .join(ranked, ranked.c.id == col(Task.id))
            .where(ranked.c.rank == 1, col(Task.status).in_((*_OPEN, "error")))
            .order_by(ranked.c.at, col(Task.ordinal))
        )
        with self._db.read() as session:
            return list(session.exec(query).all())

    def latest_task(self, document_id: str) -> Task | None:
        """The newest task of a document."""
        query = (
            select(Task)
            .join(Job, col(Job.id) == col(Task.job_id))
            .where(col(Task.document_id) == document_id)
            .order_by(col(Job.created_at).desc(), col(Task.ordinal).desc())
        )
        with self._db.read() as session:
            return session.exec(query.limit(1)).first()

    def cancel(self, job_id: str) -> list[str]:
        """Cancel what is open in a job; returns the tasks that were running, for their worker."""
        with self._db.write() as session:
            if session.get(Job, job_id) is None:
                raise NotFound("job", job_id)
            mine = col(Task.job_id) == job_id
            running = session.exec(select(Task.id).where(mine, col(Task.status) == "running")).all()
            _cancel(session, mine, _OPEN)
        return list(running)

    def dismiss(self, document_id: str) -> list[str]:
        """Give up a document that is on its way in or failed; returns the tasks cancelled."""
        with self._db.write() as session:
            return _cancel(session, col(Task.document_id) == document_id, (*_OPEN, "error"))

    def retry(self, task_id: str) -> Task:
        """Queue a task that failed or was cancelled once more; others stay as they are."""
        with self._db.write() as session:
            task = _task(session, task_id, lock=True)
            if task.status in {"error", "cancelled"}:
                task.status, task.stage, task.done, task.total = "queued", "", 0, 0
                task.error, task.attempts, task.updated_at = None, 0, time.time()
                session.flush()
                _settle(session, task.job_id)
        return task

    def release(self, task_id: str) -> None:
        """Put a running task back into the queue, as if it had not been claimed."""
        with self._db.write() as session:
            task = session.get(Task, task_id, with_for_update=True)
            if task is not None and task.status == "running":
                task.status, task.stage, task.done, task.total = "queued", "", 0, 0
                task.attempts -= 1
                task.updated_at = time.time()
                session.flush()
                _settle(session, task.job_id)

    def _end(self, task_id: str, *, status: str, **values: Any) -> Task:
        with self._db.write() as session:
            task = _task(session, task_id, lock=True)
            # What was cancelled stays so, unless it had been committed by then.
            if task.status == "running" or status == "success":
                task.status = status
                for name, value in values.items():
                    setattr(task, name, value)
                task.updated_at = time.time()
                session.flush()
                _settle(session, task.job_id)
        return task


def _task(session: Session, task_id: str, *, lock: bool = False) -> Task:
    task = session.get(Task, task_id, with_for_update=lock or None)
    if task is None:
        raise NotFound("task", task_id)
    return task


def _cancel(session: Session, which: Any, statuses: Sequence[str]) -> list[str]:
    query = select(Task).where(which, col(Task.status).in_(statuses)).with_for_update()
    tasks = session.exec(query).all()
    for task in tasks:
        task.status = "cancelled"
        task.updated_at = time.time()
    session.flush()
    for job_id in {task.job_id for task in tasks}:
        _settle(session, job_id)
    return [task.id for task in tasks]


def _settle(session: Session, job_id: str) -> None:
    """Derive a job's status from its tasks."""
    job = session.get_one(Job, job_id, with_for_update=True)
    statuses = set(session.exec(select(Task.status).where(col(Task.job_id) == job_id)).all())
    if statuses & set(_OPEN):
        job.status = "queued" if statuses <= {"queued", "error"} else "running"
        job.finished_at = None
        return
    if "cancelled" in statuses:
        job.status = "cancelled"
    else:
        job.status = "failed" if statuses == {"error"} else "completed"
    job.finished_at = time.time()
