"""Sources in SQL: one refresh at a time, items written as they go, nothing left behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository
from storage.source_tables import Source, SourceItem
from storage.sources import KEPT_REFRESHES, SourceRepository, new_source_id


@pytest.fixture
def sources(db: Database) -> SourceRepository:
    return SourceRepository(db)


def add(db: Database, kb_id: str, **values: Any) -> Source:
    now = time.time()
    given = {"name": "Docs", "kind": "folder", "location": "/docs", **values}
    row = Source(
        id=new_source_id(), knowledge_base_id=kb_id, created_at=now, updated_at=now, **given
    )
    SourceRepository(db).add(row)
    return row


def item(
    source: Source, key: str, outcome: str = "added", seen: int = 1, **more: Any
) -> SourceItem:
    values = {"filename": f"docs/{key}", "sha": "a" * 64, "checked_at": 1.0, **more}
    return SourceItem(source_id=source.id, key=key, outcome=outcome, seen=seen, **values)


def test_a_refresh_is_the_only_one_of_its_source(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    kb = knowledge.create("kb").id
    one, other = add(db, kb), add(db, kb, name="Other")
    first = sources.begin(one.id, "api")
    with pytest.raises(Conflict) as refused:
        sources.begin(one.id, "page")
    assert "already" in refused.value.message
    sources.begin(other.id, "api")
    sources.listed(one.id, first.number, 3, ["2 hidden files were left out"])
    sources.record(one.id, 1, [item(one, "a"), item(one, "b", "failed")], "job_1")
    sources.record(one.id, 1, [item(one, "b", "added")], "job_2")
    assert sources.counts(one.id, 1) == {"added": 2}
    ended = sources.end(one.id, 1, "completed")
    assert (ended.counts, ended.jobs, ended.total) == ({"added": 2}, ["job_1", "job_2"], 3)
    again = sources.begin(one.id, "api")
    assert again.number == 2
    assert [row.number for row in sources.refreshes(one.id, 10, 0)[0]] == [2, 1]
    assert {row.source_id for row in sources.running()} == {one.id, other.id}
    newest = sources.latest([one, other])
    assert {id: row.number for id, row in newest.items()} == {one.id: 2, other.id: 1}


def test_old_reports_and_items_that_went_are_forgotten(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    source = add(db, knowledge.create("kb").id)
    for number in range(1, KEPT_REFRESHES + 4):
        sources.begin(source.id, "schedule")
        sources.record(
            source.id,
            number,
            [item(source, "a", seen=number), item(source, f"gone {number}", "removed", number)],
        )
        sources.end(source.id, number, "completed")
    rows, total = sources.refreshes(source.id, 1, 0)
    assert (rows[0].number, total) == (KEPT_REFRESHES + 3, KEPT_REFRESHES)
    assert set(sources.known(source.id)) == {"a", f"gone {KEPT_REFRESHES + 3}"}
    assert sources.item_counts([source.id]) == {source.id: 1}


def test_what_was_not_come_across_is_told(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    kb = knowledge.create("kb").id
    source, other = add(db, kb), add(db, kb)
    sources.begin(source.id, "api")
    sources.record(source.id, 1, [item(source, key) for key in "ab"])
    sources.end(source.id, 1, "completed")
    sources.begin(source.id, "api")
    sources.record(source.id, 2, [item(source, "a", "unchanged", 2)])
    assert [row.key for row in sources.unseen(source.id, 2)] == ["b"]
    assert not sources.shared(kb, source.id, "docs/a")
    sources.begin(other.id, "api")
    sources.record(other.id, 1, [item(other, "a")])
    assert sources.shared(kb, source.id, "docs/a")
    failed_first, total = sources.items(source.id, 10, 0)
    assert ([row.key for row in failed_first], total) == (["a", "b"], 2)
    sources.record(source.id, 2, [item(source, "b", "failed", 2, error={"code": "x"})])
    assert [row.key for row in sources.items(source.id, 10, 0)[0]] == ["b", "a"]
    assert sources.items(source.id, 10, 0, "failed")[1] == 1


def test_times_are_moved_on_by_one_server_only(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    kb = knowledge.create("kb").id
    late = add(db, kb, cron="0 * * * *", next_at=50.0)
    add(db, kb, cron="0 * * * *", next_at=20.0, enabled=False)
    add(db, kb, cron="0 * * * *", next_at=200.0)
    assert [row.id for row in sources.due(100.0)] == [late.id]
    assert sources.next_time() == 50.0
    assert sources.advance(late.id, 50.0, {"next_at": 300.0})
    assert not sources.advance(late.id, 50.0, {"next_at": 400.0})
    assert sources.next_time() == 200.0


def test_documents_of_an_item_and_what_became_of_their_uploads(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    kb = knowledge.create("kb").id
    source = add(db, kb)
    names = ["docs/a", "docs/a/inside.md", "docs/ab", "docs/b"]
    ids = {name: knowledge.ensure_document(kb, name).id for name in names}
    assert set(sources.documents(kb, "docs/a")) == {ids["docs/a"], ids["docs/a/inside.md"]}
    sources.begin(source.id, "api")
    sources.record(source.id, 1, [item(source, "a"), item(source, "b")])
    jobs = JobRepository(db)
    files = [{"filename": name, "blob": "x", "size": 1} for name in ("docs/a", "docs/b")]
    first = jobs.create(kb, files)
    jobs.cancel(first.id)
    assert sources.cancelled(source.id) == {"docs/a", "docs/b"}
    jobs.create(kb, files[:1])
    assert sources.cancelled(source.id) == {"docs/b"}
    tasks = sources.newest_tasks(kb, names)
    assert {name: task.status for name, task in tasks.items()} == {
        "docs/a": "queued",
        "docs/b": "cancelled",
    }


def test_nothing_is_written_for_a_source_that_is_gone(
    db: Database, knowledge: KnowledgeRepository, sources: SourceRepository
) -> None:
    kb = knowledge.create("kb").id
    source, other = add(db, kb), add(db, kb)
    for one in (source, other):
        sources.begin(one.id, "api")
        sources.record(one.id, 1, [item(one, "a")])
    sources.remove(source.id)
    with pytest.raises(NotFound):
        sources.record(source.id, 1, [item(source, "b")])
    knowledge.delete(kb)
    assert sources.list(kb) == []
    assert sources.running() == []
    with pytest.raises(NotFound):
        sources.end(other.id, 1, "completed")
    with pytest.raises(NotFound):
        add(db, kb)
