"""What starts runs by itself, and the questions that runs ask people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from storage.automation_tables import Approval, Schedule, Webhook, WebhookSignature
from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id


class ApprovalRepository:
    """Questions of runs, and what people decided."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ask(self, question: Approval) -> Approval:
        """Keep a question; one that was asked before stays as it is, with its decision."""
        key = (question.run_id, question.node_id)
        with self._db.write() as session:
            known = session.get(Approval, key)
            if known is not None and known.status != "withdrawn":
                return known
            return session.merge(question)

    def decide(
        self, run_id: str, node_id: str, decision: Mapping[str, Any]
    ) -> tuple[Approval, bool]:
        """Keep the decision on an open question; False when it was not open any more.

        Raises NotFound when nothing was asked.
        """
        with self._db.write() as session:
            row = session.get(Approval, (run_id, node_id), with_for_update=True)
            if row is None:
                raise NotFound("question of the run", f"{run_id}/{node_id}")
            is_open = row.status == "open"
            if is_open:
                row.status, row.decision, row.decided_at = "decided", dict(decision), time.time()
        return row, is_open

    def list(
        self, *, workflow_id: str | None = None, run_id: str | None = None,
        status: str | None = "open", limit: int = 50, offset: int = 0,
    ) -> tuple[_Approvals, int]:  # fmt: skip
        """Questions, newest first; and how many."""
        query = select(Approval)
        if workflow_id is not None:
            query = query.where(col(Approval.workflow_id) == workflow_id)
        if run_id is not None:
            query = query.where(col(Approval.run_id) == run_id)
        if status is not None:
            query = query.where(col(Approval.status) == status)
        page = query.order_by(col(Approval.asked_at).desc(), col(Approval.run_id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page.limit(limit).offset(offset)).all()), total


class TriggerRepository:
    """Schedules and webhooks."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: Schedule | Webhook) -> None:
        """Keep a new one."""
        with self._db.write() as session:
            session.add(row)

    def count(self, table: type[Schedule] | type[Webhook], workflow_id: str) -> int:
        """How many a workflow has."""
        mine = col(table.workflow_id) == workflow_id
        with self._db.read() as session:
            return session.exec(select(func.count()).select_from(table).where(mine)).one()

    def schedules(self, workflow_id: str | None = None) -> list[Schedule]:
        """Schedules of a workflow, or all, oldest first."""
        query = select(Schedule).order_by(col(Schedule.created_at), col(Schedule.id))
        if workflow_id is not None:
            query = query.where(col(Schedule.workflow_id) == workflow_id)
        with self._db.read() as session:
            return list(session.exec(query).all())

    def schedule(self, schedule_id: str) -> Schedule:
        """One schedule; raises NotFound."""
        with self._db.read() as session:
            row = session.get(Schedule, schedule_id)
        if row is None:
            raise NotFound("schedule", schedule_id)
        return row

    def webhooks(self, workflow_id: str) -> list[Webhook]:
        """Webhooks of a workflow, oldest first."""
        query = select(Webhook).where(col(Webhook.workflow_id) == workflow_id)
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(Webhook.created_at), col(Webhook.id))))

    def webhook(self, webhook_id: str) -> Webhook:
        """One webhook; raises NotFound."""
        with self._db.read() as session:
            row = session.get(Webhook, webhook_id)
        if row is None:
            raise NotFound("webhook", webhook_id)
        return row

    def webhook_by_token(self, token_hash: str) -> Webhook | None:
        """The webhook whose address holds the token with this hash."""
        query = select(Webhook).where(col(Webhook.token_hash) == token_hash)
        with self._db.read() as session:
            return session.exec(query).first()

    def change(
        self, table: type[Schedule] | type[Webhook], row_id: str, values: Mapping[str, Any]
    ) -> None:
        """Set columns. Raises NotFound."""
        with self._db.write() as session:
            row = session.get(table, row_id)
            if row is None:
                raise NotFound(table.__name__.lower(), row_id)
            for name, value in values.items():
                setattr(row, name, value)

    def remove(self, table: type[Schedule] | type[Webhook], row_id: str) -> None:
        """Forget one. Raises NotFound."""
        with self._db.write() as session:
            row = session.get(table, row_id)
            if row is None:
                raise NotFound(table.__name__.lower(), row_id)
            session.delete(row)

    def due(self, now: float) -> list[Schedule]:
        """Schedules whose time has come, earliest first."""
        query = select(Schedule).where(col(Schedule.enabled), col(Schedule.next_at) <= now)
        with self._db.read() as session:
            return list(session.exec(query.order_by(col(Schedule.next_at))).all())

    def next_time(self) -> float | None:
        """When the next schedule is due."""
        query = select(func.min(Schedule.next_at)).where(col(Schedule.enabled))
        with self._db.read() as session:
            return session.exec(query).one()

    def advance(self, schedule_id: str, expected: float | None, values: Mapping[str, Any]) -> bool:
        """Set columns of a schedule that is still due at `expected`; one server gets True."""
        with self._db.write() as session:
            found = session.connection().execute(
                update(Schedule)
                .where(col(Schedule.id) == schedule_id, col(Schedule.next_at) == expected)
                .values(**values)
            )
        return bool(found.rowcount)

    def called(self, webhook_id: str, run_id: str) -> None:
        """Note a call of a webhook and the run it started."""
        with self._db.write() as session:
            session.exec(
                update(Webhook)
                .where(col(Webhook.id) == webhook_id)
                .values(last_at=time.time(), last_run_id=run_id, calls=col(Webhook.calls) + 1)
            )

    def take_signature(self, digest: str, now: float, expires_at: float) -> bool:
        """Remember a signature until it expires; False where it is remembered already."""
        try:
            with self._db.write() as session:
                session.exec(delete(WebhookSignature).where(col(WebhookSignature.expires_at) < now))
                session.add(WebhookSignature(digest=digest, expires_at=expires_at))
        except IntegrityError:
            return False
        return True

    def release_signature(self, digest: str) -> None:
        """Forget a signature that was taken for nothing."""
        with self._db.write() as session:
            session.exec(delete(WebhookSignature).where(col(WebhookSignature.digest) == digest))


_Approvals = list[Approval]


def new_schedule_id() -> str:
    """A fresh id."""
    return new_id("sch")


def new_webhook_id() -> str:
    """A fresh id."""
    return new_id("hook")
