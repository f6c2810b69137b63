from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.folder import DataFolder
from storage.runs import RunRepository
from storage.tables import Run, RunStep


def start(runs: RunRepository, **more: object) -> Run:
    return runs.start(graph={"nodes": []}, input_data={"question": "?"}, trigger="page", **more)  # type: ignore


def finish_step(runs: RunRepository, run: Run, node: str, outputs: object, **more: object) -> None:
    runs.step_finished(run.id, node, duration_ms=2.0, inputs={}, outputs=outputs, **more)  # type: ignore


def test_a_run_is_kept_step_by_step(runs: RunRepository) -> None:
    run = start(runs, workflow_id="wf_1", workflow_name="qa", revision=3)
    runs.step_started(run.id, "a", ordinal=0, name="Search", type="retrieve")
    finish_step(runs, run, "a", {"chunks": [1]}, reason="config.k 5 → 8", signature="s1")
    runs.step_started(run.id, "b", ordinal=1)
    runs.step_failed(run.id, "b", error={"code": "timeout"}, duration_ms=9, inputs={"q": 1})
    runs.step_skipped(run.id, "c", reason="its input failed", name="Answer", type="answer")
    runs.step_started(run.id, "d", ordinal=7)
    runs.finish(run.id, status="failed", duration_ms=12.5, error={"code": "node_failed"})
    kept, steps = runs.get(run.id)
    assert (kept.status, kept.duration_ms, kept.error) == ("failed", 12.5, {"code": "node_failed"})
    assert [(s.node_id, s.status, s.name, s.type) for s in steps] == [
        ("a", "completed", "Search", "retrieve"),
        ("b", "failed", "", ""),
        ("c", "skipped", "Answer", "answer"),
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
    runs.step_failed(run.id, "a", error={"code": "x"}, signature="s")
    assert runs.by_signature("s") is None


def test_lists_are_newest_first(runs: RunRepository) -> None:
    made = [start(runs, workflow_id=f"wf_{i % 2}") for i in range(4)]
    listed, total = runs.list()
    assert ([run.id for run in listed], total) == ([run.id for run in made[::-1]], 4)
    assert [run.id for run in runs.list("wf_1")[0]] == [made[3].id, made[1].id]
    assert [run.id for run in runs.list(limit=1, offset=1)[0]] == [made[2].id]
    runs.finish(made[0].id, status="completed", duration_ms=1)
    found, total = runs.list(limit=1, status="completed")
    assert ([run.id for run in found], total) == ([made[0].id], 1)
    assert runs.list("wf_1", status="completed") == ([], 0)


def test_what_a_dead_process_left_running_is_marked(runs: RunRepository) -> None:
    run, ended = start(runs), start(runs)
    runs.step_started(run.id, "a", ordinal=0)
    runs.finish(ended.id, status="completed", duration_ms=1, outputs={"answer": 42})
    assert runs.interrupt_running() == 1
    kept, [step] = runs.get(run.id)
    assert (kept.status, step.status) == ("failed", "cancelled")
    assert kept.error is not None
    assert kept.error["code"] == "server_stopped"
    assert runs.get(ended.id)[0].outputs == {"answer": 42}


def test_old_runs_go_and_their_payloads_with_them(
    runs: RunRepository, db: Database, folder: DataFolder
) -> None:
    made = []
    for i in range(4):
        run = start(runs)
        finish_step(runs, run, "a", {"text": f"{i % 3}" * 3_000})
        runs.finish(run.id, status="completed", duration_ms=1)
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
        runs.finish(run.id, status="completed", duration_ms=1)
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
        runs.finish("run_no", status="completed", duration_ms=0)


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
