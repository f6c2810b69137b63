"""A node that lies on a branch not taken is skipped, whether it needs its inputs or not."""

from __future__ import annotations

from typing import Any

import pytest
from toy_bodies import BodyBench, body_of
from toy_nodes import Bench, TextOut, make_graph, toy_registry

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig
from app.engine.options import RunOptions
from app.engine.runner import Runner
from app.engine.values import Text


class Extra(Node[NodeConfig]):
    """All its inputs are optional."""

    type, title, family, icon = "extra", "Extra", "text", "info"
    Outputs = TextOut

    async def run(
        self, ctx: NodeContext, text: Text | None = None, more: list[Text] = ()
    ) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        parts = [*([text] if text else []), *more]
        return TextOut(text=Text(text="+".join(p.text for p in parts) or "nothing"))


class Always(Extra):
    """Runs even so."""

    type, title = "always", "Always"
    runs_without_values = True


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    registry = toy_registry()
    registry.register(Extra)
    registry.register(Always)
    made.runner = Runner(registry, made.world)
    return made


FORK = {"in": "say", "c": "choose", "y": "upper", "e": "extra", "after": "upper"}
WIRES = "in.text>c.value c.yes>y.text c.no>e.text e.text>after.text "


async def test_a_node_that_no_wire_brings_a_value_is_skipped(bench: Bench) -> None:
    await bench.run(make_graph(FORK, WIRES), text="short")
    assert bench.world.ran() == {"in", "c", "y"}
    reasons = bench.events.reasons()
    assert reasons["e"] == "none of its wires brought a value: c.no"
    assert reasons["after"] == "no value for text came from e.text"
    await bench.run(make_graph(FORK, WIRES), text="far too long a text")
    assert bench.events.ended()["e"] == "node_finished"


async def test_one_value_is_enough(bench: Bench) -> None:
    graph = make_graph(FORK, WIRES + "in.text>e.more c.no>e.more", {"x": ("e", "text")})
    assert (await bench.run(graph, text="short")).outputs == {"x": {"text": "short"}}


async def test_the_reason_names_the_wires_and_not_too_many(bench: Bench) -> None:
    nodes: dict[str, Any] = {"in": "say", "c": "choose", "e": "extra"}
    nodes |= {f"u{n}": "upper" for n in range(5)}
    wires = "in.text>c.value c.no>e.text " + " ".join(
        f"c.no>u{n}.text u{n}.text>e.more" for n in range(5)
    )
    await bench.run(make_graph(nodes, wires), text="short")
    reason = bench.events.reasons()["e"]
    assert reason == (
        "none of its wires brought a value: c.no, u0.text, u1.text, u2.text and 2 more"
    )


async def test_a_node_without_wires_runs_on_its_defaults(bench: Bench) -> None:
    last = await bench.run(make_graph({"e": "extra"}, "", {"x": ("e", "text")}))
    assert last.outputs == {"x": {"text": "nothing"}}


async def test_a_class_may_run_all_the_same(bench: Bench) -> None:
    graph = make_graph({**FORK, "e": "always"}, WIRES, {"x": ("after", "text")})
    assert (await bench.run(graph, text="short")).outputs == {"x": {"text": "NOTHING"}}


async def test_a_failed_source_and_a_disabled_one_bring_nothing(bench: Bench) -> None:
    broken = {"type": "work", "config": {"failures": 1}, "on_error": "skip"}
    off = {"type": "say", "disabled": True}
    graph = make_graph({"b": broken, "off": off, "e": "extra"}, "b.text>e.text off.text>e.more")
    assert (await bench.run(graph)).status == "completed"
    assert bench.events.reasons()["e"] == "none of its wires brought a value: b.text, off.text"


async def test_an_input_that_is_given_counts_as_a_value(bench: Bench) -> None:
    graph = make_graph(FORK, WIRES, {"x": ("e", "text")})
    options = RunOptions(only=("e",), inputs={"e": {"text": {"text": "by hand"}}})
    events: list[Any] = []
    last = await bench.runner.run(graph, {}, "r", events.append, options=options)
    assert last.outputs == {"x": {"text": "by hand"}}
    last = await bench.runner.run(graph, {}, "r", events.append, options=RunOptions(only=("e",)))
    assert last.outputs == {"x": {"text": "nothing"}}  # alone, it has no wires


async def test_a_workflow_inside_is_skipped_with_its_branch() -> None:
    bench = BodyBench()
    inner = make_graph(
        {"inlet": {"type": "inlet", "config": {"name": "text", "value_type": "Text",
                                               "required": False}}, "u": "work"},
        "inlet.value>u.text",
        {"out": ("u", "text")},
    )  # fmt: skip
    body = body_of(inner)
    body["body"]["interface"]["inputs"][0]["required"] = False
    graph = make_graph(
        {"in": "say", "c": "choose", "w": {"type": "workflow", "config": body}},
        "in.text>c.value c.no>w.text",
    )
    await bench.go(graph, text="short")
    assert bench.world.runs["u"] == 0
    assert bench.events.reasons()["w"] == "none of its wires brought a value: c.no"
