"""Workflows inside workflows: as a step, for every item, until something holds, in a try."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from graphs import Outcome, all_nodes, body_of, graph_of, problems, run
from nodes_world import SmallWorld, chunk

from app.engine.context import NodeContext
from app.engine.graph import Graph
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import RagloomError
from app.engine.values import Answer, AnswerSentence, Chunks, Citation, Text
from app.nodes.bodies import Inlet
from app.nodes.people import reworded
from app.nodes.rounds import Loop, Map


def compute(name: str, expression: str, kind: str = "Text", *inputs: str) -> tuple[str, Any]:
    given = [{"name": n} for n in inputs or ("value",)]
    results = [{"name": name, "expression": expression, "value_type": kind}]
    return "compute", {"inputs": given, "results": results}


def shout() -> dict[str, Any]:
    """A body: the item in large letters."""
    graph = graph_of(
        {"in": ("inlet", {"name": "item", "value_type": "Text"}),
         "up": compute("loud", "value.text | upper")},
        "in.value>up.value",
        {"loud": "up.loud"},
    )  # fmt: skip
    return body_of(graph, {"item": "Text"}, {"loud": "Text"})


def reader() -> dict[str, Any]:
    """A body: the item read as JSON."""
    graph = graph_of(
        {"in": ("inlet", {"name": "item", "value_type": "Text"}), "parse": "parse_json"},
        "in.value>parse.text",
        {"data": "parse.data"},
    )
    return body_of(graph, {"item": "Text"}, {"data": "Json"})


def around(kind: str, config: Mapping[str, Any], port: str, source: str = "text_input") -> Graph:
    out = {"text_input": "text", "inlet": "value", "split_text": "parts"}[source]
    return graph_of({"in": source, "node": (kind, config)}, f"in.{out}>node.{port}")


async def mapped(world: SmallWorld, text: str, **config: Any) -> Outcome:
    graph = graph_of(
        {"in": "text_input", "split": "split_text", "node": ("map", config)},
        "in.text>split.text split.parts>node.items",
    )
    return await run(world, graph, text=text)


def texts(values: Any) -> list[Any]:
    return [next(iter(item["value"].values())) for item in values["items"]]


async def test_a_workflow_is_a_step(world: SmallWorld) -> None:
    got = await run(world, around("workflow", {"body": shout()}, "item"), text="hi")
    assert got.finished("node").outputs == {"loud": {"text": "HI"}}
    assert got.finished("node/up").outputs == {"loud": {"text": "HI"}}


async def test_input_nodes_inside_take_what_comes_in(world: SmallWorld) -> None:
    inner = graph_of({"ask": "question"}, "", {"asked": "ask.query"})
    body = body_of(inner, {"question": "Text"}, {"asked": "Query"})
    got = await run(world, around("workflow", {"body": body}, "question"), text="Why?")
    assert got.finished("node").outputs["asked"]["text"] == "Why?"


class Stored:
    """Stored workflows in memory."""

    def __init__(self, *revisions: Graph) -> None:
        self.revisions = revisions

    async def graph(
        self, workflow_id: str, revision: int | None = None
    ) -> tuple[Mapping[str, Any], int]:
        number = revision or len(self.revisions)
        if workflow_id != "w1" or number > len(self.revisions):
            raise RagloomError("There is no such workflow.", code="not_found")
        return self.revisions[number - 1].dump(), number


async def test_a_stored_workflow_is_pinned_to_a_revision(world: SmallWorld) -> None:
    def version(sign: str) -> Graph:
        return graph_of(
            {"in": ("inlet", {"name": "item"}), "tag": ("variable", {"default": sign})},
            "",
            {"out": "tag.value"},
        )

    world.workflows = Stored(version("first"), version("second"))  # type: ignore[attr-defined]
    interface = {"inputs": [{"name": "item"}], "outputs": [{"name": "out", "type": "Text"}]}
    for revision, said in ((1, "first"), (2, "second"), (None, "second")):
        body = {"workflow": "w1", "revision": revision, "interface": interface}
        got = await run(world, around("workflow", {"body": body}, "item"), text="x")
        assert got.finished("node").outputs == {"out": {"text": said}}
    body = {"workflow": "w1", "revision": 9, "interface": interface}
    got = await run(world, around("workflow", {"body": body}, "item"), text="x")
    assert got.failed["node"].code == "missing_workflow"


async def test_a_map_keeps_the_order_of_its_items(world: SmallWorld) -> None:
    lines = "\n".join(f"line {n}" for n in range(30))
    got = await mapped(world, lines, body=shout(), concurrency=8)
    assert texts(got.finished("node").outputs["loud"]) == [f"LINE {n}" for n in range(30)]
    assert got.finished("node").outputs["failed"] == {"data": []}
    assert got.finished("node[3]/up").outputs == {"loud": {"text": "LINE 3"}}


async def test_an_empty_list_gives_empty_lists(world: SmallWorld) -> None:
    got = await mapped(world, "", body=shout())
    assert got.finished("node").outputs == {"loud": {"items": []}, "failed": {"data": []}}


async def test_a_failed_item_fails_is_left_out_or_kept(world: SmallWorld) -> None:
    lines = '{"a": 1}\nnonsense\n[2]'
    failed = (await mapped(world, lines, body=reader())).failed["node"]
    assert failed.code == "bad_json"
    assert "Item 2 of 3" in failed.message
    skip = (await mapped(world, lines, body=reader(), on_failure="skip")).finished("node").outputs
    assert texts(skip["data"]) == [{"a": 1}, [2]]
    (fault,) = skip["failed"]["data"]
    assert (fault["index"], fault["code"]) == (1, "bad_json")
    keep = (await mapped(world, lines, body=reader(), on_failure="keep")).finished("node").outputs
    assert [list(item) for item in texts(keep["data"])[:2]] == [["a"], ["error"]]
    assert len(texts(keep["data"])) == 3


async def test_a_map_has_a_limit(world: SmallWorld) -> None:
    failed = (await mapped(world, "a\nb\nc", body=shout(), max_items=2)).failed["node"]
    assert failed.code == "too_many_items"


class Meet(Node[NodeConfig]):
    """Goes on once `wanted` of its kind are there at the same time."""

    type, title, family, icon = "meet", "Meet", "logic", "groups"
    wanted: ClassVar[int] = 3
    here: ClassVar[int] = 0
    most: ClassVar[int] = 0
    enough: ClassVar[asyncio.Event]

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, text: Text, ctx: NodeContext) -> Outputs:
        cls = Meet
        cls.here += 1
        cls.most = max(cls.most, cls.here)
        if cls.here == cls.wanted:
            cls.enough.set()
        await asyncio.wait_for(cls.enough.wait(), 20)
        await asyncio.sleep(0)
        cls.here -= 1
        return self.Outputs(text=text)


async def test_a_map_works_on_as_many_as_it_may_and_no_more(world: SmallWorld) -> None:
    Meet.here, Meet.most, Meet.enough = 0, 0, asyncio.Event()
    inner = graph_of(
        {"in": ("inlet", {"name": "item", "value_type": "Text"}), "meet": "meet"},
        "in.value>meet.text",
        {"out": "meet.text"},
    )
    graph = graph_of(
        {"in": "text_input", "split": "split_text",
         "node": ("map", {"body": body_of(inner, {"item": "Text"}, {"out": "Text"}),
                          "concurrency": 3})},
        "in.text>split.text split.parts>node.items",
    )  # fmt: skip
    got = await run(world, graph, all_nodes(Meet), text="\n".join("abcdefgh"))
    assert got.last.status == "completed", got.failed
    assert Meet.most == 3


async def test_every_kind_of_list_falls_into_items(world: SmallWorld) -> None:
    inner = graph_of(
        {"in": ("inlet", {"name": "item"}), "n": ("inlet", {"name": "index"}),
         "same": ("inlet", {"name": "prefix"}),
         "out": compute("out", "{'item': item, 'n': n, 'p': p.text}", "Json", "item", "n", "p")},
        "in.value>out.item n.value>out.n same.value>out.p",
        {"out": "out.out"},
    )  # fmt: skip
    body = body_of(inner, {"item": "Any", "index": "Number", "prefix": "Text"}, {"out": "Json"})
    assert list(Map.inputs_for({"body": body})) == ["items", "prefix"]
    chunks = Chunks(items=(chunk(1, "x"), chunk(2, "y")))
    for value, second in (
        (chunks.model_dump(mode="json"), {"items": [chunks.items[1].model_dump(mode="json")],
                                          "knowledge_base_id": None, "commit": None}),
        ({"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}, {"data": {"a": 3, "b": 4}}),
        ({"data": ["p", "q"]}, {"text": "q"}),
    ):  # fmt: skip
        graph = graph_of(
            {"list": "inlet", "pre": "text_input", "node": ("map", {"body": body})},
            "list.value>node.items pre.text>node.prefix",
        )
        got = await run(world, graph, value=value, text="P")
        assert got.last.status == "completed", got.failed
        assert texts(got.finished("node").outputs["out"])[1] == {
            "item": second, "n": {"value": 1}, "p": "P",
        }  # fmt: skip


def counting(until: str, **more: Any) -> Graph:
    inner = graph_of(
        {"in": ("inlet", {"name": "count", "value_type": "Number"}),
         "step": ("inlet", {"name": "step", "value_type": "Number"}),
         "add": compute("count", "a.value + b.value", "Number", "a", "b")},
        "in.value>add.a step.value>add.b",
        {"count": "add.count"},
    )  # fmt: skip
    body = body_of(inner, {"count": "Number", "step": "Number"}, {"count": "Number"})
    return graph_of(
        {"start": ("variable", {"value_type": "Number", "default": 0}),
         "by": ("variable", {"value_type": "Number", "default": 2}),
         "node": ("loop", {"body": body, "until": until, **more})},
        "start.value>node.count by.value>node.step",
    )  # fmt: skip


async def test_a_loop_ends_when_its_condition_holds(world: SmallWorld) -> None:
    got = await run(world, counting("count.value >= 5"))
    assert got.finished("node").outputs == {
        "count": {"value": 6}, "rounds": {"value": 3}, "reached": {"value": True},
    }  # fmt: skip
    assert got.finished("node[2]/add").outputs == {"count": {"value": 4}}
    assert (await run(world, counting("round == 2"))).finished("node").outputs["count"] == {
        "value": 4
    }


async def test_a_loop_ends_anyway(world: SmallWorld) -> None:
    got = await run(world, counting("count.value > 1000", max_rounds=4))
    assert got.finished("node").outputs["reached"] == {"value": False}
    assert got.finished("node").outputs["rounds"] == {"value": 4}
    failed = await run(world, counting("count.value > 1000", max_rounds=4, at_limit="fail"))
    assert failed.failed["node"].code == "loop_limit"
    with pytest.raises(ValueError, match="nobody"):
        Loop.Config(until="nobody > 3")


async def test_a_try_goes_on_when_it_fails(world: SmallWorld) -> None:
    graph = graph_of(
        {"in": "text_input", "node": ("attempt", {"body": reader()}), "a": "output", "b": "output"},
        "in.text>node.item node.data>a.value node.error>b.value",
        {"data": "a.value", "error": "b.value"},
    )
    well = await run(world, graph, text="[1]")
    assert well.outputs == {"data": {"data": [1]}, "error": None}
    badly = await run(world, graph, text="nonsense")
    assert badly.last.status == "completed"
    assert badly.outputs["data"] is None
    assert badly.outputs["error"]["data"]["code"] == "bad_json"
    assert "a" in badly.skipped


async def test_a_try_has_fallback_values_and_tries_again(world: SmallWorld) -> None:
    config = {"body": reader(), "fallback": {"data": {"none": True}}, "tries": 2, "wait": 0}
    got = await run(world, around("attempt", config, "item"), text="nonsense")
    outputs = got.finished("node").outputs
    assert outputs["data"] == {"data": {"none": True}}
    assert outputs["error"]["data"]["code"] == "bad_json"
    assert {e.node_id for e in got.events if e.kind == "node_failed"} == {
        "node[1]/parse", "node[2]/parse",
    }  # fmt: skip
    graph = around("attempt", {"body": reader(), "fallback": {"other": 1}}, "item")
    assert "no result “other”" in " ".join(p.message for p in problems(graph))


@pytest.mark.parametrize("kind", ["workflow", "map", "loop", "attempt"])
def test_a_node_without_a_workflow_inside_is_a_problem(kind: str) -> None:
    found = {p.code: p for p in problems(graph_of({"node": kind}))}
    assert found["no_body"].severity == "error"
    for junk in ({"body": 5}, {"body": {"interface": {"inputs": [1, {"name": 2}]}}}):
        cls = all_nodes().get(kind)
        assert cls is not None
        assert set(cls.inputs_for(junk)) <= {"items"}
        assert cls.outputs_for(junk) is not None
        assert cls.summary(junk)


def test_a_map_needs_an_inlet_for_its_item() -> None:
    inner = graph_of({"a": ("inlet", {"name": "a"}), "b": ("inlet", {"name": "b"})})
    body = body_of(inner, {"a": "Any", "b": "Any"}, {"x": "Any"})
    assert [code for code, *_ in Map.problems({"body": body})] == ["no_item_inlet"]
    assert Map.problems({"body": body, "item": "b"}) == []


async def test_an_inlet_on_its_own_reads_the_input_of_the_run(world: SmallWorld) -> None:
    for kind, given, wanted in (
        ("Any", "text", {"text": "text"}),
        ("Any", {"type": "Number", "value": {"value": 3}}, {"value": 3}),
        ("Json", {"a": 1}, {"data": {"a": 1}}),
        ("Query", "Why?", {"text": "Why?", "original": "Why?"}),
        ("Table", {"columns": ["a"], "rows": [[1]]}, {"columns": ["a"], "rows": [[1]]}),
    ):
        graph = graph_of({"in": ("inlet", {"name": "x", "value_type": kind})})
        outputs = (await run(world, graph, x=given)).finished("in").outputs
        assert wanted.items() <= outputs["value"].items()
    required = graph_of({"in": "inlet"})
    assert (await run(world, required)).failed["in"].code == "missing_input"
    optional = graph_of({"in": ("inlet", {"required": False})})
    assert (await run(world, optional)).last.status == "completed"
    assert Inlet.outputs_for({"value_type": "Chunks"})["value"].value_type is Chunks
    assert "unknown_type_name" in {
        p.code for p in problems(graph_of({"in": ("inlet", {"value_type": "Odd"})}))
    }


async def test_a_person_decides(world: SmallWorld) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    answers: list[dict[str, Any]] = []

    async def decide(run_id: str, node_id: str, message: str, form: dict[str, Any]) -> Any:
        asked.append((message, form))
        return answers.pop(0)

    def graph(**config: Any) -> Graph:
        return graph_of(
            {"in": "text_input",
             "ask": ("approval", {"message": "Send “{{ value.text }}”?", **config}),
             "sent": "output", "kept": "output"},
            "in.text>ask.value ask.approved>sent.value ask.rejected>kept.value",
            {"sent": "sent.value", "kept": "kept.value"},
        )  # fmt: skip

    answers.append({"approved": True, "comment": "fine", "by": "Ada"})
    got = await run(world, graph(), approvals=decide, text="Hello")
    assert got.outputs == {"sent": {"text": "Hello"}, "kept": None}
    assert asked[0][0] == "Send “Hello”?"
    assert asked[0][1] == {
        "value_type": "Text", "value": {"text": "Hello"}, "editable": False, "comment": True,
    }  # fmt: skip
    assert got.finished("ask").outputs["decision"] == {
        "data": {"approved": True, "comment": "fine", "by": "Ada"}
    }
    assert any(e.kind == "node_waiting" for e in got.events)

    answers.append({"approved": False, "comment": "no"})
    got = await run(world, graph(), approvals=decide, text="Hello")
    assert got.outputs == {"sent": None, "kept": {"text": "Hello"}}

    for changed in ("Hi", {"text": "Hi"}):
        answers.append({"approved": True, "value": changed})
        got = await run(world, graph(allow_edit=True), approvals=decide, text="Hello")
        assert got.outputs["sent"] == {"text": "Hi"}
    answers.append({"approved": True, "value": "Hello"})
    assert (await run(world, graph(), approvals=decide, text="Hello")).outputs["sent"]
    for allow, changed in ((False, "Hi"), (True, 7)):
        answers.append({"approved": True, "value": changed})
        got = await run(world, graph(allow_edit=allow), approvals=decide, text="Hello")
        assert got.failed["ask"].code == "bad_decision"
    assert (await run(world, graph(), text="Hello")).failed["ask"].code == "no_approvals"


def test_what_is_inside_is_counted_without_its_inlets() -> None:
    assert Map.summary({"body": shout()}).startswith("1 step inside")


def test_an_answer_in_other_words_cites_what_these_still_name() -> None:
    citations = tuple(
        Citation(number=n, chunk_id=f"c{n}", document_id="d", document_name="a.md", quote="q")
        for n in (1, 2)
    )
    answer = Answer(
        text="One. [1] Two. [2]",
        sentences=(
            AnswerSentence(text="One.", citations=(1,)),
            AnswerSentence(text="Two.", citations=(2,)),
        ),
        citations=citations,
        confidence=0.9,
    )
    changed = reworded(answer, "Only the second, put better. [2] And [9] nothing else.")
    assert [(s.text, s.citations) for s in changed.sentences] == [
        ("Only the second, put better.", (2,)),
        ("And nothing else.", ()),
    ]
    assert [c.number for c in changed.citations] == [2]
    assert changed.text.startswith("Only the second, put better. [2]")
    assert changed.confidence == 0.9
    plain = answer.model_copy(update={"text": "One. Two."})
    assert reworded(plain, "One, really. [1]").text == "One, really."


async def test_a_placeholder_keeps_its_ports_and_says_what_to_do(world: SmallWorld) -> None:
    config = {
        "origin": "dify", "kind": "loop-end", "inputs": ["in"], "outputs": ["out"],
        "data": {"anything": ["<script>"]}, "advice": "Use a Loop node.",
    }  # fmt: skip
    graph = graph_of(
        {"in": "text_input", "hole": ("placeholder", config), "out": "output"},
        "in.text>hole.in hole.out>out.value",
        {"out": "out.value"},
    )
    (found,) = problems(graph)
    assert (found.code, found.severity, found.fix) == ("placeholder", "warning", "Use a Loop node.")
    failed = (await run(world, graph, text="x")).failed["hole"]
    assert failed.code == "placeholder"
    assert "dify" in failed.message
    assert failed.fix == "Use a Loop node."
