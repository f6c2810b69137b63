"""Dify: apps exported as YAML (DSL)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.engine.problems import InvalidWorkflow
from app.services.importers.source import (
    FILES,
    QUESTION,
    UNKNOWN,
    VARIABLE,
    Link,
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
)

#: {{#1719593592357.text#}} stands for the output “text” of a node.
_VARIABLE = re.compile(r"\{\{#\s*([^{}#]{1,200}?)\s*#\}\}")
_OPERATORS = {
    "contains": "contains", "not contains": "not_contains", "is": "equals", "=": "equals",
    "is not": "not_equals", "≠": "not_equals", "empty": "is_empty", "not empty": "is_not_empty",
    "null": "is_empty", "not null": "is_not_empty", "exists": "is_not_empty",
    "not exists": "is_empty", ">": "greater", "<": "less", "≥": "greater_or_equal",
    "≤": "less_or_equal", "in": "in",
}  # fmt: skip
_FILE_TYPES = {"file", "file-list", "files"}


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
    reader = _READERS.get(kind)
    if reader is not None:
        reader(step, data, chat)
    else:
        step.refs = _all_refs(data)
    source.add(step)


_COLOURS = {"blue": "blue", "cyan": "blue", "green": "green", "pink": "rose", "violet": "violet"}


def template(value: Any) -> Template:
    """A text with {{#node.name#}} in it."""
    return split_template(text(value), _VARIABLE, lambda m: _ref(m.group(1).split(".")))


def selector(value: Any) -> Ref | None:
    """A list such as ["1719593592357", "text"]."""
    parts = [text(part, 200) for part in items(value)[:6]]
    return _ref(parts) if parts and parts[0] else None


def _ref(parts: list[str]) -> Ref:
    head, name = parts[0].strip(), (parts[1].strip() if len(parts) > 1 else "")
    if head == "sys":
        known = {"query": Ref(QUESTION), "files": Ref(FILES)}
        return known.get(name, Ref(UNKNOWN, name))
    if head in ("env", "conversation"):
        return Ref(VARIABLE, name)
    if head == "context":
        return Ref(UNKNOWN, "context")
    return Ref(head, name)


def _all_refs(data: Any) -> list[Ref]:
    """Every value that settings of an unknown shape speak of."""
    found: dict[Ref, None] = {}
    stack = [data]
    seen = 0
    while stack and seen < 5_000:
        seen += 1
        value = stack.pop()
        if isinstance(value, str):
            for piece in template(value):
                if isinstance(piece, Ref):
                    found[piece] = None
        elif isinstance(value, dict):
            for key, item in value.items():
                if (
                    "selector" in str(key)
                    or (key == "value" and value.get("type") == "variable")
                    or (key == "query" and isinstance(item, list))
                ):
                    ref = selector(item)
                    if ref is not None:
                        found[ref] = None
                stack.append(item)
        elif isinstance(value, list):
            stack.extend(value)
    return [r for r in list(found)[:30] if r.step != UNKNOWN]


# -- node by node ------------------------------------------------------------------------


def _start(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "start"
    inputs: list[dict[str, Any]] = []
    for entry in objects(data.get("variables"))[:60]:
        name = text(entry.get("variable"), 64).strip()
        if not name or any(name == known["name"] for known in inputs):
            continue
        inputs.append(
            {
                "name": name,
                "label": text(entry.get("label"), 120),
                "type": "file" if text(entry.get("type")) in _FILE_TYPES else "text",
                "required": entry.get("required") is True,
                "default": text(entry.get("default"), 5_000),
            }
        )
    step.settings = {"question": chat, "inputs": inputs}


def _llm(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "llm"
    prompts = data.get("prompt_template")
    system: list[str | Ref] = []
    user: list[str | Ref] = []
    entries = objects(prompts) if isinstance(prompts, list) else [mapping(prompts)]
    for entry in entries[:50]:
        role = text(entry.get("role"))
        jinja = text(entry.get("edition_type")) == "jinja2"
        pieces = template(entry.get("jinja2_text") if jinja else entry.get("text"))
        into = system if role == "system" else user
        if into and pieces:
            into.append("\n\n")
        if role == "assistant" and pieces:
            into.append("Assistant: ")
        into.extend(pieces)
    context = mapping(data.get("context"))
    chosen = selector(context.get("variable_selector"))
    if context.get("enabled") is True and chosen is not None:
        step.texts["context"] = (chosen,)
    # {{#context#}} is what the context setting names.
    step.texts["system"] = _with_context(tuple(system), chosen)
    step.texts["user"] = _with_context(tuple(user), chosen)
    _model(step, data)


def _with_context(pieces: Template, chosen: Ref | None) -> Template:
    return tuple(
        (chosen or "") if isinstance(p, Ref) and p == Ref(UNKNOWN, "context") else p for p in pieces
    )


def _model(step: Step, data: Mapping[str, Any]) -> None:
    model = mapping(data.get("model"))
    options = mapping(model.get("completion_params"))
    step.settings.update(
        {
            "model": text(model.get("name"), 200),
            "provider": text(model.get("provider"), 200),
            "temperature": number(options.get("temperature"), 0, 2),
            "max_tokens": whole(options.get("max_tokens"), 1, 32_000),
        }
    )


def _answer(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "output"
    step.texts = {"answer": template(data.get("answer"))}


def _end(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "output"
    for entry in objects(data.get("outputs"))[:40]:
        name, ref = text(entry.get("variable"), 48), selector(entry.get("value_selector"))
        if name and ref is not None:
            step.texts[name] = (ref,)
    if not step.texts:
        step.texts = {"result": ()}


def _retrieval(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "retrieve"
    ref = selector(data.get("query_variable_selector"))
    step.texts["query"] = (ref,) if ref else ()
    several = mapping(data.get("multiple_retrieval_config"))
    weights = mapping(several.get("weights"))
    vector = number(mapping(weights.get("vector_setting")).get("vector_weight"), 0, 1)
    top = whole(several.get("top_k"), 1, 200)
    reranks = (
        several.get("reranking_enable") is True
        and text(several.get("reranking_mode")) == "reranking_model"
    )
    step.settings = {
        "k": min(200, top * 4) if top and reranks else top,
        "rerank": top if reranks else None,
        "semantic_weight": None if vector is None else round(vector * 20) / 20,
        "score_threshold": number(several.get("score_threshold"), 0, 1),
    }


def _template_transform(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "prompt"
    variables = {}
    for entry in objects(data.get("variables"))[:60]:
        ref, name = selector(entry.get("value_selector")), text(entry.get("variable"), 64)
        if ref is not None and name.isidentifier():
            variables[name] = ref
    step.settings = {"jinja": text(data.get("template"), 45_000), "variables": variables}
    step.refs = list(variables.values())


def _if_else(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "branch"
    cases = objects(data.get("cases"))[:30]
    if not cases and data.get("conditions"):
        # Older files have one case, without a list of them.
        cases = [{**data, "case_id": "true"}]
    for position, case in enumerate(cases, 1):
        tests = [_test(entry) for entry in objects(case.get("conditions"))[:20]]
        known = [test for test in tests if test is not None]
        if len(known) < len(tests) or not known:
            step.role = "placeholder"
        step.ways.append(
            Way(
                text(case.get("case_id") or case.get("id"), 100),
                f"case {position}" if len(cases) > 1 else "yes",
                "",
                known,
                text(case.get("logical_operator")) != "or",
            )
        )
    step.ways.append(Way("false", "else"))


def _test(entry: Mapping[str, Any]) -> Test | None:
    left = selector(entry.get("variable_selector"))
    operator = _OPERATORS.get(text(entry.get("comparison_operator")))
    if left is None or operator is None:
        return None
    value = entry.get("value")
    if isinstance(value, str):
        pieces = template(value)
        if len(pieces) == 1 and isinstance(pieces[0], Ref):
            return Test(left, operator, pieces[0])
    right = [text(v, 500) for v in value[:100]] if isinstance(value, list) else text(value, 2_000)
    return Test(left, operator, right)


def _classifier(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "classify"
    ref = selector(data.get("query_variable_selector"))
    step.texts["query"] = (ref,) if ref else ()
    step.texts["instructions"] = template(data.get("instruction") or data.get("instructions"))
    for entry in objects(data.get("classes"))[:40]:
        name = text(entry.get("name"), 300)
        step.ways.append(Way(text(entry.get("id"), 100), name[:60], name))
    _model(step, data)


def _http(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "http"
    body = mapping(data.get("body"))
    content = body.get("data")
    if isinstance(content, list):
        # Newer files list the parts of a body.
        content = "\n".join(text(entry.get("value")) for entry in objects(content))
    step.texts = {
        "url": template(data.get("url")),
        "headers": template(data.get("headers")),
        "params": template(data.get("params")),
        "body": template(content),
    }
    step.settings = {
        "method": text(data.get("method"), 10).upper() or "GET",
        "body_type": text(body.get("type"), 40),
        "authorised": text(mapping(data.get("authorization")).get("type")) not in ("", "no-auth"),
    }


def _extractor(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "extract"
    ref = selector(data.get("query"))
    step.texts["text"] = (ref,) if ref else ()
    step.texts["instructions"] = template(data.get("instruction"))
    step.settings["fields"] = [
        {
            "name": text(entry.get("name"), 60),
            "type": text(entry.get("type"), 40),
            "description": text(entry.get("description"), 500),
            "required": entry.get("required") is True,
        }
        for entry in objects(data.get("parameters"))[:60]
        if text(entry.get("name"))
    ]
    _model(step, data)


def _aggregator(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "merge"
    step.refs = [r for v in items(data.get("variables"))[:60] if (r := selector(v)) is not None]


def _iteration(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "map" if text(data.get("type")) == "iteration" else "loop"
    items_ref, result = (
        selector(data.get("iterator_selector")),
        selector(data.get("output_selector")),
    )
    step.texts["items"] = (items_ref,) if items_ref else ()
    parallel = data.get("is_parallel") is True
    step.settings = {
        "result": result,
        "concurrency": (whole(data.get("parallel_nums"), 1, 64) or 4) if parallel else 1,
        "on_failure": {"remove-abnormal-output": "skip", "continue-on-error": "keep"}.get(
            text(data.get("error_handle_mode")), "fail"
        ),
        "rounds": whole(data.get("loop_count"), 1, 100),
    }


def _document(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = _all_refs(data) or (
        [r] if (r := selector(data.get("variable_selector"))) is not None else []
    )
    if any(ref.step == FILES for ref in step.refs):
        step.role = "file"


def _nothing(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "nothing"


def _code(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = _all_refs(data)
    step.advice = (
        "Code of other systems is not run here. Replace it with a prompt, “Set fields”, or an "
        "HTTP request to a service of yours."
    )


def _assign(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = _all_refs(data)
    step.advice = (
        "Variables keep their values while a workflow runs. Wire the value to where it is used."
    )


def _tool(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = _all_refs(data)
    step.advice = "Replace it with an HTTP request to the same service, or remove it."


def _agent(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = _all_refs(data)
    step.advice = (
        "An agent chooses its steps itself. Draw the steps, or use a generate node instead."
    )


_READERS = {
    "start": _start, "llm": _llm, "answer": _answer, "end": _end,
    "knowledge-retrieval": _retrieval, "template-transform": _template_transform,
    "if-else": _if_else, "question-classifier": _classifier, "http-request": _http,
    "parameter-extractor": _extractor, "variable-aggregator": _aggregator,
    "variable-assigner": _aggregator, "iteration": _iteration, "loop": _iteration,
    "iteration-start": _nothing, "loop-start": _nothing, "document-extractor": _document,
    "code": _code, "assigner": _assign, "tool": _tool, "agent": _agent,
}  # fmt: skip


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
