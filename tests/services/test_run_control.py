"""Runs that begin with others' results, go step by step, and ask people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.events import NodeWaiting
from app.engine.options import RunOptions
from app.engine.problems import InvalidWorkflow, RagloomError
from app.services.runs.service import RunLimits
from app.services.views import ExecutionView
from storage.errors import NotFound
from tests.services.running import (
    ASKING,
    LOUD,
    Pass,
    Place,
    Say,
    Shout,
    chain,
    ran,
    statuses,
    until,
    waiting,
)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    for node in (Say, Shout, Pass):
        node.ran.clear()
    here = Place(tmp_path, RunLimits(timeout_s=20, concurrent=2))
    yield here
    await here.close()


async def test_a_run_from_a_node_takes_what_was_before_it_from_a_past_run(place: Place) -> None:
    past = await ran(place, graph=LOUD, input_data={"who": "anna"})
    assert past.outputs == {"end": {"text": "ANNA!?"}}
    Shout.ran.clear()
    again = await ran(
        place,
        graph=LOUD,
        options=RunOptions(start_from="more"),
        base_run=past.execution_id,
        use_cache=False,
    )
    assert again.outputs == past.outputs
    assert (Say.ran, Shout.ran) == (["hello"], ["ANNA!"])
    assert again.parent_run == past.execution_id
    assert again.options == {"start_from": "more", "use_cache": False}
    assert statuses(again) == {"say": "completed", "shout": "completed", "more": "completed"}
    assert [s.cached for s in again.steps] == [True, True, False]


async def test_a_node_alone_runs_with_edited_inputs(place: Place) -> None:
    options = RunOptions(only=("shout",), inputs={"shout": {"text": {"text": "psst"}}})
    run = await ran(place, graph=LOUD, options=options)
    assert Shout.ran == ["psst"]
    assert {s.node_id for s in run.steps if s.status == "completed"} == {"shout"}
    assert run.steps[0].outputs == {"text": {"text": "PSST!"}}


async def test_a_rerun_may_change_settings_and_begin_at_a_node(place: Place) -> None:
    stored = await place.workflows.create(LOUD)
    past = await ran(place, workflow_id=stored.workflow_id, input_data={"who": "bert"})
    Shout.ran.clear()
    run_id = await place.runs.rerun(past.execution_id, "shout", {"shout": {"mark": "."}})
    run = await place.runs.wait(run_id)
    assert run.outputs == {"end": {"text": "BERT.?"}}
    assert Say.ran == ["hello"]
    assert (run.workflow_id, run.parent_run) == (stored.workflow_id, past.execution_id)
    assert run.input_data == {"who": "bert"}
    whole = await place.runs.wait(
        await place.runs.rerun(past.execution_id, pin={"say": {"text": {"text": "pinned"}}})
    )
    assert whole.outputs == {"end": {"text": "PINNED!?"}}
    with pytest.raises(RagloomError, match="nowhere"):
        await place.runs.rerun(past.execution_id, "nowhere")
    with pytest.raises(NotFound):
        await place.runs.rerun("run_no")


async def test_a_rerun_repeats_the_settings_and_pins_of_the_run_and_its_revision(
    place: Place,
) -> None:
    stored = await place.workflows.create(LOUD)
    first = await ran(place, workflow_id=stored.workflow_id, input_data={"who": "bert"})

    async def again(run: ExecutionView, *what: Any, **more: Any) -> ExecutionView:
        return await place.runs.wait(await place.runs.rerun(run.execution_id, *what, **more))

    dotted = await again(first, None, {"shout": {"mark": "."}})
    assert (dotted.outputs, dotted.revision) == ({"end": {"text": "BERT.?"}}, 1)
    repeated = await again(dotted)
    assert repeated.outputs == dotted.outputs
    assert (await again(dotted, "shout")).outputs == dotted.outputs
    both = await again(dotted, "more", {"more": {"mark": "…"}})
    assert both.outputs == {"end": {"text": "BERT.…"}}
    pinned = await again(first, pin={"shout": {"text": {"text": "held"}}})
    assert (await again(pinned)).outputs == pinned.outputs == {"end": {"text": "HELD?"}}
    assert (await again(pinned, "shout")).outputs == first.outputs
    with pytest.raises(InvalidWorkflow, match="“shout”, which does not run again"):
        await place.runs.rerun(first.execution_id, "more", {"shout": {"mark": "."}})


async def test_a_rerun_begins_only_where_the_past_run_has_results(place: Place) -> None:
    graph = chain(("say", "say", {}), ("shout", "shout", {"fail": True}), ("more", "shout", {}))
    past = await ran(place, graph=graph)
    assert past.status == "failed"
    with pytest.raises(InvalidWorkflow, match="needs what"):
        await place.runs.rerun(past.execution_id, "more")
    mended = await place.runs.wait(
        await place.runs.rerun(past.execution_id, "shout", {"shout": {"fail": False}})
    )
    assert (mended.status, mended.outputs) == ("completed", {"end": {"text": "HELLO!!"}})


async def test_a_changed_last_node_is_all_that_runs_and_the_reason_survives_a_restart(
    place: Place, tmp_path: Path
) -> None:
    stored = await place.workflows.create(LOUD)
    await ran(place, workflow_id=stored.workflow_id)
    Shout.ran.clear()
    Say.ran.clear()
    later = Place(tmp_path)
    changed = chain(("say", "say", {}), ("shout", "shout", {}), ("more", "shout", {"mark": "#"}))
    await later.workflows.save(stored.workflow_id, changed, 1)
    run = await ran(later, workflow_id=stored.workflow_id)
    assert (Say.ran, Shout.ran) == ([], ["HELLO!"])
    assert [(s.cached, s.reason) for s in run.steps] == [
        (True, "same inputs and settings"),
        (True, "same inputs and settings"),
        (False, "config.mark ? → #"),
    ]
    await later.close()


async def test_values_of_open_ports_are_reused_after_a_restart(
    place: Place, tmp_path: Path
) -> None:
    graph = chain(("say", "say", {}), ("pass", "pass", {}), ("again", "pass", {}))
    first = await ran(place, graph=graph)
    later = Place(tmp_path)
    second = await ran(later, graph=graph)
    assert Pass.ran == ["Text", "Text"]
    assert all(step.cached for step in second.steps)
    assert second.outputs == first.outputs
    await later.close()


async def test_usage_and_savings_are_kept_by_step_and_in_sum(place: Place) -> None:
    first = await ran(place, graph=LOUD)
    expected = {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.25, "calls": 1}
    assert first.steps[0].usage == first.usage == expected
    assert first.saved.get("cost_usd", 0) == 0
    second = await ran(place, graph=LOUD)
    assert second.usage.get("cost_usd", 0) == 0
    assert second.saved["cost_usd"] == second.steps[0].saved["cost_usd"] == 0.25
    assert second.saved["ms"] >= 0
    listed = (await place.runs.list()).items[0]
    assert listed.saved == second.saved


async def test_inputs_that_nobody_reads_are_named(place: Place) -> None:
    run = await ran(place, graph=LOUD, input_data={"whoo": "anna", "who": "bert", "zzz": 1})
    assert [w.partition("”")[0] for w in run.warnings] == [
        "No node of the workflow reads the input “whoo",
        "No node of the workflow reads the input “zzz",
    ]
    assert "“who”" in run.warnings[0]
    assert (await ran(place, graph=LOUD, input_data={"who": "bert"})).warnings == []


async def test_a_run_goes_step_by_step(place: Place) -> None:
    run_id = await place.runs.start(graph=LOUD, step=True, use_cache=False)
    await until(lambda: place.runs.paused(run_id) == ["say"])
    assert Say.ran == []
    assert place.runs.step(run_id) == ["say"]
    await until(lambda: place.runs.paused(run_id) == ["shout"])
    assert (Say.ran, Shout.ran) == (["hello"], [])
    # It holds no slot meanwhile: other runs get through.
    for _ in range(3):
        assert (await ran(place, graph=LOUD, use_cache=False)).status == "completed"
    Shout.ran.clear()
    place.runs.step(run_id, rest=True)
    assert (await place.runs.wait(run_id, 30)).status == "completed"
    assert Shout.ran == ["hello", "HELLO!"]
    with pytest.raises(RagloomError) as over:
        place.runs.step(run_id)
    assert over.value.code == "not_running"


async def test_a_run_waits_for_a_person_without_holding_others_up(tmp_path: Path) -> None:
    place = Place(tmp_path, RunLimits(timeout_s=3, concurrent=1))
    stored = await place.workflows.create(ASKING)
    run_id = await place.runs.start(workflow_id=stored.workflow_id)
    run = await place.runs.wait(run_id, 30, or_asked=True)
    assert run.status == "waiting"
    assert run.steps[1].status == "waiting"
    assert run.steps[1].waiting == {"message": "Say “hello”?", "form": {"type": "object"}}
    [question] = (await place.runs.approvals.list()).items
    assert (question.execution_id, question.node_id) == (run_id, "ask")
    assert (question.workflow_id, question.workflow_name) == (stored.workflow_id, "Loud")
    assert (await ran(place, graph=LOUD)).status == "completed"
    await asyncio.sleep(3.1)  # longer than a run may take
    await place.runs.decide(run_id, "ask", {"approved": True, "comment": "fine", "by": "anna"})
    run = await place.runs.wait(run_id, 30)
    assert (run.status, run.outputs) == ("completed", {"yes": {"value": True}})
    with pytest.raises(RagloomError) as late:
        await place.runs.decide(run_id, "ask", {"approved": False})
    assert late.value.code == "conflict"
    assert (await place.runs.approvals.list()).total == 0
    [kept] = (await place.runs.approvals.list(status="decided")).items
    assert kept.decision == {"approved": True, "comment": "fine", "value": None, "by": "anna"}
    await place.close()


async def test_a_question_ends_with_its_run(place: Place) -> None:
    run_id = await place.runs.start(graph=ASKING)
    seen = [type(e) async for e in until_asked(place, run_id)]
    assert seen[-1] is NodeWaiting
    await until(lambda: waiting(place, run_id))
    assert (await place.runs.cancel(run_id)).status == "cancelled"
    with pytest.raises(RagloomError):
        await place.runs.decide(run_id, "ask", {"approved": True})


async def until_asked(place: Place, run_id: str) -> AsyncIterator[object]:
    async for event in place.runs.watch(run_id):
        yield event
        if isinstance(event, NodeWaiting):
            return
