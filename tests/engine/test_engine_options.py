"""Running a part of a workflow: from here, to here, these alone, with given values."""

from __future__ import annotations

import asyncio
import time

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_bodies import BodyBench
from toy_nodes import make_graph

from app.engine.cache import MemoryCache
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.options import RunOptions
from app.engine.problems import InvalidWorkflow


@pytest.fixture
def bench() -> BodyBench:
    return BodyBench()


def chain() -> Graph:
    """in → up → h, and in → j from the side."""
    return make_graph(
        {"in": "say", "up": "upper", "h": "hint", "side": "say", "j": "join"},
        "in.text>up.text up.text>h.text h.text>j.texts side.text>j.texts",
        {"end": ("j", "text"), "middle": ("up", "text")},
    )


def text(value: str) -> dict:
    return {"text": {"text": value}}


async def test_from_here_takes_the_rest_from_what_is_given(bench):
    options = RunOptions(start_from="h", given={"up": text("KEPT"), "side": text("s")})
    last = await bench.go(chain(), options, text="new")
    assert bench.world.ran() == {"h", "j"}
    assert last.outputs == {"end": {"text": "KEPT (no hint)+s"}, "middle": {"text": "KEPT"}}
    assert bench.events.reasons()["up"] == "kept from an earlier run"
    assert bench.events.of("node_finished")["up"].cached


async def test_from_here_says_what_is_missing(bench):
    with pytest.raises(InvalidWorkflow) as raised:
        await bench.go(chain(), RunOptions(start_from="h", given={"side": text("s")}))
    problem = raised.value.problems[0]
    assert (problem.code, problem.node, problem.found) == ("missing_value", "h", "up")
    assert "Run “Upper” first" in problem.fix
    assert not bench.world.ran()


async def test_from_here_to_there(bench):
    options = RunOptions(start_from="up", targets=("h",), given={"in": text("a")})
    await bench.go(chain(), options)
    assert bench.world.ran() == {"up", "h"}


async def test_a_node_alone_with_an_input_typed_in(bench):
    options = RunOptions(only=("up",), inputs={"up": {"text": {"text": "typed"}}})
    last = await bench.go(chain(), options)
    assert bench.world.ran() == {"up"}
    assert last.outputs == {"middle": {"text": "TYPED"}}


async def test_inputs_of_a_list_come_in_their_order(bench):
    inputs = {"j": {"texts": [{"text": "1"}, {"text": "2"}]}}
    last = await bench.go(chain(), RunOptions(only=("j",), inputs=inputs))
    assert last.outputs == {"end": {"text": "1+2"}}


async def test_a_selection_feeds_itself(bench):
    last = await bench.go(chain(), RunOptions(only=("in", "up")), text="x")
    assert bench.world.ran() == {"in", "up"}
    assert last.outputs == {"middle": {"text": "X"}}


async def test_an_input_in_place_of_a_wire_makes_what_fed_it_unnecessary(bench):
    options = RunOptions(targets=("h",), inputs={"h": {"text": {"text": "typed"}}})
    await bench.go(chain(), options)
    assert bench.world.ran() == {"h"}


async def test_a_wire_that_brought_a_value_brings_it_again_or_the_run_is_refused(bench):
    graph = chain()
    graph.edges.append(EdgeSpec("in", "text", "h", "hint"))
    given = {"up": text("KEPT"), "side": text("s")}
    with pytest.raises(InvalidWorkflow, match="“Hint” needs what “Say” gives"):
        await bench.go(graph, RunOptions(start_from="h", given=given))
    # A node that is run alone does without what it does not need.
    await bench.go(graph, RunOptions(only=("h",), given=given))


async def test_results_given_for_a_whole_run_are_not_made_again(bench):
    await bench.go(chain(), RunOptions(given={"in": text("a"), "up": text("A")}))
    assert bench.world.ran() == {"h", "side", "j"}


async def test_settings_and_pins_for_one_run_leave_the_graph_alone(bench):
    graph = chain()
    before = graph.dump()
    options = RunOptions(config={"up": {"times": 2}}, pin={"side": text("pinned")})
    last = await bench.go(graph, options, text="ab")
    assert last.outputs["end"] == {"text": "ABAB (no hint)+pinned"}
    assert bench.world.ran() == {"in", "up", "h", "j"}
    assert graph.dump() == before


