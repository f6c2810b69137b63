"""Outputs of runs in the shape programs want."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from app.engine.codec import encode
from app.engine.events import NodeFinished
from app.engine.items import from_items, plain
from app.engine.values import (
    PORT_TYPES,
    Answer,
    Chunk,
    Chunks,
    Citation,
    Flag,
    Json,
    Number,
    PortValue,
    Query,
    Table,
    Text,
    Verdict,
)
from app.services.json_text import json_text
from app.services.runs.outputs import shape_outputs, type_of
from app.services.views import Page, StepView
from storage.json_pieces import compact, pieces

ANSWER = Answer(
    text="Yes.",
    confidence=0.5,
    citations=(
        Citation(number=1, chunk_id="c", document_id="d", document_name="a.md", quote="Yes."),
    ),
)
CHUNKS = Chunks(items=(Chunk(chunk_id="c", document_id="d", document_name="a.md", content="x"),))
VERDICT = Verdict(passed=True, confidence=0.75, reasons=("It is", "supported."))


def declared(**types: str) -> dict[str, Any]:
    return {"graph": {"output_format": types}}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Text(text="a"), "Text"),
        (Number(value=1.5), "Number"),
        (Flag(value=True), "Flag"),
        (Json(data=[1]), "Json"),
        (Table(columns=("a",)), "Table"),
        (Query(text="a", original="a"), "Query"),
        (CHUNKS, "Chunks"),
        (ANSWER, "Answer"),
        (VERDICT, "Verdict"),
    ],
)
def test_data_tells_which_type_it_was_made_from(value: PortValue, name: str) -> None:
    assert name in PORT_TYPES
    assert type_of(encode(value)) == name


def test_a_list_of_values_is_a_list_of_what_programs_mean_by_each() -> None:
    inner = from_items([Number(value=1.0), Flag(value=True)])
    values = from_items([Text(text="a"), Json(data={"type": "x", "value": 2}), inner, VERDICT])
    shaped = shape_outputs({"all": encode(values)}, None)
    assert shaped["all"][:3] == ["a", {"type": "x", "value": 2}, [1.0, True]]
    assert shaped["all"][3]["passed"] is True
    assert shape_outputs({"all": encode(values)}, declared(all="list")) == shaped
    assert shape_outputs({"none": {"items": []}}, None) == {"none": []}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (ANSWER, "string", "Yes."),
        (ANSWER, "float", 0.5),
        (ANSWER, "array", [c.model_dump(mode="json") for c in ANSWER.citations]),
        (ANSWER, "boolean", True),
        (ANSWER, "object", encode(ANSWER)),
        (VERDICT, "float", 0.75),
        (VERDICT, "boolean", True),
        (VERDICT, "string", "It is supported."),
        (CHUNKS, "array", [c.model_dump(mode="json") for c in CHUNKS.items]),
        (Query(text="new", original="old"), "string", "new"),
        (Table(columns=("a",), rows=((1,),)), "array", [[1]]),
        (Number(value=2), "float", 2.0),
        (Text(text="a"), "whatever", "a"),
    ],
)
def test_a_declared_type_picks_the_part_that_fits(
    value: PortValue, kind: str, expected: Any
) -> None:
    assert shape_outputs({"x": encode(value)}, declared(x=kind)) == {"x": expected}


def test_without_a_format_an_answer_brings_its_citations() -> None:
    shaped = shape_outputs({"answer": encode(ANSWER), "n": encode(Number(value=3))}, {"graph": {}})
    assert shaped["answer"] == "Yes."
    assert shaped["n"] == 3
    assert shaped["citations"][0]["document_name"] == "a.md"
    assert (shaped["confidence"], shaped["abstained"]) == (0.5, False)
    taken = {"answer": encode(ANSWER), "confidence": encode(Number(value=9))}
    assert shape_outputs(taken, None)["confidence"] == 9


def test_what_is_no_value_of_a_port_stays_as_it_is() -> None:
    odd = {"a": None, "b": [1], "c": {"text": "x", "more": 1}, "d": "plain"}
    assert shape_outputs(odd, None) == odd


@pytest.mark.parametrize(
    "item",
    [
        {"type": "Text", "value": "x"},
        {"type": "Answer", "value": {"words": "x"}},
        {"type": "Table", "value": {"columns": ["a"], "rows": [1]}},
        {"type": "Values", "value": {"items": 5}},
        {"type": "Chunks", "value": None},
    ],
)
def test_an_item_that_is_no_value_of_its_type_stays_as_it_is(item: dict[str, Any]) -> None:
    values = {"items": [item, {"type": "Text", "value": {"text": "a"}}]}
    assert shape_outputs({"all": values}, None) == {"all": [item, "a"]}


def test_items_are_what_the_engine_takes_them_for() -> None:
    items = [
        Query(text="new", original="old"),
        Table(columns=("a", "b"), rows=((1, 2), (3, 4))),
        Json(data=[1]),
    ]
    values = from_items(items)
    assert shape_outputs({"all": encode(values)}, None) == {"all": plain(values)}


@pytest.mark.parametrize("many", [1, 5_000])
async def test_what_steps_gave_is_written_as_it_is_however_much_it_is(many: int) -> None:
    rows = [
        {"n": n, "text": "é “x” " * 10, "none": None, "part": [0.5, True, {}]} for n in range(many)
    ]
    outputs = {"rows": rows, "one": [rows, rows[:1]], "text": "a" * 100, "empty": []}
    step = StepView(node_id="a", name="A", type="say", status="completed", started_at=None,
                    duration_ms=float("nan"), inputs={}, outputs=outputs)  # fmt: skip
    event = NodeFinished(run_id="r", node_id="a", duration_ms=1.5, outputs=outputs,
                         signature_parts={"kept": "apart"})  # fmt: skip
    models: list[BaseModel] = [Page(items=[step, step], total=2), event]
    for model in models:
        assert json.loads(await json_text(model)) == json.loads(model.model_dump_json())
    assert "".join(pieces(outputs, compact)) == compact(outputs)
