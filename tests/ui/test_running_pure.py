"""What the canvas page computes around a run: values to edit, files to take along, places of a text."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from app.engine.codec import UndecodableValue
from app.engine.events import (
    NodeFailedEvent,
    NodeFinished,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import Problem, RagloomError
from app.engine.registry import Registry
from app.engine.values import PORT_TYPES, Chunks, PortValue, Query, Text
from app.nodes import register_all
from app.services.views import ExecutionView, StepView
from app.ui import downloads
from app.ui.batch_table import MAX_ROWS, read_table
from app.ui.canvas.view import follow_from
from app.ui.output_search import LIMIT, search
from app.ui.pages.canvas import asking, run_request
from app.ui.pages.canvas.freshness import Freshness
from app.ui.pages.canvas.pace import Pace
from app.ui.pages.canvas.run_list import differences
from app.ui.port_data import Slot, input_slots, output_slots, pinnable, pins_of, read_all
from app.ui.port_values import port_values, short
from app.ui.run_state import RunState

CHUNK = {"chunk_id": "c1", "document_id": "d", "document_name": "tides.md", "content": "High tide"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    made = Registry()
    register_all(made)
    return made


def asking_graph() -> Graph:
    nodes = [
        NodeSpec("q", "question"),
        NodeSpec("r", "retrieve", config={"knowledge_base": "kb"}),
        NodeSpec("g", "generate"),
    ]
    edges = [
        EdgeSpec("q", "query", "r", "query"),
        EdgeSpec("q", "query", "g", "query"),
        EdgeSpec("r", "chunks", "g", "chunks"),
    ]
    return Graph(nodes={n.id: n for n in nodes}, edges=edges)


# ---- values as text ----
def test_a_text_is_edited_as_text_and_everything_else_as_json() -> None:
    text = Slot("text", Text)
    assert text.write({"text": "Good evening"}) == "Good evening"
    assert text.read("Good night", PORT_TYPES) == {"text": "Good night"}
    question = {"text": "high tide?", "original": "High tide?", "language": "en"}
    query = Slot("query", Query)
    # Left as it is, nothing of it is lost; written anew, it is what somebody typed.
    assert query.read(query.write(question), PORT_TYPES, question) == question
    changed = query.read("Low tide?", PORT_TYPES, question)
    assert (changed["text"], changed["original"], changed["language"]) == (
        "Low tide?",
        "Low tide?",
        None,
    )
    chunks = Slot("chunks", Chunks)
    value = chunks.read('{"items": []}', PORT_TYPES)
    assert value["items"] == []
    assert Slot("any", PortValue).read('{"text": "x"}', PORT_TYPES) == {
        "type": "Text",
        "value": {"text": "x"},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1"),
        ('{"items": 3}', "items"),
        ('{"items": [], "more": 1}', "more"),
        ("[1]", "chunks"),
        ("[" * 100_000, "deep"),
    ],
)
def test_what_does_not_fit_the_port_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(UndecodableValue) as refused:
        Slot("chunks", Chunks).read(text, PORT_TYPES)
    assert said in str(refused.value.message)


def test_values_by_hand_are_checked_one_by_one(registry: Registry) -> None:
    slots = input_slots(asking_graph(), registry, "g")
    assert [(s.name, s.required) for s in slots][:2] == [("query", True), ("chunks", True)]
    data, wrong = read_all(slots, {"query": "Why?", "chunks": "nonsense"}, PORT_TYPES, {})
    assert data["query"]["text"] == "Why?"
    assert set(wrong) == {"chunks"}
    _, wrong = read_all(slots, {"query": "Why?", "chunks": ""}, PORT_TYPES, {})
    assert "does not run without" in wrong["chunks"]


def test_a_past_run_is_pinned_where_it_still_fits(registry: Registry) -> None:
    query = {"text": "tide", "original": "tide"}
    steps = [
        StepView(node_id="q", name="q", type="question", status="completed", outputs={"query": query}),
        StepView(
            node_id="r", name="r", type="retrieve", status="completed",
            outputs={"chunks": {"items": [CHUNK]}},
        ),
        StepView(node_id="g", name="g", type="merge", status="completed", outputs={"x": query}),
        StepView(node_id="gone", name="n", type="merge", status="completed", outputs={"x": query}),
        StepView(node_id="s", name="s", type="merge", status="skipped"),
    ]  # fmt: skip
    run = ExecutionView(
        execution_id="run", workflow_id="wf", trigger="page", status="completed", input_data={},
        outputs={}, started_at="2026-03-10T12:00:00Z", steps=steps,
    )  # fmt: skip
    pins, left_out = pins_of(run, asking_graph(), registry)
    assert set(pins) == {"q", "r"}
    assert pins["r"]["chunks"]["items"][0]["chunk_id"] == "c1"
    assert left_out == 2
    assert output_slots(asking_graph(), registry, "r")[0].value_type is Chunks


# ---- search and files ----
def test_only_results_that_depend_on_something_changed_are_stale(registry: Registry) -> None:
    ran = asking_graph()
    steps = {
        "q": StepView(
            node_id="q", name="q", type="question", status="completed",
            outputs={"query": {"text": "When is high tide?", "original": "When is high tide?"}},
        ),
        "r": StepView(
            node_id="r", name="r", type="retrieve", status="completed",
            outputs={"chunks": {"items": [CHUNK]}},
        ),
        "g": StepView(node_id="g", name="g", type="generate", status="completed"),
    }  # fmt: skip
    freshness = Freshness(registry, steps.get)
    assert freshness.stale(ran) == set()
    freshness.start(ran, {})
    held = pinnable(ran, registry, "r", steps["r"].outputs)

    def with_(node: str, **changes: Any) -> Graph:
        return replace(ran, nodes={**ran.nodes, node: replace(ran.nodes[node], **changes)})

    # The very value they were computed from changes nothing; another one does.
    assert freshness.stale(with_("r", pinned=held)) == set()
    other = {"chunks": {**held["chunks"], "items": []}}
    assert freshness.stale(with_("r", pinned=other)) == {"r", "g"}
    assert freshness.stale(with_("r", config={"knowledge_base": "other"})) == {"r", "g"}
    assert freshness.stale(ran) == set()  # taken back

    # What is pinned does not follow the question; what takes the question does.
    changed = with_("q", config={"name": "ask"})
    changed.nodes["r"] = replace(ran.nodes["r"], pinned=held)
    assert freshness.stale(changed) == {"q", "g"}

    # Of a run of a part, what did not run stays behind.
    freshness.start(changed, {}, behind={"q", "g"})
    freshness.ran(["q"])
    assert freshness.stale(changed) == {"g"}


def test_unpinning_what_a_node_gave_anyway_leaves_nothing_behind(registry: Registry) -> None:
    free = asking_graph()
    steps = {
        "r": StepView(
            node_id="r", name="r", type="retrieve", status="completed",
            outputs={"chunks": {"items": [CHUNK]}},
        ),
    }  # fmt: skip
    held = pinnable(free, registry, "r", steps["r"].outputs)

    def pinned(data: Any) -> Graph:
        return replace(free, nodes={**free.nodes, "r": replace(free.nodes["r"], pinned=data)})

    def ran_twice(data: Any, asked: str = "When?", **start: Any) -> Freshness:
        """It ran, then again with what is pinned."""
        freshness = Freshness(registry, steps.get)
        freshness.start(free, {"question": "When?"})
        freshness.start(pinned(data), {"question": asked}, **start)
        assert freshness.stale(pinned(data)) == follow_from(start.get("behind", ()), pinned(data))
        return freshness

    known = ran_twice(held)
    assert known.stale(free) == set()
    # Still so after more runs with the pin, and what is pinned stays what it was.
    known.start(pinned(held), {"question": "When?"})
    assert known.stale(pinned(held)) == known.stale(free) == set()
    other = pinned({"chunks": {**held["chunks"], "items": []}})
    assert known.stale(other) == {"r", "g"}

    # Another value, another question, or settings that changed before: it would give another one.
    assert ran_twice({"chunks": {**held["chunks"], "items": []}}).stale(free) == {"r", "g"}
    assert ran_twice(held, "Where?").stale(free) == {"r", "g"}
    assert ran_twice(held, behind={"q"}).stale(free) == {"q", "r", "g"}


def test_a_text_is_found_in_every_step_with_the_way_to_it() -> None:
    outputs: dict[str, Any] = {
        "r": {"chunks": {"items": [CHUNK, {**CHUNK, "content": "x" * 100 + " the TIDE turns"}]}},
        "g": {"answer": {"text": "At noon, 42 boats", "confidence": 0.5, "on": True}},
    }
    hits, total = search(outputs, "tide", ["g", "r"])
    assert total == 4
    assert [(h.node, h.port, h.path) for h in hits] == [
        ("r", "chunks", "items.0.document_name"),
        ("r", "chunks", "items.0.content"),
        ("r", "chunks", "items.1.document_name"),
        ("r", "chunks", "items.1.content"),
    ]
    assert hits[-1].match == "TIDE"
    assert hits[-1].before.startswith("…")
    assert search(outputs, "0.5")[0][0].path == "confidence"
    assert search(outputs, "  ") == ([], 0)
    assert search(outputs, ".*")[1] == 0
    many, total = search({"r": {"p": {"items": ["tide"] * 1000}}}, "tide")
    assert (len(many), total) == (LIMIT, 1000)


def test_a_search_goes_as_deep_as_data_goes() -> None:
    deep: Any = "treasure"
    for _ in range(50_000):
        deep = [deep]
    assert search({"n": {"p": deep}}, "treasure")[1] == 1


def rows(text: str | None) -> list[list[str]]:
    assert text is not None
    return list(csv.reader(io.StringIO(text)))


def test_what_has_rows_becomes_csv_that_no_spreadsheet_runs() -> None:
    chunks = {"items": [{**CHUNK, "score": 0.5, "scores": {"keyword": 2.5}, "content": "=1+1"}]}
    assert rows(downloads.as_csv(chunks)) == [
        ["rank", "chunk_id", "document_name", "page", "score", "score keyword", "content"],
        ["1", "c1", "tides.md", "", "0.5", "2.5", "'=1+1"],
    ]
    table = {"columns": ["a", "b"], "rows": [[1, None], ["x,y", True]]}
    assert rows(downloads.as_csv(table)) == [["a", "b"], ["1", ""], ["x,y", "true"]]
    listed = {"data": [{"a": 1}, {"b": [2]}]}
    assert rows(downloads.as_csv(listed)) == [["a", "b"], ["1", ""], ["", "[2]"]]
    assert rows(downloads.as_csv({"items": ["-x"]})) == [["value"], ["'-x"]]
    assert downloads.as_csv({"text": "no rows"}) is None
    assert downloads.as_csv({"items": []}) is None
    assert downloads.file_name("Ask: the/../handbook", "r", ending="csv") == (
        "ask-the-..-handbook-r.csv"
    )
    assert downloads.file_name("///", ending="json") == "ragloom.json"


def test_a_port_tells_what_it_last_held_in_a_few_words() -> None:
    values: list[Any] = [
        {"text": "word " * 200},
        {"items": [CHUNK, CHUNK]},
        {"items": [{"filename": n} for n in "abcde"]},
        {"items": []},
        {"columns": ["a"], "rows": [[1], [2]]},
        {"passed": False, "confidence": 0.25, "checks": []},
        {"value": True},
        {"data": {"a": [1]}},
        None,
    ]
    texts = [short(value) for value in values]
    assert len(texts[0]) < 260
    assert texts[1:] == [
        "2 passages of tides.md",
        "5 files: a, b, c and 2 more",
        "0 items",
        "2 rows, 1 column",
        "Failed, confidence 0.25",
        "true",
        '{"a": [1]}',
        "Nothing: the branch was not taken, or nothing was wired to it.",
    ]
    steps = {
        "a": StepView(node_id="a", name="a", type="t", status="completed", outputs={"x": None}),
        "a/b": StepView(node_id="a/b", name="b", type="t", status="completed", outputs={"x": 1}),
        "c": StepView(node_id="c", name="c", type="t", status="skipped"),
    }
    assert set(port_values(steps)) == {"a"}


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("question\nWhy?\nWhen?\n", [{"question": "Why?"}, {"question": "When?"}]),
        ('\ufeffQuestion;Text\n"a;b";2\n;\n', [{"question": "a;b", "text": "2"}]),
        # No line that names inputs: each line is one value of the first one, commas and all.
        ("Why, then?\nWhen?", [{"question": "Why, then?"}, {"question": "When?"}]),
        ("Why?\t2\nWhen?\t", [{"question": "Why?", "text": "2"}, {"question": "When?"}]),
        (
            '[{"question": "Why?", "text": ""}, "When?"]',
            [{"question": "Why?"}, {"question": "When?"}],
        ),
        ('{"text": "a"}\n\n{"text": "b"}', [{"text": "a"}, {"text": "b"}]),
    ],
)
def test_tables_of_inputs_are_read_as_they_come(content: str, rows: list[dict[str, str]]) -> None:
    assert list(read_table(content, ["question", "text"]).rows) == rows


def test_a_table_keeps_what_is_not_asked_for_and_says_what_is_wrong() -> None:
    table = read_table('"my, notes",Question\nx,Why?\ny,', ["question"])
    assert table.columns == ("my, notes", "question")
    assert table.rows == ({"my, notes": "x", "question": "Why?"},)
    assert "“my, notes”" in table.notes[0]
    table = read_table('[{"question": "Why?", "number": 7}, {"number": 8}]', ["question"])
    assert table.rows == ({"question": "Why?", "number": 7},)
    for content, inputs, said in (
        ("  ", ["q"], "empty"),
        ("q\n", ["q"], "no rows"),
        ("a", [], "asks for nothing"),
        ("[1", ["q"], "is none"),
        ("x\n" * (MAX_ROWS + 1), ["q"], "10,001 rows"),
    ):
        with pytest.raises(RagloomError, match=said):
            read_table(content, inputs)


# ---- runs ----
def finished(node: str, at: float, ms: float, **facts: Any) -> NodeFinished:
    return NodeFinished(run_id="x", at=at, node_id=node, duration_ms=ms, **facts)


def test_attempts_usage_and_inner_steps_are_followed_from_events() -> None:
    run = RunState(edges=[("a", "m")])
    titles = {"a": ("First", "t"), "m": ("Each", "map")}
    for event in (
        RunStarted(run_id="x", at=100, node_ids=("a", "m")),
        NodeStarted(run_id="x", at=100, node_id="a"),
        NodeStarted(run_id="x", at=101, node_id="a", attempt=2),
        finished("a", 102, 2000, usage={"prompt_tokens": 5, "cost_usd": 0.25}),
        NodeStarted(run_id="x", at=102, node_id="m"),
        NodeStarted(run_id="x", at=102, node_id="m[0]/w", title="Write", type="generate"),
        finished("m[0]/w", 103, 1000, usage={"prompt_tokens": 7}),
        finished("m", 103, 1000, usage={"prompt_tokens": 7}, saved={"ms": 40}),
        RunFinished(run_id="x", at=103, status="completed", duration_ms=3000),
    ):
        run.apply(event, titles)
    timeline = run.timeline(titles)
    assert [(r.id, r.title, r.start, r.attempts) for r in timeline.rows] == [
        ("a", "First", 0, (1000,)),
        ("m", "Each", 2000, ()),
        ("m[0]", "Item 0", 2000, ()),
        ("m[0]/w", "Write", 2000, ()),
    ]
    assert timeline.critical == ("a", "m")
    # What ran inside a node is part of that node's sum, not counted twice.
    assert run.used() == {"prompt_tokens": 12, "cost_usd": 0.25}
    assert run.saved() == {"ms": 40}


def test_a_run_waits_while_all_that_is_left_waits_for_a_person() -> None:
    run = RunState()
    run.apply(RunStarted(run_id="x", at=1, node_ids=("a", "b")), {})
    run.apply(NodeStarted(run_id="x", at=1, node_id="a"), {})
    run.apply(NodeStarted(run_id="x", at=1, node_id="b"), {})
    asked = NodeWaiting(run_id="x", at=2, node_id="a", message="May I?", form={"value": 1})
    run.apply(asked, {})
    assert (run.status, run.live) == ("running", True)
    run.apply(finished("b", 3, 1), {})
    assert (run.status, run.live) == ("waiting", True)
    assert run.asks() == {"a": {"message": "May I?", "form": {"value": 1}}}
    run.apply(finished("a", 9, 7000), {})
    assert run.status == "running"
    assert run.asks() == {}
    problem = Problem(code="e", message="No.")
    failed = NodeFailedEvent(run_id="x", at=9, node_id="b/c", duration_ms=1, problem=problem)
    run.apply(failed, {})
    # A step inside a node is not on the canvas: its node is what failed there, or not.
    assert run.failed_node() is None


def test_each_way_to_run_asks_for_what_it_says() -> None:
    assert run_request.run_to("a").options.targets == ("a",)  # type: ignore[union-attr]
    after = run_request.run_from("a")
    assert after.on_shown
    assert after.partial
    assert after.options.start_from == "a"  # type: ignore[union-attr]
    alone = run_request.run_alone("a", {"text": {"text": "x"}})
    assert alone.options.only == ("a",)  # type: ignore[union-attr]
    assert alone.options.fresh == ("a",)  # type: ignore[union-attr]
    assert alone.options.inputs == {"a": {"text": {"text": "x"}}}  # type: ignore[union-attr]
    assert run_request.run_only(["a", "b"]).options.only == ("a", "b")  # type: ignore[union-attr]
    fresh = run_request.run_fresh(["a"])
    assert not fresh.partial
    assert not run_request.RunRequest(step=True).partial


def test_two_runs_are_told_apart_at_a_glance() -> None:
    shown = RunState(run_id="a", status="completed", input_data={"question": "x"}, outputs={"o": 1})
    run = ExecutionView(
        execution_id="b", workflow_id="wf", trigger="page", status="completed",
        input_data={"question": "y"}, outputs={"o": 1}, started_at="2026-03-10T12:00:00Z",
    )  # fmt: skip
    assert differences(shown, run) == ["other input", "same result"]
    assert differences(shown, run.model_copy(update={"status": "failed"}))[0] == "failed"


@pytest.mark.parametrize(
    ("value", "text", "changed", "sent"),
    [
        ({"text": "Dear sir"}, "Dear sir", "Dear madam", "Dear madam"),
        ({"value": 2.5}, "2.5", "3", 3),
        ({"data": {"a": 1}}, '{\n  "a": 1\n}', "[1]", [1]),
        ({"data": "quoted"}, '"quoted"', '"new"', "new"),
        ({"items": []}, '{\n  "items": []\n}', "{}", {}),
        (
            {"text": "One.", "sentences": [{"text": "One.", "citations": [1, 2]}]},
            "One. [1] [2]",
            "Uno. [1]",
            "Uno. [1]",
        ),
    ],
)
def test_the_value_of_a_question_is_edited_in_its_own_kind(
    value: Any, text: str, changed: str, sent: Any
) -> None:
    assert asking.as_text(value) == text
    assert asking.from_text(changed, value) == sent


def test_questions_are_told_apart_by_their_nodes() -> None:
    titles = {
        "a": "Approval", "b": "Approval", "c": "Boss", "map": "Letters",
        "map[3]/c": "Check", "part/c": "Check", "part": "Boss",
    }  # fmt: skip
    assert asking.where("a", titles) == "Approval (a)"
    assert asking.where("b", titles) == "Approval (b)"
    assert asking.where("map[3]/c", titles) == "Check · Letters, item 3"
    assert asking.where("part/c", titles) == "Check · Boss (part)"
    assert asking.where("map[1]/new", titles) == "new · Letters, item 1"
    assert asking.where("gone", titles) == "gone"


def test_a_value_is_changed_only_where_that_is_allowed() -> None:
    assert asking.editable({"value": {"text": "x"}, "editable": True})
    assert not asking.editable({"value": {"text": "x"}, "editable": False})
    assert not asking.editable({"value": None, "editable": True})
    with pytest.raises(ValueError, match="Expecting"):
        asking.from_text("{", {"data": []})


async def test_drawing_keeps_a_pace_and_misses_nothing() -> None:
    drawn: list[int] = []
    news = 0

    async def draw() -> None:
        drawn.append(news)

    pace = Pace(draw, 0.01)
    for news in range(1, 200):  # noqa: B007
        pace.poke()
        await asyncio.sleep(0)
    while drawn[-1:] != [199]:
        await asyncio.sleep(0.01)
    assert len(drawn) < 100
    await pace.end()


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"result": "A letter.\n"}, "A letter."),
        ({"n": {"data": 3}, "result": {"text": "A letter."}}, "A letter."),
        ({"verdict": {"text": "x", "passed": True}, "empty": ""}, ""),
    ],
)
def test_the_text_of_a_run_is_its_first_named_text(outputs: dict[str, Any], words: str) -> None:
    assert RunState(run_id="r", status="completed", outputs=outputs).words() == words
