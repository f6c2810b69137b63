"""Workflows inside nodes: running them, and putting parts of a workflow into one and back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_bodies import REGISTRY, BodyBench, body_of
from toy_nodes import make_graph

from app.engine import nesting, run_context
from app.engine.body import Body, collapse, expand, interface_of
from app.engine.cache import MemoryCache
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.options import RunOptions
from app.engine.problems import InvalidWorkflow, RagloomError
from app.engine.validation import validate


def shout(**upper) -> Graph:
    """inlet → up, with the result “loud”."""
    return make_graph(
        {"i": inlet("word"), "up": {"type": "upper", **upper}},
        "i.value>up.text",
        {"loud": ("up", "text")},
    )


def inlet(name: str, value_type: str = "Text", *, required: bool = True) -> dict:
    config = {"name": name, "value_type": value_type, "required": required}
    return {"type": "inlet", "config": config}


def around(inner: Graph, kind: str = "workflow", wires: str = "in.text>w.word", **fields) -> Graph:
    nodes = {"in": "say", "w": {"type": kind, "config": body_of(inner), **fields}}
    return make_graph(nodes, wires)


def each(inner: Graph, texts: list[str], **config) -> Graph:
    return make_graph(
        {
            "l": {"type": "listing", "config": {"texts": texts}},
            "e": {"type": "each", "config": {**body_of(inner), **config}},
        },
        "l.data>e.items",
    )


@pytest.fixture
def bench() -> BodyBench:
    return BodyBench()


# -- what a body takes and gives ----------------------------------------------------------


def test_inlets_input_nodes_and_results_are_the_interface():
    graph = make_graph(
        {
            "i": inlet("word"),
            "o": inlet("other", "Chunks", required=False),
            "up": "upper",
            "m": "measure",
        },
        "i.value>up.text up.text>m.text",
        {"loud": ("up", "text"), "size": ("m", "length")},
    )
    assert interface_of(graph, REGISTRY).model_dump() == {
        "inputs": (
            {"name": "word", "type": "Text", "required": True},
            {"name": "other", "type": "Chunks", "required": False},
        ),
        "outputs": ({"name": "loud", "type": "Text"}, {"name": "size", "type": "Number"}),
    }


def test_two_inlets_of_one_name_are_one_input():
    graph = make_graph({"a": inlet("x"), "b": inlet("x", "Json", required=False)})
    (given_input,) = interface_of(graph, REGISTRY).inputs
    assert given_input.model_dump() == {"name": "x", "type": "Any", "required": True}


def test_an_interface_of_anything_is_found():
    graph = make_graph({"a": {"type": "inlet", "config": {"name": 3}}, "b": "unheard_of"})
    assert interface_of(graph, REGISTRY).inputs == ()


# -- running ------------------------------------------------------------------------------


async def test_a_body_runs_with_the_values_of_its_node(bench):
    last = await bench.go(around(shout()), text="hi")
    assert last.outputs == {"loud": {"text": "HI"}}
    ended = bench.events.of("node_finished")
    assert list(ended) == ["in", "w/i", "w/up", "w"]
    assert (ended["w/up"].title, ended["w/up"].type) == ("Upper", "upper")
    assert ended["w"].title == ""
    assert ended["w/up"].outputs == {"text": {"text": "HI"}}


async def test_steps_inside_are_reused_one_by_one():
    bench = BodyBench(MemoryCache())
    await bench.go(around(shout()), text="hi")
    assert bench.events.reasons()["w"] == "1 step inside ran"
    bench.world.ran()
    await bench.go(around(shout()), text="hi")
    assert bench.world.ran() == set()
    done = bench.events.of("node_finished")["w"]
    assert (done.cached, done.reason) == (True, "every step inside was reused")
    inner = make_graph(
        {"i": inlet("word"), "up": "upper", "h": "hint"},
        "i.value>up.text up.text>h.text",
        {"loud": ("h", "text")},
    )
    await bench.go(around(inner), text="hi")
    assert bench.world.ran() == {"h"}
    assert bench.events.reasons()["w"] == "1 step inside ran, 1 reused"


async def test_asking_for_a_node_anew_asks_for_what_is_inside():
    bench = BodyBench(MemoryCache())
    await bench.go(around(shout()), text="hi")
    bench.world.ran()
    await bench.go(around(shout()), RunOptions(fresh=("w",)), text="hi")
    assert bench.world.ran() == {"up"}
    assert bench.events.reasons()["w/up"] == "asked to run again"


async def test_why_a_step_inside_ran_is_said():
    bench = BodyBench(MemoryCache())
    await bench.go(around(shout()), text="hi")
    await bench.go(around(shout(config={"times": 2})), text="hi")
    assert bench.events.reasons()["w/up"] == "config.times 1 → 2"


async def test_a_value_that_did_not_come_skips_what_needs_it_inside(bench):
    inner = make_graph(
        {
            "i": inlet("word", required=False),
            "j": inlet("other", required=False),
            "up": "upper",
            "s": "upper",
        },
        "i.value>up.text j.value>s.text",
        {"loud": ("up", "text"), "said": ("s", "text")},
    )
    graph = make_graph(
        {"in": "say", "c": "choose", "w": {"type": "workflow", "config": body_of(inner)}},
        "in.text>c.value c.no>w.word in.text>w.other",
    )
    last = await bench.go(graph, text="short")
    assert last.outputs["loud"] is None
    assert last.outputs["said"] == {"text": "SHORT"}
    assert bench.events.ended()["w/up"] == "node_skipped"


async def test_a_failure_inside_names_the_step(bench):
    inner = make_graph(
        {"i": inlet("word"), "bad": {"type": "work", "config": {"failures": 9, "error": "node"}}},
        "i.value>bad.text",
        {"out": ("bad", "text")},
    )
    last = await bench.go(around(inner), text="hi")
    assert last.status == "failed"
    assert last.problem.node == "w"
    assert last.problem.message == "“Work”: The shelf is empty."
    assert (last.problem.code, last.problem.fix) == ("empty_shelf", "Fill it.")
    assert bench.events.of("node_failed")["w/bad"].problem.node == "w/bad"


async def test_a_body_that_cannot_run_is_told_before(bench):
    inner = make_graph({"i": inlet("word"), "h": "hint"}, "", {"out": ("h", "text")})
    graph = around(inner)
    found = {p.code: p for p in validate(graph, REGISTRY)}
    problem = found["problem_inside"]
    assert (problem.node, problem.field) == ("w", "body.graph")
    assert problem.message.startswith("Inside “Workflow”: “Hint” needs Text")
    assert problem.found["node"] == "h"
    with pytest.raises(InvalidWorkflow):
        await bench.go(graph, text="x")


async def test_many_items_share_slots_with_all_other_nodes(bench):
    """With one slot, a node that waits for inner ones must not hold it."""
    bench = BodyBench(concurrency=1)
    inner = around(shout(), wires="i.value>w.word")
    del inner.nodes["in"]
    inner.nodes["i"] = NodeSpec(id="i", **inlet("word"))
    inner.nodes["p"] = NodeSpec(id="p", type="work", config={"seconds": 0.001})
    inner.edges.append(EdgeSpec("w", "loud", "p", "text"))
    graph = each(inner, [f"t{i}" for i in range(30)])
    async with asyncio.timeout(30):
        last = await bench.go(graph)
    assert [v["value"]["text"] for v in last.outputs["values"]["items"]] == [
        f"T{i}" for i in range(30)
    ]
    assert bench.world.most_working == 1


async def test_only_the_first_items_and_failures_are_told_step_by_step(bench):
    inner = make_graph(
        {"i": inlet("word"), "up": "upper", "bad": {"type": "join", "config": {}}},
        "i.value>up.text up.text>bad.texts",
        {"out": ("bad", "text")},
    )
    graph = each(inner, [f"t{i}" for i in range(100)], skip=True)
    await bench.go(graph)
    runs = {n.split("/")[0] for n in bench.events.ended() if "/" in n}
    assert runs == {f"e[{i}]" for i in range(nesting.TOLD_RUNS)}
    assert bench.world.runs["up"] == 100


@pytest.mark.parametrize(("limit", "told"), [(500, 100), (40, nesting.TOLD_RUNS + 40)])
async def test_failures_of_later_items_are_told_but_not_without_end(
    bench, monkeypatch, limit, told
):
    monkeypatch.setattr(run_context, "TOLD_FAILURES", limit)
    inner = make_graph(
        {"i": inlet("word"), "bad": {"type": "work", "config": {"failures": 999}}},
        "i.value>bad.text",
        {"out": ("bad", "text")},
    )
    last = await bench.go(each(inner, [str(i) for i in range(100)], skip=True))
    assert last.outputs["values"] == {"items": []}
    assert Counter(e.kind for e in bench.events)["node_failed"] == told


async def test_a_body_in_a_body_in_a_body_ends_somewhere(bench):
    graph = shout()
    for _ in range(nesting.MAX_DEPTH):
        graph = make_graph(
            {"i": inlet("word"), "w": {"type": "workflow", "config": body_of(graph)}},
            "i.value>w.word",
            {"loud": ("w", "loud")},
        )
    too_deep = around(graph)
    (problem,) = validate(too_deep, REGISTRY)
    assert "workflows deep; no more may be" in problem.message
    inside = around(Graph.parse(graph.nodes["w"].config["body"]["graph"]))
    assert (await bench.go(inside, text="a")).outputs == {"loud": {"text": "A"}}
    assert "/".join(["w"] * nesting.MAX_DEPTH) + "/up" in bench.events.ended()


class Shelf:
    """Stored workflows."""

    def __init__(self, **graphs: Graph) -> None:
        self.graphs = graphs
        self.asked: list = []

    async def graph(self, workflow_id: str, revision: int | None = None):
        self.asked.append((workflow_id, revision))
        await asyncio.sleep(0)  # as a database does
        if workflow_id not in self.graphs:
            raise RagloomError("There is no such workflow.", code="not_found")
        return self.graphs[workflow_id].dump(), revision or 7


def stored(workflow: str, revision: int | None = None, **interface) -> dict:
    body = Body(workflow=workflow, revision=revision, interface=interface)
    return {"body": body.model_dump(mode="json")}


async def test_a_stored_workflow_is_read_once_per_run(bench):
    bench.world.workflows = Shelf(shout=shout())
    loud = {"inputs": [{"name": "word", "type": "Text"}], "outputs": [{"name": "loud"}]}
    graph = each(shout(), ["a", "b", "c"])
    graph.nodes["e"].config = stored("shout", 3, **loud)
    last = await bench.go(graph)
    assert [v["value"]["text"] for v in last.outputs["values"]["items"]] == ["A", "B", "C"]
    assert bench.world.workflows.asked == [("shout", 3)]


async def test_a_workflow_that_contains_itself_fails_at_once(bench):
    loud = {"inputs": [{"name": "word", "type": "Text"}], "outputs": [{"name": "loud"}]}
    graph = around(shout())
    graph.nodes["w"].config = stored("me", **loud)
    bench.world.workflows = Shelf(me=graph)
    last = await bench.go(graph, text="x")
    assert last.problem.code == "recursive_workflow"
    graph.nodes["w"].config = stored("gone", **loud)
    problem = (await bench.go(graph, text="x")).problem
    assert problem.code == "missing_workflow"
    assert "is not there: There is no such workflow." in problem.message
    assert problem.fix == "Choose another workflow or revision in its settings."
    del bench.world.workflows
    assert (await bench.go(graph, text="x")).problem.code == "missing_workflow"


async def test_cancelling_ends_what_runs_inside(bench):
    inner = make_graph(
        {"i": inlet("word"), "w": {"type": "work", "config": {"seconds": 30}}},
        "i.value>w.text",
        {"out": ("w", "text")},
    )
    run = asyncio.create_task(bench.go(around(inner), text="x"))
    while not bench.world.working:
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert bench.world.working == 0
    assert bench.events[-1].status == "cancelled"
    assert bench.events.ended()["w/w"] == "node_skipped"


async def test_what_runs_inside_ends_with_its_node(bench):
    inner = make_graph(
        {
            "i": inlet("word"),
            "first": {"type": "work", "config": {"failures": 1}},
            "rest": {"type": "work", "config": {"seconds": 30}},
        },
        "i.value>first.text first.text>rest.text",
        {"out": ("rest", "text")},
    )
    graph = each(inner, ["fails", "goes on"])
    graph.nodes["e"].on_error = "skip"
    assert (await bench.go(graph)).status == "completed"
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)


async def test_usage_inside_is_usage_of_the_node_around_and_counted_once():
    bench = BodyBench(MemoryCache())
    inner = make_graph({"i": inlet("word"), "s": "spend"}, "i.value>s.text", {"out": ("s", "text")})
    last = await bench.go(around(inner), text="a")
    used = {"prompt_tokens": 10, "completion_tokens": 2, "cost_usd": 0.5, "calls": 1}
    done = bench.events.of("node_finished")
    assert done["w/s"].usage == done["w"].usage == last.usage == used
    last = await bench.go(around(inner), text="a")
    assert last.usage == {}
    assert last.saved.pop("ms") >= 0
    assert last.saved == used


async def test_variables_are_inherited_and_may_be_replaced_inside(bench):
    inner = make_graph(
        {"t": {"type": "tone", "config": {"template": "variables"}}},
        "",
        {"out": ("t", "text")},
    )
    inner.extra["variables"] = {"b": 3}
    graph = around(inner, wires="")
    graph.extra["variables"] = {"a": 1, "b": 2}
    last = await bench.go(graph)
    assert last.outputs["out"] == {"text": "{'a': 1, 'b': 3}"}


# -- collapsing and expanding -------------------------------------------------------------


def pipeline() -> Graph:
    return make_graph(
        {
            "in": {"type": "say", "position": (0, 0)},
            "a": {"type": "upper", "position": (100, 0)},
            "b": {"type": "hint", "position": (200, 50)},
            "c": {"type": "join", "position": (300, 0)},
        },
        "in.text>a.text a.text>b.text in.text>b.hint b.text>c.texts in.text>c.texts a.text>c.texts",
        {"out": ("c", "text"), "inner": ("a", "text")},
    )


async def test_a_part_becomes_one_node_and_comes_back(bench):
    graph = pipeline()
    before = graph.dump()
    folded = collapse(graph, ["a", "b"], REGISTRY, title="Part")
    assert graph.dump() == before
    assert list(folded.nodes) == ["in", "workflow", "c"]
    node = folded.nodes["workflow"]
    assert (node.title, node.position) == ("Part", (150, 25))
    assert validate(folded, REGISTRY) == []
    assert node.config["body"]["interface"] == {
        "inputs": [{"name": "text", "type": "Text", "required": True}],
        "outputs": [{"name": "inner", "type": "Text"}, {"name": "text", "type": "Text"}],
    }
    first = await bench.go(graph, text="x")
    assert (await bench.go(folded, text="x")).outputs == first.outputs
    back = expand(folded, "workflow", REGISTRY)
    assert list(back.nodes) == list(graph.nodes)
    assert back.nodes == graph.nodes
    assert back.outputs == graph.outputs
    assert (await bench.go(back, text="x")).outputs == first.outputs


def test_what_the_run_is_asked_for_stays_outside():
    graph = pipeline()
    folded = collapse(graph, graph.nodes, REGISTRY)
    assert list(folded.nodes) == ["in", "workflow"]
    with pytest.raises(RagloomError, match="nothing to put"):
        collapse(graph, ["in"], REGISTRY)


def test_a_node_between_has_to_come_along():
    with pytest.raises(RagloomError, match="“Hint” lies between") as raised:
        collapse(pipeline(), ["a", "c"], REGISTRY)
    assert raised.value.details["node"] == "b"


def test_names_that_are_taken_are_changed_when_expanding():
    graph = pipeline()
    folded = collapse(graph, ["a", "b"], REGISTRY, node_id="fold")
    folded.nodes["a"] = NodeSpec(id="a", type="say")
    back = expand(folded, "fold", REGISTRY)
    assert {"a", "a_2", "b"} <= back.nodes.keys()
    assert back.nodes["a_2"].type == "upper"
    assert ("a_2", "text", "b", "text") in [e.ends for e in back.edges]
    assert back.outputs["inner"] == ("a_2", "text")


def test_results_that_nobody_named_keep_their_names():
    graph = make_graph({"in": "say", "a": "upper", "m": "measure"}, "in.text>a.text a.text>m.text")
    folded = collapse(graph, ["a", "m"], REGISTRY)
    assert set(folded.named_outputs(REGISTRY)) == {"length", "long"}
    assert expand(folded, "workflow", REGISTRY).outputs == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda g: g.nodes["workflow"].config["body"].update(graph=None, workflow="x"), "stored"),
        (lambda g: setattr(g.nodes["workflow"], "pinned", {}), "pinned"),
        (lambda g: g.nodes["workflow"].config.update(body={"graph": 3}), "no workflow"),
        (lambda g: setattr(g.nodes["workflow"], "type", "each"), "more than to run"),
        (lambda g: g.nodes.pop("workflow"), "no node"),
    ],
)
def test_what_cannot_be_expanded_says_why(change, says):
    folded = collapse(pipeline(), ["a"], REGISTRY)
    change(folded)
    with pytest.raises(RagloomError, match=says):
        expand(folded, "workflow", REGISTRY)


@st.composite
def parts(draw):
    """A DAG with branches that may not be taken, and a part of it without gaps."""
    count = draw(st.integers(2, 9))
    graph = Graph()
    kinds = {"say": "text", "upper": "text", "join": "text", "hint": "text", "choose": None}
    ends: list[tuple[str, str]] = []
    for i in range(count):
        kind = "say" if i < 1 else draw(st.sampled_from(list(kinds)[1:]))
        node = NodeSpec(id=f"n{i}", type=kind, version=2 if kind == "upper" else 1)
        if kind in ("say", "join", "upper"):
            node.config["default" if kind == "say" else "label"] = node.id
        if kind != "say":
            wanted = {"join": "texts", "choose": "value"}.get(kind, "text")
            sources = draw(st.lists(st.sampled_from(ends), min_size=1, max_size=3, unique=True))
            for end in sources if kind == "join" else sources[:1]:
                graph.edges.append(EdgeSpec(*end, node.id, wanted))
            if kind == "hint" and draw(st.booleans()):
                graph.edges.append(EdgeSpec(*draw(st.sampled_from(ends)), node.id, "hint"))
            node.disabled = draw(st.integers(0, 7)) == 0
        graph.nodes[node.id] = node
        ends += [(node.id, p) for p in (("yes", "no") if kind == "choose" else ("text",))]
    if draw(st.booleans()):
        named = draw(st.lists(st.sampled_from(ends), min_size=1, max_size=4, unique=True))
        graph.outputs = {f"r{i}": end for i, end in enumerate(named)}
    first = draw(st.integers(0, count - 1))
    last = draw(st.integers(first, count - 1))
    return graph, [f"n{i}" for i in range(first, last + 1)]


@given(parts(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_collapsing_and_expanding_change_no_result(drawn, long):
    graph, chosen = drawn
    if chosen == ["n0"]:
        return
    text = {"text": "a rather long text" if long else "short"}

    async def check():
        bench = BodyBench()
        first = await bench.go(graph, **text)
        folded = collapse(graph, chosen, REGISTRY)
        assert Graph.parse(folded.dump()) == folded
        assert not [p for p in validate(folded, REGISTRY) if p.severity == "error"]
        inside = await bench.go(folded, **text)
        assert (inside.status, inside.outputs) == (first.status, first.outputs)
        (made,) = folded.nodes.keys() - graph.nodes.keys()
        back = expand(folded, made, REGISTRY)
        assert back.nodes == graph.nodes
        assert {e.ends for e in back.edges} == {e.ends for e in graph.edges}
        again = await bench.go(back, **text)
        assert (again.status, again.outputs) == (first.status, first.outputs)

    asyncio.run(check())
