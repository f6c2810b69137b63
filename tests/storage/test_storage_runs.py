from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from storage.automation_tables import Worker
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.folder import DataFolder
from storage.run_writes import RunChange
from storage.runs import RunRepository
from storage.tables import Run, RunStep


def start(runs: RunRepository, **more: object) -> Run:
    return runs.start(graph={"nodes": []}, input_data={"question": "?"}, trigger="page", **more)  # type: ignore


def step(runs: RunRepository, run: Run, node: str, status: str, **columns: Any) -> None:
    runs.record([RunChange(run.id, steps={node: {"status": status, **columns}})])


def finish_step(runs: RunRepository, run: Run, node: str, outputs: object, **more: Any) -> None:
    step(runs, run, node, "completed", duration_ms=2.0, inputs={}, outputs=outputs, **more)


def finish(runs: RunRepository, run_id: str, status: str = "completed", **columns: Any) -> None:
    values = {"status": status, "duration_ms": 1, **columns}
    runs.record([RunChange(run_id, run=values, ended=True)])


def test_a_run_is_kept_step_by_step(runs: RunRepository) -> None:
    run = start(runs, workflow_id="wf_1", workflow_name="qa", revision=3)
    step(runs, run, "a", "running", ordinal=0, name="Search", type="retrieve")
    finish_step(runs, run, "a", {"chunks": [1]}, reason="config.k 5 → 8", signature="s1")
    step(runs, run, "b", "running", ordinal=1)
    step(runs, run, "b", "failed", error={"code": "timeout"}, duration_ms=9, inputs={"q": 1})
    step(runs, run, "c", "skipped", ordinal=2, reason="its input failed", name="Answer")
    step(runs, run, "d", "running", ordinal=7)
    finish(runs, run.id, "failed", duration_ms=12.5, error={"code": "node_failed"})
    kept, steps = runs.get(run.id)
    assert (kept.status, kept.duration_ms, kept.error) == ("failed", 12.5, {"code": "node_failed"})
    assert [(s.node_id, s.status, s.name, s.type) for s in steps] == [
        ("a", "completed", "Search", "retrieve"),
        ("b", "failed", "", ""),
        ("c", "skipped", "Answer", ""),
        ("d", "cancelled", "", ""),
    ]
    assert runs.load_payload(steps[0].outputs) == {"chunks": [1]}
    assert runs.load_payload(steps[1].inputs) == {"q": 1}
    assert steps[0].reason == "config.k 5 → 8"


def test_large_results_lie_beside_the_database(runs: RunRepository, folder: DataFolder) -> None:
    run = start(runs)
    finish_step(runs, run, "a", {"text": "é" * 2_000})
    [step] = runs.get(run.id)[1]
    assert set(step.outputs) == {"blob", "size", "preview"}
    assert step.outputs["preview"].startswith('{"text":"éé')
    assert runs.load_payload(step.outputs) == {"text": "é" * 2_000}
    assert folder.payloads.exists(step.outputs["blob"])
    assert not folder.blobs.root.exists()


def test_results_are_found_by_signature_and_by_node(runs: RunRepository) -> None:
    for value in (1, 2):
        run = start(runs, workflow_id="wf_1")
        finish_step(runs, run, "a", {"n": value}, signature="same")
    found = runs.by_signature("same")
    assert found is not None
    assert runs.load_payload(found.outputs) == {"n": 2}
    newest = runs.last_step("wf_1", "a")
    assert newest is not None
    assert newest.run_id == run.id
    assert runs.by_signature("other") is None
    assert runs.by_signature("") is None
    assert runs.last_step("wf_1", "b") is None


def test_failed_steps_are_not_reused(runs: RunRepository) -> None:
    run = start(runs)
    step(runs, run, "a", "failed", error={"code": "x"}, signature="s")
    assert runs.by_signature("s") is None


