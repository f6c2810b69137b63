"""Stored workflows inside nodes: missing ones and circles are told before a run."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.nodes import register_all
from app.services.workflows.sub_workflows import SubWorkflows


def runs(*bodies: dict[str, Any], **node: Any) -> dict[str, Any]:
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "outer"},
        "nodes": [
            {"id": f"w{i}", "type": "workflow", "version": 1, "config": {"body": body}, **node}
            for i, body in enumerate(bodies)
        ],
        "edges": [],
    }


@pytest.fixture
def stored() -> dict[tuple[str, int | None], dict[str, Any]]:
    return {("plain", None): runs(), ("plain", 2): runs()}


@pytest.fixture
def check(stored: dict[tuple[str, int | None], dict[str, Any]]) -> Any:
    registry = Registry()
    register_all(registry)

    async def read(name: str, revision: int | None) -> tuple[dict[str, Any], int]:
        if (name, revision) not in stored:
            raise RagloomError("There is no such workflow.", code="not_found", fix="")
        return stored[name, revision], revision or 1

    async def problems(data: dict[str, Any], own: str = "") -> list[tuple[str, str | None]]:
        found = await SubWorkflows(registry, read).problems(Graph.parse(data), own)
        return [(p.code, p.node) for p in found]

    return problems


async def test_those_that_are_there_are_no_problem(check: Any) -> None:
    assert await check(runs({"workflow": "plain"}, {"workflow": "plain", "revision": 2})) == []


async def test_a_missing_one_and_a_missing_revision(check: Any) -> None:
    data = runs({"workflow": "gone"}, {"workflow": "plain", "revision": 9}, {"workflow": "plain"})
    assert await check(data) == [("missing_workflow", "w0"), ("missing_workflow", "w1")]
    assert await check(runs({"workflow": "gone"}, disabled=True)) == []


async def test_circles(check: Any, stored: Any) -> None:
    stored["a", None] = runs({"workflow": "b"})
    stored["b", None] = runs({"graph": runs({"workflow": "a"})})
    circle = [("recursive_workflow", "w0")]
    assert await check(runs({"workflow": "a"}), "a") == circle
    assert await check(runs({"workflow": "b"})) == circle
    # The same one twice is none.
    assert await check(runs({"workflow": "plain"}, {"workflow": "plain"})) == []


def upper() -> dict[str, Any]:
    """A workflow with an inlet “item” and a result “loud”, as one would write it by hand."""
    compute = {"results": [{"name": "loud", "expression": "value.text | upper"}]}
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "upper"},
        "nodes": [
            {"id": "in", "type": "inlet", "version": 1, "config": {"name": "item"}},
            {"id": "do", "type": "compute", "version": 1, "config": compute},
            {"id": "out", "type": "output", "version": 1, "config": {"name": "loud"}},
        ],
        "edges": [
            {"source": "in", "target": "do", "key": "value>value"},
            {"source": "do", "target": "out", "key": "loud>value"},
        ],
    }


@pytest.mark.parametrize("inside", ["embedded", "stored", "deeper"])
async def test_a_file_that_leaves_the_ports_of_an_inner_workflow_out_gets_them(inside: str) -> None:
    registry = Registry()
    register_all(registry)

    async def read(name: str, revision: int | None) -> tuple[dict[str, Any], int]:
        assert (name, revision) == ("upper", 3)
        return upper(), 3

    body: dict[str, Any] = {"workflow": "upper", "revision": 3}
    if inside != "stored":
        body = {"graph": upper()}
    data = runs(body)
    if inside == "deeper":
        inlet = {"id": "in", "type": "inlet", "version": 1, "config": {"name": "item"}}
        out = {"id": "out", "type": "output", "version": 1, "config": {"name": "loud"}}
        data["nodes"] += [inlet, out]
        data["edges"] += [
            {"source": "in", "target": "w0", "key": "value>item"},
            {"source": "w0", "target": "out", "key": "loud>value"},
        ]
        data = runs({"graph": data})
    graph = Graph.parse(data)
    await SubWorkflows(registry, read).complete(graph)
    interface = graph.nodes["w0"].config["body"]["interface"]
    assert interface == {
        "inputs": [{"name": "item", "type": "Any", "required": True}],
        "outputs": [{"name": "loud", "type": "Json"}],
    }
    ready = graph.dump()
    await SubWorkflows(registry, read).complete(graph)
    assert graph.dump() == ready
    graph.nodes["w0"].config["body"]["interface"]["outputs"] = []
    await SubWorkflows(registry, read).complete(graph)
    assert graph.nodes["w0"].config["body"]["interface"]["outputs"] == []


class OffTheLoop(Registry):
    """Nodes are looked up in threads only: the one of these tests is that of the event loop."""

    def get(self, type_name: str) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return super().get(type_name)


async def test_a_workflow_that_many_nodes_name_is_read_once_and_apart_from_the_event_loop() -> None:
    registry = OffTheLoop()
    register_all(registry)
    asked: list[str] = []

    async def read(name: str, revision: int | None) -> tuple[dict[str, Any], int]:
        asked.append(name)
        if name == "gone":
            raise RagloomError("There is no such workflow.", code="not_found", fix="")
        return upper(), 1

    names = ["upper", "gone", "upper", "gone"]
    bodies = [{"workflow": name} for name in names]
    graph = Graph.parse(runs(*bodies, {"graph": runs({"graph": upper()}, {"workflow": "upper"})}))
    await SubWorkflows(registry, read).complete(graph)
    assert asked == ["upper", "gone"]
    told = [spec.config["body"].get("interface") for spec in graph.nodes.values()]
    assert told[0] == told[2]
    assert told[0]["outputs"] == [{"name": "loud", "type": "Json"}]
    assert told[0] is not told[2]
    assert told[1] is told[3] is None
    inside = graph.nodes["w4"].config["body"]["graph"]["nodes"]
    assert [n["config"]["body"]["interface"] for n in inside] == [told[0], told[0]]
    found = await SubWorkflows(registry, read).problems(graph)
    assert [problem.node for problem in found] == ["w1", "w3"]

    asked.clear()
    graph = Graph.parse(runs(*({"workflow": f"many {i}"} for i in range(203))))
    await SubWorkflows(registry, read).complete(graph)
    assert len(asked) == 200
