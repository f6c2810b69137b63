"""Reuse of results: exactly what changed runs again, and it says why."""

from __future__ import annotations

import asyncio
from datetime import date

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python
from toy_nodes import Bench, make_graph, toy_registry

from app.engine import codec
from app.engine.cache import MemoryCache
from app.engine.codec import UndecodableValue, decode_outputs, encode, encode_large
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.signature import Signature, Wire, why
from app.engine.values import PORT_TYPES, Box, Chunk, Chunks, Json, Number, Text


@pytest.fixture
def bench() -> Bench:
    return Bench(MemoryCache())


def chain() -> Graph:
    return make_graph(
        {"in": "say", "up": "upper", "h": "hint", "side": "ask"},
        "in.text>up.text up.text>h.text in.text>side.text",
        {"x": ("h", "text")},
    )


async def test_a_second_run_runs_nothing(bench):
    first = await bench.run(chain(), text="a")
    assert set(bench.events.reasons().values()) == {"first run"}
    bench.world.ran()
    second = await bench.run(chain(), text="a")
    assert bench.world.ran() == set()
    assert second.outputs == first.outputs
    finished = bench.events.of("node_finished")
    assert all(e.cached and e.reason == "same inputs and settings" for e in finished.values())
    assert bench.events.of("node_started") == {}
    assert finished["h"].inputs == {"text": {"text": "A"}}


async def test_a_changed_setting_runs_the_node_and_what_follows(bench):
    await bench.run(chain(), text="a")
    bench.world.ran()
    graph = chain()
    graph.nodes["up"].config["times"] = 3
    await bench.run(graph, text="a")
    assert bench.world.ran() == {"up", "h"}
    reasons = bench.events.reasons()
    assert reasons["up"] == "config.times 1 → 3"
    assert reasons["h"] == "input changed: text from up"


async def test_going_back_reuses_what_is_still_kept(bench):
    await bench.run(chain(), text="a")
    graph = chain()
    graph.nodes["up"].config["times"] = 3
    await bench.run(graph, text="a")
    bench.world.ran()
    await bench.run(chain(), text="a")
    assert bench.world.ran() == set()


async def test_changed_input_data_runs_only_who_reads_it(bench):
    graph = make_graph(
        {"in": "say", "other": {"type": "say", "config": {"key": "other"}}, "j": "join"},
        "in.text>j.texts other.text>j.texts",
    )
    await bench.run(graph, text="a", other="b", unread="c")
    bench.world.ran()
    await bench.run(graph, text="a", other="B", unread="C")
    assert bench.world.ran() == {"other", "j"}
    assert bench.events.reasons()["other"] == "input.other b → B"


async def test_changed_state_outside_runs_who_depends_on_it(bench):
    graph = make_graph({"in": "say", "l": "lookup"}, "in.text>l.text", {"x": ("l", "text")})
    await bench.run(graph, text="a")
    bench.world.ran()
    bench.world.state = "commit-2"
    last = await bench.run(graph, text="a")
    assert bench.world.ran() == {"l"}
    assert last.outputs["x"]["text"] == "a@commit-2"
    assert bench.events.reasons()["l"] == "outside state commit-1 → commit-2"


async def test_state_that_changes_while_a_node_reads_it_leaves_nothing_behind(bench):
    graph = make_graph(
        {"in": "say", "l": "lookup", "h": "hint"},
        "in.text>l.text l.text>h.text",
        {"x": ("h", "text")},
    )
    bench.world.moves_to = "commit-2"
    moved = await bench.run(graph, text="a")
    assert moved.outputs["x"]["text"].startswith("a@commit-2")
    assert bench.events.of("node_finished")["l"].signature == ""
    # Back at the first commit, nothing of the second is taken for its result.
    bench.world.state = "commit-1"
    back = await bench.run(graph, text="a")
    assert back.outputs["x"]["text"].startswith("a@commit-1")
    assert (await bench.run(graph, text="a")).outputs == back.outputs
    assert {e.cached for e in bench.events.of("node_finished").values()} == {True}


