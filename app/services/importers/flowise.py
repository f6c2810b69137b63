"""Flowise: chatflows, agentflows, and agentflows of version 2, exported as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.services.importers import flowise_v2
from app.services.importers.flowise_nodes import Flow, read_older
from app.services.importers.flowise_text import parsed, plain_html, same_name
from app.services.importers.source import (
    Link,
    Note,
    Ref,
    Source,
    Step,
    items,
    mapping,
    number,
    objects,
    place,
    text,
    words,
)

_OUT = re.compile(r"-output-([^-|]{1,100})")
_INTO = re.compile(r"-input-([^-|]{1,100})")


def read(data: Mapping[str, Any]) -> Source:
    """What a Flowise flow holds."""
    held = data.get("flowData")
    flow_data = mapping(parsed(held)) if held is not None else data
    name = text(data.get("name"), 200)
    source = Source("flowise", name, text(data.get("description"), 5_000))
    flow = Flow()
    shown: list[Mapping[str, Any]] = objects(flow_data.get("nodes"))
    for node in shown:
        flow.nodes.setdefault(text(node.get("id"), 200), mapping(node.get("data")))
    edges = items(flow_data.get("edges"))
    source.wires = len(edges)
    for edge in objects(edges):
        out = _OUT.search(text(edge.get("sourceHandle"), 600))
        into = _INTO.search(text(edge.get("targetHandle"), 600))
        flow.links.append(
            Link(
                text(edge.get("source"), 200),
                text(edge.get("target"), 200),
                out.group(1) if out else "",
                into.group(1) if into else "",
            )
        )
    flow.states = flowise_v2.states(flow.nodes)
    for node in shown:
        _add(source, flow, node)
    _finish(source, flow)
    return source


def _add(source: Source, flow: Flow, node: Mapping[str, Any]) -> None:
    data = mapping(node.get("data"))
    name = text(data.get("name"), 100)
    x, y = place(node.get("positionAbsolute"))
    if x is None:
        x, y = place(node.get("position"))
    if "stickynote" in text(node.get("type")).lower() or name.startswith("stickyNote"):
        said = plain_html(mapping(data.get("inputs")).get("note"))
        width = number(node.get("width"), 80, 2_000) or 300.0
        height = number(node.get("height"), 60, 2_000) or 160.0
        source.notes.append(Note(said, x or 0.0, y or 0.0, width, height))
        return
    inputs = mapping(data.get("inputs"))
    step = Step(
        text(node.get("id"), 200),
        name or text(data.get("type"), 100) or "unknown",
        text(data.get("label"), 120) or words(name),
        data=inputs,
        x=x,
        y=y,
        parent=text(node.get("parentNode"), 200),
    )
    if name in flowise_v2.READERS:
        flowise_v2.READERS[name](source, step, inputs, flow.states)
    else:
        read_older(flow, step, inputs)
    source.add(step)


def _finish(source: Source, flow: Flow) -> None:
    """Wires between steps, and an output where the flow ends without one."""
    stand_ins = {
        step.id: step.settings["of"] for step in source.steps.values() if "of" in step.settings
    }
    for link in flow.links:
        step = source.steps.get(link.source)
        target = source.steps.get(link.target)
        if step is None or target is None:
            continue
        if link.source in stand_ins:
            # A tool that only names a retriever: the retriever is what counts.
            for of in stand_ins[link.source]:
                source.links.append(Link(of, link.target, "", link.into))
            continue
        part = step.role == "part" or link.target in stand_ins
        part = part or (target.role == "retrieve" and step.role == "placeholder")
        source.links.append(
            Link(link.source, link.target, _handle(step, link.out), link.into, part)
        )
    flowise_v2.settle(source)
    for step in source.steps.values():
        for name, pieces in step.texts.items():
            step.texts[name] = tuple(
                Ref(stand_ins[p.step][0], p.field)
                if isinstance(p, Ref) and stand_ins.get(p.step)
                else p
                for p in pieces
            )
    _add_outputs(source)


def _handle(step: Step, out: str) -> str:
    """The way of a branch that a wire starts at."""
    return next((w.handle for w in step.ways if same_name(w.handle) == same_name(out)), out)


def _add_outputs(source: Source) -> None:
    """The last steps answer, as they do in a chat there."""
    if any(step.role == "output" for step in source.steps.values()):
        return
    goes_on = {link.source for link in source.links if not link.part}
    last = [
        s for s in source.steps.values()
        if s.role in ("llm", "retrieve", "prompt", "http", "merge")
        and s.id not in goes_on and not s.parent
    ]  # fmt: skip
    for number_, step in enumerate(last[:20], 1):
        out = Step(
            f"@output/{step.id}",
            "output",
            "Answer",
            "output",
            x=None if step.x is None else step.x + 320,
            y=step.y,
            texts={"answer" if number_ == 1 else f"answer_{number_}": (Ref(step.id),)},
        )
        out.settings["made"] = True
        source.add(out)
