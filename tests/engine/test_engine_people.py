"""Waiting for people, usage and what reuse saves, variables, and ports that follow from settings."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import TypeAdapter
from toy_bodies import REGISTRY, BodyBench, Shape, body_of
from toy_nodes import Upper, make_graph

from app.engine import describe
from app.engine.cache import MemoryCache
from app.engine.codec import UndecodableValue, decode, decode_outputs, encode, tag, tagged
from app.engine.events import Event, NodeFinished, NodeWaiting
from app.engine.items import as_value, from_items, plain, to_items
from app.engine.node import input_ports, output_ports
from app.engine.registry import Registry
from app.engine.signature import Signature, Wire, why
from app.engine.validation import validate
from app.engine.values import (
    PORT_TYPES,
    Chunk,
    Chunks,
    Document,
    Documents,
    Flag,
    Json,
    Number,
    Query,
    Table,
    Text,
    Values,
)
from app.engine.wiring import Wiring, bypass
from app.ui.canvas.sockets import Sockets


class Desk:
    """People who decide when they are told to."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.decided = asyncio.Event()

    async def __call__(self, run_id: str, node_id: str, message: str, form: dict) -> dict:
        self.asked.append((run_id, node_id, message, form))
        await self.decided.wait()
        return {"approved": True, "comment": "", "value": None, "by": "Ann"}


async def test_waiting_for_a_person_takes_no_slot_and_no_time():
    desk = Desk()
    bench = BodyBench(concurrency=1, approvals=desk)
    graph = make_graph(
        {"d": {"type": "decide", "timeout_s": 0.5}, "s": "say"}, "", {"out": ("d", "text")}
    )
    run = asyncio.create_task(bench.go(graph))
    while not (desk.asked and "s" in bench.world.runs):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.6)
    desk.decided.set()
    last = await run
    assert last.outputs == {"out": {"text": "True by Ann"}}
    assert desk.asked == [("run-1", "d", "May it go on?", {"question": "yes or no"})]
    (waiting,) = (e for e in bench.events if isinstance(e, NodeWaiting))
    assert (waiting.node_id, waiting.form) == ("d", {"question": "yes or no"})
    adapter = TypeAdapter(Event)
    assert adapter.validate_json(adapter.dump_json(waiting)) == waiting


async def test_waiting_inside_stops_the_clocks_around():
    desk = Desk()
    bench = BodyBench(concurrency=1, approvals=desk)
    inner = make_graph({"d": "decide"}, "", {"out": ("d", "text")})
    graph = make_graph(
        {"w": {"type": "workflow", "config": body_of(inner), "timeout_s": 0.5}},
        "",
        {"out": ("w", "out")},
    )
    run = asyncio.create_task(bench.go(graph))
    while not desk.asked:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.6)
    desk.decided.set()
    assert (await run).status == "completed"
    assert desk.asked[0][1] == "w/d"
    assert [e.node_id for e in bench.events if e.kind == "node_waiting"] == ["w/d"]


async def test_where_nobody_can_be_asked_the_node_says_so():
    last = await BodyBench().go(make_graph({"d": "decide"}))
    assert (last.status, last.problem.code) == ("failed", "no_approvals")


async def test_a_run_that_waits_can_be_cancelled():
    desk = Desk()
    bench = BodyBench(approvals=desk)
    run = asyncio.create_task(bench.go(make_graph({"d": "decide"})))
    while not desk.asked:
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert bench.events[-1].status == "cancelled"


# -- usage and savings --------------------------------------------------------------------


async def test_usage_is_counted_and_reuse_says_what_it_saved():
    bench = BodyBench(MemoryCache())
    graph = make_graph({"a": "spend", "b": "spend"}, "a.text>b.text")
    graph.nodes["b"].config = {"cost": 0.25}
    last = await bench.go(graph)
    assert last.usage == {
        "prompt_tokens": 20, "completion_tokens": 4, "cost_usd": 0.75, "calls": 2,
    }  # fmt: skip
    assert last.saved == {}
    graph.nodes["b"].config = {"cost": 0.125}
    last = await bench.go(graph)
    done = bench.events.of("node_finished")
    assert (done["a"].usage, done["a"].saved["cost_usd"]) == ({}, 0.5)
    assert done["a"].saved["ms"] > 0
    assert (last.usage["cost_usd"], last.saved["cost_usd"]) == (0.125, 0.5)


async def test_what_a_failing_node_used_is_counted_too():
    bench = BodyBench()
    graph = make_graph({"a": {"type": "spend", "config": {"fail": True}, "on_error": "skip"}})
    last = await bench.go(graph)
    assert last.usage["calls"] == bench.events.of("node_failed")["a"].usage["calls"] == 1


# -- signatures ---------------------------------------------------------------------------


