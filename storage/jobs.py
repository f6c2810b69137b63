"""Jobs: batches of files on their way into a knowledge base, one task a file.

A job is durable from the moment `create` returns. Tasks are claimed by workers; what a dead process
left running is queued again by `recover`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from storage import commits
from storage.database import Database
from storage.errors import TaskGone
from storage.ids import new_id
from storage.job_control import JobControl
from storage.job_queue import Turns
from storage.job_rows import (
    OPEN,
    document_ids,
    get_job,
    get_task,
    insert_tasks,
    requeue,
    settle,
    succeed,
    take,
)
from storage.tables import Job, Task

#: A file that was being processed when the process died this many times is not tried again.
MAX_ATTEMPTS = 5

CRASHED = {
    "code": "worker_crashed",
    "message": "The server stopped each time while it processed this file.",
    "fix": "Check the file, then upload or retry it on its own.",
}


class JobRepository(JobControl):
    """Jobs and tasks in SQL."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._turns = Turns()

    def create(
        self,
        kb_id: str,
        files: Sequence[Mapping[str, Any]],
        branch: str = "main",
        author: str = "",
        kind: str = "upload",
    ) -> Job:
        """Record a job with its tasks in one transaction.

        A file has `filename`, `blob`, `size`, `media_type` and `processing`; one with an `error`
        (code, message, fix) is refused from the start and only recorded. Raises NotFound where the
        knowledge base or the branch is not there (any more): `delete_branch` knows of every job.
        """
        now = time.time()
        job = Job(
            id=new_id("job"),
            knowledge_base_id=kb_id,
            branch=branch,
            kind=kind,
            author=author,
            created_at=now,
        )
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            commits.require_head(session, kb_id, branch)
            session.add(job)
            session.flush()
            documents = document_ids(self._db, session, kb_id, [f["filename"] for f in files])
            rows = [
                {
                    "id": new_id("task"),
                    "job_id": job.id,
                    "knowledge_base_id": kb_id,
                    "document_id": documents[file["filename"]],
                    "filename": file["filename"],
                    "blob": file.get("blob", ""),
                    "size": file.get("size", 0),
                    "media_type": file.get("media_type", ""),
                    "processing": dict(file.get("processing") or {}),
                    "ordinal": ordinal,
                    "status": "error" if file.get("error") else "queued",
                    "error": file.get("error"),
                    "updated_at": now,
                }
                for ordinal, file in enumerate(files)
            ]
            if rows:
                insert_tasks(session, rows)
            settle(session, job.id)
        return job

    def claim(self, *, last_chances: bool = True) -> Task | None:
        """Take the queued task whose turn it is, now running; None when there is none.

        Jobs take turns, so that a small one does not wait for all of a large one; files of a job
        keep their order. Without `last_chances`, tasks that would be given up if the process died
        once more stay in the queue.

        Those that were running when a process died come last, so that one that brings the process
        down again keeps the fewest others waiting. Two files of one name in one knowledge base are
        never processed side by side or out of order: the later upload must win. Of a job that was
        paused by the system one task is tried alone, until one goes well.
        """
        with self._db.write() as session:
            now = time.time()
            found = self._turns.next(session, MAX_ATTEMPTS - (0 if last_chances else 1), now)
            return None if found is None else take(session, found, now)

    def progress(self, task_id: str, stage: str, done: int, total: int) -> None:
        """Note how far a running task is."""
        values = {"stage": stage, "done": done, "total": total, "updated_at": time.time()}
        with self._db.write() as session:
            session.exec(
                update(Task)
                .where(col(Task.id) == task_id, col(Task.status) == "running")
                .values(**values)
            )

    def finishing(self, task: Task, started_at: float) -> Finishing:
        """What ends a running task well within the transaction that commits its document."""
        return Finishing(task, started_at)

    def finish(
        self, task_id: str, *, change: str, chunks_created: int, processing_time: float
    ) -> Task:
        """A task succeeded; `change` is added, updated or unchanged.

        One that has ended stays as it is: see `finishing`.
        """
        with self._db.write() as session:
            task = get_task(session, task_id, lock=True)
            if succeed(session, task_id, task.job_id, change, chunks_created, processing_time):
                session.refresh(task)
        return task

    def fail(self, task_id: str, error: Mapping[str, Any], *, processing_time: float = 0.0) -> Task:
        """A task failed for good; `error` has code, message and fix."""
        with self._db.write() as session:
            task = get_task(session, task_id, lock=True)
            if task.status == "running":
                task.status, task.error = "error", dict(error)
                task.processing_time, task.updated_at = processing_time, time.time()
                session.flush()
                settle(session, task.job_id)
        return task

    def recover(self) -> int:
        """Queue again what a dead process left running; returns how many tasks.

        Jobs that the system had paused are tried at once: what kept them may be mended.

        Only the owner of the data folder calls this, before its workers start.
        """
        with self._db.write() as session:
            left = session.exec(select(Task).where(col(Task.status) == "running")).all()
            for task in left:
                if task.attempts >= MAX_ATTEMPTS:
                    task.status, task.error = "error", CRASHED
                    task.updated_at = time.time()
                else:
                    requeue(task)
            session.flush()
            for job_id in {task.job_id for task in left}:
                settle(session, job_id)
        self.retry_paused_now()
        return len(left)

    def job(self, job_id: str) -> Job:
        """A job; raises NotFound."""
        with self._db.read() as session:
            return get_job(session, job_id)

    def tasks(self, job_id: str) -> list[Task]:
        """Tasks of a job in the order of its files."""
        query = select(Task).where(col(Task.job_id) == job_id).order_by(col(Task.ordinal))
        with self._db.read() as session:
            return list(session.exec(query).all())

    def task(self, task_id: str) -> Task:
        """A task; raises NotFound."""
        with self._db.read() as session:
            return get_task(session, task_id)

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
            .where(ranked.c.rank == 1, col(Task.status).in_((*OPEN, "error")))
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

    def release(self, task_id: str) -> None:
        """Put a running task back into the queue, as if it had not been claimed."""
        with self._db.write() as session:
            task = session.get(Task, task_id, with_for_update=True)
            if task is not None and task.status == "running":
                requeue(task)
                task.attempts -= 1
                session.flush()
                settle(session, task.job_id)


class Finishing:
    """Ends a task well; called with a session, the change and the number of chunks.

    Raises TaskGone when the task does not run any more: what was cancelled or paused is not
    committed.
    """

    def __init__(self, task: Task, started_at: float) -> None:
        self._task = task
        self._started_at = started_at
        #: Change, chunks and seconds, once it took part in a transaction.
        self._told: tuple[str, int, float] | None = None

    def __call__(self, session: Session, change: str, chunks: int) -> None:
        """Take part in a transaction. A file may be several documents: each adds its chunks."""
        task, took = self._task, time.time() - self._started_at
        if not succeed(session, task.id, task.job_id, change, chunks, took):
            if self._told is None:
                raise TaskGone(task.id)
            chunks += self._told[1]
            if not succeed(session, task.id, task.job_id, change, chunks, took, before="success"):
                raise TaskGone(task.id)
        self._told = change, chunks, took

    def ended(self) -> Task | None:
        """The task as it became, for whoever knows that its transaction was committed; None where
        it took part in none.
        """
        if self._told is None:
            return None
        task = self._task
        task.status, task.error, task.updated_at = "success", None, time.time()
        task.change, task.chunks_created, task.processing_time = self._told
        return task