def test_lists_are_newest_first(runs: RunRepository) -> None:
    made = [start(runs, workflow_id=f"wf_{i % 2}") for i in range(4)]
    listed, total = runs.list()
    assert ([run.id for run in listed], total) == ([run.id for run in made[::-1]], 4)
    assert [run.id for run in runs.list("wf_1")[0]] == [made[3].id, made[1].id]
    assert [run.id for run in runs.list(limit=1, offset=1)[0]] == [made[2].id]
    finish(runs, made[0].id)
    found, total = runs.list(limit=1, status="completed")
    assert ([run.id for run in found], total) == ([made[0].id], 1)
    assert runs.list("wf_1", status="completed") == ([], 0)


def test_what_a_dead_process_left_is_taken_over(runs: RunRepository) -> None:
    page, durable, ended = start(runs), start(runs, durable=True), start(runs)
    asking = start(runs)
    for run in (page, durable):
        step(runs, run, "a", "running")
    runs.record([RunChange(asking.id, run={"status": "waiting"})])
    finish(runs, ended.id, outputs={"answer": 42})
    go_on, closed = runs.take_over("me", 60)
    assert {run.id for run in go_on} == {durable.id, asking.id}
    assert [run.id for run in closed] == [page.id]
    kept, [left] = runs.get(page.id)
    assert (kept.status, left.status) == ("interrupted", "cancelled")
    assert kept.error is not None
    assert kept.error["code"] == "server_stopped"
    assert runs.get(durable.id)[0].status == "running"
    assert runs.get(ended.id)[0].outputs == {"answer": 42}


def test_a_run_that_brings_the_server_down_is_given_up(runs: RunRepository) -> None:
    bad, slow = start(runs, durable=True), start(runs, durable=True)
    for attempt in range(3):
        assert {run.id for run in runs.take_over("me", 60)[0]} == {bad.id, slow.id}
        finish_step(runs, slow, f"n{attempt}", {})
    assert [run.id for run in runs.take_over("me", 60)[0]] == [slow.id]
    kept = runs.get(bad.id)[0]
    assert kept.status == "failed"
    assert kept.error is not None
    assert kept.error["code"] == "run_crashed"
    # Being stopped in good order does not count.
    for _ in range(9):
        runs.keep([slow.id])
        assert [run.id for run in runs.take_over("me", 60)[0]] == [slow.id]


def test_runs_of_servers_that_are_alive_are_left_alone(runs: RunRepository, db: Database) -> None:
    theirs, mine = start(runs, durable=True, owner="them"), start(runs, durable=True, owner="me")
    runs.seen("them")
    runs.seen("me")
    assert runs.take_over("me", 60, busy=[mine.id]) == ([], [])
    assert [run.id for run in runs.take_over("me", 60)[0]] == [mine.id]
    with db.write() as session:
        session.get_one(Worker, "them").seen_at -= 100
    assert [run.id for run in runs.take_over("me", 60, busy=[mine.id])[0]] == [theirs.id]
    assert runs.get(theirs.id)[0].owner == "me"


def test_an_interrupted_run_is_taken_once(runs: RunRepository) -> None:
    run = start(runs)
    assert not runs.take(run.id, "me", ["interrupted"])
    runs.take_over("me", 60)
    assert runs.take(run.id, "me", ["interrupted"])
    assert not runs.take(run.id, "me", ["interrupted"])
    assert runs.get(run.id)[0].error is None


def test_many_runs_share_a_transaction_and_a_missing_one_undoes_it(runs: RunRepository) -> None:
    made = [start(runs) for _ in range(3)]
    changes = [
        RunChange(run.id, steps={f"n{i}": {"status": "completed", "outputs": {"n": i}}})
        for i, run in enumerate(made)
    ]
    runs.record(changes)
    assert [len(runs.get(run.id)[1]) for run in made] == [1, 1, 1]
    lost = RunChange("run_no", run={"status": "failed"}, ended=True)
    good = RunChange(made[0].id, run={"status": "completed"}, ended=True)
    with pytest.raises(NotFound):
        runs.record([good, lost])
    assert runs.get(made[0].id)[0].status == "running"


