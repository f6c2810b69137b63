"""What forms compute: kinds of fields, messages, secrets, filters, templates, schemas."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, Field

from app.engine.body import Body
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.registry import Registry
from app.engine.values import Chunks, Text
from app.nodes import register_all
from app.services.hints import FieldHint, Fields, filter_problems
from app.services.workflows.names import example_of, names_of, template_names
from app.ui.forms import config_errors, filters_of
from app.ui.forms.checks import secret_in, secret_name
from app.ui.forms.jsons import read_json, schema_of, schema_problem, schema_rows
from app.ui.forms.kinds import BUILDERS, builder_of
from app.ui.forms.plain import read_scalar, written
from app.ui.forms.templates import inside, offers
from app.ui.schema import Kind, blank, fields


class _Case(BaseModel):
    name: str = Field("", description="What it is called.")
    when: str = Field("", description="An expression.", json_schema_extra={"widget": "code"})


class _Settings(NodeConfig):
    cases: list[_Case] = Field([], max_length=3)
    first: _Case | None = None
    some: list[Literal["a", "b"]] = []
    body: Body = Body()
    form: dict[str, Any] = Field({}, json_schema_extra={"widget": "json_schema"})
    headers: dict[str, str] = Field({}, json_schema_extra={"widget": "headers"})
    value: str | float | bool | None = None
    wait_s: float = Field(1.0, ge=0, le=60)
    k: int = Field(5, ge=1, le=9)
    name: str = Field("", max_length=3)
    unknown: dict[str, list[int]] = {}


class _Toy(Node["_Settings"]):
    """A node."""

    type, title, family, icon = "toy", "Toy", "logic", "toys"
    Config = _Settings

    class Outputs(NodeOutputs):
        """Nothing."""

        text: Text

    async def run(self, chunks: Chunks) -> Outputs:
        """Do nothing."""
        raise NotImplementedError


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.register(_Toy)
    return made


def test_lists_of_objects_bodies_and_schemas_have_fields_of_their_own() -> None:
    found = {f.name: f for f in fields(_Settings.model_json_schema())}
    assert {name: f.kind for name, f in found.items()} == {
        "cases": "objects", "first": "object", "some": "several", "body": "body",
        "form": "json_schema", "headers": "mapping", "value": "value", "wait_s": "number",
        "k": "integer", "name": "text", "unknown": "json",
    }  # fmt: skip
    assert [(p.name, p.kind) for p in found["cases"].parts] == [("name", "text"), ("when", "code")]
    assert found["some"].choices == ("a", "b")
    assert found["wait_s"].unit == "s"
    assert {p.name: blank(p) for p in found["cases"].parts} == {"name": "", "when": ""}


def test_every_kind_has_a_widget_and_a_value_that_does_not_fit_is_shown_as_json() -> None:
    assert set(BUILDERS) == set(get_args(Kind))
    found = {f.name: f for f in fields(_Settings.model_json_schema())}
    assert builder_of(found["k"], 5) is BUILDERS["integer"]
    assert builder_of(found["k"], "five") is BUILDERS["json"]
    assert builder_of(found["cases"], [{"name": "a"}]) is BUILDERS["objects"]
    assert builder_of(found["cases"], ["a"]) is BUILDERS["json"]


def test_every_setting_of_every_node_has_a_fitting_widget() -> None:
    made = Registry()
    register_all(made)
    for cls in made:
        for spec in fields(cls.Config.model_json_schema()):
            default = spec.default
            assert builder_of(spec, default) is BUILDERS[spec.kind], f"{cls.type}.{spec.name}"


def test_messages_say_what_would_be_right(registry: Registry) -> None:
    values = {
        "k": 10, "wait_s": -1, "name": "long", "some": ["c"], "cases": [{"name": 3}],
        "headers": {"a": 1},
    }  # fmt: skip
    assert config_errors(registry, "toy", values) == {
        "k": "Must be at most 9.",
        "wait_s": "Must be at least 0.",
        "name": "At most 3 characters; these are 4.",
        "some": "Row 1: Must be one of: 'a' or 'b'.",
        "cases": "Row 1, name: Must be a text.",
        "headers": "A: Must be a text.",
    }
    assert config_errors(registry, "toy", {"k": {"$expr": "chunks.items | length"}}) == {}
    assert config_errors(registry, "nothing", {"k": 10}) == {}


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("api_key", True), ("apiKey", True), ("OPENAI_API_KEY", True), ("token", True),
        ("Authorization", True), ("db_password", True), ("client_secret", True),
        ("max_tokens", False), ("tokenizer", False), ("keywords", False), ("secretary", False),
        ("key", False),
    ],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str, secret: bool) -> None:
    assert secret_name(name) is secret


def test_secrets_are_found_at_any_depth_and_references_are_none() -> None:
    assert secret_in("data", {"auth": [{"api_key": "abc"}]}) == "data.auth.0.api_key"
    assert secret_in("headers", {"Authorization": "Bearer x"}) == "headers.Authorization"
    assert secret_in("note", "sk-abcdefghijklmnopqrstuv") == "note"
    assert secret_in("rows", [{"name": "password", "value": "x"}]) != ""
    assert secret_in("headers", {"Authorization": "Bearer {{ secret.OPENAI }}"}) == ""
    assert secret_in("api_key", {"$expr": "variables.key"}) == ""
    assert secret_in("max_tokens", 500) == ""


def _known(*hints: FieldHint, whole: bool = True) -> Fields:
    return Fields("Harbour", "c1", hints, documents=5, all_documents=whole)


def test_a_filter_that_nothing_can_match_is_told() -> None:
    known = _known(
        FieldHint("author", "text", 5, ("Ada", "Bob"), all_values=True),
        FieldHint("year", "number", 3, (1999, 2001), all_values=True, low=1999, high=2001),
    )
    assert filter_problems({"author": "Ada", "year": {"$gte": 3000}, "page": 3}, known) == {}
    assert filter_problems({"metadata.author": {"$in": ["Ada", "Eve"]}}, known) == {}
    problems = filter_problems({"autor": "Ada", "author": "Eve", "year": 2000}, known)
    assert "Did you mean “author”?" in problems["autor"]
    assert "No document of “Harbour” has author = “Eve”" in problems["author"]
    assert "year" in problems
    assert "first 5 documents" in filter_problems({"x": 1}, _known(whole=False))["x"]


def test_what_looks_like_a_number_stays_text_in_a_field_of_texts() -> None:
    known = _known(FieldHint("version", "text", 5, ("1", "2")))
    rows = [["version", "$in", "1, 2"], ["page", "$gte", "3"], ["page", "$lte", "9"]]
    assert filters_of(rows, known) == {
        "version": {"$in": ["1", "2"]},
        "page": {"$gte": 3, "$lte": 9},
    }


def test_scalars_are_read_as_what_they_look_like_and_quotes_make_texts() -> None:
    for value in ("abc", "3", 3, 0.5, True, "true", [1, "a"], None, ""):
        assert read_scalar(written(value), optional=value is None) == value
    assert read_scalar('{"a": 1}') == '{"a": 1}'
    assert read_scalar('{"a": 1}', objects=True) == {"a": 1}


def test_json_says_where_it_is_wrong() -> None:
    assert read_json('{"a": 1}') == ({"a": 1}, "")
    assert "line 2" in read_json('{"a": 1,\n}')[1]
    assert "deep" in read_json("[" * 100_000)[1]


def test_schemas_of_flat_objects_are_rows_and_others_stay_json() -> None:
    schema = {
        "type": "object",
        "title": "Invoice",
        "properties": {
            "total": {"type": "number", "description": "In euro."},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["total"],
    }
    rows = schema_rows(schema)
    assert rows is not None
    assert [(r["name"], r["type"], r["required"]) for r in rows] == [
        ("total", "number", True),
        ("tags", "string[]", False),
    ]
    assert schema_of(rows, schema) == schema
    assert schema_rows({"type": "object", "properties": {"a": {"enum": [1]}}}) is None
    assert schema_rows({"anyOf": []}) is None
    assert schema_problem(schema) == ""
    assert "type" in schema_problem({"type": "nonsense"})
    assert "object" in schema_problem([1])


def test_a_template_completes_inside_its_tags_alone() -> None:
    names = {"chunks": [{"content": "Tides", "page": 3}], "question": "When?"}
    assert inside("Hello wo", 8) is None
    assert inside("{{ a }} and {{ qu", 17) == ("{{", " qu")
    assert offers("Hello qu", 8, names) == []
    assert [o["text"] for o in offers("{{ qu", 5, names)] == ["question"]
    loop = "{% for chunk in chunks %}{{ chunk."
    assert {o["text"] for o in offers(loop, len(loop), names)} == {"content", "page"}
    ended = "{% for chunk in chunks %}x{% endfor %}{{ chu"
    assert [o["text"] for o in offers(ended, len(ended), names)] == ["chunks"]
    assert "for" in {o["text"] for o in offers("{% f", 4, names)}


def test_names_hold_the_last_values_and_else_an_example_of_their_type() -> None:
    ports = _Toy.input_ports()
    example = names_of(ports, {}, {"question": "When?"}, {"limit": 3})
    assert example["chunks"]["items"][0]["score"] == 0.0
    assert example["input"] == {"question": "When?"}
    assert example["variables"] == {"limit": 3}
    assert names_of(ports, {"chunks": {"items": []}})["chunks"] == {"items": []}
    assert set(example_of(Chunks)) == {"items", "knowledge_base_id", "commit"}
    prompt = template_names("prompt", {"query": {"text": "t", "original": "o"}, **example})
    assert (prompt["question"], prompt["query"]) == ("o", "t")
    assert prompt["chunks"][0]["number"] == 1


def test_settings_count_beside_those_they_are_for() -> None:
    from app.nodes.documents import Chunk

    found = {f.name: f for f in fields(Chunk.Config.model_json_schema())}
    defaults = {name: spec.default for name, spec in found.items()}

    def counting(**values: object) -> set[str]:
        return {name for name, spec in found.items() if not spec.counts(values, defaults)}

    assert counting() == {
        "parent_size",
        "breakpoint_percentile",
        "breakpoint_model",
        "languages",
    }
    assert "parent_size" not in counting(strategy="parent_child")
    assert "breakpoint_model" not in counting(strategy="semantic")
    assert "languages" not in counting(split_languages=True)
    # What an expression decides on is shown.
    assert counting(strategy={"$expr": "x"}) == {"languages"}


def test_checks_have_a_field_of_their_own() -> None:
    from app.documents.quality import DEFAULT_ACTIONS
    from app.nodes.indexing import QualityCheck

    found = {f.name: f for f in fields(QualityCheck.Config.model_json_schema())}
    assert found["validators"].kind == "validators"
    assert found["validators"].default == DEFAULT_ACTIONS
