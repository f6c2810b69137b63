"""RAGFlow: agents and ingestion pipelines exported as JSON (DSL)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.services.importers.ragflow_wires import wire
from app.services.importers.source import (
    FILES,
    HISTORY,
    QUESTION,
    UNKNOWN,
    VARIABLE,
    Note,
    Ref,
    Source,
    Step,
    Template,
    Test,
    Way,
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

#: {Agent:ThreePathsDecide@content}, {begin@name}, {sys.query}, {env.name}.
_VARIABLE = re.compile(
    r"\{\s*((?:sys|env)\.[\w.]{1,80}|(?:begin|[A-Za-z]\w{0,60}:[\w\-]{1,80})(?:@[\w.:\-]{1,80})?)\s*\}",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"\s*((?:sys|env)\.[\w.]{1,80}|(?:begin|[A-Za-z]\w{0,60}:[\w\-]{1,80})@[\w.:\-]{1,80})\s*",
    re.IGNORECASE,
)
_OPERATORS = {
    "contains": "contains", "not contains": "not_contains", "start with": "matches",
    "end with": "matches", "empty": "is_empty", "not empty": "is_not_empty", "=": "equals",
    "≠": "not_equals", "!=": "not_equals", ">": "greater", "<": "less", "≥": "greater_or_equal",
    ">=": "greater_or_equal", "≤": "less_or_equal", "<=": "less_or_equal",
}  # fmt: skip
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


def template(value: Any) -> Template:
    """A text with {component@output} in it."""
    return split_template(text(value), _VARIABLE, lambda m: reference(m.group(1)))


def reference(value: str) -> Ref:
    """What `component@output` or `sys.name` means."""
    value = value.strip()
    if value.startswith("sys."):
        known = {"sys.query": QUESTION, "sys.files": FILES, "sys.history": HISTORY}
        return Ref(known[value]) if value in known else Ref(UNKNOWN, value)
    if value.startswith("env."):
        return Ref(VARIABLE, value[4:])
    step, _, name = value.partition("@")
    return Ref(step, name)


def _bare(value: Any) -> Template:
    """A field that holds a reference without braces, or a text with some in braces."""
    written = text(value)
    match = _BARE.fullmatch(written)
    return (reference(match.group(1)),) if match else template(written)


def _step(
    step_id: str, kind: str, params: Mapping[str, Any], inside: Mapping[str, str], title: str
) -> Step:
    step = Step(step_id, kind, title, data=params)
    reader = _READERS.get(kind.lower())
    if reader is not None:
        reader(step, params)
    else:
        step.refs = _all_refs(params)
        step.advice = _ADVICE.get(kind.lower(), "")
    # What hands out the items of an iteration is the iteration itself.
    step.texts = {name: _lifted(pieces, inside) for name, pieces in step.texts.items()}
    step.refs = [r for r in _lifted(tuple(step.refs), inside) if isinstance(r, Ref)]
    return step


def _lifted(pieces: Template, inside: Mapping[str, str]) -> Template:
    return tuple(
        Ref(inside[p.step], "item") if isinstance(p, Ref) and inside.get(p.step) else p
        for p in pieces
    )


def _all_refs(params: Any) -> list[Ref]:
    found: dict[Ref, None] = {}
    stack, seen = [params], 0
    while stack and seen < 3_000:
        seen += 1
        value = stack.pop()
        if isinstance(value, str):
            for piece in _bare(value):
                if isinstance(piece, Ref) and piece.step != UNKNOWN:
                    found[piece] = None
        elif isinstance(value, dict):
            stack.extend(v for k, v in value.items() if k not in ("outputs", "tools"))
        elif isinstance(value, list):
            stack.extend(value)
    return list(found)[:30]


# -- step by step ------------------------------------------------------------------------


def _begin(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "start"
    inputs = []
    for name, entry in list(mapping(params.get("inputs")).items())[:60]:
        held = mapping(entry)
        kind = text(held.get("type")).lower()
        inputs.append(
            {
                "name": text(name, 64),
                "label": text(held.get("name"), 120),
                "type": "file" if "file" in kind else "text",
                "required": held.get("optional") is not True,
                "default": text(held.get("value"), 5_000),
            }
        )
    conversational = text(params.get("mode")).lower() not in ("task", "webhook")
    step.settings = {"question": conversational, "inputs": inputs}


def _agent(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "llm"
    step.texts["system"] = template(params.get("sys_prompt") or params.get("prompt"))
    user: list[str | Ref] = []
    prompts = params.get("prompts")
    if isinstance(prompts, str):
        user.extend(template(prompts))
    for entry in objects(prompts)[:50]:
        if user:
            user.append("\n\n")
        user.extend(template(entry.get("content")))
    step.texts["user"] = tuple(user)

    def enabled(name: str) -> bool:
        return params.get(f"{name}Enabled") is not False

    step.settings = {
        "model": text(params.get("llm_id"), 200),
        "temperature": number(params.get("temperature"), 0, 2) if enabled("temperature") else None,
        "max_tokens": whole(params.get("max_tokens"), 1, 32_000) if enabled("maxTokens") else None,
    }


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
    if others and not _has_tool_node(step.id, shown):
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


def _has_tool_node(step_id: str, shown: Mapping[str, Any]) -> bool:
    # The canvas has one node for all tools of an agent; its own wires say whose it is.
    return any(text(mapping(node).get("type")).lower() == "toolnode" for node in shown.values())


def _retrieval(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "retrieve"
    step.texts["query"] = _bare(params.get("query"))
    words_weight = number(params.get("keywords_similarity_weight"), 0, 1)
    top = whole(params.get("top_n"), 1, 200)
    reranks = bool(text(params.get("rerank_id")))
    step.settings = {
        "k": min(200, top * 4) if top and reranks else top,
        "rerank": top if reranks else None,
        "semantic_weight": None if words_weight is None else round((1 - words_weight) * 20) / 20,
        "score_threshold": number(params.get("similarity_threshold"), 0, 1),
    }


def _message(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "output"
    contents = [text(c) for c in items(params.get("content")) or items(params.get("messages"))]
    if isinstance(params.get("content"), str):
        contents = [text(params["content"])]
    step.texts = {"answer": template(contents[0] if contents else "")}


def _answer(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "output"
    step.texts = {"answer": ()}


def _categorize(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "classify"
    step.texts["query"] = _bare(params.get("query"))
    step.settings = {
        "model": text(params.get("llm_id"), 200),
        "temperature": number(params.get("temperature"), 0, 2),
        "to": {},
    }
    categories = params.get("category_description")
    entries = (
        list(categories.items())
        if isinstance(categories, dict)
        else [(text(e.get("name")), e) for e in objects(categories)]
    )
    for name, entry in entries[:40]:
        held = mapping(entry)
        said = text(held.get("description"), 600)
        examples = held.get("examples")
        if isinstance(examples, list) and examples:
            said += " Examples: " + "; ".join(
                text(mapping(e).get("value") or e, 120) for e in examples[:5]
            )
        handle = text(name, 120)
        step.ways.append(Way(handle, handle[:60], said))
        step.settings["to"][handle] = items(held.get("to"))


def _switch(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "branch"
    step.settings["to"] = {}
    for position, case in enumerate(objects(params.get("conditions"))[:30], 1):
        tests = [_test(entry) for entry in objects(case.get("items"))[:20]]
        known = [test for test in tests if test is not None]
        if len(known) < len(tests) or not known:
            step.role = "placeholder"
        handle = f"Case {position}"
        step.ways.append(
            Way(handle, handle.lower(), "", known, text(case.get("logical_operator")) != "or")
        )
        to = case.get("to")
        step.settings["to"][handle] = items(to) if isinstance(to, list) else [text(to)]
    step.ways.append(Way("end_cpn_ids", "else"))
    step.settings["to"]["end_cpn_ids"] = items(params.get("end_cpn_ids"))


def _test(entry: Mapping[str, Any]) -> Test | None:
    left = _bare(entry.get("cpn_id"))
    written = text(entry.get("operator"))
    operator = _OPERATORS.get(written)
    if len(left) != 1 or operator is None:
        return None
    found = left[0] if isinstance(left[0], Ref) else Ref(left[0].strip())
    right = text(entry.get("value"), 2_000)
    if operator == "matches":
        right = f"{right}*" if written == "start with" else f"*{right}"
    return Test(found, operator, right)


def _iteration(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "map"
    step.texts["items"] = _bare(params.get("items_ref") or params.get("query"))
    step.settings = {"result": None, "concurrency": 1, "on_failure": "fail"}


def _loop(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "loop"
    step.refs = _all_refs(params)
    step.settings = {"rounds": whole(params.get("maximum_loop_count"), 1, 100), "result": None}


def _nothing(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "nothing"


def _invoke(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "http"
    headers = params.get("headers")
    step.texts = {
        "url": template(params.get("url")),
        "headers": template(headers),
        "body": (),
        "params": (),
    }
    lines: list[str | Ref] = []
    for entry in objects(params.get("variables"))[:40]:
        value = _bare(entry.get("ref")) or (text(entry.get("value")),)
        lines.extend((f"{text(entry.get('key'), 100)}:", *value, "\n"))
    method = text(params.get("method"), 10).upper() or "GET"
    step.texts["params" if method == "GET" else "form"] = tuple(lines)
    step.settings = {"method": method, "body_type": "json", "authorised": bool(headers)}


def _aggregator(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "merge"
    step.refs = _all_refs(params)


def _files(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "files"


def _parser(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "read"


def _chunker(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "chunk"
    size = whole(params.get("chunk_token_size"), 16, 8_192)
    share = number(params.get("overlapped_percent"), 0, 100) or 0.0
    share = share / 100 if share > 1 else share
    step.settings = {
        "chunk_size": size,
        "chunk_overlap": int((size or 400) * min(share, 0.9)),
    }


def _tokenizer(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "index"


_READERS = {
    "begin": _begin, "agent": _agent, "llm": _agent, "generate": _agent, "retrieval": _retrieval,
    "message": _message, "answer": _answer, "categorize": _categorize, "switch": _switch,
    "iteration": _iteration, "iterationitem": _nothing, "loop": _loop, "loopitem": _nothing,
    "invoke": _invoke, "variableaggregator": _aggregator, "file": _files, "parser": _parser,
    "tokenchunker": _chunker, "splitter": _chunker, "titlechunker": _chunker,
    "tokenizer": _tokenizer,
}  # fmt: skip
_ADVICE = {
    "codeexec": "Code of other systems is not run here. Replace it with a prompt, “Set fields”, "
    "or an HTTP request to a service of yours.",
    "exesql": "Databases are not asked from here. Put an HTTP service in front of it and request "
    "that, or export the tables into a knowledge base.",
}
