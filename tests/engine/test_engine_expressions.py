"""Expressions in settings: what they can say, and what they cannot reach."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_bodies import REGISTRY, BodyBench
from toy_nodes import make_graph

from app.engine import sandbox
from app.engine.cache import MemoryCache
from app.engine.expressions import check, complete, dotted, evaluate, find, put
from app.engine.options import RunOptions
from app.engine.plan import make_plan
from app.engine.problems import NodeFailed
from app.engine.validation import validate

NAMES = {
    "chunks": {"items": [{"content": "b", "score": 0.5}, {"content": "a", "score": 0.9}]},
    "question": {"text": "why", "keys": 3},
    "long": {"text": "x" * 20_000},
    "n": {"value": 3},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("chunks.items | length", 2),
        ("question.text | upper", "WHY"),
        ("question['text']", "why"),
        ("question.keys", 3),
        ("chunks.items[0].content", "b"),
        ("chunks.items[-1].score > 0.8", True),
        ("chunks.items | map(attribute='content') | sort | join(', ')", "a, b"),
        ("chunks.items | selectattr('score', 'gt', 0.8) | map(attribute='content')", ["a"]),
        ("chunks.items | selectattr('score', '>', 0.8) | list | length", 1),
        ("'a' if n.value >= 3 else 'b'", "a"),
        ("n.value + 2 - 1", 4),
        ("not (n.value in [1, 2]) and true", True),
        ("missing | default('x')", "x"),
        ("question.missing | default(7)", 7),
        ("nothing is none", True),
        ("(1, 2)", [1, 2]),
        ("{'a': [n.value]}", {"a": [3]}),
        ("range(3)", [0, 1, 2]),
        ("question | tojson", '{"text": "why", "keys": 3}'),
        ("2.345 | round(1)", 2.3),
        ("'<b>x</b> < y' | striptags", "x < y"),
        ("long.text | truncate(5)", "xx..."),
        ("chunks.items | groupby('score') | map('first') | list", [0.5, 0.9]),
    ],
)
def test_what_can_be_said(source, value):
    assert evaluate(source, NAMES) == value
    assert check(source, [*NAMES, "missing"]) == []


ATTACKS = [
    "''.__class__.__mro__",
    "''['__class__']",
    "question.__class__",
    "question['__class__']",
    "question | attr('__class__')",
    "[''] | map('attr', '__class__') | list",
    "[''] | map(attribute='__class__') | list",
    "chunks.items | map(attribute='__class__.__mro__') | list",
    "chunks.items.__len__()",
    "question.text.upper()",
    "question.text.format(1)",
    "range.__globals__",
    "range.__class__",
    "lipsum.__globals__",
    "cycler.__init__.__globals__.os",
    "self.__dict__",
    "__made__([1])",
    "__each__",
    "joiner",
    "namespace(x=1)",
    "dict(a=1)",
    "'a' ~ 'b'",
    "'a' * 1000000",
    "2 ** 99",
    "'%999999999d' % 1",
    "7 // 2",
    "'a' + 'b'",
    "[1] + [2]",
    "['a'] | map('center', 1000000000) | list",
    "'a' | center(1000000000)",
    "1 | round(1000000000, 'ceil')",
    "1 | round(10, 'os')",
    "'a' | replace('a', 'b')",
    "'a' | format(1)",
    "'a' | indent(99)",
    "[1] | batch(2)",
    "[[1]] | sum(start=[])",
    "'x' | filesizeformat",
    "'x' | urlize",
    "'x' | pprint",
    "'x' | xmlattr",
    "'x' | random",
    "'x' is callable",
    "'x' is sameas 'x'",
    "'x' is filter",
    "1 }} {% for x in range(9) %}{% endfor %} {{ 1",
    "1 %} {% set x = 1",
    "{# comment #} 1",
    "x for x in [1]",
    "lambda: 1",
    "import os",
    "1; 2",
    "1 2",
    "",
    "  ",
    "question.",
    "(",
    "(" * 5_000,
    "not " * 5_000 + "1",
    "[" * 300 + "]" * 300,
    "-" * 3_000 + "1",
    "1" + " | abs" * 300,
    "range(999999999)",
    "range(100000) | map('string') | map('upper') | map('lower') | join(long.text)",
    "range(100000) | map(attribute='zz', default=long.text) | list",
    "range(100000) | map(attribute='zz', default=long.text) | join",
    "range(100000) | map(attribute='zz', default=long.text) | list | string",
    "long.text | truncate(9, true, '__class__'.__add__)",
    "missing",
    "question.missing",
    "nothing.text",
    "chunks.items[9]",
    "1 / 0",
    "chunks.items > 3",
    "1 in 2",
    "a" * 60_000,
]


@pytest.mark.parametrize("source", ATTACKS, ids=range(len(ATTACKS)))
def test_what_cannot_be_reached_or_grown(source):
    started = time.process_time()
    with pytest.raises(NodeFailed) as raised:
        evaluate(source, NAMES)
    assert raised.value.code == "bad_expression"
    assert raised.value.fix
    assert len(raised.value.message) < 1_000
    # Far above what it takes, far below what the attack would take.
    assert time.process_time() - started < 30


def test_a_list_that_holds_itself_many_times_is_weighed():
    """Each level holds the one before it a hundred times; only the brackets are small."""
    source = "'x'"
    for _ in range(12):
        source = f"[{source}] | map('default', 1) | list"
    assert evaluate(source, {}) is not None
    big = json.dumps(["y" * 200] * 150)
    with pytest.raises(NodeFailed, match=r"more than (16 MB|100,000 steps)"):
        evaluate(f"range(20000) | map(attribute='q', default={big}) | list", {})


def test_time_is_limited(monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.0)
    with pytest.raises(NodeFailed, match="takes longer than"):
        evaluate("range(100000) | list", {})


class Spy:
    """Something that must never be called or looked into."""

    touched = False

    def __getattribute__(self, name):
        if not name.startswith("__"):
            Spy.touched = True
        return object.__getattribute__(self, name)

    def secret(self) -> str:
        Spy.touched = True
        return "secret"


_TOKENS = st.sampled_from(
    [
        "spy",
        "spy.secret",
        "spy.secret()",
        "['__class__']",
        ".items",
        ".text",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        ",",
        ".",
        "'",
        '"',
        "~",
        "*",
        "**",
        "%",
        "+",
        "-",
        "==",
        ">",
        "in",
        "is",
        "not",
        "and",
        "or",
        "if",
        "else",
        "map(attribute='secret')",
        "attr('secret')",
        "list",
        "string",
        "tojson",
        "join",
        "__class__",
        "__globals__",
        "range",
        "range(9)",
        "1",
        "2",
        "'x'",
        "question",
        "default(spy)",
        "select",
        "sort",
        "{{",
        "}}",
        "{%",
        "%}",
        "set",
        "for",
        "import",
        "self",
        "lipsum",
        "cycler",
    ]
)


@given(st.lists(_TOKENS, max_size=12).map(" ".join) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_an_expression_or_an_error_and_calls_nothing(source):
    Spy.touched = False
    problems = check(source, ["spy", "question"])
    try:
        value = evaluate(source, {"spy": Spy(), **NAMES})
    except NodeFailed:
        pass
    else:
        json.dumps(value)  # JSON data, nothing alive
        assert "bound method" not in str(value)
        assert not [p for p in problems if "cannot" in p.message]
    assert not Spy.touched


@pytest.mark.parametrize("source", ["n > 4", "n < t"])
def test_a_whole_value_in_place_of_its_field_is_told(source):
    with pytest.raises(NodeFailed) as raised:
        evaluate(source, {"n": {"value": 5}, "t": {"text": "a"}})
    assert "n.value" in raised.value.fix
    for wrong in ("n + 1", "t.text + t.text", "t.text ~ t.text"):
        with pytest.raises(NodeFailed, match="join") as raised:
            evaluate(wrong, {"n": {"value": 5}, "t": {"text": "a"}})
    assert evaluate("[t.text, t.text] | join", {"t": {"text": "a"}}) == "aa"
    with pytest.raises(NodeFailed, match="has no value"):
        evaluate("t.text | truncate(2)", {"t": {"text": "abcdefgh"}})


@pytest.mark.parametrize(
    ("source", "message", "fix"),
    [
        ("t.nope", "“nope” is no field there; fields: text", "default"),
        ("n.value.value + 1", "a number has no field “value”", "default"),
        ("l[5]", "there is no item 5 in a list of 1", "default"),
        ("nope.x", "'nope' is undefined", "Use one of: l, n, t"),
        ("n.value - t.text", "not on a number and a text", "| float"),
        ("t.text > 3", "“>” cannot compare a text with a number", "| float"),
        ("n.value | join", "a number is no list", "Look at the values"),
        ("range(100001) | list", "“range” gives up to 100,000 numbers.", "Look at the values"),
        ("{{ t.text }}", "cannot be read", "without {{ and }}"),
        ("t.text | split", "cannot use the filter “split”", "Split text"),
    ],
)
def test_what_fails_is_told_in_plain_words(source, message, fix):
    with pytest.raises(NodeFailed) as raised:
        evaluate(source, {"n": {"value": 5}, "t": {"text": "a"}, "l": [1]})
    assert message in raised.value.message
    assert ".." not in raised.value.message
    assert fix in raised.value.fix


# -- checking and completing --------------------------------------------------------------


def test_names_that_are_not_there_are_told():
    (problem,) = check("chunks.items | length + other.text", ["chunks"])
    assert problem.code == "bad_expression"
    assert "“other”" in problem.message
    assert "chunks, input, variables" in problem.fix
    assert check("input.question + variables.x", []) == []
    assert "cannot be read" in check("chunks.", ["chunks"])[0].message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ch", ["chunks"]),
        ("", ["chunks", "question", "long", "n", "nothing", "input", "variables"]),
        ("question.", ["text", "keys"]),
        ("question.te", ["text"]),
        ("chunks.items[0].", ["content", "score"]),
        ("chunks.items.", []),
        ("chunks.items | le", ["length"]),
        ("n.value is eq", ["eq", "equalto"]),
        ("n.value > 2 an", ["and"]),
        ("'quest", []),
        ("unknown.", []),
        ("len('question.') + question.t", ["text"]),
    ],
)
def test_what_could_come_next(source, expected):
    assert [s["text"] for s in complete(source, len(source), NAMES)] == expected


def test_suggestions_say_what_is_behind_them():
    found = {s["text"]: s for s in complete("", 0, NAMES)}
    assert found["chunks"]["help"] == "has items"
    assert found["long"]["value"].endswith("…")
    assert len(found["long"]["value"]) <= 80
    (length,) = complete("x | lengt", 9, NAMES)
    assert length == {"text": "length", "help": "how many there are", "value": None}
    assert [s["text"] for s in complete("question. | upper", 9, NAMES)] == ["text", "keys"]


@given(st.text(max_size=60), st.integers(-5, 70))
@settings(max_examples=200, deadline=None)
def test_completing_anything_at_any_place_works(source, cursor):
    for suggestion in complete(source, cursor, NAMES):
        assert set(suggestion) == {"text", "help", "value"}


# -- in settings --------------------------------------------------------------------------


def expr(source: str) -> dict:
    return {"$expr": source}


def test_expressions_are_found_but_not_inside_of_workflows():
    config = {
        "a": expr("1"),
        "b": [{"c": expr("2")}, {"$expr": "3", "more": 1}, {"$expr": 4}],
        "body": {"graph": {"graph": {"format": "ragloom/1"}, "nodes": [{"config": expr("5")}]}},
    }
    found = find(config)
    assert found == {("a",): "1", ("b", 0, "c"): "2"}
    assert [dotted(path) for path in found] == ["a", "b.0.c"]
    values = put(config, {("a",): 1, ("b", 0, "c"): 2})
    assert (values["a"], values["b"][0]) == (1, {"c": 2})
    assert config["a"] == expr("1")
    assert config["b"][0] == {"c": expr("2")}


def graph_with(**config):
    return make_graph(
        {"in": "say", "up": {"type": "upper", "config": config}},
        "in.text>up.text",
        {"out": ("up", "text")},
    )


async def test_a_setting_is_worked_out_from_what_comes_in():
    bench = BodyBench(MemoryCache())
    graph = graph_with(times=expr("text.text | length"), label=expr("input.who ~ ''"))
    assert [p.field for p in validate(graph, REGISTRY)] == ["label"]
    graph = graph_with(times=expr("text.text | length + variables.more"))
    graph.extra["variables"] = {"more": 1}
    assert validate(graph, REGISTRY) == []
    last = await bench.go(graph, text="ab")
    assert last.outputs == {"out": {"text": "AB" * 3}}
    bench.world.ran()
    assert (await bench.go(graph, text="ab")).outputs == last.outputs
    assert bench.world.ran() == set()
    graph.extra["variables"] = {"more": 2}
    await bench.go(graph, text="ab")
    assert bench.events.reasons()["up"] == "config.times 3 → 4"
    graph = graph_with(times=expr("text.text | length + 2"))
    await bench.go(graph, text="ab")
    assert bench.events.reasons()["up"] == (
        "expression of times text.text | length + variables.more → text.text | length + 2"
    )


async def test_a_setting_may_read_what_the_run_was_given():
    for source, reads in (("input.times", None), ("text.text | length", ())):
        plan = make_plan(graph_with(times=expr(source)), REGISTRY)
        assert plan.nodes["up"].reads == reads


async def test_an_expression_that_fails_or_does_not_fit_is_the_nodes_failure():
    bench = BodyBench()
    last = await bench.go(graph_with(times=expr("text.text | length + 20")), text="ab")
    assert (last.status, last.problem.code, last.problem.field) == ("failed", "bad_config", "times")
    last = await bench.go(graph_with(times=expr("text.wrong")), text="ab")
    assert last.problem.code == "bad_expression"
    assert last.problem.message.startswith("“Upper”, setting “times”: The expression")
    assert not bench.world.runs["up"]


async def test_an_expression_sees_a_value_typed_in_for_the_run():
    bench = BodyBench()
    options = RunOptions(
        only=("up",),
        inputs={"up": {"text": {"text": "abc"}}},
        config={"up": {"times": expr("text.text | length")}},
    )
    assert (await bench.go(graph_with(), options)).outputs == {"out": {"text": "ABC" * 3}}


def test_settings_beside_an_expression_are_still_checked():
    problems = validate(graph_with(times=expr("1"), label=3, more=expr("2")), REGISTRY)
    assert {(p.code, p.field) for p in problems} == {("bad_config", "label")}
    problems = validate(graph_with(times=expr("oops.x")), REGISTRY)
    assert [(p.code, p.node, p.field) for p in problems] == [("bad_expression", "up", "times")]


async def test_an_input_that_did_not_come_is_nothing():
    graph = make_graph(
        {"in": "say", "h": "hint", "up": {"type": "upper"}},
        "in.text>h.text h.text>up.text",
        {"out": ("up", "text")},
    )
    graph.nodes["up"].config = {"times": expr("1 if text is none else 2")}
    assert (await BodyBench().go(graph, text="a")).outputs["out"] == {"text": "A (NO HINT)" * 2}
