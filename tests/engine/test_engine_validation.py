"""Every problem of a workflow at once, each with its place and what would fit."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from toy_nodes import make_graph, toy_registry

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.unfit import unfit
from app.engine.validation import validate
from app.engine.wiring import bypass, resolve_types
from app.engine.wording import bad_setting

REGISTRY = toy_registry()


def found(graph: Graph) -> dict:
    """Code -> problem; every problem names a fix."""
    problems = validate(graph, REGISTRY)
    assert all(p.message and p.fix for p in problems)
    return {p.code: p for p in problems}


def test_a_good_workflow_has_no_problems():
    graph = make_graph(
        {"in": "say", "up": "upper", "both": "join"},
        "in.text>up.text in.text>both.texts up.text>both.texts",
        {"joined": ("both", "text")},
    )
    assert validate(graph, REGISTRY) == []


def test_all_problems_come_at_once():
    graph = make_graph(
        {
            "a": {"type": "upper", "config": {"times": 99, "colour": "red"}},
            "b": "upper",
            "lonely": "ask",
            "x": "nonsense",
            "m": "measure",
            "u": "upper",
        },
        "a.text>b.text b.text>a.text a.text>m.text m.length>u.text a.nothing>m.other b.text>m.text",
        {"gone": ("nobody", "text"), "mute": ("m", "sound")},
    )
    codes = sorted(p.code for p in validate(graph, REGISTRY) if p.severity == "error")
    assert codes == [
        "bad_config",
        "bad_config",
        "cycle",
        "too_many_wires",
        "type_mismatch",
        "unconnected_input",
        "unknown_port",
        "unknown_port",
        "unknown_type",
        "unreachable_output",
        "unreachable_output",
    ]


def test_an_empty_workflow():
    assert set(found(Graph())) == {"empty_graph"}


def test_a_cycle_is_named_node_by_node():
    graph = make_graph(
        {"a": "upper", "b": "upper", "c": "upper", "d": "upper"},
        "a.text>b.text b.text>c.text c.text>a.text c.text>d.text",
    )
    cycle = found(graph)["cycle"]
    assert sorted(cycle.found) == ["a", "b", "c"]
    assert cycle.node in cycle.found
    assert "wait for each other" in cycle.message


def test_a_node_wired_to_itself_is_a_cycle():
    assert found(make_graph({"a": "upper"}, "a.text>a.text"))["cycle"].found == ["a"]


def test_each_cycle_is_one_problem():
    graph = make_graph(
        dict.fromkeys("abcd", "upper"), "a.text>b.text b.text>a.text c.text>d.text d.text>c.text"
    )
    assert [p.code for p in validate(graph, REGISTRY)].count("cycle") == 2


def test_an_unknown_type_suggests_the_closest_one():
    problem = found(make_graph({"x": "uper"}))["unknown_type"]
    assert (problem.node, problem.found, problem.expected) == ("x", "uper", "upper")
    assert "upper" in problem.fix
    assert "package" in found(make_graph({"x": "zzz"}))["unknown_type"].fix


def test_an_unconnected_input_names_what_could_be_connected():
    graph = make_graph({"in": "say", "m": "measure", "up": "upper"}, "in.text>m.text")
    problem = found(graph)["unconnected_input"]
    assert (problem.node, problem.port) == ("up", "text")
    assert problem.expected == {"type": "Text", "sources": ["in.text"]}
    assert problem.fix == "Connect in.text to it."


def test_an_unconnected_input_names_nodes_to_add_where_nothing_fits():
    problem = found(make_graph({"up": "upper"}))["unconnected_input"]
    assert "“Say”" in problem.fix


def test_optional_inputs_may_stay_open_and_lists_take_many():
    graph = make_graph(
        {"in": "say", "h": "hint", "j": "join"},
        "in.text>h.text in.text>j.texts h.text>j.texts",
    )
    assert validate(graph, REGISTRY) == []


def test_types_that_do_not_fit_name_both_sides_and_the_ways_out():
    graph = make_graph(
        {"in": "say", "q": "ask", "h": "hint"},
        "in.text>q.text in.text>h.text q.query>h.hint",
    )
    problem = found(graph)["type_mismatch"]
    assert problem.message == "q.query gives Query, but h.hint takes Text."
    assert problem.edge == ("q", "query", "h", "hint")
    assert (problem.node, problem.port, problem.found) == ("h", "hint", "Query")
    assert problem.expected["type"] == "Text"
    assert problem.expected["sources"] == ["in.text"]
    assert "in.text" in problem.fix


def test_a_type_that_does_not_fit_names_converters_and_other_inputs():
    graph = make_graph(
        {"in": "say", "m": "measure", "q": "ask"},
        "in.text>m.text in.text>q.text m.length>q.text",
    )
    assert found(graph)["type_mismatch"].expected["converters"] == []
    graph = make_graph({"in": "say", "m": "measure", "q": "ask"}, "in.text>m.text m.length>q.text")
    problem = found(graph)["type_mismatch"]
    assert problem.expected["sources"] == ["in.text"]
    text_into_flag = make_graph({"in": "say", "c": "choose"}, "in.text>c.value in.text>c.nothing")
    assert found(text_into_flag)["unknown_port"].expected == ["value"]


def test_a_source_behind_the_node_is_no_suggestion():
    graph = make_graph({"u": "upper", "v": "upper"}, "u.text>v.text")
    assert found(graph)["unconnected_input"].expected["sources"] == []


def test_the_type_of_a_passed_on_value_is_known():
    graph = make_graph(
        {"in": "say", "q": "ask", "c": "choose", "f": "first", "up": "upper"},
        "in.text>q.text q.query>c.value c.yes>f.values c.no>f.values f.value>up.text",
    )
    types = resolve_types(graph, REGISTRY)
    assert types["c", "yes"].type_name == "Query"
    assert types["f", "value"].type_name == "Query"
    problem = found(graph)["type_mismatch"]
    assert (problem.found, problem.expected["type"]) == ("Query", "Text")


def test_mixed_passed_on_values_fit_everywhere_until_the_run():
    graph = make_graph(
        {"in": "say", "q": "ask", "f": "first", "up": "upper"},
        "in.text>q.text q.query>f.values in.text>f.values f.value>up.text",
    )
    assert resolve_types(graph, REGISTRY)["f", "value"].type_name == "Any"
    assert validate(graph, REGISTRY) == []


def test_bad_settings_are_told_field_by_field():
    graph = make_graph(
        {
            "in": "say",
            "u": {"type": "upper", "config": {"times": 99}},
            "v": {"type": "upper", "config": {"times": "x", "size": 1}},
        },
        "in.text>u.text in.text>v.text",
    )
    problems = {(p.node, p.field): p for p in validate(graph, REGISTRY)}
    assert set(problems) == {("u", "times"), ("v", "times"), ("v", "size")}
    assert problems["u", "times"].found == 99
    assert "it has to be at most 9" in problems["u", "times"].message
    assert problems["u", "times"].fix == "How often, 1 to 9."
    assert "Its settings: times, label" in problems["v", "size"].fix


def test_settings_that_do_not_go_together_are_told_without_the_name_of_one():
    class Pair(BaseModel):
        @model_validator(mode="after")
        def _together(self):
            raise ValueError("one of them is enough.")

    with pytest.raises(ValidationError) as raised:
        Pair()
    problem = bad_setting("u", "Upper", REGISTRY.get("upper"), raised.value.errors()[0])
    assert problem.message == "“Upper”: one of them is enough."
    assert (problem.expected, problem.field) == ("one of them is enough", "")


def test_two_wires_into_a_single_input():
    graph = make_graph(
        {"a": "say", "b": "say", "u": "upper"}, "a.text>u.text b.text>u.text", {"x": ("u", "text")}
    )
    problem = found(graph)["too_many_wires"]
    assert (problem.node, problem.port) == ("u", "text")
    assert problem.found == ["a.text", "b.text"]
    assert "“Join”" in problem.fix


def test_a_wire_drawn_twice():
    graph = make_graph({"a": "say", "j": "join"}, "a.text>j.texts a.text>j.texts")
    problem = found(graph)["duplicate_edge"]
    assert problem.edge == ("a", "text", "j", "texts")
    graph = make_graph({"a": "say", "u": "upper"}, "a.text>u.text a.text>u.text")
    assert set(found(graph)) == {"duplicate_edge"}


def test_wires_to_nodes_that_do_not_exist():
    graph = make_graph({"a": "say"}, "a.text>ghost.text ghost.text>a.text")
    codes = [(p.code, p.node, p.found) for p in validate(graph, REGISTRY)]
    assert ("unknown_node", "a", "ghost") in codes


def test_nothing_is_said_about_ports_of_unknown_nodes():
    graph = make_graph({"a": "say", "x": "alien", "u": "upper"}, "a.text>x.in x.out>u.text")
    assert set(found(graph)) == {"unknown_type"}


def test_results_that_do_not_exist():
    graph = make_graph(
        {"a": "say"}, outputs={"x": ("a", "sound"), "y": ("b", "text"), "z": ("a", "text")}
    )
    problems = [p for p in validate(graph, REGISTRY) if p.code == "unreachable_output"]
    assert [p.field for p in problems] == ["graph.outputs.x", "graph.outputs.y"]
    assert problems[0].expected == ["text"]


def test_a_result_behind_a_disabled_node_is_a_warning():
    graph = make_graph(
        {"a": "say", "m": {"type": "measure", "disabled": True}, "f": "first"},
        "a.text>m.text m.length>f.values",
        {"x": ("f", "value")},
    )
    problem = found(graph)["unreachable_output"]
    assert problem.severity == "warning"
    # A disabled node of the same type in and out lets values through.
    graph = make_graph(
        {"a": "say", "u": {"type": "upper", "disabled": True}, "v": "upper"},
        "a.text>u.text u.text>v.text",
        {"x": ("v", "text")},
    )
    assert validate(graph, REGISTRY) == []


def test_a_node_no_result_needs_is_a_warning_unless_it_acts():
    graph = make_graph(
        {"a": "say", "u": "upper", "s": "store"},
        "a.text>u.text a.text>s.text",
        {"x": ("a", "text")},
    )
    problems = validate(graph, REGISTRY)
    assert [(p.code, p.node, p.severity) for p in problems] == [("unused_node", "u", "warning")]


def test_disabled_and_pinned_nodes_need_no_inputs_or_settings():
    bad = {"type": "upper", "config": {"times": 99}}
    graph = make_graph(
        {
            "a": {**bad, "disabled": True},
            "b": {**bad, "pinned": {"text": {"text": "given"}}},
            "j": "join",
        },
        "a.text>j.texts b.text>j.texts",
        {"x": ("j", "text")},
    )
    assert validate(graph, REGISTRY) == []


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"sound": {"text": "x"}}, "no output “sound”"),
        ({"text": {"words": "x"}}, "text.text"),
        ({"text": "x"}, "“text”"),
    ],
)
def test_given_outputs_that_do_not_fit(outputs, says):
    graph = make_graph({"u": {"type": "say", "pinned": outputs, "on_error": {"fallback": outputs}}})
    problems = found(graph)
    assert set(problems) == {"bad_pinned", "bad_fallback"}
    assert says in problems["bad_pinned"].message
    assert problems["bad_fallback"].field == "fallback"


def test_given_outputs_of_an_open_type_name_their_type():
    def graph(data):
        return make_graph({"f": {"type": "first", "pinned": {"value": data}}})

    assert validate(graph({"type": "Text", "value": {"text": "x"}}), REGISTRY) == []
    assert "bad_pinned" in found(graph({"text": "x"}))
    assert "bad_pinned" in found(graph({"type": "Smell", "value": {}}))


def test_node_versions():
    newer = make_graph({"u": {"type": "say", "version": 7}})
    problem = found(newer)["newer_node"]
    assert (problem.found, problem.expected) == (7, 1)
    older = make_graph({"u": {"type": "upper", "version": 1, "config": {"repeat": "2"}}})
    assert "bad_config" not in found(older)
    broken = make_graph({"u": {"type": "upper", "version": 1, "config": {"repeat": "many"}}})
    assert "migration_failed" in found(broken)


def test_how_disabled_nodes_pass_values_on():
    def get(name):
        return bypass(REGISTRY.get(name))

    assert get("upper") == {"text": "text"}
    assert get("choose") == {"yes": "value"}
    assert get("first") == {"value": "values"}
    assert get("measure") == {}
    assert get("say") == {}


# -- properties ---------------------------------------------------------------------------


@st.composite
def random_wiring(draw):
    ids = [f"n{i}" for i in range(draw(st.integers(1, 8)))]
    graph = Graph(nodes={i: NodeSpec(id=i, type="join") for i in ids})
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), unique=True, max_size=16)
    )
    graph.edges = [EdgeSpec(a, "text", b, "texts") for a, b in pairs]
    return graph


@given(random_wiring())
@settings(max_examples=200, deadline=None)
def test_a_cycle_is_reported_exactly_where_there_is_one(graph):
    cycles = [p.found for p in validate(graph, REGISTRY) if p.code == "cycle"]
    skeleton = graph.skeleton()
    assert bool(cycles) == (not nx.is_directed_acyclic_graph(skeleton))
    for ids in cycles:
        steps = zip(ids, [*ids[1:], ids[0]], strict=True)
        assert all(skeleton.has_edge(a, b) for a, b in steps)


kinds = st.sampled_from(["say", "upper", "join", "choose", "first", "measure", "store", "alien"])
port_names = st.sampled_from(["text", "texts", "value", "values", "yes", "no", "length", "query"])


@given(
    st.lists(kinds, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 7), port_names, st.integers(0, 7), port_names), max_size=12),
    st.sets(st.integers(0, 5)),
)
@settings(max_examples=200, deadline=None)
def test_any_wiring_gets_an_answer(types, wires, disabled):
    graph = make_graph(
        {f"n{i}": {"type": t, "disabled": i in disabled} for i, t in enumerate(types)},
        outputs={"x": ("n0", "text")},
    )
    graph.edges = [EdgeSpec(f"n{a}", out, f"n{b}", into) for a, out, b, into in wires]
    problems = validate(graph, REGISTRY)
    assert all(p.message and p.fix for p in problems)
    before = graph.dump()
    assert validate(Graph.parse(before), REGISTRY) == problems


def test_a_large_workflow_is_checked_quickly():
    names = [f"n{i}" for i in range(5_000)]
    graph = Graph(nodes={n: NodeSpec(id=n, type="join") for n in names})
    graph.edges = [
        EdgeSpec(names[i], "text", names[min(i + step, 4_999)], "texts")
        for i in range(4_999)
        for step in (1, 2, 3, 4)
    ]
    assert {p.code for p in validate(graph, REGISTRY)} <= {"duplicate_edge", "unconnected_input"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"count": "x"}, "it has to be a whole number"),
        ({"count": 0}, "it has to be at least 1"),
        ({"count": 5000}, "it has to be at most 4,000"),
        ({"ratio": []}, "it has to be a number"),
        ({"on": "maybe"}, "it has to be true or false"),
        ({"name": ""}, "it is empty"),
        ({"name": "abcd"}, "it has to have at most 3 characters"),
        ({"names": "x"}, "it has to be a list"),
        ({"names": ["a", "b"]}, "it has to have at most 1 item"),
        ({"facts": 1}, "it has to be an object"),
        ({"facts": {"a": 1, "b": 2}}, "it has to have at most 1 entry"),
        ({"count": "9" * 5_000}, "it has too many digits"),
        ({"took": "long"}, "it has to be a duration such as 01:30:00"),
        ({"kinds": 1}, "it has to be a list"),
        ({"mode": "c"}, "it has to be “a” or “b”"),
        ({"other": 1}, "there is nothing of that name here"),
        ({}, "it is missing"),
    ],
)
def test_what_does_not_fit_is_told_without_words_of_python(value, said):
    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        must: int
        count: int = Field(1, ge=1, le=4000)
        ratio: float = 1
        on: bool = True
        name: str = Field("a", min_length=1, max_length=3)
        names: tuple[str, ...] = Field((), max_length=1)
        facts: dict[str, int] = Field({}, max_length=1)
        took: timedelta = timedelta(0)
        kinds: frozenset[str] = frozenset()
        mode: Literal["a", "b"] = "a"

    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"must": 1, **value} if value else {})
    assert [unfit(item) for item in raised.value.errors()] == [said]


def test_what_is_frozen_need_not_be_a_list():
    assert unfit({"type": "frozen_field", "msg": "Field is frozen"}) == "Field is frozen"