async def test_a_signature_survives_a_restart_as_data():
    cache = MemoryCache()
    bench = BodyBench(cache)
    graph = make_graph({"in": "say", "up": "upper"}, "in.text>up.text")
    await bench.go(graph, text="a")
    done = bench.events.of("node_finished")["up"]
    assert isinstance(done, NodeFinished)
    kept = Signature.load(TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(
        done.signature_parts
    )))  # fmt: skip
    assert kept == await cache.previous("w/up")
    assert kept.key() == done.signature
    assert "signature_parts" not in done.model_dump()
    graph.nodes["up"].config["times"] = 2
    restarted = BodyBench(MemoryCache())
    await restarted.runner.cache.remember("w/up", kept)
    await restarted.go(graph, text="a")
    assert restarted.events.reasons()["up"] == "config.times 1 → 2"


@pytest.mark.parametrize("junk", [None, 3, {}, {"wires": 3}, {"wires": [], "version": "x"}, []])
def test_junk_is_no_signature(junk):
    assert Signature.load(junk) is None


def test_reasons_name_expressions_variables_and_given_values():
    old = Signature("t", 1, "{}", (Wire("text", "a", "text", "k1"),), "", "{}")
    new = old._replace(wires=(Wire("text", "", "", "k2"),))
    assert why(old, new) == "input rewired: text from a given value"
    assert why(new, new._replace(wires=(Wire("text", "", "", "k3"),))) == (
        "input changed: text from a given value"
    )
    with_variable = old._replace(data='{"$variables": {"tone": "dry"}, "question": "q"}')
    changed = old._replace(data='{"$variables": {"tone": "warm"}, "question": "r"}')
    assert why(with_variable, changed) == "input.question q → r, variable tone dry → warm"


# -- variables ----------------------------------------------------------------------------


async def test_only_nodes_that_mention_variables_get_them_and_run_again_for_them():
    bench = BodyBench(MemoryCache())
    graph = make_graph(
        {"a": {"type": "tone", "config": {"template": "{{ variables.x }}"}}, "b": "tone"},
        "",
        {"a": ("a", "text"), "b": ("b", "text")},
    )
    graph.extra["variables"] = {"x": 1}
    last = await bench.go(graph)
    assert last.outputs == {"a": {"text": "{'x': 1}"}, "b": {"text": "{}"}}
    bench.world.ran()
    graph.extra["variables"] = {"x": 2}
    await bench.go(graph)
    assert bench.world.ran() == {"a"}
    assert bench.events.reasons()["a"] == "variable x 1 → 2"


# -- ports that follow from settings ------------------------------------------------------


def shapes(*names: str, wires: str = "", **config):
    graph = make_graph(
        {"in": "say", "s": {"type": "shape", "config": {"names": list(names), **config}}}, wires
    )
    return graph


async def test_ports_follow_from_settings_everywhere():
    graph = shapes("left", "right", wires="in.text>s.left in.text>s.right")
    wiring = Wiring(graph, REGISTRY)
    assert list(wiring.inputs("s")) == list(wiring.outputs("s")) == ["left", "right"]
    assert wiring.types["s", "left"] is Text
    assert validate(graph, REGISTRY) == []
    assert set(graph.named_outputs(REGISTRY)) == {"left", "right"}
    sockets = Sockets(graph, REGISTRY)
    assert list(sockets.inputs("s")) == ["left", "right"]
    assert sockets.inputs("s")["left"].required
    assert describe.ports_of(Shape, {"names": ["x"]})["inputs"][0]["type"] == "Text"
    assert describe.node_type(Shape)["open_inputs"]
    assert not describe.node_type(Upper)["open_outputs"]
    bench = BodyBench(MemoryCache())
    last = await bench.go(graph, text="a")
    assert last.outputs == {"left": {"text": "A"}, "right": {"text": "A"}}
    assert list(wiring.outputs("nobody")) == []


async def test_unwired_unknown_and_crowded_ports_are_found():
    graph = shapes("left", "right", wires="in.text>s.left in.text>s.gone s.lost>in.x")
    codes = {(p.code, p.port) for p in validate(graph, REGISTRY)}
    assert {("unconnected_input", "right"), ("unknown_port", "gone"), ("unknown_port", "lost")} <= (
        codes
    )
    problems = validate(shapes("a", "b", "c"), REGISTRY)
    (crowded,) = (p for p in problems if p.code == "crowded")
    assert (crowded.node, crowded.severity, crowded.fix) == ("s", "warning", "Take fewer.")


@pytest.mark.parametrize("config", [{}, {"names": 3}, {"names": None}, {"names": [["x"]]}])
async def test_settings_of_any_shape_break_no_look_up(config):
    graph = shapes()
    graph.nodes["s"].config = config
    assert isinstance(validate(graph, REGISTRY), list)
    assert input_ports(Shape, config) is not None
    assert output_ports(Shape, config) is not None
    assert Sockets(graph, REGISTRY).inputs("s") is not None


