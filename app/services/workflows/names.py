"""Names that expressions and templates of a node may use, with values to show and to try."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.engine.node import Port
from app.engine.values import PortValue

_DEEPEST = 4


def names_of(
    ports: Mapping[str, Port],
    inputs: Mapping[str, Any],
    input_data: Mapping[str, Any] | None = None,
    variables: Any = None,
    types: Mapping[str, type[PortValue]] | None = None,
) -> dict[str, Any]:
    """Name -> value: of the last run where there was one, else an example of the port's type.

    `inputs` is JSON data of a step by port, `input` what the run was given. `types` says what
    the wires bring to ports that take anything.
    """
    found: dict[str, Any] = {}
    for name, port in ports.items():
        value = inputs.get(name)
        if value is None:
            example = example_of((types or {}).get(name, port.value_type))
            value = [example] if port.many else example
        found[name] = value
    found["input"] = dict(input_data or {})
    found["variables"] = dict(variables) if isinstance(variables, Mapping) else {}
    return found


def code_names(
    kind: str,
    names: Mapping[str, Any],
    outputs: Mapping[str, Port],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Names that a node's own expressions know besides its inputs.

    `outputs` are its output ports, `results` JSON data of what they gave last.
    """
    found = dict(names)
    if kind in ("condition", "switch") and not found.get("subject"):
        found["subject"] = found.get("value")
    elif kind == "merge":
        values = found.get("values")
        found["value"] = values[0] if isinstance(values, list) and values else {}
    elif kind in ("loop", "compute"):
        for name, port in outputs.items():
            value = results.get(name)
            found.setdefault(name, example_of(port.value_type) if value is None else value)
        if kind == "loop":
            found.setdefault("round", 1)
    return found


def example_of(model: type[BaseModel], depth: int = 0) -> dict[str, Any]:
    """JSON data of the shape of a model: empty texts, zeros, and lists of one."""
    if depth >= _DEEPEST:
        return {}
    return {name: _example(field.annotation, depth) for name, field in model.model_fields.items()}


def _example(hint: Any, depth: int) -> Any:
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, _Union) and arms:
        return _example(next((a for a in arms if a is not type(None)), str), depth)
    if origin in (list, tuple, set, frozenset):
        return [_example(arms[0], depth)] if arms else []
    if origin is dict or hint is dict:
        return {}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return example_of(hint, depth + 1)
    return _PLAIN.get(hint)


_Union = type(int | str)
_PLAIN: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False}


def template_names(kind: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Names that the templates of a node type know.

    A prompt is written for people: it calls a question by its words and passages by number.
    """
    if kind != "prompt":
        return dict(names)
    query, answer = _mapping(names.get("query")), _mapping(names.get("answer"))
    texts = [_mapping(t).get("text", "") for t in names.get("texts") or ()]
    chunks = _mapping(names.get("chunks")).get("items") or ()
    own = {name: value for name, value in names.items() if name not in _OF_PROMPT}
    return {
        **own,
        "question": query.get("original", ""),
        "query": query.get("text", ""),
        "chunks": [
            {"number": number, **{key: chunk.get(key) for key in _OF_CHUNK}}
            for number, chunk in enumerate(list(chunks)[:50], 1)
            if isinstance(chunk, Mapping)
        ],
        "text": texts[0] if texts else "",
        "texts": texts,
        "answer": answer.get("text", ""),
        "data": _mapping(names.get("data")).get("data"),
    }


#: Inputs of a prompt that have other names in its template, and what it does not know.
_OF_PROMPT = frozenset({"query", "chunks", "texts", "answer", "data", "input"})
_OF_CHUNK = ("content", "document_name", "page", "headings", "score", "language", "metadata")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
