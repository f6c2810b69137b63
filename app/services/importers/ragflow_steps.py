"""What each of RAGFlow's components is, in terms that all importers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.services.importers.ragflow_refs import all_refs, bare, template
from app.services.importers.source import (
    Ref,
    Step,
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
    "contains": "contains", "not contains": "not_contains", "start with": "starts_with",
    "end with": "ends_with", "empty": "is_empty", "not empty": "is_not_empty", "=": "equals",
    "≠": "not_equals", "!=": "not_equals", ">": "greater", "<": "less", "≥": "greater_or_equal",
    ">=": "greater_or_equal", "≤": "less_or_equal", "<=": "less_or_equal",
}  # fmt: skip


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


def _retrieval(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "retrieve"
    step.texts["query"] = bare(params.get("query"))
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
    step.texts["query"] = bare(params.get("query"))
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
    left = bare(entry.get("cpn_id"))
    operator = _OPERATORS.get(text(entry.get("operator")))
    if len(left) != 1 or operator is None:
        return None
    found = left[0] if isinstance(left[0], Ref) else Ref(left[0].strip())
    # Parts of texts are looked for in any case, whole texts are not.
    match_case = operator in ("equals", "not_equals")
    return Test(found, operator, text(entry.get("value"), 2_000), match_case)


def _iteration(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "map"
    step.texts["items"] = bare(params.get("items_ref") or params.get("query"))
    step.settings = {"result": None, "concurrency": 1, "on_failure": "fail"}


def _loop(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "loop"
    step.refs = all_refs(params)
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
        value = bare(entry.get("ref")) or (text(entry.get("value")),)
        lines.extend((f"{text(entry.get('key'), 100)}:", *value, "\n"))
    method = text(params.get("method"), 10).upper() or "GET"
    step.texts["params" if method == "GET" else "form"] = tuple(lines)
    step.settings = {"method": method, "body_type": "json", "authorised": bool(headers)}


def _aggregator(step: Step, params: Mapping[str, Any]) -> None:
    step.role = "merge"
    step.refs = all_refs(params)


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


READERS = {
    "begin": _begin, "agent": _agent, "llm": _agent, "generate": _agent, "retrieval": _retrieval,
    "message": _message, "answer": _answer, "categorize": _categorize, "switch": _switch,
    "iteration": _iteration, "iterationitem": _nothing, "loop": _loop, "loopitem": _nothing,
    "invoke": _invoke, "variableaggregator": _aggregator, "file": _files, "parser": _parser,
    "tokenchunker": _chunker, "splitter": _chunker, "titlechunker": _chunker,
    "tokenizer": _tokenizer,
}  # fmt: skip
ADVICE = {
    "codeexec": "Code of other systems is not run here. Replace it with a prompt, “Set fields”, "
    "or an HTTP request to a service of yours.",
    "exesql": "Databases are not asked from here. Put an HTTP service in front of it and request "
    "that, or export the tables into a knowledge base.",
}
