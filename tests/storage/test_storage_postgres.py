"""The same repositories on PostgreSQL: set RAGLOOM_TEST_POSTGRES_URL to use a server you have."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.folder import DataFolder
from storage.jobs import JobRepository
from storage.keys import KeyRepository
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from storage.run_writes import RunChange
from storage.runs import RunRepository
from storage.search import ChunkSearch
from storage.workflows import WorkflowRepository
from tests.storage import postgres
from tests.storage.automation_stories import STORIES
from tests.storage.corpus import MODEL, Corpus, embed

#: Read before the tests' environment is cleaned.
GIVEN = os.environ.get("RAGLOOM_TEST_POSTGRES_URL")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if GIVEN:
        yield GIVEN
        return
    programs = postgres.programs()
    if programs is None:
        reason = "PostgreSQL is not installed (apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres.server(programs) as url:
        yield url


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    database = Database(url)
    database.upgrade()
    yield database
    with database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    database.close()


@contextmanager
def databases(url: str, count: int) -> Iterator[list[Database]]:
    """As many processes would have."""
    opened = [Database(url) for _ in range(count)]
    try:
        yield opened
    finally:
        for database in opened:
            database.close()


def at_once(*work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()


def test_the_schema_is_the_one_the_tables_declare(db: Database) -> None:
    db.upgrade()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_two_servers_may_migrate_at_once(url: str, db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    with databases(url, 2) as both:
        at_once(*(database.upgrade for database in both))
        assert KnowledgeRepository(both[0]).list() == ([], 0)


def test_documents_are_committed_searched_and_deleted(db: Database, folder: DataFolder) -> None:
    knowledge = KnowledgeRepository(db)
    corpus = Corpus(knowledge)
    corpus.put("a.txt", ["red apple", "green pear"], facts={"meta": {"year": 2020}})
    commit, change = corpus.put("b.txt", ["blue plum"], chunk_facts=[{"page": 3}])
    assert change == "added"
    knowledge.create_branch(corpus.kb, "draft")
    corpus.remove("b.txt", ref="draft")
    assert knowledge.counts(corpus.head()) == (2, 3)
    assert knowledge.counts(corpus.head("draft")) == (1, 2)
    assert knowledge.documents_at(commit.id, text="A.T")[1] == 1
    assert knowledge.commits(corpus.kb, "draft")[1] == 4
    projector = Projector(db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy))
    projector.open()
    assert projector.reconcile_all() == []
    search = ChunkSearch(knowledge, projector.vectors, projector.keywords)
    only_plum = knowledge.candidates(commit.id, {"page": {"$gte": 2}})
    assert only_plum is not None
    for hits in (
        search.semantic(corpus.kb, commit.id, MODEL, embed("plum"), 1),
        search.keyword(corpus.kb, commit.id, "plum", 1),
        search.semantic(corpus.kb, commit.id, MODEL, embed("apple"), 5, only_plum),
    ):
        assert corpus.texts(hits) == ["blue plum"]
    assert knowledge.index_bytes(corpus.kb) > 0
    knowledge.delete(corpus.kb)
    projector.reconcile_all()
    assert projector.vectors.bases() == set()
    projector.close()
    with pytest.raises(NotFound):
        knowledge.get(corpus.kb)


def test_commits_of_many_threads_all_survive(db: Database) -> None:
    corpus = Corpus(KnowledgeRepository(db))

    def write(name: str) -> None:
        for i in range(5):
            corpus.put(f"{name} {i}", [f"text {i}", "shared text"])

    at_once(*(partial(write, name) for name in "abcd"))
    assert corpus.knowledge.counts(corpus.head()) == (20, 40)
    assert corpus.knowledge.commits(corpus.kb)[1] == 21


def test_no_task_is_claimed_twice(db: Database, url: str) -> None:
    corpus = Corpus(KnowledgeRepository(db))
    jobs = JobRepository(db)
    jobs.create(corpus.kb, [{"filename": f"f{i}"} for i in range(30)])
    claimed: list[str] = []

    def work(database: Database) -> None:
        while (task := JobRepository(database).claim()) is not None:
            claimed.append(task.id)
            JobRepository(database).finish(
                task.id, change="added", chunks_created=1, processing_time=0
            )

    with databases(url, 3) as others:
        at_once(*(partial(work, database) for database in others))
    assert len(claimed) == len(set(claimed)) == 30


def test_workflows_runs_and_keys(db: Database, folder: DataFolder) -> None:
    workflows, keys = WorkflowRepository(db), KeyRepository(db)
    runs = RunRepository(db, folder.payloads, cap_bytes=100)
    made = workflows.create("qa", "", {"nodes": []})
    workflows.save(made.id, {"nodes": [1]}, 1)
    with pytest.raises(Conflict):
        workflows.save(made.id, {"nodes": [2]}, 1)
    assert workflows.list(text="QA")[1] == 1
    run = runs.start(graph={}, input_data={}, trigger="api", workflow_id=made.id)
    columns = {"status": "completed", "outputs": {"text": "x" * 500}, "signature": "s"}
    runs.record([RunChange(run.id, steps={"a": {"status": "running"}})])
    runs.record([RunChange(run.id, steps={"a": columns})])
    left = runs.start(graph={}, input_data={}, trigger="api", durable=True)
    assert [r.id for r in runs.take_over("me", 60, busy=[run.id])[0]] == [left.id]
    for run_id in (run.id, left.id):
        runs.record([RunChange(run_id, run={"status": "completed"}, ended=True)])
    step = runs.by_signature("s")
    assert step is not None
    assert runs.load_payload(step.outputs) == {"text": "x" * 500}
    assert runs.prune(max_runs=0) == 2
    _, secret = keys.create("ci")
    assert keys.verify(secret) is not None


def test_no_workflow_is_saved_between_the_look_for_users_of_a_branch_and_its_deletion(
    db: Database, url: str
) -> None:
    knowledge = KnowledgeRepository(db)
    corpus = Corpus(knowledge)
    knowledge.create_branch(corpus.kb, "other")
    made = WorkflowRepository(db).create("qa", "", {"nodes": []})
    saved, there = threading.Event(), list[list[str]]()

    with databases(url, 1) as [another]:
        workflows = WorkflowRepository(another)

        def save() -> None:
            workflows.save(made.id, {"nodes": [1]}, 1)
            there.append([ref.name for ref in knowledge.branches(corpus.kb)])
            saved.set()

        writer = threading.Thread(target=save)

        def look() -> None:
            assert [row.id for row, _ in workflows.newest()] == [made.id]
            assert workflows.newest({made.id: 1}) == []
            writer.start()
            assert not saved.wait(0.3)

        knowledge.delete_branch(corpus.kb, "other", look)
        writer.join()
    assert there == [["main"]]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_automation(story: Callable[[Database, Path], None], db: Database, tmp_path: Path) -> None:
    story(db, tmp_path)


def test_a_name_that_is_taken_is_a_conflict(db: Database, tmp_path: Path) -> None:
    knowledge = KnowledgeRepository(db)
    knowledge.create("a")
    with pytest.raises(Conflict):
        knowledge.create("a")
    knowledge.create("b")
