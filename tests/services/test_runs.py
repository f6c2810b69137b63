"""Runs: what watchers see, what is kept, cancelling, time limits, a full disk."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.engine import run as engine_run
from app.engine.context import NodeContext
from app.engine.events import (
    Event,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    RunFinished,
    TokenEvent,
)
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.plan import Plan
from app.engine.problems import InvalidWorkflow, NodeFailed, RagloomError
from app.engine.values import Text
from app.services.runs.log import RunLog
from app.services.runs.service import RunLimits
from app.services.runs.told import JustEnded, Told
from app.services.runs.writer import RunWriter
from storage.errors import NotFound, StorageFull
from storage.run_writes import RunChange
from tests.services.running import Place, until


class Say(Node["Say.Config"]):
    """Says a text, piece by piece."""

    type, title, family, icon = "say", "Say", "text", "chat"
    ran = 0
    #: Whether it goes on when it is told to end.
    deaf = False

    class Config(NodeConfig):
        text: str = "hello"
        seconds: float = 0.0

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, ctx: NodeContext) -> Outputs:
        Say.ran += 1
        for word in self.config.text.split():
            ctx.token(word)
        saying = asyncio.ensure_future(asyncio.sleep(self.config.seconds))
        while not saying.done():
            try:
                await asyncio.shield(saying)
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        return self.Outputs(text=Text(text=self.config.text))


class Shout(Node["Shout.Config"]):
    """Says it louder, or fails."""

    type, title, family, icon = "shout", "Shout", "text", "chat"

    class Config(NodeConfig):
        fail: bool = False

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, text: Text) -> Outputs:
        if self.config.fail:
            raise NodeFailed("It lost its voice.", fix="Give it tea.")
        return self.Outputs(text=Text(text=text.text.upper()))


def workflow(**say: Any) -> dict[str, Any]:
    fail = say.pop("fail", False)
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "Loud", "outputs": {"loud": ["shout", "text"]}},
        "nodes": [
            {"id": "say", "type": "say", "config": say},
            {"id": "shout", "type": "shout", "config": {"fail": fail}},
        ],
        "edges": [{"source": "say", "target": "shout", "key": "text>text"}],
    }


def opened(folder: Path, limits: RunLimits | None = None) -> Place:
    """Real services with the two nodes above."""
    return Place(folder, limits, (Say, Shout))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    Say.ran = 0
    here = opened(tmp_path, RunLimits(timeout_s=20, concurrent=2))
    yield here
    await here.runs.close()
    here.db.close()


async def test_watchers_see_every_event_in_order_and_the_history_keeps_them(place: Place) -> None:
    run_id = await place.runs.start(graph=workflow(text="one two"), trigger="page")
    events = [event async for event in place.runs.watch(run_id)]
    kinds = [event.kind for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert [e.text for e in events if isinstance(e, TokenEvent)] == ["one", "two"]
    run = await place.runs.get(run_id)
    assert run.status == "completed"
    assert run.outputs == {"loud": {"text": "ONE TWO"}}
    assert [(s.node_id, s.status) for s in run.steps] == [
        ("say", "completed"),
        ("shout", "completed"),
    ]
    assert run.steps[1].inputs == {"text": {"text": "one two"}}
    # A watcher who comes later sees the same, but for what only lived.
    again = [event async for event in place.runs.watch(run_id)]
    lasting = [k for k in kinds if k != "token"]
    assert [event.kind for event in again] == lasting
    assert again[-1].outputs == {"loud": {"text": "ONE TWO"}}  # type: ignore[union-attr]


async def test_whoever_watches_late_hears_of_progress_once(place: Place) -> None:
    async def store(events: Sequence[Event]) -> None:
        pass

    log = RunLog(store)
    for done in range(1_000):
        log.emit(NodeProgress(run_id="r", node_id="map", done=done, total=1_000))
    log.emit(NodeProgress(run_id="r", node_id="other", done=1, total=2))
    await log.close()
    log.end(RunFinished(run_id="r", status="completed", duration_ms=1))
    progress = [e async for _, e in log.follow() if isinstance(e, NodeProgress)]
    assert [(e.node_id, e.done) for e in progress] == [("map", 999), ("other", 1)]
    # Whoever heard of an earlier one hears of the last.
    ids = [event_id async for event_id, _ in log.follow()]
    early = ids[0].replace("-1000", "-500")
    assert [event_id async for event_id, _ in log.follow(early)] == ids
    assert [event_id async for event_id, _ in log.follow(ids[0])] == ids[1:]


async def told(place: Place, run_id: str, last_id: str = "") -> list[tuple[str, Event]] | None:
    stream = await place.runs.follow(run_id, last_id)
    return None if stream is None else [item async for item in stream]


async def test_whoever_was_cut_off_gets_what_came_after(place: Place, tmp_path: Path) -> None:
    run_id = await place.runs.start(graph=workflow(text="one two three", seconds=0.3))
    stream = await place.runs.follow(run_id)
    assert stream is not None
    first: list[tuple[str, Event]] = []
    async for event_id, event in stream:
        first.append((event_id, event))
        if isinstance(event, TokenEvent) and event.text == "two":
            break
    live = await told(place, run_id, first[-1][0])
    assert live is not None
    assert [e.text for _, e in live if isinstance(e, TokenEvent)] == ["three"]
    assert isinstance(live[-1][1], RunFinished)
    # After its end the same holds for a while.
    for number, (event_id, _) in enumerate(first + live, 1):
        assert await told(place, run_id, event_id) == ((first + live)[number:] or None)
    # What is kept for long has ids of its own.
    whole = await told(place, run_id)
    assert whole is not None
    assert not any(isinstance(event, TokenEvent) for _, event in whole)
    for number, (event_id, _) in enumerate(whole, 1):
        assert await told(place, run_id, event_id) == (whole[number:] or None)
    later = opened(tmp_path)
    assert await told(later, run_id, first[-1][0]) == whole
    assert await told(later, run_id, whole[-2][0]) == whole[-1:]
    later.db.close()


async def test_a_large_run_is_told_anew_to_whoever_was_cut_off(place: Place) -> None:
    run_id = await place.runs.start(graph=workflow(text="ab" * 200_000))
    live = await told(place, run_id)
    assert live is not None
    assert await told(place, run_id, live[-1][0]) == await told(place, run_id)


async def test_only_so_many_ended_runs_are_kept_for_those_who_were_cut_off() -> None:
    kept, alive = JustEnded(), []
    for number in range(200):
        told = Told(f"log{number}", [RunFinished(run_id="r", status="completed", duration_ms=1)])
        alive.append(weakref.ref(told.events[0]))
        kept.keep(f"run_{number}", told)
        kept.keep("run_again", told)
    del told
    assert sum(ref() is not None for ref in alive) <= 64
    assert kept.get("run_199", "log199-1") is kept.get("run_again", "log199-1") is not None
    assert kept.get("run_0", "log0-1") is None


async def test_a_run_that_cannot_be_written_spoils_no_other(place: Place) -> None:
    writer, ids = RunWriter(place.repository), ("run_a", "run_b")
    for run_id in ids:
        place.repository.start(run_id, graph=workflow(), input_data={}, trigger="page")
    steps = [
        {"say": {"status": "completed", "outputs": {"text": {"text": text}}}}
        for text in ("short", "long " * 1_000)
    ]
    changes = [RunChange(run_id, steps=step) for run_id, step in zip(ids, steps, strict=True)]
    gone = RunChange("run_gone", run={"status": "completed"})
    results = await asyncio.gather(
        *(writer.write(change) for change in (*changes, gone)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), type(None), NotFound]
    for run_id, step in zip(ids, steps, strict=True):
        view = await place.runs.get(run_id)
        assert view.steps[0].outputs == step["say"]["outputs"]


async def test_a_step_is_stored_before_anybody_sees_its_end(place: Place) -> None:
    run_id = await place.runs.start(graph=workflow())
    async for event in place.runs.watch(run_id):
        if isinstance(event, NodeFinished):
            kept = {s.node_id: s.status for s in (await place.runs.get(run_id)).steps}
            assert kept[event.node_id] == "completed"


async def test_steps_that_did_not_change_are_reused_after_a_restart(
    place: Place, tmp_path: Path
) -> None:
    first = await place.runs.wait(await place.runs.start(graph=workflow(text="x " * 2_000)))
    later = opened(tmp_path)
    second = await later.runs.wait(await later.runs.start(graph=workflow(text="x " * 2_000)))
    assert Say.ran == 1
    assert [s.cached for s in second.steps] == [True, True]
    assert second.outputs == first.outputs
    fresh = await later.runs.start(graph=workflow(text="x " * 2_000), use_cache=False)
    assert not any(s.cached for s in (await later.runs.wait(fresh)).steps)
    later.db.close()


async def test_cancelling_does_not_wait_for_the_node(place: Place) -> None:
    run_id = await place.runs.start(graph=workflow(seconds=60))
    async for event in place.runs.watch(run_id):
        if isinstance(event, NodeStarted):
            break
    run = await place.runs.cancel(run_id)
    assert run.status == "cancelled"
    assert {s.status for s in run.steps} <= {"skipped", "cancelled"}
    # Once more changes nothing.
    assert (await place.runs.cancel(run_id)).status == "cancelled"


async def test_whoever_cancels_is_told_the_end_though_a_node_takes_its_time_to(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_run, "_GRACE_S", 1.2)
    monkeypatch.setattr(Say, "deaf", True)
    run_id = await place.runs.start(graph=workflow(seconds=3))
    await until(lambda: Say.ran)
    assert (await place.runs.cancel(run_id)).status == "cancelled"


async def test_a_run_that_takes_too_long_is_stopped_and_says_so(tmp_path: Path) -> None:
    place = opened(tmp_path, RunLimits(timeout_s=0.2))
    run = await place.runs.wait(await place.runs.start(graph=workflow(seconds=30)))
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["code"] == "run_timeout"
    assert "run_timeout_s" in run.error["fix"]
    place.db.close()


async def test_a_failing_step_fails_the_run_with_its_reason(place: Place) -> None:
    run = await place.runs.wait(await place.runs.start(graph=workflow(fail=True)))
    assert run.status == "failed"
    assert run.error is not None
    assert (run.error["message"], run.error["fix"]) == ("It lost its voice.", "Give it tea.")
    assert run.steps[1].error is not None
    past = [event async for event in place.runs.watch(run.execution_id)]
    assert [event.kind for event in past][-2:] == ["node_failed", "run_finished"]


async def test_a_graph_that_cannot_run_is_refused_and_leaves_no_run(place: Place) -> None:
    broken = workflow()
    broken["nodes"][1]["type"] = "whisper"
    with pytest.raises(InvalidWorkflow) as refused:
        await place.runs.start(graph=broken)
    assert {p.node for p in refused.value.problems} >= {"shout"}
    assert (await place.runs.list()).total == 0
    # Up to the broken node it does run.
    run = await place.runs.wait(await place.runs.start(graph=broken, targets=["say"]))
    assert [s.node_id for s in run.steps] == ["say"]


async def test_further_runs_wait_for_their_turn_and_too_many_are_refused(tmp_path: Path) -> None:
    place = opened(tmp_path, RunLimits(timeout_s=90, concurrent=1, waiting=25))
    ids = [await place.runs.start(graph=workflow(seconds=60))]
    ids += [await place.runs.start(graph=workflow(text=str(n))) for n in range(25)]
    with pytest.raises(RagloomError) as refused:
        await place.runs.start(graph=workflow())
    assert refused.value.code == "busy"
    # One that waits can be cancelled before it starts.
    assert (await place.runs.cancel(ids[-1])).status == "cancelled"
    assert (await place.runs.cancel(ids[0])).status == "cancelled"
    done = [await place.runs.wait(run_id) for run_id in ids[1:-1]]
    assert {run.status for run in done} == {"completed"}
    place.db.close()


async def test_closing_stops_what_runs_and_says_why(tmp_path: Path) -> None:
    place = opened(tmp_path)
    run_id = await place.runs.start(graph=workflow(seconds=30))
    await place.runs.close()
    run = await place.runs.get(run_id)
    assert run.status == "interrupted"
    assert run.error is not None
    assert run.error["code"] == "server_stopped"
    place.db.close()


async def test_a_run_of_a_page_that_a_killed_server_left_is_marked(place: Place) -> None:
    place.repository.start(graph=workflow(), input_data={}, trigger="page", run_id="run_dead")
    await place.runs.open()
    run = await place.runs.get("run_dead")
    assert run.status == "interrupted"
    assert run.error is not None
    assert run.error["code"] == "server_stopped"


async def test_a_full_disk_ends_the_run_with_a_clear_reason(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = place.repository.record

    def full(changes: list[RunChange]) -> None:
        if any(step["status"] == "completed" for c in changes for step in c.steps.values()):
            raise StorageFull("runs")
        record(changes)

    run_id = await place.runs.start(graph=workflow(seconds=0.1))
    monkeypatch.setattr(place.repository, "record", full)
    events = [event async for event in place.runs.watch(run_id)]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.status == "failed"
    assert last.problem is not None
    assert last.problem.code == "storage_full"
    assert (await place.runs.get(run_id)).status == "failed"


async def test_runs_of_a_workflow_name_it_and_its_revision(place: Place) -> None:
    stored = await place.workflows.create(workflow())
    run_id = await place.runs.start(workflow_id=stored.workflow_id, input_data={"a": 1})
    run = await place.runs.wait(run_id)
    assert (run.workflow_id, run.workflow_name, run.revision) == (stored.workflow_id, "Loud", 1)
    page = await place.runs.list(workflow_id=stored.workflow_id)
    assert [item.execution_id for item in page.items] == [run_id]
    assert page.items[0].steps == []
    listed = (await place.workflows.list()).items[0]
    assert listed.last_run is not None
    assert listed.last_run["execution_id"] == run_id


async def test_an_unknown_run_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        await place.runs.get("run_x")
    with pytest.raises(NotFound):
        [event async for event in place.runs.watch("run_x")]


async def test_an_observer_that_fails_ends_no_run(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(plan: Plan, event: Event) -> None:
        raise ValueError(event.kind)

    place.runs.observe(broken)
    run = await place.runs.wait(await place.runs.start(graph=workflow()))
    assert run.status == "completed"
    assert "An observer of runs failed" in caplog.text


async def test_observers_are_told_every_event(place: Place) -> None:
    seen: list[str] = []
    place.runs.observe(lambda plan, event: seen.append(event.kind))
    await place.runs.wait(await place.runs.start(graph=workflow()))
    assert seen == [
        "run_started",
        "node_started",
        "node_finished",
        "node_started",
        "node_finished",
        "run_finished",
    ]
