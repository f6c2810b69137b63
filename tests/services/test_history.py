"""The history of a workflow: nothing is rewritten, stretches of work fold, names stay."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.registry import Registry
from app.nodes import register_all
from app.services.runs.search import search_runs
from app.services.workflows.history import HistoryService, RevisionView, stretches, summarise
from app.services.workflows.service import WorkflowService
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.runs import RunRepository
from storage.workflows import WorkflowRepository
from tests.services.running import database

GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Ask", "outputs": {}},
    "nodes": [{"id": "question", "type": "question", "config": {"default": "Why?"}}],
    "edges": [],
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = database(tmp_path)
    yield db
    db.close()


@pytest.fixture
def workflows(db: Database, tmp_path: Path) -> WorkflowService:
    registry = Registry()
    register_all(registry)
    runs = RunRepository(db, Blobs(tmp_path / "blobs"))
    return WorkflowService(WorkflowRepository(db, summarise), runs, registry)


@pytest.fixture
def history(db: Database) -> HistoryService:
    return HistoryService(WorkflowRepository(db, summarise))


def asking(text: str) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][0]["config"]["default"] = text
    return graph


async def test_restoring_keeps_everything_in_between(
    workflows: WorkflowService, history: HistoryService
) -> None:
    made = (await workflows.create(GRAPH, author="ada")).workflow_id
    await workflows.save(made, asking("How?"), 1, "bob")
    await history.name(made, 2, name="A try")
    back = await history.restore(made, 1, "cy", 2)
    assert (back.number, back.restored_from, back.author, back.graph) == (
        3, 1, "cy", (await history.get(made, 1)).graph,
    )  # fmt: skip
    listed = (await history.list(made)).items
    assert [(r.number, r.author, r.name, r.summary) for r in listed] == [
        (3, "cy", "", {"changed": 1}), (2, "bob", "A try", {"changed": 1}), (1, "ada", "", None),
    ]  # fmt: skip
    assert (await history.diff(made, 1, 3)).equal
    # What is there already makes no revision; what others saved meanwhile is not overwritten.
    assert (await history.restore(made, 1)).number == 3
    with pytest.raises(Conflict):
        await history.restore(made, 2, "cy", 1)
    with pytest.raises(NotFound):
        await history.restore(made, 9)
    named = await history.list(made, named=True)
    assert ([r.number for r in named.items], named.total) == ([2], 1)


def revision(number: int, second: float, author: str = "ada", **parts: Any) -> RevisionView:
    moment = f"2026-01-01T{int(second // 3600):02}:{int(second // 60 % 60):02}:{second % 60:06.3f}Z"
    return RevisionView(
        **{"number": number, "author": author, "message": "", "created_at": moment,
           "node_count": 1, **parts}
    )  # fmt: skip


def test_saves_that_follow_each_other_fold_into_stretches_of_work() -> None:
    revisions = [
        revision(9, 9_000),
        revision(8, 8_990, "bob"),
        revision(7, 8_980),
        revision(6, 8_970, name="Good"),
        revision(5, 8_960),
        revision(4, 8_950),
        revision(3, 2_000),
        revision(2, 1_990, message="Imported"),
        revision(1, 1_980),
    ]
    groups = [[r.number for r in group] for group in stretches(revisions)]
    assert groups == [[9], [8], [7], [6], [5, 4], [3], [2], [1]]
    # A whole day of saves every minute is several stretches, not one.
    day = [revision(n, 60.0 * n) for n in range(1_000, 0, -1)]
    assert 10 < len(stretches(day)) < 30
    assert [r for group in stretches(day) for r in group] == day


async def test_runs_are_found_by_words_and_facts(db: Database, tmp_path: Path) -> None:
    runs = RunRepository(db, Blobs(tmp_path / "blobs"))
    for number, (question, trigger) in enumerate(
        (("Wie groß ist es?", "page"), ("How large is 100%?", "api"), ("How small?", "api"))
    ):
        runs.start(
            f"run_{number}", graph=GRAPH, input_data={"question": question}, trigger=trigger,
            workflow_id="wf_1" if number else None, workflow_name="Ask",
        )  # fmt: skip

    async def found(**wanted: Any) -> list[str]:
        return [run.execution_id for run in (await search_runs(db, **wanted)).items]

    assert await found() == ["run_2", "run_1", "run_0"]
    assert await found(text="groß") == ["run_0"]
    assert await found(text="HOW", trigger="api") == ["run_2", "run_1"]
    assert await found(text="100%") == ["run_1"]
    assert await found(text="_") == []
    assert await found(workflow_id="wf_1", limit=1) == ["run_2"]
    assert await found(status="failed") == []
    assert len(await found(status="running")) == 3
    assert await found(text="run_1") == ["run_1"]
    assert (await search_runs(db, limit=1)).total == 3
