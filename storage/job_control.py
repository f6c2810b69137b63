"""Jobs as people and the system steer them: pause, go on, cancel, try again; and how far they are."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select, update

from storage import commits
from storage.database import Database
from storage.errors import Conflict
from storage.job_health import state
from storage.job_rows import OPEN, cancel_tasks, get_job, get_task, go_on, requeue, settle
from storage.tables import Job, Task


class JobControl:
    """Steering and listing jobs; part of `JobRepository`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def pause(self, job_id: str) -> list[str]:
        """Begin nothing more of a job until `resume`; returns its tasks that are running.

        A job that has ended stays as it is.
        """
        with self._db.write() as session:
            job = get_job(session, job_id, lock=True)
            if job.status in ("completed", "failed", "cancelled"):
                return []
            job.paused_at = job.paused_at or time.time()
            job.retry_at, job.reason = None, None
            settle(session, job_id)
            mine = col(Task.job_id) == job_id
            query = select(Task.id).where(mine, col(Task.status) == "running")
            return list(session.exec(query).all())

    def suspend(
        self, task_id: str, reason: Mapping[str, Any], *, first_s: float, longest_s: float
    ) -> tuple[Task, Job]:
        """Put a running task back and pause its job for a reason that is no fault of the file.

        The job goes on by itself after `first_s`, twice as long after each further pause without a
        success in between, at most `longest_s`.
        """
        with self._db.write() as session:
            task = get_task(session, task_id, lock=True)
            job = get_job(session, task.job_id, lock=True)
            if task.status == "running":
                requeue(task)
                task.attempts = max(0, task.attempts - 1)
                task.deferred += 1
                if job.paused_at is None:
                    now = time.time()
                    job.paused_at, job.reason = now, dict(reason)
                    job.retry_at = now + min(longest_s, first_s * 2 ** min(job.pauses, 30))
                    job.pauses += 1
                session.flush()
                settle(session, job.id)
        return task, job

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on at once.

        A file of which a later upload was taken in meanwhile is cancelled: the later one wins.
        """
        newer, its_job = aliased(Task), aliased(Job)
        with self._db.write() as session:
            job = get_job(session, job_id, lock=True)
            if job.status != "paused":
                return job
            go_on(job)
            overtaken = (
                select(newer.id)
                .join(its_job, col(its_job.id) == col(newer.job_id))
                .where(
                    col(newer.document_id) == col(Task.document_id),
                    col(newer.status) == "success",
                    col(its_job.created_at) > job.created_at,
                )
            )
            session.flush()
            cancel_tasks(session, (col(Task.job_id) == job_id) & overtaken.exists(), ("queued",))
            return settle(session, job_id)

    def cancel(self, job_id: str) -> list[str]:
        """Cancel what is open in a job; returns the tasks that were running, for their worker."""
        with self._db.write() as session:
            get_job(session, job_id)
            mine = col(Task.job_id) == job_id
            running = session.exec(select(Task.id).where(mine, col(Task.status) == "running")).all()
            cancel_tasks(session, mine, OPEN)
        return list(running)

    def dismiss(self, document_id: str) -> list[str]:
        """Give up a document that is on its way in or failed; returns the tasks cancelled."""
        with self._db.write() as session:
            return cancel_tasks(session, col(Task.document_id) == document_id, (*OPEN, "error"))

    def retry(self, task_id: str, processing: dict[str, Any] | None = None) -> Task:
        """Queue a task that failed or was cancelled once more; others stay as they are.

        `processing`: settings other than those it failed with. Raises Conflict where the branch
        that it goes to is gone.
        """
        with self._db.write() as session:
            of_task = select(Task.job_id).where(col(Task.id) == task_id).scalar_subquery()
            _hold_branch(session, col(Job.id) == of_task)
            task = get_task(session, task_id, lock=True)
            if task.status in {"error", "cancelled"}:
                requeue(task)
                task.attempts = task.deferred = 0
                if processing is not None:
                    task.processing = processing
                session.flush()
                settle(session, task.job_id)
        return task

    def retry_failed(self, job_id: str) -> list[str]:
        """Queue the failed files of a job once more; those without an original stay as they are.

        Returns their tasks. A pause of the job ends. Raises Conflict where the branch that they go
        to is gone.
        """
        with self._db.write() as session:
            _hold_branch(session, col(Job.id) == job_id)
            job = get_job(session, job_id, lock=True)
            query = select(Task).where(
                col(Task.job_id) == job_id, col(Task.status) == "error", col(Task.blob) != ""
            )
            failed = session.exec(query.with_for_update()).all()
            for task in failed:
                requeue(task)
                task.attempts = task.deferred = 0
            if failed:
                go_on(job)
                job.pauses = 0
                session.flush()
                settle(session, job_id)
            return [task.id for task in failed]

    def next_retry(self) -> float | None:
        """When the next paused job goes on by itself."""
        query = select(func.min(Job.retry_at)).where(col(Job.status) == "paused")
        with self._db.read() as session:
            return session.exec(query).one()

    def retry_paused_now(self) -> None:
        """Let jobs that the system paused go on at once: what kept them may be mended."""
        with self._db.write() as session:
            session.exec(
                update(Job)
                .where(col(Job.status) == "paused", col(Job.retry_at).is_not(None))
                .values(retry_at=time.time())
            )

    def list(
        self,
        kb_id: str | None = None,
        statuses: Sequence[str] = (),
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[_Jobs, int]:
        """Jobs, newest first, and how many there are."""
        which = []
        if kb_id is not None:
            which.append(col(Job.knowledge_base_id) == kb_id)
        if statuses:
            which.append(col(Job.status).in_(statuses))
        query = select(Job).where(*which).order_by(col(Job.created_at).desc(), col(Job.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(Job).where(*which)).one()
            return list(session.exec(query.limit(limit).offset(offset)).all()), total

    def some(self, job_ids: Collection[str]) -> _Jobs:
        """Jobs by id, in any order; ids that nothing has are left out."""
        with self._db.read() as session:
            query = select(Job).where(self._db.among(Job.id, job_ids))
            return [*session.exec(query).all()]

    def counts(
        self, job_ids: Collection[str], locks: Collection[str] = ()
    ) -> dict[str, dict[str, int]]:
        """Job -> status of its tasks -> how many; “locked” are errors with one of these codes."""
        query = (
            select(Task.job_id, state(locks).label("state"), func.count())
            .where(self._db.among(Task.job_id, job_ids))
            .group_by(col(Task.job_id), "state")
        )
        found: dict[str, dict[str, int]] = {job_id: {} for job_id in job_ids}
        with self._db.read() as session:
            for job_id, status, count in session.exec(query):
                found[job_id][status] = count
        return found


def _hold_branch(session: Session, which: Any) -> None:
    """See to it that the branch of a job is there, and stays until the transaction ends."""
    found = session.exec(select(Job.knowledge_base_id, Job.branch).where(which)).first()
    if found is None:
        return
    kb_id, branch = found
    commits.lock_base(session, kb_id)
    if commits.head_of(session, kb_id, branch) is None:
        raise Conflict(
            f"The files of this upload went to “{branch}”, which was deleted.",
            fix=f"Upload them again, or make a branch “{branch}” first.",
        )


_Jobs = list[Job]