async def test_pinned_and_disabled_nodes_have_the_ports_of_their_settings():
    graph = shapes("left", wires="in.text>s.left")
    graph.nodes["s"].pinned = {"left": {"text": "pinned"}}
    assert validate(graph, REGISTRY) == []
    assert (await BodyBench().go(graph)).outputs == {"left": {"text": "pinned"}}
    graph.nodes["s"].pinned = {"right": {"text": "pinned"}}
    assert [p.code for p in validate(graph, REGISTRY)] == ["bad_pinned"]
    graph.nodes["s"].pinned = None
    graph.nodes["s"].disabled = True
    assert (await BodyBench().go(graph, text="x")).outputs == {"left": {"text": "x"}}
    assert bypass(Shape, {"names": ["a"]}) == {"a": "a"}


def test_a_node_with_open_ports_can_be_registered():
    registry = Registry()
    registry.register(Shape)
    assert Shape.takes_any_input()
    assert not Upper.takes_any_input()
    assert Shape.reads(Shape.Config()) == ()


# -- lists of values ----------------------------------------------------------------------

CHUNK = Chunk(chunk_id="c", document_id="d", document_name="n", content="x")
CHUNKS = Chunks(items=(CHUNK, CHUNK.model_copy(update={"chunk_id": "c2"})), commit="k")
DOCUMENTS = Documents(items=(Document(document_id="d", filename="f", blob="b", size=1),) * 2)
TABLE = Table(columns=("a", "b"), rows=((1, 2), (3, 4)))


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (CHUNKS, [Chunks(items=(c,), commit="k") for c in CHUNKS.items]),
        (DOCUMENTS, [Documents(items=(d,)) for d in DOCUMENTS.items]),
        (TABLE, [Json(data={"a": 1, "b": 2}), Json(data={"a": 3, "b": 4})]),
        (
            Json(data=["t", 1, True, {"x": 1}, None]),
            [Text(text="t"), Number(value=1), Flag(value=True), Json(data={"x": 1}), Json()],
        ),
        (Json(data={"x": 1}), [Json(data={"x": 1})]),
        (Text(text="t"), [Text(text="t")]),
        (from_items([Text(text="a"), TABLE]), [Text(text="a"), TABLE]),
        (Values(), []),
    ],
)
def test_a_value_falls_into_its_items(value, items):
    assert to_items(value) == items


def test_items_are_put_together():
    assert from_items(to_items(CHUNKS), Chunks).items == CHUNKS.items
    assert from_items(to_items(DOCUMENTS), Documents) == DOCUMENTS
    assert from_items(to_items(TABLE), Table) == TABLE
    texts = [Text(text="a"), Query(text="b", original="b"), Number(value=1)]
    assert from_items(texts, Json) == Json(data=["a", "b", 1])
    assert from_items(texts, Text) == Text(text="a\n\nb\n\n1.0")
    assert from_items(texts, Table) == Table(columns=("value",), rows=(("a",), ("b",), (1,)))
    assert to_items(from_items(texts)) == texts
    assert isinstance(from_items([Text(text="a")], Chunks), Values)


def test_values_as_plain_data_and_back():
    assert plain(from_items([Text(text="a"), Flag(value=True), TABLE])) == [
        "a", True, [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
    ]  # fmt: skip
    assert plain(None) is None
    assert plain(CHUNKS) == encode(CHUNKS)
    assert as_value("a") == Text(text="a")


# -- data of values -----------------------------------------------------------------------


def test_data_may_name_its_type_at_any_port():
    assert decode("p", {"type": "Text", "value": {"text": "a"}}, Text) == Text(text="a")
    with pytest.raises(UndecodableValue):
        decode("p", {"type": "Number", "value": {"value": 1}}, Text)
    with pytest.raises(UndecodableValue):
        decode("p", {"type": "Any", "value": {}}, PORT_TYPES["Any"])
    done = {"types": {"value": "Number"}, "outputs": {"value": {"value": 1.0}, "other": None}}
    assert tagged(done["outputs"], done["types"]) == {
        "value": tag(Number(value=1)), "other": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "value", [Text(text="a"), Number(value=1), Flag(value=True), Json(data=[1]), CHUNKS, TABLE]
)
def test_the_type_of_data_can_be_guessed(value):
    assert decode("p", encode(value), PORT_TYPES["Any"], guess=True) == value
    with pytest.raises(UndecodableValue):
        decode("p", encode(value), PORT_TYPES["Any"])
    with pytest.raises(UndecodableValue):
        decode("p", {"no": "such"}, PORT_TYPES["Any"], guess=True)


def test_outputs_are_decoded_with_the_ports_of_the_settings():
    data = {"x": {"text": "a"}}
    assert decode_outputs(Shape, data, PORT_TYPES, config={"names": ["x", "y"]}) == {
        "x": Text(text="a"), "y": None,
    }  # fmt: skip
    with pytest.raises(UndecodableValue, match="no output “x”"):
        decode_outputs(Shape, data, PORT_TYPES)
