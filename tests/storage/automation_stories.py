"""What the tables of automation promise, on any database."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from storage.automation import ApprovalRepository, TriggerRepository
from storage.automation_tables import Approval, Batch, Schedule, Webhook, WebhookSignature
from storage.batches import BatchRepository, prune_batches, remove_over
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.run_writes import RunChange
from storage.runs import RunRepository
from storage.workflows import WorkflowRepository


def questions_are_asked_and_answered_once(db: Database, folder: Path) -> None:
    approvals = ApprovalRepository(db)
    runs = RunRepository(db, Blobs(folder / "payloads"))
    run = runs.start(graph={}, input_data={}, trigger="api", workflow_id="wf")
    question: dict[str, Any] = {
        "run_id": run.id,
        "node_id": "ask",
        "workflow_id": "wf",
        "message": "Send it?",
    }
    assert approvals.ask(Approval(**question, asked_at=1.0)).status == "open"
    assert approvals.list(workflow_id="wf")[1] == 1
    row, fresh = approvals.decide(run.id, "ask", {"approved": True})
    assert fresh
    assert row.decision == {"approved": True}
    assert approvals.decide(run.id, "ask", {"approved": False}) == (row, False)
    # Asked again after a restart, it is answered already.
    assert approvals.ask(Approval(**question, asked_at=2.0)).decision == {"approved": True}
    assert approvals.list(status="open") == ([], 0)
    approvals.ask(Approval(**{**question, "node_id": "more"}, asked_at=3.0))
    runs.record([RunChange(run.id, run={"status": "cancelled"}, ended=True)])
    assert approvals.decide(run.id, "more", {"approved": True})[1] is False
    assert {r.node_id: r.status for r in approvals.list(run_id=run.id, status=None)[0]} == {
        "ask": "decided",
        "more": "withdrawn",
    }
    with pytest.raises(NotFound):
        approvals.decide(run.id, "other", {})
    runs.prune(max_runs=0)
    assert approvals.list(status=None) == ([], 0)


def a_time_that_is_due_is_taken_by_one(db: Database, folder: Path) -> None:
    triggers = TriggerRepository(db)
    now = time.time()
    for number, (at, enabled) in enumerate([(now - 5, True), (now + 500, True), (now - 5, False)]):
        triggers.add(
            Schedule(
                id=f"s{number}",
                workflow_id="wf",
                cron="* * * * *",
                next_at=at,
                enabled=enabled,
                created_at=now + number,
            )
        )
    [due] = triggers.due(now)
    assert due.id == "s0"
    assert triggers.next_time() == pytest.approx(now - 5)
    assert triggers.advance("s0", due.next_at, {"next_at": now + 60})
    assert not triggers.advance("s0", due.next_at, {"next_at": now + 120})
    assert triggers.due(now) == []
    assert [s.id for s in triggers.schedules("wf")] == ["s0", "s1", "s2"]
    triggers.change(Schedule, "s1", {"enabled": False, "next_at": None})
    assert triggers.schedule("s1").next_at is None
    triggers.remove(Schedule, "s1")
    with pytest.raises(NotFound):
        triggers.schedule("s1")


def webhooks_are_found_by_the_hash_of_their_token(db: Database, folder: Path) -> None:
    triggers = TriggerRepository(db)
    triggers.add(Webhook(id="h", workflow_id="wf", token_hash="abc", created_at=1.0))
    found = triggers.webhook_by_token("abc")
    assert found is not None
    assert triggers.webhook_by_token("abd") is None
    triggers.called("h", "run_1")
    triggers.called("h", "run_2")
    row = triggers.webhook("h")
    assert (row.calls, row.last_run_id) == (2, "run_2")
    workflows = WorkflowRepository(db)
    made = workflows.create("Gone", graph={})
    triggers.add(Webhook(id="i", workflow_id=made.id, token_hash="abe", created_at=1.0))
    workflows.delete(made.id)
    workflows.bring_back(made.id)
    assert workflows.purge(0) == []
    workflows.delete(made.id)
    assert workflows.purge(60) == []
    assert workflows.purge(-1) == [made.id]
    assert triggers.webhooks(made.id) == []
    with pytest.raises(NotFound):
        workflows.bring_back(made.id)


def a_signature_is_taken_once_until_it_expires(db: Database, folder: Path) -> None:
    triggers = TriggerRepository(db)
    assert triggers.take_signature("a", now=10.0, expires_at=20.0)
    assert not triggers.take_signature("a", now=11.0, expires_at=21.0)
    assert triggers.take_signature("b", now=19.0, expires_at=29.0)
    triggers.release_signature("a")
    assert triggers.take_signature("a", now=12.0, expires_at=22.0)
    assert triggers.take_signature("c", now=25.0, expires_at=35.0)
    with db.read() as session:
        kept = session.exec(select(WebhookSignature.digest)).all()
    assert set(kept) == {"b", "c"}
    # Of many who come with the same at once, one gets it.
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: triggers.take_signature("d", 26.0, 36.0), range(8)))
    assert won.count(True) == 1


def a_batch_knows_how_far_it_is(db: Database, folder: Path) -> None:
    batches = BatchRepository(db)
    batch = Batch(id="b", workflow_id="wf", revision=1, columns=["q"], created_at=1.0)
    batches.create(batch, [{"q": str(n)} for n in range(5)])
    assert [b.id for b in batches.running()] == ["b"]
    assert batches.get("b")[1] == {"queued": 5}
    batches.set_row("b", 0, status="completed", outputs={"a": 1}, run_id="r0")
    batches.set_row("b", 1, status="failed", error={"message": "no"})
    assert batches.claim("b", 2, "r2")
    assert not batches.claim("b", 2, "r3")
    assert [row.ordinal for row in batches.open_rows("b")] == [2, 3, 4]
    rows, total = batches.rows("b", 2, 0)
    assert ([row.outputs for row in rows], total) == ([{"a": 1}, {}], 5)
    batches.end("b", "cancelled")
    assert batches.get("b")[1] == {"completed": 1, "failed": 1, "cancelled": 3}
    assert batches.retry("b") == 4
    kept, counts = batches.get("b")
    assert (kept.status, counts) == ("running", {"completed": 1, "queued": 4})
    assert [row.run_id for row in batches.open_rows("b")] == [None] * 4
    assert batches.list("wf", 10, 0)[1] == 1
    with pytest.raises(NotFound):
        batches.get("c")


def batches_go_with_age_and_number(db: Database, folder: Path) -> None:
    runs, batches = RunRepository(db, Blobs(folder / "payloads")), BatchRepository(db)

    def kept() -> list[str]:
        return [batch.id for batch in batches.list(None, 10, 0)[0]]

    day = 86_400
    for age, name in enumerate(("now", "new", "mid", "old", "open")):
        created = time.time() - (10 * age + 1) * day
        batches.create(
            Batch(id=name, workflow_id="wf", revision=1, columns=["q"], created_at=created),
            [{"q": "a"}] * 3,
        )
        if name != "open":
            batches.end(name, "completed")
    for age, name in enumerate(("now", "new", "mid", "old")):
        with db.write() as session:
            ended = time.time() - 10 * age * day
            session.exec(update(Batch).where(col(Batch.id) == name).values(finished_at=ended))
    runs.prune(max_age_days=100, max_runs=100)
    assert kept() == ["now", "new", "mid", "old", "open"]
    runs.prune(max_age_days=25)
    assert kept() == ["now", "new", "mid", "open"]
    # A table may have more rows than runs are kept.
    runs.prune(max_runs=1)
    assert kept() == ["now", "new", "mid", "open"]
    prune_batches(db, None, 6)
    assert kept() == ["now", "new", "open"]
    # The newest one stays, and what is not over.
    prune_batches(db, None, 1)
    assert kept() == ["now", "open"]
    assert [batches.rows(name, 10, 0)[1] for name in ("now", "new", "old", "open")] == [3, 0, 0, 3]
    # One that is tried again while it is chosen stays with its rows.
    assert batches.retry("now") == 3
    remove_over(db, ["now", "open"])
    assert kept() == ["now", "open"]
    assert batches.rows("now", 10, 0)[1] == 3
    with pytest.raises(NotFound):
        batches.retry("new")


STORIES: list[Callable[[Database, Path], None]] = [
    questions_are_asked_and_answered_once,
    a_time_that_is_due_is_taken_by_one,
    webhooks_are_found_by_the_hash_of_their_token,
    a_signature_is_taken_once_until_it_expires,
    a_batch_knows_how_far_it_is,
    batches_go_with_age_and_number,
]
