"""Nodes that misbehave: each is contained and shown, and the rest goes on."""

from __future__ import annotations

import asyncio

import pytest
from toy_bodies import BodyBench
from toy_nodes import make_graph

from app.engine import slots, visit
from app.engine.cache import MemoryCache
from app.engine.slots import Limit, Slot
from app.engine.values import Chunk, Chunks, Json, Text
from app.engine.weight import Scale, weigh


def beside(bad: dict, **policy) -> dict:
    """A bad node beside a branch that works."""
    return make_graph(
        {"bad": {**bad, **policy}, "a": "say", "b": "upper", "c": "upper"},
        "a.text>b.text b.text>c.text",
        {"good": ("c", "text")},
    )


MISBEHAVED = {
    "raises": ({"type": "work", "config": {"failures": 9}}, "node_error"),
    "hangs": ({"type": "work", "config": {"seconds": 60}, "timeout_s": 0.05}, "timeout"),
    "hangs and does not end": (
        {"type": "work", "config": {"seconds": 1.5, "stubborn": True}, "timeout_s": 0.05},
        "timeout",
    ),
    "gives nothing": ({"type": "liar"}, "bad_output"),
    "gives another type": ({"type": "liar", "config": {"how": "field"}}, "bad_output"),
    "gives a port it has not": (
        {"type": "shape", "config": {"names": [], "extra": True}},
        "bad_output",
    ),
    "gives too much": ({"type": "heap"}, "output_too_large"),
    "gives a little very often": (
        {"type": "heap", "config": {"how": "shared"}},
        "output_too_large",
    ),
    "gives what contains itself": (
        {"type": "heap", "config": {"how": "endless"}},
        "output_too_large",
    ),
}


@pytest.mark.parametrize("how", MISBEHAVED)
@pytest.mark.parametrize("policy", ["continue", "skip"])
async def test_a_node_that_misbehaves_stops_no_other_branch(monkeypatch, how, policy):
    monkeypatch.setattr(slots, "GRACE_S", 0.05)
    bad, code = MISBEHAVED[how]
    bench = BodyBench(MemoryCache(), max_output_mb=1)
    async with asyncio.timeout(25):
        last = await bench.go(beside(bad, on_error=policy), text="a")
    assert last.outputs == {"good": {"text": "A"}}
    problem = bench.events.of("node_failed")["bad"].problem
    assert (problem.code, problem.node) == (code, "bad")
    assert problem.fix
    if policy == "skip":
        assert (last.status, last.problem) == ("completed", None)
    else:
        assert (last.status, last.problem) == ("failed", problem)


async def test_failing_at_once_leaves_the_other_branches():
    bench = BodyBench()
    graph = beside({"type": "work", "config": {"failures": 9}})
    graph.nodes["b"] = graph.nodes["b"].__class__(id="b", type="work", config={"seconds": 60})
    async with asyncio.timeout(25):
        assert (await bench.go(graph)).status == "failed"
    assert bench.events.ended()["c"] == "node_skipped"


async def test_a_node_that_does_not_end_gives_its_slot_and_its_place_up(monkeypatch):
    monkeypatch.setattr(slots, "GRACE_S", 0.05)
    bench = BodyBench(concurrency=1)
    stubborn = {"type": "work", "config": {"seconds": 2, "stubborn": True}, "timeout_s": 0.05}
    graph = make_graph(
        {
            "bad": {**stubborn, "on_error": {"fallback": {"text": {"text": "instead"}}}},
            "b": "upper",
        },
        "bad.text>b.text",
        {"out": ("b", "text")},
    )
    last = await bench.go(graph)
    assert last.outputs == {"out": {"text": "INSTEAD"}}
    assert bench.world.working == 1  # it goes on by itself, and nobody waits for it
    events = len(bench.events)
    while bench.world.working:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert len(bench.events) == events