def test_steps_inside_a_node_are_read_apart(runs: RunRepository) -> None:
    run = start(runs)
    finish_step(runs, run, "map", {})
    for item in range(5):
        finish_step(runs, run, f"map[{item}]/say", {}, inside="map", ordinal=item + 1)
    assert [s.node_id for s in runs.get(run.id)[1]] == ["map"]
    page, total = runs.steps_inside(run.id, "map", limit=2, offset=1)
    assert ([s.node_id for s in page], total) == (["map[1]/say", "map[2]/say"], 5)


def test_large_options_lie_beside_the_database_as_long_as_their_run(
    runs: RunRepository, folder: DataFolder
) -> None:
    run = start(runs, options={"given": {"a": {"text": "x" * 5_000}}})
    finish(runs, run.id)
    _age_files(folder.payloads)
    runs.prune()
    assert runs.load_payload(runs.get(run.id)[0].options)["given"]["a"]["text"]


def test_old_runs_go_and_their_payloads_with_them(
    runs: RunRepository, db: Database, folder: DataFolder
) -> None:
    made = []
    for i in range(4):
        run = start(runs)
        finish_step(runs, run, "a", {"text": f"{i % 3}" * 3_000})
        finish(runs, run.id)
        made.append(run)
    running = start(runs)
    _age(db, folder, made[:2], days=10)
    assert runs.prune(max_age_days=5) == 2
    assert {run.id for run in runs.list()[0]} == {running.id, made[2].id, made[3].id}
    _age_files(folder.payloads)
    # The first run's payload is also the fourth's: it stays.
    runs.prune()
    assert folder.payloads.size_total() == 2 * len('{"text":"' + "0" * 3_000 + '"}')
    for run in made[2:]:
        [step] = runs.get(run.id)[1]
        assert runs.load_payload(step.outputs)
    assert runs.prune(max_runs=1) == 1
    assert {run.id for run in runs.list()[0]} == {running.id, made[3].id}


def test_payloads_are_kept_within_their_limit(
    runs: RunRepository, db: Database, folder: DataFolder
) -> None:
    made = []
    for i in range(30):
        run = start(runs)
        finish_step(runs, run, "a", {"text": f"{i:04}" * 1_000})
        finish(runs, run.id)
        made.append(run)
    _age(db, folder, made[:25], days=1)
    assert runs.prune(max_bytes=60_000) == 20
    assert folder.payloads.size_total() <= 60_000
    kept = {run.id for run in runs.list()[0]}
    assert kept == {run.id for run in made[20:]}
    # What ended just now is never removed for its size.
    assert runs.prune(max_bytes=0) == 5
    assert runs.list()[1] == 5
    assert folder.payloads.size_total() > 0


def test_an_expired_payload_is_not_found(runs: RunRepository, folder: DataFolder) -> None:
    run = start(runs)
    finish_step(runs, run, "a", {"text": "x" * 3_000})
    folder.payloads.clear()
    [step] = runs.get(run.id)[1]
    with pytest.raises(NotFound):
        runs.load_payload(step.outputs)


def test_unknown_runs_are_not_found(runs: RunRepository) -> None:
    with pytest.raises(NotFound):
        runs.get("run_no")
    with pytest.raises(NotFound):
        finish(runs, "run_no")


def _age(db: Database, folder: DataFolder, made: list[Run], *, days: float) -> None:
    from sqlmodel import select

    with db.write() as session:
        for run in made:
            row = session.get_one(Run, run.id)
            row.started_at -= days * 86_400
            for step in session.exec(select(RunStep).where(RunStep.run_id == run.id)):
                if "blob" in step.outputs:
                    os.utime(folder.payloads.path(step.outputs["blob"]), (0, 0))


def _age_files(blobs: Blobs) -> None:
    for path in blobs.root.glob("??/*"):
        os.utime(Path(path), (0, 0))
