"""Shortcuts for tests of imports."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast

import yaml

from app.engine.graph import Graph
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.validation import validate
from app.nodes import register_all
from app.services.importers.build import ImportReport
from app.services.importers.read import import_file


@cache
def registry() -> Registry:
    made = Registry()
    register_all(made)
    return made


def load(data: Any) -> tuple[Graph, ImportReport]:
    text = data if isinstance(data, str | bytes) else json.dumps(data)
    return import_file(text, registry())


def kinds(graph: Graph) -> dict[str, str]:
    return {node.title: node.type for node in graph.nodes.values()}


def wires(graph: Graph) -> set[str]:
    title = {node.id: node.title for node in graph.nodes.values()}
    return {f"{title[e.source]} {e.key} {title[e.target]}" for e in graph.edges}


def node(graph: Graph, title: str) -> Any:
    return next(n for n in graph.nodes.values() if n.title == title)


def errors(graph: Graph) -> list[Any]:
    return [p for p in validate(graph, registry()) if p.severity == "error"]


def dify(nodes: list[dict[str, Any]], edges: list[tuple[str, ...]], **workflow: Any) -> str:
    drawn = [
        {"id": n["id"], "data": n, "position": {"x": 300 * i, "y": 0},
         **({"parentId": n["inside"]} if "inside" in n else {})}
        for i, n in enumerate(nodes)
    ]  # fmt: skip
    links = [
        {"source": e[0], "target": e[1], "sourceHandle": e[2] if len(e) > 2 else "source"}
        for e in edges
    ]
    graph = {"nodes": drawn, "edges": links}
    app = {"name": "Mine", "mode": workflow.pop("mode", "advanced-chat"), "description": "Words"}
    return yaml.safe_dump({"app": app, "kind": "app", "workflow": {"graph": graph, **workflow}})


START = {"id": "s", "type": "start", "title": "Start", "variables": []}


async def said(graph: Graph, question: str, **given: str) -> dict[str, str]:
    """What a run of an imported workflow says."""
    # None of these nodes meets the world.
    runner = Runner(registry(), cast(Any, None))
    event = await runner.run(graph, {"question": question, **given}, "run", lambda _: None)
    assert event.status == "completed", event.problem
    return {k: v["text"] for k, v in event.outputs.items() if v is not None}
