"""Stored workflows inside nodes: missing ones and circles are told before a run."""

from __future__ import annotations

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
