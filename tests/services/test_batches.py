"""Batches: tables in, tables out, bounded, cancelled, gone on with."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.problems import RagloomError
from app.nodes.inputs import TextInput
from app.services.runs import batches
from app.services.runs.batch_tables import read_csv
from app.services.runs.service import RunLimits
from storage.errors import StorageFull
from tests.services.running import LOUD, Place, Say, chain, until

ASKING = chain(("say", "say", {}), ("ask", "ask", {}))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    here = Place(tmp_path, RunLimits(concurrent=4))
    yield here
    await here.close()


async def test_each_row_is_a_run_of_the_same_revision(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    batch = await place.batches.start(
        workflow_id, 'who;city\nanna;Rome\n\nbert;"Ulm; Donau"\n', shared={"x": 1}, concurrency=2
    )
    assert (batch.total, batch.columns) == (2, ["x", "who", "city"])
    done = await place.batches.wait(batch.batch_id, 30)
    assert (done.status, done.counts) == ("completed", {"completed": 2})
    assert [row.outputs for row in done.rows] == [{"end": "ANNA!?"}, {"end": "BERT!?"}]
    assert done.rows[1].input_data == {"x": 1, "who": "bert", "city": "Ulm; Donau"}
    run = await place.runs.get(done.rows[0].execution_id or "")
    assert (run.trigger, run.revision) == ("batch", 1)
    table = list(csv.reader(io.StringIO(await place.batches.table(batch.batch_id))))
    about = ["error", "seconds", "cost_usd", "execution_id"]
    assert table[0] == ["x", "who", "city", "status", "end", *about]
    assert float(table[2][6]) >= 0
    assert table[2][:5] == ["1", "bert", "Ulm; Donau", "completed", "BERT!?"]
    assert [b.batch_id for b in (await place.batches.list(workflow_id)).items] == [batch.batch_id]


async def test_a_table_of_which_nothing_is_read_is_refused(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    with pytest.raises(RagloomError, match="none of the columns: wh0, city") as refused:
        await place.batches.start(workflow_id, [{"wh0": "anna", "city": "Rome"}])
    assert refused.value.code == "bad_table"
    assert refused.value.fix == "Name one of them after an input: who."
    assert (await place.batches.list(workflow_id)).total == 0


async def test_a_workflow_with_values_of_its_own_is_repeated_over_any_table(place: Place) -> None:
    place.registry.register(TextInput)
    graph = chain(("say", "say", {}), ("shout", "shout", {}))
    graph["nodes"][0] = {"id": "say", "type": "text_input", "config": {"default": "hello"}}
    workflow_id = (await place.workflows.create(graph)).workflow_id
    batch = await place.batches.start(workflow_id, [{"label": "one"}, {"label": "two"}])
    done = await place.batches.wait(batch.batch_id, 30)
    assert [row.outputs for row in done.rows] == [{"end": "HELLO!"}] * 2
    graph["nodes"][0]["config"] = {}
    asking = (await place.workflows.create(graph)).workflow_id
    with pytest.raises(RagloomError, match="none of the columns: label"):
        await place.batches.start(asking, [{"label": "one"}])


async def test_no_more_rows_are_under_way_than_asked_for_and_a_cancel_ends_them(
    place: Place,
) -> None:
    workflow_id = (await place.workflows.create(ASKING)).workflow_id
    rows = [{"who": str(n)} for n in range(10)]
    batch = await place.batches.start(workflow_id, rows, concurrency=3)

    async def asked() -> bool:
        return (await place.runs.approvals.list()).total == 3

    await until(asked)
    assert (await place.batches.get(batch.batch_id)).counts == {"running": 3, "queued": 7}
    cancelled = await place.batches.cancel(batch.batch_id)
    assert (cancelled.status, cancelled.counts) == ("cancelled", {"cancelled": 10})
    assert (await place.runs.list(status="cancelled")).total == 3
    assert place.runs.active == 0


async def test_failed_rows_say_why_and_are_tried_again(place: Place) -> None:
    broken = chain(("say", "say", {}), ("shout", "shout", {"fail": True}))
    workflow_id = (await place.workflows.create(broken)).workflow_id
    batch = await place.batches.start(workflow_id, [{"who": "anna"}, {"who": "=1+1"}])
    done = await place.batches.wait(batch.batch_id, 30)
    assert (done.status, done.counts) == ("completed", {"failed": 2})
    error = done.rows[0].error
    assert error is not None
    assert error["message"] == "It lost its voice."
    # What a spreadsheet would take for a formula is text.
    assert "\n'=1+1,failed" in (await place.batches.table(batch.batch_id)).replace("\r", "")
    first = done.rows[0].execution_id
    await place.batches.retry(batch.batch_id)
    again = await place.batches.wait(batch.batch_id, 30)
    assert again.rows[0].execution_id != first
    assert again.counts == {"failed": 2}


async def test_whoever_watches_sees_it_get_further(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    batch = await place.batches.start(workflow_id, [{"who": str(n)} for n in range(5)])
    seen = [view async for view in place.batches.watch(batch.batch_id)]
    assert seen[-1].status == "completed"
    assert seen[-1].counts == {"completed": 5}
    done = [view.counts.get("completed", 0) for view in seen]
    assert done == sorted(done)


async def test_a_batch_goes_on_when_it_can_be_written_down_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repository = place.batches._batches
    written, refused = repository.set_row, iter(range(4))

    def full(*args: Any, **values: Any) -> None:
        if next(refused, None) is not None:
            raise StorageFull(Path("disk"))
        written(*args, **values)

    monkeypatch.setattr(repository, "set_row", full)
    monkeypatch.setattr(batches, "_AGAIN_S", 0.01)
    Say.ran.clear()
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    batch = await place.batches.start(workflow_id, [{"who": "a"}, {"who": "b"}], concurrency=1)
    done = await place.batches.wait(batch.batch_id, 30)
    assert (done.status, done.counts) == ("completed", {"completed": 2})
    assert [row.outputs for row in done.rows] == [{"end": "A!?"}, {"end": "B!?"}]
    assert (await place.runs.list()).total == 2
    assert "broke off" in caplog.text
    caplog.clear()


async def test_a_batch_that_breaks_off_can_be_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repository = place.batches._batches
    wrote, broke_off, held = repository.set_row, asyncio.Event(), asyncio.Event()
    walked = place.batches._row

    def full(*args: Any, **values: Any) -> None:
        raise StorageFull(Path("disk"))

    async def row(batch: Any, row: Any) -> None:
        if row.ordinal == 0:
            await walked(batch, row)
            return
        try:
            await asyncio.Event().wait()
        finally:  # the other row broke off, and this one takes its time to end
            broke_off.set()
            await held.wait()

    monkeypatch.setattr(repository, "set_row", full)
    monkeypatch.setattr(place.batches, "_row", row)
    monkeypatch.setattr(batches, "_AGAIN_S", 600.0)
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    batch = await place.batches.start(workflow_id, [{"who": "a"}, {"who": "b"}], concurrency=2)
    await asyncio.wait_for(broke_off.wait(), 30)
    monkeypatch.setattr(repository, "set_row", wrote)
    driver = place.batches._working[batch.batch_id]
    asked = driver.cancelling()
    cancelling = asyncio.create_task(place.batches.cancel(batch.batch_id))
    await until(lambda: driver.cancelling() > asked)
    held.set()
    try:
        cancelled = await asyncio.wait_for(cancelling, 30)
    finally:
        driver.cancel()
    assert cancelled.status == "cancelled"
    caplog.clear()


async def test_runs_of_a_batch_are_cancelled_together(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = (await place.workflows.create(ASKING)).workflow_id
    batch = await place.batches.start(workflow_id, [{"who": str(n)} for n in range(3)])

    async def asked() -> bool:
        return (await place.runs.approvals.list()).total == 3

    await until(asked)
    all_told, cancel = asyncio.Barrier(3), place.runs.cancel

    async def slow(run_id: str) -> Any:
        async with asyncio.timeout(30):
            await all_told.wait()
        return await cancel(run_id)

    monkeypatch.setattr(place.runs, "cancel", slow)
    cancelled = await place.batches.cancel(batch.batch_id)
    assert (cancelled.status, cancelled.counts) == ("cancelled", {"cancelled": 3})
    assert place.runs.active == 0


async def test_a_batch_goes_on_after_the_server_stopped(tmp_path: Path) -> None:
    Say.ran.clear()
    place = Place(tmp_path)
    workflow_id = (await place.workflows.create(ASKING)).workflow_id
    rows = [{"who": str(n)} for n in range(4)]
    batch = await place.batches.start(workflow_id, rows, concurrency=2)

    async def asked(here: Place, count: int) -> bool:
        questions = (await here.runs.approvals.list()).items
        waits = (await here.runs.list(status="waiting")).total
        return len(questions) == waits == count

    await until(lambda: asked(place, 2))
    await place.close()
    later = Place(tmp_path)
    await later.open()
    for _ in range(2):
        await until(lambda: asked(later, 2))
        for question in (await later.runs.approvals.list()).items:
            await later.runs.decide(question.execution_id, "ask", {"approved": True})
    done = await later.batches.wait(batch.batch_id, 30)
    assert (done.status, done.counts) == ("completed", {"completed": 4})
    assert Say.ran == ["hello"] * 4
    assert (await later.runs.list()).total == 4
    await later.close()


@pytest.mark.parametrize(
    "text", ["", "who\n", "who,who\n1,2\n", "who,\n1,2\n", "who\n1,2\n", 'who\n"1\n']
)
def test_tables_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(RagloomError) as refused:
        read_csv(text)
    assert refused.value.code == "bad_table"
    assert refused.value.fix


def test_tables_come_with_any_of_the_usual_dividers() -> None:
    rows = [{"a": "1", "b": "2"}, {"a": "x y", "b": ""}]
    for text in ("a,b\n1,2\nx y,\n", "\ufeffa;b\r\n1;2\r\nx y;\r\n", "a\tb\n1\t2\nx y\n"):
        found = read_csv(text)
        assert [{**{"b": ""}, **row} for row in found] == rows