async def test_rewiring_is_told(bench):
    graph = make_graph({"a": "say", "b": "say", "u": "upper"}, "a.text>u.text")
    graph.nodes["b"].config["key"] = "other"
    await bench.run(graph, text="x", other="y")
    graph.edges[0].source = "b"
    await bench.run(graph, text="x", other="y")
    assert bench.events.reasons()["u"] == "input rewired: text from b.text"


async def test_names_and_places_change_nothing(bench):
    await bench.run(chain(), text="a")
    bench.world.ran()
    graph = chain()
    graph.nodes["up"].title, graph.nodes["up"].position = "Renamed", (5, 5)
    graph.nodes["up"].config["times"] = 1  # what the default is anyway
    graph.nodes["twin"] = NodeSpec(id="twin", type="upper", version=2)
    graph.edges.append(EdgeSpec("in", "text", "twin", "text"))
    await bench.run(graph, text="a")
    assert bench.world.ran() == set()


async def test_a_node_that_acts_always_runs_and_what_follows_goes_by_its_report(bench):
    graph = make_graph({"in": "say", "s": "store", "u": "upper"}, "in.text>s.text s.text>u.text")
    await bench.run(graph, text="abc")
    bench.world.ran()
    await bench.run(graph, text="abc")
    assert bench.world.ran() == {"s"}
    assert bench.events.reasons()["s"] == "acts outside the workflow, so it always runs"
    await bench.run(graph, text="xyz")
    assert bench.world.ran() == {"in", "s"}
    await bench.run(graph, text="longer")
    assert bench.world.ran() == {"in", "s", "u"}


async def test_failures_are_not_kept(bench):
    graph = make_graph({"w": {"type": "work", "config": {"failures": 1}}})
    assert (await bench.run(graph)).status == "failed"
    assert (await bench.run(graph)).status == "completed"


async def test_stand_ins_are_not_taken_for_results(bench):
    fallback = {"fallback": {"text": {"text": "instead"}}}
    graph = make_graph(
        {"w": {"type": "work", "config": {"failures": 1}, "on_error": fallback}, "u": "upper"},
        "w.text>u.text",
        {"x": ("u", "text")},
    )
    assert (await bench.run(graph)).outputs["x"]["text"] == "INSTEAD"
    assert (await bench.run(graph)).outputs["x"]["text"] == "DONE"
    graph.nodes["w"].pinned = {"text": {"text": "pin"}}
    assert (await bench.run(graph)).outputs["x"]["text"] == "PIN"
    graph.nodes["w"].pinned = {"text": {"text": "pin 2"}}
    assert (await bench.run(graph)).outputs["x"]["text"] == "PIN 2"


async def test_pinning_what_a_node_gave_runs_nothing_after_it(bench):
    await bench.run(chain(), text="a")
    bench.world.ran()
    graph = chain()
    graph.nodes["up"].pinned = {"text": {"text": "A"}}
    assert (await bench.run(graph, text="a")).outputs["x"]["text"] == "A (no hint)"
    assert bench.world.ran() == set()
    assert bench.events.reasons()["up"] == "pinned outputs, the same as it last gave"
    assert bench.events.reasons()["h"] == "same inputs and settings"
    graph.nodes["up"].pinned = {"text": {"text": "B"}}
    assert (await bench.run(graph, text="a")).outputs["x"]["text"] == "B (no hint)"
    assert bench.world.ran() == {"h"}
    assert bench.events.reasons()["up"] == "pinned outputs"


async def test_disabling_a_node_runs_what_follows(bench):
    await bench.run(chain(), text="a")
    bench.world.ran()
    graph = chain()
    graph.nodes["up"].disabled = True
    assert (await bench.run(graph, text="a")).outputs["x"]["text"] == "a (no hint)"
    assert bench.world.ran() == {"h"}
    assert (await bench.run(graph, text="b")).outputs["x"]["text"] == "b (no hint)"


