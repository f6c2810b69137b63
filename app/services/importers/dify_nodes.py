"""What each type of Dify's nodes is, in terms that all importers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.services.importers.dify_refs import all_refs, selector, template
from app.services.importers.source import (
    FILES,
    UNKNOWN,
    Ref,
    Step,
    Template,
    Test,
    Way,
    items,
    mapping,
    number,
    objects,
    text,
    whole,
)

_OPERATORS = {
    "contains": "contains", "not contains": "not_contains", "is": "equals", "=": "equals",
    "is not": "not_equals", "≠": "not_equals", "start with": "starts_with", "end with": "ends_with",
    "empty": "is_empty", "not empty": "is_not_empty",
    "null": "is_empty", "not null": "is_not_empty", "exists": "is_not_empty",
    "not exists": "is_empty", ">": "greater", "<": "less", "≥": "greater_or_equal",
    "≤": "less_or_equal", "in": "in",
}  # fmt: skip
_FILE_TYPES = {"file", "file-list", "files"}


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
        if any(isinstance(piece, Ref) for piece in pieces):
            # A test compares with words or with a value, not with both in one.
            return Test(left, operator, pieces[0]) if len(pieces) == 1 else None
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
    step.refs = all_refs(data) or (
        [r] if (r := selector(data.get("variable_selector"))) is not None else []
    )
    if any(ref.step == FILES for ref in step.refs):
        step.role = "file"


def _nothing(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.role = "nothing"


def _code(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = all_refs(data)
    step.advice = (
        "Code of other systems is not run here. Replace it with a prompt, “Set fields”, or an "
        "HTTP request to a service of yours."
    )


def _assign(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = all_refs(data)
    step.advice = (
        "Variables keep their values while a workflow runs. Wire the value to where it is used."
    )


def _tool(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = all_refs(data)
    step.advice = "Replace it with an HTTP request to the same service, or remove it."


def _agent(step: Step, data: Mapping[str, Any], chat: bool) -> None:
    step.refs = all_refs(data)
    step.advice = (
        "An agent chooses its steps itself. Draw the steps, or use a generate node instead."
    )


READERS = {
    "start": _start, "llm": _llm, "answer": _answer, "end": _end,
    "knowledge-retrieval": _retrieval, "template-transform": _template_transform,
    "if-else": _if_else, "question-classifier": _classifier, "http-request": _http,
    "parameter-extractor": _extractor, "variable-aggregator": _aggregator,
    "variable-assigner": _aggregator, "iteration": _iteration, "loop": _iteration,
    "iteration-start": _nothing, "loop-start": _nothing, "document-extractor": _document,
    "code": _code, "assigner": _assign, "tool": _tool, "agent": _agent,
}  # fmt: skip
