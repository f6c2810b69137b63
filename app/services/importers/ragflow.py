"""RAGFlow: agents and ingestion pipelines exported as JSON (DSL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.services.importers.ragflow_refs import all_refs
from app.services.importers.ragflow_steps import ADVICE, READERS
from app.services.importers.ragflow_wires import wire
from app.services.importers.source import (
    QUESTION,
    Note,
    Ref,
    Source,
    Step,
    Template,
    mapping,
    number,
    objects,
    place,
    text,
    words,
)

_NOTE_TYPES = {"notenode", "note"}


def read(data: Mapping[str, Any]) -> Source:
    """What a RAGFlow agent holds."""
    dsl = mapping(data.get("dsl", data))
    components = mapping(dsl.get("components"))
    graph = mapping(dsl.get("graph"))
    source = Source("ragflow", _words_of(data.get("title")), _words_of(data.get("description")))
    for name, value in mapping(dsl.get("variables")).items():
        if text(name).isidentifier():
            held = mapping(value)
            source.variables[text(name, 64)] = held.get("value") if held else value
    shown = {text(n.get("id"), 200): n for n in objects(graph.get("nodes"))}
    inside = _items_of_iterations(components)
    for component_id, component in components.items():
        _add(source, text(component_id, 200), mapping(component), shown, inside)
    for node_id, node in shown.items():
        _add_shown(source, node_id, node)
    wire(source, components, objects(graph.get("edges")))
    # What leads back to the item ends a round.
    source.links = [link for link in source.links if link.target not in inside]
    return source


def _words_of(value: Any) -> str:
    """A text, or the English one of several languages."""
    if isinstance(value, dict):
        value = value.get("en") or next((v for v in value.values() if isinstance(v, str)), "")
    return text(value, 2_000)


def _items_of_iterations(components: Mapping[str, Any]) -> dict[str, str]:
    """Id of the step that hands out the items -> id of the iteration around it."""
    found = {}
    for component_id, component in components.items():
        name = text(mapping(mapping(component).get("obj")).get("component_name")).lower()
        if name in ("iterationitem", "loopitem"):
            found[component_id] = text(mapping(component).get("parent_id"), 200)
    return found


def _add(
    source: Source,
    component_id: str,
    component: Mapping[str, Any],
    shown: Mapping[str, Mapping[str, Any]],
    inside: Mapping[str, str],
) -> None:
    obj = mapping(component.get("obj"))
    node = mapping(shown.get(component_id))
    kind = text(obj.get("component_name"), 100) or component_id.split(":", maxsplit=1)[0]
    params = mapping(obj.get("params"))
    step = _step(component_id, kind, params, inside, _title(node, component_id, kind))
    step.parent = text(component.get("parent_id"), 200) or text(node.get("parentId"), 200)
    step.x, step.y = place(node.get("position"))
    if source.add(step) is not None and step.role == "llm":
        _add_tools(source, step, params, shown)


def _title(node: Mapping[str, Any], component_id: str, kind: str) -> str:
    named = text(mapping(node.get("data")).get("name"), 120).strip()
    return words(kind) if not named or named == component_id else named


def _add_shown(source: Source, node_id: str, node: Mapping[str, Any]) -> None:
    """What is on the canvas only: notes, and the tools of agents."""
    kind = text(node.get("type")).lower()
    data = mapping(node.get("data"))
    x, y = place(node.get("position"))
    if kind in _NOTE_TYPES:
        name = text(data.get("name"), 200).strip()
        said = text(mapping(data.get("form")).get("text"))
        body = f"**{name}**\n\n{said}" if name and name.lower() != "note" else said
        size = {**mapping(node.get("measured")), **node}
        source.notes.append(
            Note(
                body,
                x or 0.0,
                y or 0.0,
                number(size.get("width"), 80, 2_000) or 300.0,
                number(size.get("height"), 60, 2_000) or 160.0,
            )
        )
    elif node_id not in source.steps:
        step = Step(node_id, text(data.get("label"), 100) or kind or "unknown", x=x, y=y)
        step.title = text(data.get("name"), 120) or words(step.kind)
        if step.title.startswith("flow.tool"):
            step.title = "Tools"
        step.data = mapping(data.get("form"))
        if kind == "toolnode":
            step.advice = _TOOL
            step.refs = [Ref(QUESTION)]
        source.add(step)


_TOOL = (
    "Tools that an agent could call. Replace them with HTTP requests or retrieve nodes that "
    "always run, or remove them."
)


def _step(
    step_id: str, kind: str, params: Mapping[str, Any], inside: Mapping[str, str], title: str
) -> Step:
    step = Step(step_id, kind, title, data=params)
    reader = READERS.get(kind.lower())
    if reader is not None:
        reader(step, params)
    else:
        step.refs = all_refs(params)
        step.advice = ADVICE.get(kind.lower(), "")
    # What hands out the items of an iteration is the iteration itself.
    step.texts = {name: _lifted(pieces, inside) for name, pieces in step.texts.items()}
    step.refs = [r for r in _lifted(tuple(step.refs), inside) if isinstance(r, Ref)]
    return step


def _lifted(pieces: Template, inside: Mapping[str, str]) -> Template:
    return tuple(
        Ref(inside[p.step], "item") if isinstance(p, Ref) and inside.get(p.step) else p
        for p in pieces
    )


def _add_tools(
    source: Source, step: Step, params: Mapping[str, Any], shown: Mapping[str, Any]
) -> None:
    """Tools of an agent: other agents, knowledge bases, and what has no equal."""
    others: list[Mapping[str, Any]] = []
    made: list[str] = []
    for entry in [*objects(params.get("tools")), *objects(params.get("llm_enabled_tools"))][:40]:
        kind = text(entry.get("component_name"), 100)
        inner = mapping(entry.get("params"))
        tool_id = text(entry.get("id"), 200) or f"{step.id}/{kind}/{len(made)}"
        if kind.lower() in ("agent", "retrieval"):
            name = text(entry.get("name"), 120) or words(kind)
            tool = _step(tool_id, kind, inner, {}, name)
            tool.x, tool.y = place(mapping(shown.get(tool_id)).get("position"))
            if source.add(tool) is not None:
                made.append(tool_id)
                if tool.role == "llm":
                    _add_tools(source, tool, inner, shown)
                    source.remarks.append(
                        f"“{tool.title}” was a helper that “{step.title}” could call; here it "
                        "always runs first."
                    )
        else:
            others.append(entry)
    if others and not _has_tool_node(shown):
        names = ", ".join(text(entry.get("component_name"), 60) for entry in others[:6])
        tool = Step(f"{step.id}/tools", "Tool", f"Tools: {names}"[:120], data={"tools": others})
        tool.refs, tool.advice = [Ref(QUESTION)], _TOOL
        if source.add(tool) is not None:
            made.append(tool.id)
    step.settings["tools"] = made
    said: list[str | Ref] = list(step.texts.get("user", ())) or [Ref(QUESTION)]
    for tool_id in made:
        tool = source.steps[tool_id]
        if tool.role != "retrieve":
            said.extend((f"\n\n{tool.title}:\n", Ref(tool_id)))
    if made:
        step.texts["user"] = tuple(said)


def _has_tool_node(shown: Mapping[str, Any]) -> bool:
    # The canvas has one node for all tools of an agent; its own wires say whose it is.
    return any(text(mapping(node).get("type")).lower() == "toolnode" for node in shown.values())