async def test_a_branch_not_taken_is_kept_too(bench):
    graph = make_graph(
        {"in": "say", "c": "choose", "y": "upper", "n": "upper", "f": "first"},
        "in.text>c.value c.yes>y.text c.no>n.text y.text>f.values n.text>f.values",
        {"x": ("f", "value")},
    )
    await bench.run(graph, text="hi")
    bench.world.ran()
    assert (await bench.run(graph, text="hi")).outputs["x"]["text"] == "HI"
    assert bench.world.ran() == set()
    assert bench.events.ended()["n"] == "node_skipped"


async def test_workflows_with_nodes_of_the_same_name_are_told_apart(bench):
    await bench.run(chain(), scope="one", text="a")
    graph = chain()
    graph.nodes["up"].config["times"] = 2
    await bench.run(graph, scope="two", text="a")
    assert bench.events.reasons()["up"] == "first run"


async def test_without_a_cache_nothing_is_reused():
    bench = Bench()
    await bench.run(chain(), text="a")
    bench.world.ran()
    await bench.run(chain(), text="a")
    assert bench.world.ran() == {"in", "up", "h"}
    assert bench.events.reasons()["up"] == "nothing is reused in this run"


async def test_the_signature_is_the_same_in_another_process(bench):
    await bench.run(chain(), text="a")
    signature = bench.events.of("node_finished")["h"].signature
    assert len(signature) == 64
    other = Bench(MemoryCache())
    await other.run(chain(), text="a")
    assert other.events.of("node_finished")["h"].signature == signature


# -- reasons ------------------------------------------------------------------------------

BASE = Signature("t", 1, '{"a":1,"b":{"c":"x"}}', (Wire("p", "n", "o", "k"),), "", "{}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "its result was no longer kept"),
        ({"type": "s"}, "type t → s"),
        ({"version": 2}, "version 1 → 2"),
        ({"config": '{"a":1,"b":{"c":"y"}}'}, "config.b.c x → y"),
        ({"config": '{"b":{"c":"x"}}'}, "config.a 1 → null"),
        ({"wires": ()}, "input rewired: p from nothing"),
        ({"wires": (Wire("p", "n", "o", "z"),)}, "input changed: p from n"),
        ({"fingerprint": "f"}, "outside state “” → f"),
        ({"data": '{"q":"hello"}'}, "input.q null → hello"),
        (
            {"version": 2, "config": '{"a":2,"b":3,"d":4}'},
            'version 1 → 2, config.a 1 → 2, config.b {"c": "x"} → 3 and 1 more',
        ),
        ({"config": '{"a":"' + "long " * 20 + '","b":{"c":"x"}}'}, None),
    ],
)
def test_reasons_in_words(change, reason):
    said = why(BASE, BASE._replace(**change))
    if reason is None:
        assert said.startswith("config.a 1 → long long")
        assert said.endswith("…")
    else:
        assert said == reason


def test_the_first_run_and_the_key():
    assert why(None, BASE) == "first run"
    renamed = BASE._replace(wires=(Wire("p", "other_id", "o", "k"),))
    assert renamed.key() == BASE.key()
    for change in ({"version": 2}, {"config": "{}"}, {"fingerprint": "f"}, {"data": '{"q":1}'}):
        assert BASE._replace(**change).key() != BASE.key()


# -- memory -------------------------------------------------------------------------------


async def test_the_least_recently_used_results_go_first():
    def text(letter: str) -> dict:
        return {"text": Text(text=letter * 100)}

    measure = MemoryCache()
    await measure.put("a", text("a"))
    one = measure.size
    cache = MemoryCache(one * 4)
    for letter in "abcd":
        await cache.put(letter, text(letter))
    assert cache.size == one * 4
    assert await cache.get("a") == text("a")
    await cache.put("e", text("e"))
    assert [letter for letter in "abcde" if await cache.get(letter)] == ["a", "c", "d", "e"]
    assert cache.size <= cache.capacity
    await cache.put("e", {"text": Text(text="")})
    assert cache.size < one * 4
    await cache.put("huge", {"text": Text(text="x" * one * 2), "none": None})
    assert await cache.get("huge") is None
    assert len(cache) == 4
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


