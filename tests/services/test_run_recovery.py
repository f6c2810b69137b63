"""Runs that outlive their server, and servers that take up what others left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.engine.events import NodeFinished, NodeWaiting
from app.engine.options import RunOptions
from app.engine.problems import RagloomError
from app.services.runs import durable, told
from app.services.runs.service import RunLimits
from storage.automation_tables import Worker
from storage.errors import StorageError, StorageFull
from storage.run_writes import RunChange
from tests.services.running import (
    ASKING,
    LOUD,
    Place,
    Say,
    Shout,
    chain,
    ran,
    statuses,
    until,
    waiting,
)


async def test_a_question_outlives_the_server(tmp_path: Path) -> None:
    Say.ran.clear()
    place = Place(tmp_path)
    run_id = await place.runs.start(graph=ASKING, trigger="page")
    await until(lambda: waiting(place, run_id))
    await place.close()
    later = Place(tmp_path)
    assert await waiting(later, run_id)
    await later.open()
    await until(lambda: waiting(later, run_id))
    await later.runs.decide(run_id, "ask", {"approved": False})
    run = await later.runs.wait(run_id, 30)
    assert (run.status, run.outputs) == ("completed", {"yes": {"value": False}})
    assert Say.ran == ["hello"]
    await later.close()


async def test_a_durable_run_goes_on_after_the_server_stopped(tmp_path: Path) -> None:
    Say.ran.clear()
    place = Place(tmp_path)
    run_id = await place.runs.start(graph=LOUD, trigger="api", step=True, use_cache=False)
    await until(lambda: place.runs.paused(run_id) == ["say"])
    place.runs.step(run_id)
    await until(lambda: place.runs.paused(run_id) == ["shout"])
    await place.close()
    later = Place(tmp_path)
    assert (await later.runs.get(run_id)).status == "running"
    await later.open()
    events = [event async for event in later.runs.watch(run_id)]
    run = await later.runs.wait(run_id, 30)
    assert (run.status, run.outputs) == ("completed", {"end": {"text": "HELLO!?"}})
    assert statuses(run) == {"say": "completed", "shout": "completed", "more": "completed"}
    assert Say.ran == ["hello"]
    assert run.usage["cost_usd"] == 0.25
    finished = [e.node_id for e in events if isinstance(e, NodeFinished)]
    assert finished == ["say", "shout", "more"]
    # What was finished before the stop stays as it was written down then.
    assert not run.steps[0].cached
    await later.close()


@pytest.mark.parametrize("part", [{"start_from": "shout"}, {"only": ("shout", "more")}])
async def test_part_of_a_graph_goes_on_too(tmp_path: Path, part: dict[str, Any]) -> None:
    place = Place(tmp_path)
    past = await ran(place, graph=LOUD)
    Say.ran.clear()
    Shout.ran.clear()
    run_id = await place.runs.start(
        graph=LOUD,
        options=RunOptions(**part),
        base_run=past.execution_id,
        step=True,
        durable=True,
        use_cache=False,
    )
    await until(lambda: place.runs.paused(run_id) == ["shout"])
    place.runs.step(run_id)
    await until(lambda: place.runs.paused(run_id) == ["more"])
    await place.close()
    later = Place(tmp_path)
    await later.open()
    run = await later.runs.wait(run_id, 30)
    assert (run.status, run.outputs) == ("completed", {"end": {"text": "HELLO!?"}})
    assert (Say.ran, Shout.ran) == ([], ["hello", "HELLO!"])
    await later.close()


async def test_an_interrupted_run_of_a_page_is_resumed_on_demand(tmp_path: Path) -> None:
    Say.ran.clear()
    place = Place(tmp_path)
    run_id = await place.runs.start(graph=LOUD, step=True, use_cache=False)
    await until(lambda: place.runs.paused(run_id) == ["say"])
    place.runs.step(run_id)
    await until(lambda: place.runs.paused(run_id) == ["shout"])
    await place.close()
    later = Place(tmp_path)
    await later.open()
    run = await later.runs.get(run_id)
    assert run.status == "interrupted"
    assert statuses(run)["say"] == "completed"
    assert await later.runs.resume(run_id) == run_id
    run = await later.runs.wait(run_id, 30)
    assert (run.status, run.error) == ("completed", None)
    assert run.outputs == {"end": {"text": "HELLO!?"}}
    assert Say.ran == ["hello"]
    with pytest.raises(RagloomError) as over:
        await later.runs.resume(run_id)
    assert over.value.code == "not_running"
    await later.close()


@pytest.mark.parametrize(
    ("policy", "end"), [("fail", "failed"), ("continue", "failed"), ("skip", "completed")]
)
async def test_a_failure_just_before_the_server_died_is_no_success(
    tmp_path: Path, policy: str, end: str
) -> None:
    Shout.ran.clear()
    place = Place(tmp_path)
    graph = chain(("say", "say", {}), ("shout", "shout", {"fail": True}), ("more", "shout", {}))
    graph["nodes"][1]["on_error"] = policy
    run = place.repository.start(graph=graph, input_data={}, trigger="api", durable=True)
    outputs = {"text": {"text": "hello"}}
    steps = {
        "say": {"status": "completed", "outputs": outputs, "types": {"text": "Text"}},
        "shout": {"status": "failed", "error": {"code": "node_failed", "message": "No voice."}},
    }
    known = {"say": {"type": "say"}, "shout": {"type": "shout"}}
    change = RunChange(run.id, steps={node: {**known[node], **steps[node]} for node in steps})
    place.repository.record([change])
    await place.open()
    over = await place.runs.wait(run.id, 30)
    assert (over.status, statuses(over)["shout"]) == (end, "failed")
    assert statuses(over)["more"] == "skipped"
    assert Shout.ran == ([] if policy == "skip" else ["hello"])
    await place.close()


async def test_a_run_whose_nodes_are_gone_fails_and_holds_up_nobody(tmp_path: Path) -> None:
    place = Place(tmp_path)
    unknown = chain(("say", "say", {}), ("shout", "shout", {}))
    unknown["nodes"][0]["type"] = "whisper"
    place.repository.start(
        run_id="run_old", graph=unknown, input_data={}, trigger="api", durable=True
    )
    place.repository.start(run_id="run_new", graph=LOUD, input_data={}, trigger="api", durable=True)
    await place.open()
    assert (await place.runs.wait("run_new", 30)).status == "completed"
    old = await place.runs.get("run_old")
    assert old.status == "failed"
    assert old.error is not None
    assert "whisper" in old.error["message"]
    await place.close()


async def test_a_run_can_be_cancelled_before_it_is_gone_on_with(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for run_id in ("run_a", "run_b"):
        place.repository.start(
            run_id=run_id, graph=LOUD, input_data={}, trigger="api", durable=True
        )
    await place.runs.open()
    assert (await place.runs.cancel("run_a")).status == "cancelled"
    watching = asyncio.create_task(watched(place, "run_b"))
    await place.runs.recover()
    assert (await watching)[-1] == "run_finished"
    assert (await place.runs.get("run_b")).status == "completed"
    assert (await place.runs.get("run_a")).status == "cancelled"
    await place.close()


@pytest.mark.parametrize("how", ["recovered", "resumed", "unreadable"])
async def test_a_run_can_be_cancelled_while_it_is_being_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    Say.ran.clear()
    place = Place(tmp_path)
    place.repository.start(
        run_id="run_a", graph=LOUD, input_data={}, trigger="api", durable=how != "resumed"
    )
    reading, go_on, read = threading.Event(), threading.Event(), place.repository.load_payload

    def slowly(payload: Any) -> Any:
        first = not reading.is_set()
        reading.set()
        assert go_on.wait(30)
        if first and how == "unreadable":
            raise OSError("The payload is gone.")
        return read(payload)

    await place.runs.open()
    monkeypatch.setattr(place.repository, "load_payload", slowly)
    work = place.runs.resume("run_a") if how == "resumed" else place.runs.recover()
    taking_up = asyncio.create_task(work)
    await until(reading.is_set)
    cancelling = asyncio.create_task(place.runs.cancel("run_a"))
    await asyncio.sleep(0)
    go_on.set()
    await taking_up
    assert (await cancelling).status == "cancelled"
    assert (await place.runs.wait("run_a", 30)).status == "cancelled"
    assert place.runs.active == 0
    assert Say.ran == []
    await place.close()


async def test_a_server_that_was_silent_lets_go_of_what_another_took_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_BEAT_S", 0.05)
    Say.ran.clear()
    silent, other = Place(tmp_path, owner="silent"), Place(tmp_path, owner="other")
    await silent.runs.open()
    run_id = await silent.runs.start(graph=LOUD, step=True, trigger="api")
    await until(lambda: silent.runs.paused(run_id) == ["say"])
    watching = asyncio.create_task(watched(silent, run_id))
    with silent.db.write() as session:
        session.merge(Worker(id="silent", seen_at=0))
    await other.runs.open()
    await other.runs.recover()
    assert (await other.runs.wait(run_id, 30)).status == "completed"
    await silent.runs.recover()  # it is heard of again, and looks at what it runs
    await until(lambda: silent.runs.active == 0)
    assert (await watching)[-1] == "run_finished"
    assert (await silent.runs.get(run_id)).status == "completed"
    assert Say.ran == ["hello"]
    await silent.close()
    await other.close()


async def test_a_run_of_another_server_is_told_as_far_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "_LOOK_S", 0.01)
    here, other = Place(tmp_path, owner="here"), Place(tmp_path, owner="other")
    await here.open()
    await other.open()
    run_id = await here.runs.start(graph=ASKING, trigger="api")
    assert (await here.runs.wait(run_id, 30, or_asked=True)).status == "waiting"
    watching = asyncio.create_task(watched(other, run_id))
    seen: list[str] = []
    async for event in other.runs.watch(run_id):
        seen.append(event.kind)
        if event.kind == "node_waiting":
            await here.runs.decide(run_id, "ask", {"approved": True})
    assert seen == [
        "run_started", "node_started", "node_finished", "node_started", "node_waiting",
        "node_finished", "run_finished",
    ]  # fmt: skip
    assert await watching == seen
    await here.close()
    await other.close()


async def test_watching_a_run_of_another_server_reads_what_is_new_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "_LOOK_S", 0.01)
    place = Place(tmp_path, owner="watching")
    await place.open()
    place.repository.start("run_far", graph=ASKING, input_data={}, trigger="api", owner="far")
    place.repository.seen("far")
    read: list[Any] = []
    load, look = place.repository.load_payload, place.repository.state
    looks = 0

    def loading(payload: Any) -> Any:
        read.append(payload)
        return load(payload)

    def looking(run_id: str) -> Any:
        nonlocal looks
        looks += 1
        return look(run_id)

    monkeypatch.setattr(place.repository, "load_payload", loading)
    monkeypatch.setattr(place.repository, "state", looking)

    def ask(message: str) -> None:
        change = RunChange("run_far", run={"status": "waiting"})
        asking = {"status": "waiting", "waiting": {"message": message, "form": {}}}
        change.step("ask", {"ordinal": 1, "type": "ask", "name": "Ask", **asking})
        place.repository.record([change])

    async def listen() -> None:
        async for event in place.runs.watch("run_far"):
            heard.append(event.kind)
            if isinstance(event, NodeWaiting):
                asked.append(event.message)

    asked: list[str] = []
    heard: list[str] = []
    listening = asyncio.create_task(listen())
    await until(lambda: heard == ["run_started"])
    ask("One?")
    await until(lambda: heard[1:] == ["node_started", "node_waiting"])
    read.clear()
    before = looks
    await until(lambda: looks > before + 3)
    assert read == []
    ask("Two?")
    await until(lambda: heard[3:] == ["node_waiting"])
    with place.db.write() as session:  # nobody runs it any more
        session.merge(Worker(id="far", seen_at=0))
    await asyncio.wait_for(listening, 30)
    assert heard[4:] == ["run_finished"]
    assert asked == ["One?", "Two?"]
    await place.close()


async def test_nothing_is_written_of_a_run_that_was_let_go(tmp_path: Path) -> None:
    silent, other = Place(tmp_path, owner="silent"), Place(tmp_path, owner="other")
    await silent.runs.open()
    run_id = await silent.runs.start(graph=ASKING, trigger="api")
    assert (await silent.runs.wait(run_id, 30, or_asked=True)).status == "waiting"
    with silent.db.write() as session:
        session.merge(Worker(id="silent", seen_at=0))
    await other.runs.open()  # takes it up
    execution = silent.runs._live.running(run_id)
    execution.let_go()
    await execution._pauses.wake()  # as an answer in the same moment does
    await silent.runs.close()
    run, _ = other.repository.get(run_id)
    assert (run.owner, run.status, run.attempts) == ("other", "waiting", 1)
    silent.db.close()
    await other.close()


async def test_a_server_without_runs_stops_where_its_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)

    def away() -> Any:
        raise StorageError("The database does not answer.", "Start it.")

    monkeypatch.setattr(place.db, "write", away)
    await place.close()


async def test_a_run_that_cannot_even_be_ended_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    for run_id in ("run_a", "run_b"):
        graph = chain(("say", "say", {"text": run_id}), ("shout", "shout", {}))
        place.repository.start(
            run_id=run_id, graph=graph, input_data={}, trigger="api", durable=True
        )
    record, read = place.repository.record, place.repository.get

    def unreadable(run_id: str, *nodes: Any) -> Any:
        if run_id == "run_a":
            raise StorageFull(tmp_path)
        return read(run_id, *nodes)

    def full(changes: Sequence[RunChange]) -> None:
        if any(change.run_id == "run_a" for change in changes):
            raise StorageFull(tmp_path)
        record(changes)

    monkeypatch.setattr(place.repository, "get", unreadable)
    monkeypatch.setattr(place.repository, "record", full)
    await place.open()
    assert (await place.runs.wait("run_b", 30)).status == "completed"
    monkeypatch.setattr(place.repository, "get", read)
    view = await place.runs.get("run_a")
    assert (view.status, view.error and view.error["code"]) == ("failed", "storage_full")
    await place.close()


async def test_whoever_gives_up_starting_leaves_no_run_behind_that_nobody_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    storing, go_on, store = threading.Event(), threading.Event(), place.repository.start

    def slowly(**what: Any) -> Any:
        storing.set()
        assert go_on.wait(30)
        return store(**what)

    monkeypatch.setattr(place.repository, "start", slowly)
    starting = asyncio.create_task(place.runs.start(graph=LOUD, trigger="api"))
    await until(storing.is_set)
    starting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    [run] = (await place.runs.list()).items
    assert (await place.runs.wait(run.execution_id, 30)).status == "completed"
    await place.close()


async def watched(place: Place, run_id: str) -> list[str]:
    return [event.kind async for event in place.runs.watch(run_id)]


async def test_two_hundred_runs_at_once_all_end_well(tmp_path: Path) -> None:
    place = Place(tmp_path, RunLimits(concurrent=8))
    stored = await place.workflows.create(LOUD)
    ids = await asyncio.gather(
        *(
            place.runs.start(
                workflow_id=stored.workflow_id,
                input_data={"who": str(n)},
                trigger="api",
            )
            for n in range(200)
        )
    )
    runs = await asyncio.gather(*(place.runs.wait(run_id) for run_id in ids))
    assert [run.outputs for run in runs] == [{"end": {"text": f"{n}!?"}} for n in range(200)]
    assert all(len(run.steps) == 3 for run in runs)
    await place.close()