async def test_nodes_asked_for_anew_run_though_they_are_kept():
    bench = BodyBench(MemoryCache())
    await bench.go(chain(), text="a")
    bench.world.ran()
    await bench.go(chain(), RunOptions(fresh=("up",)), text="a")
    assert bench.world.ran() == {"up"}  # it gave the same, so what follows is reused
    assert bench.events.reasons()["up"] == "asked to run again"
    given = {"in": text("a"), "side": text("")}
    await bench.go(chain(), RunOptions(start_from="up", given=given), text="a")
    assert "up" in bench.world.ran()


async def test_given_results_with_their_keys_keep_what_follows_reusable():
    bench = BodyBench(MemoryCache())
    await bench.go(chain(), text="a")
    finished = bench.events.of("node_finished")
    bench.world.ran()
    kept = {n: dict(e.outputs) for n, e in finished.items()}
    keys = {n: e.signature for n, e in finished.items()}
    await bench.go(chain(), RunOptions(start_from="h", given=kept, given_keys=keys))
    assert bench.world.ran() == {"h"}
    assert bench.events.of("node_finished")["j"].cached


async def test_what_was_skipped_is_given_as_skipped(bench):
    graph = make_graph(
        {"in": "say", "c": "choose", "a": "upper", "m": "first"},
        "in.text>c.value c.yes>a.text c.no>m.values a.text>m.values",
    )
    given = {"c": {"no": {"type": "Text", "value": {"text": "long"}}}, "a": {}}
    last = await bench.go(graph, RunOptions(start_from="m", given=given))
    assert last.outputs == {"value": {"text": "long"}}
    assert bench.events.ended()["a"] == "node_skipped"


async def test_a_disabled_node_passes_on_what_is_given_before_it(bench):
    graph = chain()
    graph.nodes["up"].disabled = True
    given = {"in": text("raw"), "up": {}, "side": text("s")}
    last = await bench.go(graph, RunOptions(start_from="h", given=given))
    assert last.outputs["end"] == {"text": "raw (no hint)+s"}


async def test_given_values_of_open_ports_need_no_type(bench):
    graph = make_graph({"c": "liar", "f": "first"}, "c.any>f.values", {"out": ("f", "value")})
    last = await bench.go(graph, RunOptions(start_from="f", given={"c": {"any": {"data": [1]}}}))
    assert last.outputs == {"out": {"data": [1]}}
    assert bench.events.of("node_finished")["f"].types == {"value": "Json"}


async def test_outputs_of_a_past_step_can_be_pinned_as_they_are(bench):
    graph = make_graph({"c": "liar", "f": "first"}, "c.any>f.values", {"out": ("f", "value")})
    last = await bench.go(graph, RunOptions(pin={"c": {"any": {"text": "edited"}}}))
    assert last.outputs == {"out": {"text": "edited"}}
    assert bench.events.reasons()["c"] == "pinned outputs"


async def test_problems_elsewhere_are_not_in_the_way(bench):
    graph = chain()
    graph.nodes["side"].type = "not_there"
    given = {"h": text("kept")}
    with pytest.raises(InvalidWorkflow, match="not_there"):
        await bench.go(graph)
    await bench.go(graph, RunOptions(only=("up",), inputs={"up": {"text": {"text": "a"}}}))
    await bench.go(graph, RunOptions(start_from="j", given=given))
    assert bench.world.ran() == {"up", "j"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (RunOptions(start_from="nobody"), "nobody"),
        (RunOptions(only=("in", "x")), "“x”"),
        (RunOptions(config={"y": {}}), "“y”"),
        (RunOptions(inputs={"up": {"nothing": {}}}), "no input “nothing”"),
        (RunOptions(inputs={"up": {"text": {"number": 1}}}), "does not fit"),
        (RunOptions(pin={"up": {"text": 3}}), "pinned value"),
        (RunOptions(config={"up": {"times": 99}}), "times"),
        (RunOptions(start_from="j", given={"h": {"text": 5}}), "result given for"),
    ],
)
async def test_options_that_do_not_fit_are_refused(bench, options, says):
    with pytest.raises(InvalidWorkflow) as raised:
        await bench.go(chain(), options)
    assert says in str([raised.value.message, *raised.value.problems])
    assert not bench.world.ran()