# -- values as data -----------------------------------------------------------------------


def test_values_come_back_from_their_data():
    registry = toy_registry()
    chunk = Chunk(chunk_id="c", document_id="d", document_name="n", content="x", scores={"s": 1})
    chunks = Chunks(items=(chunk,))
    tagged = {"value": {"type": "Chunks", "value": encode(chunks)}}
    assert decode_outputs(registry.get("first"), tagged, PORT_TYPES) == {"value": chunks}
    assert decode_outputs(registry.get("measure"), {"length": {"value": 3}}, PORT_TYPES) == {
        "length": Number(value=3),
        "long": None,
    }
    settled = {("f", "value"): Chunks}
    untagged = {"value": encode(chunks)}
    assert decode_outputs(registry.get("first"), untagged, PORT_TYPES, "f", settled) == {
        "value": chunks
    }
    with pytest.raises(UndecodableValue, match="does not name a known one"):
        decode_outputs(registry.get("first"), untagged, PORT_TYPES)


# -- properties ---------------------------------------------------------------------------


@st.composite
def random_workflows(draw):
    """A DAG whose nodes all differ (two equal ones share a result), and one of its nodes."""
    count = draw(st.integers(2, 9))
    graph = Graph()
    for i in range(count):
        sources = sorted(draw(st.sets(st.integers(0, i - 1), max_size=3))) if i else []
        kind, port = (("say", ""), ("upper", "text"), ("join", "texts"))[min(len(sources), 2)]
        node = NodeSpec(id=f"n{i}", type=kind, version=2 if kind == "upper" else 1)
        relabel(node, node.id)
        graph.nodes[node.id] = node
        graph.edges += [EdgeSpec(f"n{s}", "text", node.id, port) for s in sources]
    return graph, draw(st.sampled_from(list(graph.nodes)))


def relabel(node: NodeSpec, label: str) -> None:
    node.config["default" if node.type == "say" else "label"] = label


@given(random_workflows())
@settings(max_examples=100, deadline=None)
def test_a_change_runs_exactly_the_node_and_its_descendants(drawn):
    graph, changed = drawn

    async def check():
        bench = Bench(MemoryCache())
        await bench.run(graph)
        assert bench.world.ran() == set(graph.nodes)
        await bench.run(graph)
        assert bench.world.ran() == set()
        edited = graph.copy()
        relabel(edited.nodes[changed], "changed")
        last = await bench.run(edited)
        assert bench.world.ran() == {changed} | nx.descendants(graph.skeleton(), changed)
        # What was reused is what a run from nothing gives.
        fresh = await Bench().run(edited)
        assert last.outputs == fresh.outputs

    asyncio.run(check())


async def test_much_data_is_encoded_in_turns_with_others():
    """The result is the same, and the event loop is not kept from everything else meanwhile."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    text = "word " * 40
    chunk = Chunk(
        chunk_id="c", document_id="d", document_name="n", content=text, scores={"hybrid": 0.5},
        headings=("A", "B"), boxes=(Box(page=1, x0=0, y0=0, x1=1, y1=1),), metadata={"n": [1, None]},
    )  # fmt: skip
    many = Chunks(items=tuple(chunk.model_copy(update={"page": n}) for n in range(1, 20_000)))
    odd = {
        "a": [{"when": date(2026, 11, 23), "b": b"x", "t": (1, 2.5), 3: Text(text=text)}] * 2_000
    }
    task = asyncio.create_task(other())
    for value in (many, Json(data=odd), Json(data={1: [text] * 2_000}), Text(text=text * 3_000)):
        assert await encode_large(value) == encode(value)
    task.cancel()
    assert turns > 5


async def test_small_entries_of_a_large_list_are_encoded_together(monkeypatch):
    written = []

    def counted(data, **options):
        written.append(data)
        return to_jsonable_python(data, **options)

    monkeypatch.setattr(codec, "to_jsonable_python", counted)
    many = Json(data=[{"n": n} for n in range(20_000)])
    assert await encode_large(many) == encode(many)
    assert 1 < len(written) < 1_000
