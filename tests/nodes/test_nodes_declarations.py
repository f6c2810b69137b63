"""Every built-in node is a complete declaration that people can read."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from app.engine.describe import node_type
from app.engine.node import Node
from app.engine.registry import Registry
from app.nodes import register_all

_registry = Registry()
register_all(_registry)
CLASSES = _registry.all()

STABLE = (
    "question text_input file_input chat_history variable inlet preprocess prompt as_question "
    "split_text parse_json collect retrieve rerank diversify generate ask_model extract_data validate "
    "condition switch classify merge map loop attempt workflow approval compute http_request placeholder "
    "files fetch_pages extract split_languages route_documents set_metadata chunk quality_check enrich index answer_output output"
)
WIDGETS = {
    "knowledge_base", "embedding_model", "llm_model", "reranker", "ref", "files", "filters",
    "template", "slider", "textarea", "chunker", "expression", "cases", "body", "json_schema",
    "headers", "key_value", "validators",
}  # fmt: skip


def test_the_types_are_the_stable_ones_and_registering_twice_is_harmless() -> None:
    register_all(_registry)
    assert [cls.type for cls in CLASSES] == STABLE.split()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.type)
def test_a_node_explains_itself(cls: type[Node[Any]]) -> None:
    described = node_type(cls)
    assert described["family"] in (
        "inputs", "text", "retrieval", "generation", "checks", "logic", "documents", "outputs"
    )  # fmt: skip
    assert len(inspect.getdoc(cls) or "") > 40
    assert described["description"].endswith(".")
    for port in (*described["inputs"], *described["outputs"]):
        assert port["help"], port["name"]
    for name, field in described["config_schema"].get("properties", {}).items():
        assert field.get("description"), name
        assert field.get("widget") in {None, *WIDGETS}, name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.type)
def test_defaults_are_valid_unknown_settings_are_not_and_the_summary_is_words(
    cls: type[Node[Any]],
) -> None:
    config = cls.Config()
    cls(config)
    with pytest.raises(ValueError, match="Extra inputs"):
        cls.Config(nonsense=1)
    summary = cls.summary(config.model_dump())
    assert summary == cls.summary({})
    assert summary
    assert len(summary) < 80
    assert not re.search(r"[{}_]|None", summary)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.type)
def test_every_number_has_bounds(cls: type[Node[Any]]) -> None:
    def numbers(schema: Any) -> list[dict[str, Any]]:
        if isinstance(schema, dict):
            own = [schema] if schema.get("type") in ("number", "integer") else []
            return own + [n for value in schema.values() for n in numbers(value)]
        return [n for item in schema for n in numbers(item)] if isinstance(schema, list) else []

    if cls.type in ("condition", "switch", "variable"):  # Any number there is.
        return
    for number in numbers(cls.Config.model_json_schema()):
        assert {"minimum", "exclusiveMinimum"} & set(number), number
        assert {"maximum", "exclusiveMaximum"} & set(number) or number.get("default") == 0, number


@pytest.mark.parametrize("kind", ["retrieve", "index"])
def test_a_node_without_a_knowledge_base_warns(kind: str) -> None:
    cls = next(c for c in CLASSES if c.type == kind)
    (told,) = cls.problems({"knowledge_base": "  "})
    code, message, fix, severity = told
    assert (code, message, severity) == (
        "missing_setting", "No knowledge base is chosen.", "warning",
    )  # fmt: skip
    assert fix
    assert cls.problems({"knowledge_base": "Docs"}) == []
    assert cls.problems({"knowledge_base": {"$": "inputs.base"}}) == []