async def test_a_node_that_was_given_up_is_not_tried_again(monkeypatch):
    monkeypatch.setattr(slots, "GRACE_S", 0.05)
    monkeypatch.setattr(visit, "BACKOFF_S", 0.001)
    bench = BodyBench()
    bad = {
        "type": "work",
        "config": {"seconds": 1.5, "stubborn": True, "failures": 9},
        "timeout_s": 0.05,
        "retries": 3,
        "on_error": "skip",
    }
    # The other branch keeps the run going long after the first attempt has come to its end.
    graph = make_graph({"bad": bad, "slow": {"type": "work", "config": {"seconds": 30}}})
    run = asyncio.create_task(bench.go(graph))
    async with asyncio.timeout(60):
        while bench.world.working < 2:
            await asyncio.sleep(0.01)
        [attempt] = [t for t in asyncio.all_tasks() if t.get_name() == "node bad"]
        await asyncio.wait([attempt])
    assert bench.world.runs["bad"] == 1
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_node_cannot_stream_without_end():
    bench = BodyBench(max_output_mb=1)
    graph = make_graph({"t": {"type": "heap", "config": {"how": "tokens", "size": 3_000_000}}})
    assert (await bench.go(graph)).status == "completed"
    streamed = sum(len(e.text) for e in bench.events if e.kind == "token")
    assert 1_000_000 <= streamed <= 1024 * 1024


def test_what_a_value_weighs():
    assert weigh(Text(text="x" * 1000), 10**6) == pytest.approx(1000, abs=50)
    chunk = Chunk(chunk_id="c", document_id="d", document_name="n", content="y" * 500)
    assert 5_000 < weigh(Chunks(items=(chunk,) * 10), 10**6) < 10_000
    assert weigh(Json(data=[1] * 10_000), 10**6) >= 80_000
    assert weigh(Json(data={"key" * 10: 1}), 10**6) >= 30
    assert weigh("x" * 100, 10) > 10


def test_a_book_is_weighed_in_parts():
    chunk = Chunk(
        chunk_id="c", document_id="d", document_name="n", content="y", metadata={"kinds": ["text"]}
    )
    book = Chunks(items=tuple(chunk.model_copy() for _ in range(5_000)))
    scale, parts = Scale(book, 10**9), 1
    while not scale.go_on():
        parts += 1
    assert parts > 20
    assert scale.total == weigh(book, 10**9) == weigh(Chunks(items=(chunk,) * 5_000), 10**9)
    short = Scale(book, 1_000)
    assert short.go_on(10**6)
    assert 1_000 < short.total < 10**6


# -- slots and limits ---------------------------------------------------------------------


async def test_a_slot_is_given_back_while_a_node_is_away():
    semaphore = asyncio.Semaphore(1)
    slot = Slot(semaphore)
    await slot.take()
    assert semaphore.locked()
    async with slot.away():
        assert not semaphore.locked()
        async with slot.away():
            pass
        assert not semaphore.locked()
    assert semaphore.locked()
    slot.close()
    assert not semaphore.locked()


async def test_overlapping_absences_never_take_more_than_one_slot():
    semaphore = asyncio.Semaphore(2)

    async def leave(slot: Slot, steps: int) -> None:
        async with slot.away():
            for _ in range(steps):
                await asyncio.sleep(0)

    slot = Slot(semaphore)
    await slot.take()
    await asyncio.gather(*(leave(slot, n % 5) for n in range(50)))
    assert semaphore._value == 1
    with pytest.raises(ValueError, match="inside"):
        async with slot.away():
            raise ValueError("inside")
    assert semaphore._value == 1
    left = asyncio.create_task(leave(slot, 10_000))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    slot.close()
    assert semaphore._value == 2


async def test_a_paused_limit_does_not_run_out():
    limit = Limit(0.05, lambda: None)
    with limit:
        limit.pause()
        limit.pause()
        await asyncio.sleep(0.15)
        limit.resume()
        await asyncio.sleep(0.05)
        limit.resume()
    assert not limit.expired
    with pytest.raises(TimeoutError), Limit(0.01, lambda: None) as limit:
        await asyncio.sleep(30)
    assert limit.expired
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("late", ["resume", "expire"])
async def test_a_limit_that_is_over_cancels_nobody(late):
    limit = Limit(0, lambda: None)
    with limit:
        limit.pause()  # as a step inside does that waits for a person, and outlives the node
    getattr(limit, late)()
    for _ in range(3):  # the task goes on with another node by now
        await asyncio.sleep(0)
    assert not limit.expired
