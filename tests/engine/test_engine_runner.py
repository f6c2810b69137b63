"""Running a workflow: order, branches, failures, policy, cancelling."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time

import pytest
from pydantic import TypeAdapter
from toy_nodes import Bench, make_graph

from app.engine import run as engine_run
from app.engine import visit
from app.engine.events import Event
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import InvalidWorkflow, RagloomError


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr(visit, "BACKOFF_S", 0.001)


@pytest.fixture
def held_threads(monkeypatch):
    """Threads that sleep do so until the test lets them go, however slow the machine is."""
    over = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda seconds: over.wait(60))
    return over


async def until(holds) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.001)


async def end(running: asyncio.Task) -> None:
    """Cancel a run, which waits for nothing that takes longer."""
    running.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await running


def work(**config) -> dict:
    policy = {k: config.pop(k) for k in ("timeout_s", "retries", "on_error") if k in config}
    return {"type": "work", "config": config, **policy}


async def test_values_travel_and_named_outputs_come_back(bench):
    graph = make_graph(
        {"in": "say", "up": {"type": "upper", "config": {"times": 2}}},
        "in.text>up.text",
        {"loud": ("up", "text"), "quiet": ("in", "text")},
    )
    last = await bench.run(graph, text="hi")
    assert last.status == "completed"
    assert last.outputs == {"loud": {"text": "HIHI"}, "quiet": {"text": "hi"}}
    finished = bench.events.of("node_finished")
    assert finished["up"].inputs == {"text": {"text": "hi"}}
    assert finished["up"].outputs == {"text": {"text": "HIHI"}}
    assert [e.kind for e in bench.events] == [
        "run_started",
        "node_started",
        "node_finished",
        "node_started",
        "node_finished",
        "run_finished",
    ]


async def test_every_event_survives_json(bench):
    graph = make_graph(
        {"in": "say", "w": work(progress=True), "bad": work(failures=1, on_error="skip")},
        "in.text>w.text",
    )
    await bench.run(graph, text="hi")
    adapter = TypeAdapter(Event)
    for event in bench.events:
        assert adapter.validate_json(adapter.dump_json(event)) == event


async def test_without_payloads_events_carry_no_values():
    bench = Bench(payloads=False)
    graph = make_graph({"in": "say"}, outputs={"x": ("in", "text")})
    last = await bench.run(graph, text="hi")
    assert last.outputs == {"x": {"text": "hi"}}
    assert bench.events.of("node_finished")["in"].outputs == {}


async def test_a_node_starts_when_its_own_inputs_are_there(bench):
    """`after` waits for `quick` alone, not for `slow` of the same level."""
    graph = make_graph(
        {"quick": work(), "slow": work(seconds=60), "after": "upper"}, "quick.text>after.text"
    )
    running = asyncio.create_task(bench.run(graph))
    await until(lambda: "after" in bench.events.of("node_finished"))
    assert set(bench.events.ended()) == {"quick", "after"}
    await end(running)


async def test_branches_run_side_by_side(bench):
    graph = make_graph({f"w{i}": work(seconds=60) for i in range(8)})
    running = asyncio.create_task(bench.run(graph))
    await until(lambda: bench.world.working == 8)
    await end(running)


async def test_no_more_nodes_work_at_once_than_allowed():
    bench = Bench(concurrency=2)
    await bench.run(make_graph({f"w{i}": work(seconds=0.02) for i in range(6)}))
    assert bench.world.most_working == 2


async def test_lists_arrive_in_the_order_of_the_file(bench):
    graph = make_graph(
        {"slow": work(seconds=0.1), "a": "say", "b": "say", "j": "join"},
        "slow.text>j.texts b.text>j.texts a.text>j.texts",
        {"x": ("j", "text")},
    )
    graph.nodes["b"].config["key"] = "other"
    last = await bench.run(graph, text="A", other="B")
    assert last.outputs["x"]["text"] == "done+B+A"


@pytest.mark.parametrize(("text", "taken"), [("short", "yes"), ("far too long a text", "no")])
async def test_a_branch_not_taken_is_skipped_and_the_rest_goes_on(bench, text, taken):
    graph = make_graph(
        {"in": "say", "c": "choose", "y": "upper", "n": "hint", "end": "first", "n2": "upper"},
        "in.text>c.value c.yes>y.text c.no>n.text n.text>n2.text y.text>end.values n2.text>end.values",
        {"end": ("end", "value"), "yes": ("y", "text")},
    )
    last = await bench.run(graph, text=text)
    assert last.status == "completed"
    skipped = bench.events.of("node_skipped")
    if taken == "yes":
        assert last.outputs["end"] == last.outputs["yes"] == {"text": "SHORT"}
        assert set(skipped) == {"n", "n2"}
        assert skipped["n"].reason == "no value for text came from c.no"
        assert skipped["n2"].reason == "no value for text came from n.text"
    else:
        assert last.outputs == {"end": {"text": "FAR TOO LONG A TEXT (NO HINT)"}, "yes": None}
        assert set(skipped) == {"y"}


async def test_an_optional_input_without_a_value_is_none(bench):
    graph = make_graph(
        {"in": "say", "c": "choose", "h": "hint"},
        "in.text>c.value in.text>h.text c.no>h.hint",
        {"x": ("h", "text")},
    )
    assert (await bench.run(graph, text="hi")).outputs["x"]["text"] == "hi (no hint)"


async def test_a_list_input_that_nothing_reaches_is_skipped(bench):
    graph = make_graph({"in": "say", "c": "choose", "j": "join"}, "in.text>c.value c.no>j.texts")
    await bench.run(graph, text="hi")
    assert bench.events.ended()["j"] == "node_skipped"


async def test_only_targets_and_what_they_need_run(bench):
    graph = make_graph(
        {"a": "say", "b": "upper", "c": "upper", "d": "upper", "broken": "nonsense"},
        "a.text>b.text b.text>c.text a.text>d.text broken.x>broken.y",
        {"c": ("c", "text"), "b": ("b", "text")},
    )
    last = await bench.run(graph, targets=["b"], text="x")
    assert bench.world.ran() == {"a", "b"}
    assert last.outputs == {"b": {"text": "X"}}


async def test_a_target_that_does_not_exist(bench):
    with pytest.raises(InvalidWorkflow, match="no node “z”"):
        await bench.run(make_graph({"a": "say"}), targets=["z"])


async def test_a_workflow_that_cannot_run_is_refused_before_it_starts(bench):
    graph = make_graph({"u": "upper", "x": "nonsense"})
    with pytest.raises(InvalidWorkflow) as caught:
        await bench.run(graph)
    assert {p.code for p in caught.value.problems} == {"unconnected_input", "unknown_type"}
    assert bench.events == []


async def test_editing_the_graph_during_a_run_changes_nothing(bench):
    graph = make_graph(
        {"w": work(seconds=0.05), "u": "upper"}, "w.text>u.text", {"x": ("u", "text")}
    )
    running = asyncio.create_task(bench.run(graph))
    await asyncio.sleep(0.01)
    graph.nodes["u"].disabled = True
    graph.nodes.clear()
    assert (await running).outputs == {"x": {"text": "DONE"}}


async def test_older_nodes_are_migrated_when_run(bench):
    graph = make_graph(
        {"in": "say", "u": {"type": "upper", "version": 1, "config": {"repeat": "2"}}},
        "in.text>u.text",
        {"x": ("u", "text")},
    )
    assert (await bench.run(graph, text="a")).outputs["x"]["text"] == "AA"
    assert graph.nodes["u"].version == 1


# -- policy -------------------------------------------------------------------------------


async def test_disabled_nodes_pass_on_what_fits(bench):
    graph = make_graph(
        {"in": "say", "u": {"type": "upper", "disabled": True}, "h": "hint"},
        "in.text>u.text u.text>h.text",
        {"x": ("h", "text")},
    )
    last = await bench.run(graph, text="quiet")
    assert last.outputs["x"]["text"] == "quiet (no hint)"
    assert bench.events.reasons()["u"] == "disabled, passes text through"


async def test_disabled_nodes_with_nothing_to_pass_on_skip_what_follows(bench):
    graph = make_graph(
        {"in": "say", "m": {"type": "measure", "disabled": True}, "f": "first"},
        "in.text>m.text m.length>f.values",
    )
    assert (await bench.run(graph, text="x")).status == "completed"
    assert bench.events.ended() == {
        "in": "node_finished",
        "m": "node_skipped",
        "f": "node_skipped",
    }


async def test_pinned_outputs_stand_in_for_a_run(bench):
    graph = make_graph(
        {
            "in": "say",
            "u": {"type": "upper", "pinned": {"text": {"text": "pinned"}}},
            "h": "hint",
        },
        "in.text>u.text u.text>h.text",
        {"x": ("h", "text")},
    )
    last = await bench.run(graph, text="a", targets=["h"])
    assert last.outputs["x"]["text"] == "pinned (no hint)"
    assert bench.world.ran() == {"h"}
    assert bench.events.reasons()["u"] == "pinned outputs"


async def test_a_failed_node_fails_the_run_and_says_why(bench, caplog):
    graph = make_graph(
        {"bad": work(failures=1), "slow": work(seconds=60), "after": "upper"},
        "bad.text>after.text",
    )
    with caplog.at_level(logging.DEBUG):
        last = await bench.run(graph)
    assert last.status == "failed"
    assert last.problem.node == "bad"
    assert "ValueError: wrong number of legs" in last.problem.message
    assert last.problem.fix
    assert bench.events.of("node_failed")["bad"].problem == last.problem
    assert set(bench.events.of("node_skipped")) == {"slow", "after"}
    (record,) = (r for r in caplog.records if r.exc_info)
    assert record.levelno == logging.WARNING
    assert "wrong number of legs" in caplog.text


async def test_a_node_that_says_why_it_failed_is_quoted(bench):
    last = await bench.run(make_graph({"bad": work(failures=1, error="node")}))
    assert (last.problem.code, last.problem.message) == ("empty_shelf", "The shelf is empty.")
    assert last.problem.fix == "Fill it."


async def test_a_single_failure_of_a_task_group_is_told_as_itself(bench):
    last = await bench.run(make_graph({"bad": work(failures=1, error="group")}))
    assert (last.problem.code, last.problem.message) == ("node_failed", "Inside a group.")


async def test_a_failed_node_may_be_skipped(bench):
    graph = make_graph(
        {"bad": work(failures=1, on_error="skip"), "after": "upper", "ok": "say", "j": "join"},
        "bad.text>after.text after.text>j.texts ok.text>j.texts",
        {"x": ("j", "text")},
    )
    last = await bench.run(graph, text="fine")
    assert last.status == "completed"
    assert last.outputs["x"]["text"] == "fine"
    assert bench.events.ended()["bad"] == "node_failed"
    assert bench.events.ended()["after"] == "node_skipped"


async def test_a_failed_node_may_have_a_fallback(bench):
    fallback = {"fallback": {"text": {"text": "instead"}}}
    graph = make_graph(
        {"bad": work(failures=1, on_error=fallback), "after": "upper"},
        "bad.text>after.text",
        {"x": ("after", "text")},
    )
    last = await bench.run(graph)
    assert last.outputs["x"]["text"] == "INSTEAD"
    assert bench.events.reasons()["bad"].startswith("fallback value used: “Work” failed")


async def test_retries_until_it_works(bench, quick_retries):
    graph = make_graph({"w": work(failures=2, retries=2)})
    assert (await bench.run(graph)).status == "completed"
    attempts = [e.attempt for e in bench.events if e.kind == "node_started"]
    assert attempts == [1, 2, 3]


async def test_retries_end(bench, quick_retries):
    assert (await bench.run(make_graph({"w": work(failures=3, retries=2)}))).status == "failed"
    assert bench.world.runs["w"] == 3


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_node_that_takes_too_long_times_out(bench, blocking, held_threads):
    last = await bench.run(make_graph({"w": work(seconds=60, blocking=blocking, timeout_s=0.1)}))
    held_threads.set()
    assert last.problem.code == "timeout"
    assert "0.1 s" in last.problem.message
    assert last.problem.fix


async def test_the_timeout_of_something_else_is_not_the_nodes_own(bench):
    last = await bench.run(make_graph({"w": work(failures=1, error="timeout")}))
    assert last.problem.code == "node_error"
    assert "the far end did not answer" in last.problem.message


async def test_a_node_that_cancels_itself_has_failed(bench):
    last = await bench.run(make_graph({"w": work(failures=1, error="cancel")}))
    assert last.status == "failed"
    assert "broke off" in last.problem.message


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [("none", "bad_output", "NoneType"), ("field", "bad_output", "gave Number at its output")],
)
async def test_outputs_are_checked_when_they_come(bench, how, code, says):
    last = await bench.run(make_graph({"l": {"type": "liar", "config": {"how": how}}}))
    assert last.problem.code == code
    assert says in last.problem.message


async def test_inputs_are_checked_when_they_arrive(bench):
    graph = make_graph(
        {"l": {"type": "liar", "config": {"how": "open"}}, "u": "upper", "j": "join"},
        "l.any>u.text l.any>j.texts",
    )
    last = await bench.run(graph, targets=["u"])
    assert last.problem.code == "type_mismatch"
    assert (last.problem.node, last.problem.port) == ("u", "text")
    assert (last.problem.found, last.problem.expected) == ("Json", "Text")
    assert (await bench.run(graph, targets=["j"])).problem.node == "j"


# -- cancelling ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"blocking": True}, {"stubborn": True}])
async def test_cancelling_ends_a_run_and_waits_for_no_node(bench, how, held_threads, monkeypatch):
    monkeypatch.setattr(engine_run, "_GRACE_S", 0.05)
    graph = make_graph(
        {"in": "say", "w": work(seconds=2 if "stubborn" in how else 60, **how), "after": "upper"},
        "w.text>after.text",
    )
    running = asyncio.create_task(bench.run(graph, text="x"))
    await until(lambda: bench.world.working and "in" in bench.events.of("node_finished"))
    await end(running)
    assert bench.world.working == ("stubborn" in how)
    assert bench.events[-1].status == "cancelled"
    assert bench.events.ended() == {
        "in": "node_finished",
        "w": "node_skipped",
        "after": "node_skipped",
    }
    # What was left behind may end, but nobody hears of it any more.
    count = len(bench.events)
    held_threads.set()
    await until(lambda: not bench.world.working)
    await asyncio.sleep(0)
    assert len(bench.events) == count


async def test_cancelling_waits_for_no_retry(bench, monkeypatch):
    monkeypatch.setattr(visit, "BACKOFF_S", 60)
    running = asyncio.create_task(bench.run(make_graph({"w": work(failures=9, retries=9)})))
    await until(lambda: bench.world.runs["w"] and not bench.world.working)
    await end(running)
    assert bench.world.runs["w"] == 1


async def test_nodes_that_never_wait_let_others_run(bench):
    names = [f"n{i}" for i in range(1_000)]
    graph = make_graph({"n0": "say", **dict.fromkeys(names[1:], "join")})
    graph.edges = [EdgeSpec(a, "text", b, "texts") for a, b in itertools.pairwise(names)]
    plan = bench.runner.prepare(graph)
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    heart = asyncio.create_task(beat())
    await bench.run(plan, text="x")
    heart.cancel()
    assert beats > 2


async def test_reports_from_threads_come_in_order_and_before_the_end(bench):
    await bench.run(make_graph({"w": work(progress=True)}))
    kinds = [(e.kind, getattr(e, "done", None)) for e in bench.events][1:-1]
    assert kinds == [
        ("node_started", None),
        ("node_progress", 1),
        ("node_progress", 2),
        ("node_progress", 3),
        ("token", None),
        ("node_finished", None),
    ]


async def test_a_watcher_that_fails_ends_the_run_with_its_error(bench):
    def emit(event):
        if event.kind == "node_finished":
            raise RagloomError("The disk is full.")

    graph = make_graph({"a": "say", "w": work(seconds=30)})
    with pytest.raises(RagloomError, match="disk"):
        await asyncio.wait_for(bench.runner.run(graph, {}, "r", emit), 20)


async def test_a_large_workflow_runs():
    bench = Bench(payloads=False)
    graph = Graph(nodes={f"n{i}": NodeSpec(id=f"n{i}", type="join") for i in range(1, 2_000)})
    graph.nodes["n0"] = NodeSpec(id="n0", type="say")
    graph.edges = [EdgeSpec(f"n{(i - 1) // 2}", "text", f"n{i}", "texts") for i in range(1, 2_000)]
    last = await bench.run(graph, text="x")
    assert last.status == "completed"
    assert sum(bench.world.runs.values()) == 2_000
