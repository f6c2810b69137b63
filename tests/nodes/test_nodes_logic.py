"""Ways through a graph: conditions, switches, merges, values worked out, variables."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import graph_of, problems, run
from nodes_world import SmallWorld, chunk

from app.engine.problems import NodeFailed
from app.engine.values import Answer, Chunks, Documents, Json, Number, PortValue, Table, Text
from app.nodes.logic import Merge, Switch
from app.nodes.variables import Compute


@pytest.mark.parametrize(
    ("expression", "asked", "yes"),
    [
        ("value.text | length > 3", "long enough", True),
        ("value.text | length > 3", "no", False),
        ("subject.text == value.text and input.question == 'hi'", "hi", True),
        ("variables.limit > 3", "hi", False),
        ("value.text", "false", False),
    ],
)
async def test_a_condition_may_be_an_expression(
    world: SmallWorld, expression: str, asked: str, yes: bool
) -> None:
    graph = graph_of(
        {
            "ask": "question",
            "if": ("condition", {"expression": expression}),
            "a": "output",
            "b": "output",
        },
        "ask.query>if.value if.yes>a.value if.no>b.value",
        {"yes": "a.value", "no": "b.value"},
        {"limit": 3},
    )
    got = await run(world, graph, question=asked)
    assert got.last.status == "completed", got.failed
    assert (got.outputs.get("yes") is not None) is yes
    assert got.skipped == {"b" if yes else "a"}


def switch(cases: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"cases": cases, **more}


async def test_a_switch_takes_the_first_case_that_holds(world: SmallWorld) -> None:
    cases = [
        {"name": "short", "expression": "value.text | length < 4"},
        {"name": "German", "equals": "Hallo"},
        {"name": "greeting", "expression": "value.text in ['Hello', 'Hallo']"},
    ]
    for text, taken, every in (
        ("Hi", "short", {"short"}),
        ("hallo", "German", {"German"}),
        ("Hallo", "German", {"German", "greeting"}),
        ("Something", "otherwise", {"otherwise"}),
    ):
        graph = graph_of(
            {"in": "text_input", "switch": ("switch", switch(cases))}, "in.text>switch.value"
        )
        got = await run(world, graph, text=text)
        assert list(got.finished("switch").outputs) == [taken]
        both = graph_of(
            {"in": "text_input", "switch": ("switch", switch(cases, take="all"))},
            "in.text>switch.value",
        )
        assert set((await run(world, both, text=text)).finished("switch").outputs) == every


async def test_a_switch_has_an_output_for_each_case_and_only_those(world: SmallWorld) -> None:
    config = switch([{"name": "a b", "equals": 1}, {"name": "c", "equals": True}])
    assert list(Switch.outputs_for(config)) == ["a b", "c", "otherwise"]
    for junk in ({}, {"cases": 7}, {"cases": [None, {"name": ">"}, {"name": 5}]}):
        assert list(Switch.outputs_for(junk)) == ["otherwise"]
    graph = graph_of(
        {"in": "text_input", "switch": ("switch", config), "out": "output"},
        "in.text>switch.value switch.d>out.value",
    )
    (found,) = (p for p in problems(graph) if p.code == "unknown_port")
    assert "a b, c, otherwise" in found.fix


def test_what_a_switch_needs_is_said_before_it_runs() -> None:
    def codes(config: dict[str, Any]) -> set[str]:
        graph = graph_of({"in": "text_input", "switch": ("switch", config)}, "in.text>switch.value")
        return {p.code for p in problems(graph)}

    assert "no_cases" in codes({})
    assert "empty_case" in codes(switch([{"name": "a"}]))
    for cases in (
        [{"name": "a", "equals": 1}, {"name": "a", "equals": 2}],
        [{"name": "otherwise", "equals": 1}],
        [{"name": "a", "expression": "value.("}],
        [{"name": "a", "expression": "nobody.knows"}],
        [{"name": "a", "expression": "value | attr('__class__')"}],
        [{"name": f"n{n}", "equals": 1} for n in range(41)],
    ):
        assert "bad_config" in codes(switch(cases)), cases


A = Chunks(items=(chunk(1, "x", score=0.2), chunk(2, "y", score=0.1)), knowledge_base_id="kb")
B = Chunks(items=(chunk(3, "z", score=0.9), chunk(1, "x")), knowledge_base_id="kb")


@pytest.mark.parametrize(
    ("mode", "values", "wanted"),
    [
        ("first", [A, B], A),
        ("best", [A, B], B),
        ("best", [Number(value=1), Number(value=3), Number(value=3)], Number(value=3)),
        ("best", [Answer(text="a", abstained=True, confidence=0.9), Answer(text="b")],
         Answer(text="b")),
        ("concatenate", [Text(text="a"), Text(text="b")], Text(text="a\n\nb")),
        ("concatenate", [Json(data=[1]), Json(data=[2, [3]])], Json(data=[1, 2, [3]])),
        ("concatenate", [Documents(), Documents()], Documents()),
        ("concatenate",
         [Table(columns=("a", "b"), rows=((1, 2),)), Table(columns=("b", "c"), rows=((3, 4), (5,)))],
         Table(columns=("a", "b", "c"), rows=((1, 2, None), (None, 3, 4), (None, 5, None)))),
    ],
)  # fmt: skip
async def test_merging_by_mode(
    world: SmallWorld, mode: str, values: list[PortValue], wanted: PortValue
) -> None:
    out = await Merge(Merge.Config(mode=mode)).run(values, world.context())
    assert out.value == wanted


async def test_the_best_by_an_expression_and_all_as_a_list(world: SmallWorld) -> None:
    values = [Text(text="long one"), Text(text="short")]
    node = Merge(Merge.Config(mode="best", score="0 - (value.text | length)"))
    assert (await node.run(values, world.context())).value == values[1]
    listed = (await Merge(Merge.Config(mode="all")).run(values, world.context())).value
    assert listed.type_name == "Values"
    assert [item["value"]["text"] for item in listed.items] == ["long one", "short"]
    assert Merge.outputs_for({"mode": "all"})["value"].type_name == "Values"
    for score in ("", "value.text"):
        with pytest.raises(NodeFailed, match="no score"):
            await Merge(Merge.Config(mode="best", score=score)).run(values, world.context())
    for odd in ([A, Text(text="t")], [Json(data={}), Json(data=[])], [Number(value=1)] * 2):
        with pytest.raises(NodeFailed, match="cannot be joined"):
            await Merge(Merge.Config(mode="concatenate")).run(odd, world.context())


async def test_branches_that_meet_again(world: SmallWorld) -> None:
    graph = graph_of(
        {
            "in": "text_input",
            "switch": ("switch", switch([{"name": "a", "equals": "a"}])),
            "up": ("compute", {"results": [
                {"name": "out", "expression": "value.text | upper", "value_type": "Text"}]}),
            "merge": "merge",
        },
        "in.text>switch.value switch.a>up.value up.out>merge.values switch.otherwise>merge.values",
        {"out": "merge.value"},
    )  # fmt: skip
    assert (await run(world, graph, text="a")).outputs == {"out": {"text": "A"}}
    assert (await run(world, graph, text="b")).outputs == {"out": {"text": "b"}}


async def test_values_are_worked_out_in_order(world: SmallWorld) -> None:
    results = [
        {"name": "words", "expression": "text.text | wordcount", "value_type": "Number"},
        {"name": "many", "expression": "words > variables.limit", "value_type": "Flag"},
        {"name": "said", "expression": "'many' if many else 'few'", "value_type": "Text"},
        {"name": "same", "expression": "text", "value_type": "Text"},
        {"name": "rest", "expression": "{'missing': other, 'who': input.who}"},
    ]
    config = {
        "inputs": [{"name": "text"}, {"name": "other", "required": False}],
        "results": results,
    }
    graph = graph_of(
        {"in": "text_input", "compute": ("compute", config)},
        "in.text>compute.text",
        variables={"limit": 2},
    )
    outputs = (await run(world, graph, text="one two three", who="me")).finished("compute").outputs
    assert outputs == {
        "words": {"value": 3},
        "many": {"value": True},
        "said": {"text": "many"},
        "same": {"text": "one two three"},
        "rest": {"data": {"missing": None, "who": "me"}},
    }
    assert [p.type_name for p in Compute.outputs_for(config).values()] == [
        "Number", "Flag", "Text", "Text", "Json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "value_type", "code"),
    [
        ("text.text", "Number", "bad_value"),
        ("text.nothing", "Text", "bad_expression"),
        ("range(10000000) | list | length", "Number", "bad_expression"),
    ],
)
async def test_expressions_that_fail_say_why(
    world: SmallWorld, expression: str, value_type: str, code: str
) -> None:
    results = [{"name": "out", "expression": expression, "value_type": value_type}]
    graph = graph_of(
        {"in": "text_input", "compute": ("compute", {"inputs": [{"name": "text"}],
                                                     "results": results})},
        "in.text>compute.text",
    )  # fmt: skip
    failed = (await run(world, graph, text="abc")).failed["compute"]
    assert failed.code == code
    assert failed.fix


def test_names_of_computed_values_cannot_clash() -> None:
    good = {"name": "a", "expression": "value"}
    for config in (
        {"results": [good, good]},
        {"results": [{"name": "input", "expression": "value"}]},
        {"results": [{"name": "a b", "expression": "value"}]},
        {"inputs": [{"name": "x"}], "results": [good]},
        {"results": [{"name": "b", "expression": "later"}, {"name": "later", "expression": "1"}]},
        {"results": []},
    ):
        with pytest.raises(ValueError, match=r"."):
            Compute.Config(**config)


async def test_variables_of_the_workflow(world: SmallWorld) -> None:
    nodes = {
        "tone": ("variable", {"name": "tone"}),
        "limit": ("variable", {"name": "limit", "value_type": "Number", "default": 5}),
    }
    outputs = {"tone": "tone.value", "limit": "limit.value"}
    got = await run(world, graph_of(nodes, "", outputs, {"tone": "dry", "other": 1}))
    assert got.outputs == {"tone": {"text": "dry"}, "limit": {"value": 5}}
    failed = (await run(world, graph_of(nodes, "", outputs))).failed["tone"]
    assert failed.code == "unknown_variable"
    wrong = await run(world, graph_of(nodes, "", outputs, {"tone": "x", "limit": "many"}))
    assert wrong.failed["limit"].code == "bad_value"
