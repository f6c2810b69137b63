from __future__ import annotations

import threading

import pytest

from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.runs import RunRepository
from storage.workflows import WorkflowRepository


@pytest.fixture
def workflows(db: Database) -> WorkflowRepository:
    return WorkflowRepository(db)


def graph(name: str, *nodes: str) -> dict[str, object]:
    return {"graph": {"name": name}, "nodes": [{"id": node} for node in nodes], "edges": []}


def test_each_save_is_a_revision(workflows: WorkflowRepository) -> None:
    made = workflows.create("qa", "answers", graph("qa"), "ada")
    saved = workflows.save(made.id, graph("qa two", "a"), 1, "ada", "add a")
    assert (saved.revision, saved.name, saved.description) == (2, "qa two", "answers")
    workflow, revision = workflows.get(made.id)
    assert (workflow.revision, revision.number, revision.graph) == (2, 2, graph("qa two", "a"))
    assert workflows.revision(made.id, 1).graph == graph("qa")
    revisions, total = workflows.revisions(made.id)
    assert [(row.number, row.message, size) for row, size in revisions] == [
        (2, "add a", 1),
        (1, "", 0),
    ]
    assert total == 2


def test_an_equal_graph_is_no_revision(workflows: WorkflowRepository) -> None:
    made = workflows.create("qa", "", graph("qa", "a"))
    assert workflows.save(made.id, graph("qa", "a"), 1).revision == 1
    # Not even when it was made to an older one: nothing would be lost.
    workflows.save(made.id, graph("qa", "b"), 1)
    assert workflows.save(made.id, graph("qa", "b"), 1).revision == 2


def test_newer_work_is_never_overwritten(workflows: WorkflowRepository) -> None:
    made = workflows.create("qa", "", graph("qa"))
    workflows.save(made.id, graph("qa", "theirs"), 1)
    with pytest.raises(Conflict) as refused:
        workflows.save(made.id, graph("qa", "ours"), 1)
    assert refused.value.current.number == 2
    assert refused.value.current.graph == graph("qa", "theirs")


def test_of_many_saves_at_once_one_wins(workflows: WorkflowRepository) -> None:
    made = workflows.create("qa", "", graph("qa"))
    outcomes: list[str] = []

    def save(i: int) -> None:
        try:
            workflows.save(made.id, graph("qa", str(i)), 1)
            outcomes.append("saved")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=save, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["saved"]


def test_lists_are_last_changed_first_and_searchable(workflows: WorkflowRepository) -> None:
    first = workflows.create("Answers", "with citations", graph("Answers"))
    workflows.create("Summaries", "", graph("Summaries"))
    workflows.save(first.id, graph("Answers", "a"), 1)
    listed, total = workflows.list()
    assert [(workflow.name, revision.number) for workflow, revision in listed] == [
        ("Answers", 2),
        ("Summaries", 1),
    ]
    assert total == 2
    assert [workflow.name for workflow, _ in workflows.list(text="CITATION")[0]] == ["Answers"]
    assert workflows.list(limit=1, offset=1)[0][0][0].name == "Summaries"


def test_runs_outlive_their_workflow(workflows: WorkflowRepository, runs: RunRepository) -> None:
    made = workflows.create("qa", "", graph("qa"))
    run = runs.start(workflow_id=made.id, graph=graph("qa"), input_data={}, trigger="api")
    workflows.delete(made.id)
    assert workflows.list()[1] == 0
    with pytest.raises(NotFound):
        workflows.get(made.id)
    assert runs.get(run.id)[0].workflow_id == made.id
    assert workflows.purge(-1) == [made.id]
    kept, _ = runs.get(run.id)
    assert (kept.workflow_id, kept.graph) == (None, graph("qa"))
    for missing in (
        lambda: workflows.get(made.id),
        lambda: workflows.revision(made.id, 1),
        lambda: workflows.revisions(made.id),
        lambda: workflows.save(made.id, {}, 1),
        lambda: workflows.delete(made.id),
    ):
        with pytest.raises(NotFound):
            missing()


def test_files_named_by_a_workflow_or_a_run_are_in_use(db: Database) -> None:
    """What the settings of a node name must survive the removal of unused originals."""
    named, unnamed = "a" * 64, "b" * 64
    graph = {"nodes": [{"id": "f", "config": {"files": [{"blob": named}]}}]}
    WorkflowRepository(db).create("w", graph=graph)
    assert WorkflowRepository(db).used_blobs([named, unnamed]) == {named}
