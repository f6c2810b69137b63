"""What pages compute before anything is drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from app.engine.events import (
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
    TokenEvent,
)
from app.engine.problems import Problem, RagloomError
from app.engine.registry import Registry
from app.nodes import register_all
from app.services.views import TaskView
from app.services.workflows import templates
from app.ui import answer, jobs, text
from app.ui.expecting import Expecting
from app.ui.forms import filter_rows, filters_of
from app.ui.passage_parts import markup, parts_of
from app.ui.run_state import RunState
from app.ui.schema import fields
from app.ui.thumbnail import thumbnail
from app.ui.viewers import condensed
from storage.errors import Conflict, NotFound

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=60), "9 Jan 2026"),
    ],
)
def test_times_are_told_relative_to_now(before: timedelta, words: str) -> None:
    assert text.ago((NOW - before).isoformat(), NOW) == words


def test_numbers_are_rounded_sensibly() -> None:
    assert [text.duration(ms) for ms in (0.2, 42, 420, 12_000, 125_000, None)] == [
        "<1 ms",
        "42 ms",
        "0.42 s",
        "12 s",
        "2 min 5 s",
        "",
    ]
    assert [text.size(n) for n in (12, 4_300, 2_500_000)] == ["12 B", "4 kB", "2.5 MB"]
    assert text.count(1, "chunk") == "1 chunk"
    assert text.count(1234, "chunk") == "1.2k chunks"


class _Inner(BaseModel):
    filename: str


class _Settings(BaseModel):
    name: str = Field("a", description="Its name.")
    kind: Literal["one", "two"] = "one"
    k: int = Field(5, ge=1, le=100)
    weight: float = Field(0.5, ge=0, le=1)
    limit: float | None = None
    on: bool = True
    tags: list[str] = []
    filters: dict[str, Any] = Field({}, json_schema_extra={"widget": "filters"})
    prompt: str = Field("", json_schema_extra={"widget": "template"})
    model: str = Field("extractive", json_schema_extra={"widget": "llm_model"})
    words: dict[str, str] = {}
    file: _Inner | None = Field(None, json_schema_extra={"widget": "files"})
    raw: dict[str, Any] = {}


def test_a_schema_decides_the_fields_of_its_form() -> None:
    found = {f.name: f for f in fields(_Settings.model_json_schema())}
    assert {name: f.kind for name, f in found.items()} == {
        "name": "text",
        "kind": "choice",
        "k": "integer",
        "weight": "number",
        "limit": "number",
        "on": "flag",
        "tags": "strings",
        "filters": "filters",
        "prompt": "template",
        "model": "model",
        "words": "mapping",
        "file": "files",
        "raw": "json",
    }
    assert (found["k"].low, found["k"].high) == (1, 100)
    assert found["limit"].optional
    assert found["kind"].choices == ("one", "two")


def test_every_setting_of_every_node_has_a_field_and_a_description() -> None:
    registry = Registry()
    register_all(registry)
    for cls in registry:
        for field in fields(cls.Config.model_json_schema()):
            assert field.description, f"{cls.type}.{field.name}"


def test_filters_survive_the_form() -> None:
    filters = {"page": {"$gte": 3, "$lte": 9}, "language": "en", "filename": {"$in": ["a", "b"]}}
    assert filters_of(filter_rows(filters)) == filters
    assert filters_of([["page", "$eq", ""], ["", "$eq", "3"]]) == {}


TITLES = {"q": ("Question", "question"), "r": ("Retrieve", "retrieve"), "v": ("Check", "validate")}


def test_a_run_is_followed_from_its_events() -> None:
    run = RunState()
    answer = {"text": "Yes.", "sentences": [], "citations": []}
    for event in (
        RunStarted(run_id="x", at=100.0, node_ids=("q", "r", "v")),
        NodeStarted(run_id="x", at=100.1, node_id="r"),
        TokenEvent(run_id="x", node_id="r", text="Ye"),
        TokenEvent(run_id="x", node_id="r", text="s."),
        NodeFinished(
            run_id="x",
            at=100.4,
            node_id="r",
            duration_ms=300,
            outputs={"chunks": {"items": [{"chunk_id": "c1"}]}, "answer": answer},
        ),
        NodeSkipped(run_id="x", at=100.4, node_id="v", reason="its branch was not taken"),
        RunFinished(run_id="x", at=100.5, status="completed", duration_ms=500),
    ):
        run.apply(event, TITLES)
    assert run.status == "completed"
    assert run.tokens["r"] == "Yes."
    assert run.found_by() == {"c1": ["r"]}
    assert run.answer() == answer
    assert run.steps["r"].name == "Retrieve"
    assert run.times["r"].start == pytest.approx(100)
    assert run.steps["v"].status == "skipped"


def test_what_a_stopped_run_left_running_is_cancelled() -> None:
    run = RunState()
    run.apply(RunStarted(run_id="x", node_ids=("q", "r")), TITLES)
    run.apply(NodeStarted(run_id="x", node_id="q"), TITLES)
    run.apply(
        NodeFailedEvent(
            run_id="x", node_id="r", duration_ms=1, problem=Problem(code="e", message="No.")
        ),
        TITLES,
    )
    run.apply(RunFinished(run_id="x", status="cancelled", duration_ms=3), TITLES)
    assert run.steps["q"].status == "cancelled"
    assert run.steps["r"].error is not None
    assert run.steps["r"].error["message"] == "No."


def test_a_picture_of_a_workflow_holds_nothing_of_the_file_as_text() -> None:
    registry = Registry()
    register_all(registry)
    node = {"id": '"><script>', "type": "<img onerror=x>", "title": "<b>", "position": [0, 0]}
    graph = {"nodes": [node, {"id": "b", "type": "question"}], "edges": []}
    drawn = thumbnail(graph, registry)
    assert drawn.count("<rect") == 2
    assert "script" not in drawn
    assert "img" not in drawn


def test_the_first_template_asks_a_question() -> None:
    first = templates.get(templates.FIRST)
    assert any(node["type"] == "question" for node in first.graph["nodes"])


def test_cards_leave_empty_lines_out() -> None:
    assert condensed("Title\n\n\nText\n") == "Title\nText"


def test_a_file_never_seems_to_go_back_on_its_way_through_the_stages() -> None:
    way = [
        ("extract", 0, 0), ("extract", 1, 1), ("chunk", 0, 0), ("chunk", 1, 1), ("quality", 0, 0),
        ("embed", 0, 29), ("embed", 20, 29), ("index", 29, 29),
    ]  # fmt: skip
    shares = [
        jobs.fraction(
            TaskView(document_id="d", filename="f", status="running", stage=s, done=d, total=t)
        )
        for s, d, t in way
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_setting_is_called_what_its_field_says_and_else_by_its_name() -> None:
    class Config(BaseModel):
        top_k: int = Field(5, title="Passages to keep (k)")
        wait_s: float = 1.0

    assert [f.title for f in fields(Config.model_json_schema())] == [
        "Passages to keep (k)",
        "Wait (seconds)",
    ]


def test_a_passage_is_told_apart_into_words_tables_code_and_headings() -> None:
    text = (
        "Pumps\n\nThey move water.\n\n| Model | Price |\n| --- | ---: |\n| A \\| B | $1,200 |\n"
        "| <b>C</b> | 7 |\n\nrun()\n  stop()\n\nDone."
    )
    at = text.index
    metadata = {
        "kinds": ["code", "heading", "paragraph", "table"],
        "titles": [{"start": 100, "end": 105, "level": 1}],
        "code": [{"start": 100 + at("run()"), "end": 100 + at("\n\nDone"), "info": "py"}],
    }
    found = parts_of(text, metadata, start=100)
    assert [(part["kind"], part["at"], part.get("text")) for part in found] == [
        ("heading", 0, "Pumps"),
        ("text", at("They"), "They move water."),
        ("table", at("| Model"), None),
        ("code", at("run()"), "run()\n  stop()"),
        ("text", at("Done."), "Done."),
    ]
    table = found[2]
    assert table["head"] is True
    assert [row["cells"] for row in table["rows"]] == [
        ["Model", "Price"], ["A | B", "$1,200"], ["<b>C</b>", "7"],
    ]  # fmt: skip
    assert table["numbers"] == [1]
    shown = markup(found)
    assert '<td>&lt;b&gt;C&lt;/b&gt;</td><td class="rl-num">7</td>' in shown
    assert "<b>" not in shown
    assert [text[row["at"] :][:5] for row in table["rows"]] == ["| Mod", "| A \\", "| <b>"]
    # Of a text that a person wrote nothing is known but what can be seen.
    written = parts_of(text, metadata, ("Pumps",))
    assert [part["kind"] for part in written] == ["heading", "text", "table", "text"]
    assert parts_of("Either | or", {}) == [{"kind": "text", "at": 0, "text": "Either | or"}]
    # A part of a long table begins with any row.
    (rest,) = parts_of("| x | 1 |\n| y |", {"kinds": ["table"]})
    assert (rest["head"], [row["cells"] for row in rest["rows"]]) == (False, [["x", "1"], ["y"]])


@pytest.mark.parametrize("gone", [NotFound("run", "r"), RagloomError("Gone.", code="not_found")])
def test_a_page_foresees_errors_of_every_layer_by_their_code(gone: Exception) -> None:
    with Expecting("not_found") as met:
        raise gone
    assert (met.error, met.code) == (gone, "not_found")
    with pytest.raises(Conflict), Expecting("not_found"):
        raise Conflict("Somebody was first.")
    with Expecting() as met:
        raise Conflict("Somebody was first.")
    assert met.code == "conflict"


def test_what_nobody_foresaw_passes_through() -> None:
    class Broken(ConnectionError):
        code = None  # as errors of the database have it

    with pytest.raises(Broken), Expecting():
        raise Broken
    with Expecting() as met:
        pass
    assert met.error is None
    assert met.code == ""


@pytest.mark.parametrize(
    ("passage", "said"),
    [
        ({"document_name": "a.pdf", "page": 3, "headings": ["A", "B", "C"]}, "page 3 · B › C"),
        ({"document_name": "a.pptx", "page": 3, "headings": []}, "slide 3"),
        ({"document_name": "a.vtt", "page": None, "metadata": {"time": "00:12:34"}}, "00:12:34"),
        ({"document_name": "a.vtt", "time": "00:12:34", "headings": ["A"]}, "00:12:34 · A"),
        ({}, ""),
    ],
)
def test_a_passage_says_where_it_stands(passage: dict[str, Any], said: str) -> None:
    assert answer.place(passage) == said
