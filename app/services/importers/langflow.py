"""Langflow: flows exported as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.services.importers.source import (
    QUESTION,
    Link,
    Note,
    Ref,
    Source,
    Step,
    Template,
    items,
    mapping,
    number,
    objects,
    place,
    split_template,
    text,
    whole,
    words,
)

_SINGLE = re.compile(r"(?<!\{)\{\s*([A-Za-z_]\w{0,80})\s*\}(?!\})")
_DOUBLE = re.compile(r"\{\{\s*([A-Za-z_]\w{0,80})\s*\}\}")
_COLOURS = {"blue": "blue", "emerald": "green", "lime": "green", "pink": "rose", "rose": "rose"}
_TOOL = "A tool an agent could call. Replace it with a node that always runs, or remove it."


def read(data: Any) -> Source:
    """What a Langflow flow holds; of several in one file the first."""
    flows = data if isinstance(data, list) else items(mapping(data).get("flows"))
    several = objects(flows)
    flow = mapping(several[0] if several else data)
    inner = mapping(flow.get("data")) or flow
    source = Source("langflow", text(flow.get("name"), 200), text(flow.get("description"), 5_000))
    if len(several) > 1:
        source.remarks.append(
            f"The file holds {len(several)} flows; the first was imported. Import the others one "
            "by one."
        )
    edges = items(inner.get("edges"))
    source.wires = len(edges)
    links = [_link(edge) for edge in objects(edges)]
    for node in objects(inner.get("nodes")):
        _add(source, node, links)
    source.links = links
    for link in links:
        target = source.steps.get(link.target)
        came = source.steps.get(link.source)
        if target is None or came is None:
            continue
        if link.into == "tools" and target.role == "llm":
            _as_tool(came, target)
    return source


def _link(edge: Mapping[str, Any]) -> Link:
    ends = mapping(edge.get("data"))
    out = mapping(ends.get("sourceHandle")) or _handle(edge.get("sourceHandle"))
    into = mapping(ends.get("targetHandle")) or _handle(edge.get("targetHandle"))
    return Link(
        text(edge.get("source"), 200),
        text(edge.get("target"), 200),
        text(out.get("name"), 120),
        text(into.get("fieldName"), 120),
    )


def _handle(value: Any) -> Mapping[str, Any]:
    """A handle is JSON with œ for quotation marks."""
    try:
        return mapping(json.loads(text(value).replace("œ", '"')))
    except (ValueError, RecursionError):
        return {}


class _Fields:
    """The fields of a component, and what is wired to them."""

    def __init__(self, template: Mapping[str, Any], wired: Mapping[str, Ref]) -> None:
        self._template = template
        self.wired = wired

    def value(self, name: str) -> Any:
        return mapping(self._template.get(name)).get("value")

    def words(self, name: str) -> Template:
        """What is wired to a field, else its text."""
        if name in self.wired:
            return (self.wired[name],)
        return (text(self.value(name)),) if text(self.value(name)) else ()


def _add(source: Source, node: Mapping[str, Any], links: list[Link]) -> None:
    data = mapping(node.get("data"))
    held = mapping(data.get("node"))
    x, y = place(node.get("position"))
    node_id = text(node.get("id"), 200) or text(data.get("id"), 200)
    if text(node.get("type")) == "noteNode" or text(data.get("type")) == "note":
        source.notes.append(
            Note(
                text(held.get("description")),
                x or 0.0,
                y or 0.0,
                number(node.get("width"), 80, 2_000) or 300.0,
                number(node.get("height"), 60, 2_000) or 160.0,
                _COLOURS.get(text(mapping(held.get("template")).get("backgroundColor")), "amber"),
            )
        )
        return
    kind = text(data.get("type"), 100) or "unknown"
    template = mapping(held.get("template"))
    wired = {}
    for link in links:
        if link.target == node_id and link.into not in wired:
            wired[link.into] = Ref(link.source, link.out)
    fields = _Fields(template, wired)
    step = Step(
        node_id,
        kind,
        text(held.get("display_name"), 120) or text(data.get("display_name"), 120) or words(kind),
        data=_settings(template),
        x=x,
        y=y,
    )
    reader = _READERS.get(kind.lower())
    if reader is not None:
        reader(step, fields)
    else:
        step.refs = list(wired.values())
        step.advice = _TOOL if any(k.source == node_id and k.into == "tools" for k in links) else ""
    source.add(step)


def _settings(template: Mapping[str, Any]) -> dict[str, Any]:
    """Fields and their values, without the code and the look of the component."""
    kept = {}
    for name, entry in template.items():
        held = mapping(entry)
        if name == "code" or not held or held.get("value") in ("", None, [], {}):
            continue
        secret = text(held.get("_input_type")) == "SecretStrInput" or held.get("password") is True
        # Redacted by name; a field that says it is secret is one whatever its name.
        kept["api_key" if secret else text(name, 100)] = held["value"]
    return kept


def _as_tool(tool: Step, agent: Step) -> None:
    """A tool of an agent runs before it, and the agent reads what it gave."""
    if tool.role == "placeholder":
        tool.refs = tool.refs or [Ref(QUESTION)]
        tool.advice = _TOOL
    elif tool.role == "retrieve" and not tool.texts.get("query"):
        tool.texts["query"] = (Ref(QUESTION),)
    if tool.role != "retrieve":
        agent.texts["user"] = (*agent.texts.get("user", ()), f"\n\n{tool.title}:\n", Ref(tool.id))


# -- component by component --------------------------------------------------------------


def _chat_input(step: Step, fields: _Fields) -> None:
    step.role = "start"
    default = text(fields.value("input_value"), 5_000)
    step.settings = {"question": True, "inputs": [], "default": default}


def _text_input(step: Step, fields: _Fields) -> None:
    step.role = "text"
    step.texts["text"] = (text(fields.value("input_value")),)


def _output(step: Step, fields: _Fields) -> None:
    step.role = "output"
    step.texts = {"answer": fields.words("input_value")}


def _prompt(step: Step, fields: _Fields) -> None:
    step.role = "prompt"
    pattern = _DOUBLE if fields.value("use_double_brackets") is True else _SINGLE
    written = text(fields.value("template"))
    pieces = split_template(written, pattern, lambda m: Ref(f"field:{m.group(1)}"))
    found: list[str | Ref] = []
    for piece in pieces:
        if isinstance(piece, Ref):
            found.extend(fields.words(piece.step.removeprefix("field:")))
        else:
            found.append(piece.replace("{{", "{").replace("}}", "}"))
    step.texts["text"] = tuple(found)


def _parser(step: Step, fields: _Fields) -> None:
    """Writes its input by a pattern; passages and texts are written whole."""
    step.role = "prompt"
    wired = next(iter(fields.wired.values()), None)
    pattern = text(fields.value("pattern"))
    names = set(_SINGLE.findall(pattern))
    if wired is None or not names <= {"text", "content", "data", "page_content"}:
        step.role = "placeholder"
        step.refs = list(fields.wired.values())
        step.advice = "Write the fields of the data with a prompt: {{ data.name }}."
        return
    step.texts["text"] = (wired,)


def _agent(step: Step, fields: _Fields) -> None:
    step.role = "llm"
    system = fields.words("system_prompt") or fields.words("system_message")
    step.texts["system"] = system
    step.texts["user"] = fields.words("input_value")
    model = fields.value("model")
    named = mapping(model[0] if isinstance(model, list) and model else model)
    chosen = text(named.get("name"), 200) or text(fields.value("model_name"), 200)
    step.settings = {
        "model": chosen or (text(model, 200) if isinstance(model, str) else ""),
        "provider": text(named.get("provider"), 200)
        or text(fields.value("provider"), 200)
        or text(fields.value("agent_llm"), 200),
        "temperature": number(fields.value("temperature"), 0, 2),
        "max_tokens": whole(fields.value("max_tokens"), 0, 32_000) or None,
    }
    other = [r for n, r in fields.wired.items() if n not in ("input_value", "system_prompt",
             "system_message", "tools")]  # fmt: skip
    step.refs = other


def _knowledge(step: Step, fields: _Fields) -> None:
    if text(fields.value("mode")) not in ("", "Retrieve"):
        step.refs = list(fields.wired.values())
        step.advice = "Fill a knowledge base with Chunk and “Embed and index” nodes."
        return
    step.role = "retrieve"
    step.texts["query"] = fields.words("search_query")
    step.settings = {"k": whole(fields.value("top_k"), 1, 200)}


def _file(step: Step, fields: _Fields) -> None:
    step.role = "file"


_READERS = {
    "chatinput": _chat_input, "textinput": _text_input, "chatoutput": _output,
    "textoutput": _output, "prompt": _prompt, "prompt template": _prompt, "parser": _parser,
    "parsercomponent": _parser, "agent": _agent, "languagemodelcomponent": _agent,
    "openaimodel": _agent, "anthropicmodel": _agent, "ollamamodel": _agent, "groqmodel": _agent,
    "googlegenerativeaimodel": _agent, "mistralmodel": _agent, "azureopenaimodel": _agent,
    "knowledge": _knowledge, "knowledgeretrieval": _knowledge, "file": _file,
}  # fmt: skip