async def test_results_of_nodes_that_were_removed_since_are_left_out(bench):
    await bench.go(chain(), RunOptions(given={"gone": text("x"), "in": text("a")}))
    assert bench.world.ran() == {"up", "h", "side", "j"}


async def test_a_step_at_a_time(bench):
    asked, open_ = [], asyncio.Queue()

    async def gate(node_id: str) -> None:
        asked.append(node_id)
        await open_.get()

    graph = make_graph({"a": "say", "b": "upper", "c": "upper"}, "a.text>b.text b.text>c.text")
    graph.nodes["b"].disabled = True
    run = asyncio.create_task(bench.go(graph, gate=gate))
    while not asked:
        await asyncio.sleep(0)
    assert not bench.world.ran()
    for expected in (["a"], ["a", "c"]):
        while len(asked) < len(expected):
            await asyncio.sleep(0)
        assert asked == expected
        open_.put_nowait(None)
    assert (await run).status == "completed"
    assert bench.world.ran() == {"a", "c"}


async def test_waiting_at_the_gate_takes_no_slot_and_no_time():
    bench = BodyBench(concurrency=1)
    graph = make_graph({"a": {"type": "say", "timeout_s": 0.5}, "b": "say"})
    opened = asyncio.Event()

    async def gate(node_id: str) -> None:
        if node_id == "a":
            await opened.wait()

    run = asyncio.create_task(bench.go(graph, gate=gate))
    while "b" not in bench.world.runs:
        await asyncio.sleep(0.001)
    waited = time.perf_counter()
    await asyncio.sleep(0.6)
    opened.set()
    assert (await run).status == "completed"
    (ended,) = (e for e in bench.events if e.kind == "node_finished" and e.node_id == "a")
    assert ended.duration_ms < (time.perf_counter() - waited) * 1000 - 500


# -- properties ---------------------------------------------------------------------------


@st.composite
def asked(draw):
    """A DAG of joins, and options of any kind."""
    count = draw(st.integers(1, 8))
    graph = Graph()
    for i in range(count):
        node = NodeSpec(id=f"n{i}", type="join" if i else "say", config={})
        node.config["label" if i else "default"] = node.id
        graph.nodes[node.id] = node
        sources = sorted(draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))) if i else []
        graph.edges += [EdgeSpec(f"n{s}", "text", node.id, "texts") for s in sources]
        node.disabled = draw(st.integers(0, 9)) == 0
    ids = st.sampled_from(list(graph.nodes))
    some = st.lists(ids, max_size=4, unique=True).map(tuple)
    options = RunOptions(
        targets=draw(st.none() | some),
        start_from=draw(st.none() | ids),
        only=draw(st.none() | some),
        given={n: text(f"given {n}") for n in draw(some)},
        pin={n: text(f"pin {n}") for n in draw(st.lists(ids, max_size=1))},
        inputs={n: {"texts": [{"text": "typed"}]} for n in draw(some) if n != "n0"},
        fresh=draw(some),
    )
    return graph, options


def allowed(graph: Graph, options: RunOptions) -> set[str]:
    """What options ask for, said once more."""
    skeleton = graph.skeleton()
    part = set(graph.nodes)
    if options.only is not None:
        part &= set(options.only)
    if options.start_from is not None:
        part &= {options.start_from} | nx.descendants(skeleton, options.start_from)
    if options.targets is not None:
        needed = set(options.targets)
        for target in options.targets:
            needed |= nx.ancestors(skeleton, target)
        part &= needed
    part -= set(options.pin)
    if options.only is None and options.start_from is None:
        part -= set(options.given)
    return {n for n in part if not graph.nodes[n].disabled}


@given(asked())
@settings(max_examples=150, deadline=None)
def test_no_more_runs_than_was_asked_for(drawn):
    graph, options = drawn

    async def check():
        bench = BodyBench()
        before = graph.dump()
        try:
            last = await bench.go(graph, options)
        except InvalidWorkflow:
            assert bench.world.ran() == set()
        else:
            assert last.status == "completed"
            assert bench.world.ran() <= allowed(graph, options)
        assert graph.dump() == before

    asyncio.run(check())
