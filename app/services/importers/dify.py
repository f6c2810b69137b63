"""Dify: apps exported as YAML (DSL)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.engine.problems import InvalidWorkflow
from app.services.importers.dify_nodes import READERS
from app.services.importers.dify_refs import all_refs
from app.services.importers.source import (
    Link,
    Note,
    Source,
    Step,
    items,
    mapping,
    number,
    objects,
    place,
    text,
)


def read(data: Mapping[str, Any]) -> Source:
    """What a Dify app holds. Raises InvalidWorkflow where there is no workflow in it."""
    app = mapping(data.get("app"))
    workflow = mapping(data.get("workflow"))
    graph = mapping(workflow.get("graph"))
    nodes = objects(graph.get("nodes"))
    if not nodes:
        raise InvalidWorkflow(
            "This Dify app has no workflow: it is a plain chat or completion app.",
            code="no_workflow",
            fix="Turn it into a chatflow in Dify and export that, or begin with a template here.",
        )
    source = Source("dify", text(app.get("name"), 200), text(app.get("description"), 5_000))
    _keep_variables(source, workflow)
    chat = text(app.get("mode")) != "workflow"
    for node in nodes:
        _add(source, node, chat)
    edges = items(graph.get("edges"))
    source.wires = len(edges)
    for edge in objects(edges):
        source.links.append(
            Link(
                text(edge.get("source"), 200),
                text(edge.get("target"), 200),
                text(edge.get("sourceHandle"), 200),
                "",
            )
        )
    return source


def _keep_variables(source: Source, workflow: Mapping[str, Any]) -> None:
    secret = 0
    for key in ("environment_variables", "conversation_variables"):
        for entry in objects(workflow.get(key))[:200]:
            name = text(entry.get("name"), 64)
            if not name.isidentifier():
                continue
            if text(entry.get("value_type")) == "secret":
                source.variables[name] = ""
                secret += 1
            else:
                source.variables[name] = entry.get("value")
    if secret:
        source.remarks.append(
            f"{secret} secret {'variable was' if secret == 1 else 'variables were'} imported "
            "without value. Set secrets outside the workflow."
        )
    if mapping(workflow).get("conversation_variables"):
        source.remarks.append(
            "Variables that a conversation changes have fixed values here, those of the file."
        )


def _add(source: Source, node: Mapping[str, Any], chat: bool) -> None:
    data = mapping(node.get("data"))
    kind = text(data.get("type"), 100)
    x, y = place(node.get("positionAbsolute"))
    if x is None:
        x, y = place(node.get("position"))
    if kind == "" and (text(node.get("type")) == "custom-note" or "theme" in data):
        source.notes.append(
            Note(
                _note_text(text(data.get("text"))),
                x or 0.0,
                y or 0.0,
                number(data.get("width"), 80, 2_000) or 300.0,
                number(data.get("height"), 60, 2_000) or 160.0,
                _COLOURS.get(text(data.get("theme")), "amber"),
            )
        )
        return
    step = Step(
        id=text(node.get("id"), 200),
        kind=kind or text(node.get("type"), 100) or "unknown",
        title=text(data.get("title"), 120).strip(),
        data=data,
        x=x,
        y=y,
        parent=text(node.get("parentId"), 200),
    )
    reader = READERS.get(kind)
    if reader is not None:
        reader(step, data, chat)
    else:
        step.refs = all_refs(data)
    source.add(step)


_COLOURS = {"blue": "blue", "cyan": "blue", "green": "green", "pink": "rose", "violet": "violet"}


def _note_text(value: str) -> str:
    """The words of a note, which is kept as a tree of an editor."""
    try:
        tree = json.loads(value)
    except (ValueError, RecursionError):
        return value
    lines: list[str] = []
    stack: list[Any] = [mapping(tree).get("root")]
    while stack and len(lines) < 500:
        node = mapping(stack.pop())
        if isinstance(node.get("text"), str):
            lines.append(text(node["text"]))
        elif node.get("type") in ("paragraph", "heading", "listitem", "linebreak"):
            lines.append("\n")
        stack.extend(reversed(items(node.get("children"))))
    return re.sub(r"\n{3,}", "\n\n", "".join(lines)).strip()
