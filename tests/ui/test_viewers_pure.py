"""What viewers compute: ranks, differences, searches, tables; all of it bounded."""

from __future__ import annotations

from typing import Any

import pytest

from app.services.views import StepView
from app.ui.pages.canvas.inspector_data import incoming_chunks
from app.ui.pages.canvas.inspector_facts import inner_steps
from app.ui.viewers.passages import moves, stage_ranks
from app.ui.viewers.pictures import is_image
from app.ui.viewers.tables import as_csv, ordered
from app.ui.viewers.texts import MAX_LINES, diff, lines_of
from app.ui.viewers.values import usage_facts
from app.ui.viewers.view import find, step, weight


def _chunks(*ids: str, **scores: list[float]) -> list[dict[str, Any]]:
    return [
        {"chunk_id": id_, "scores": {stage: values[at] for stage, values in scores.items()}}
        for at, id_ in enumerate(ids)
    ]


def test_ranks_are_compared_in_words() -> None:
    found, left_out = moves(_chunks("a", "b", "c", "d"), _chunks("c", "a", "x"))
    assert {id_: (m.sign, m.words) for id_, m in found.items()} == {
        "c": ("▲", "up 2 from 3"),
        "a": ("▼", "down 1 from 1"),
        "x": ("+", "new"),
    }
    assert [c["chunk_id"] for c in left_out] == ["b", "d"]
    assert moves(_chunks("a"), _chunks("a"))[0]["a"].words == "still 1"


def test_each_stage_ranks_by_its_own_score() -> None:
    ranks = stage_ranks(_chunks("a", "b", keyword=[1.0, 9.0], rerank=[0.9, 0.1]))
    assert ranks == {"a": {"keyword": 2, "rerank": 1}, "b": {"keyword": 1, "rerank": 2}}


def test_the_passages_that_came_in_are_those_of_the_only_such_input() -> None:
    chunks = {"items": [{"chunk_id": "a"}]}
    assert incoming_chunks({"query": {"text": "q"}, "chunks": chunks}) == [{"chunk_id": "a"}]
    assert incoming_chunks({"one": chunks, "two": chunks}) == ()
    assert incoming_chunks({"values": [chunks]}) == [{"chunk_id": "a"}]


def test_a_difference_is_told_by_line_and_word_and_equal_lines_are_folded() -> None:
    before = "\n".join(["same"] * 20 + ["The tide is high at noon.", "gone"])
    after = "\n".join(["same"] * 20 + ["The tide is low at noon.", "new", "newer"])
    rows = diff(before, after)
    assert [r.kind for r in rows] == ["folded", "same", "same", "changed", "changed", "added"]
    assert rows[0].count == 18
    assert ("high", True) in rows[3].left
    assert ("low", True) in rows[3].right
    assert "".join(piece for piece, _ in rows[3].left) == "The tide is high at noon."
    assert {r.kind for r in diff("a\nb", "a\nb")} == {"folded"}


def test_differences_of_long_texts_end() -> None:
    long = "\n".join(f"line {n}" for n in range(50_000))
    assert lines_of(long) == (lines_of(long)[0], False)
    assert len(lines_of(long)[0]) == MAX_LINES
    assert len(diff(long, long[::-1])) <= 2 * MAX_LINES


def test_a_search_gives_paths_that_expressions_take() -> None:
    value = {"items": [{"content": "The Tide is high", "scores": {"my score": 3}}]}
    hits, whole = find(value, "tide", "chunks")
    assert whole
    assert [(h.path, h.before, h.match, h.after) for h in hits] == [
        ("chunks.items[0].content", "The ", "Tide", " is high")
    ]
    assert find(value, "my score", "chunks")[0][0].path == 'chunks.items[0].scores["my score"]'
    assert find(value, "nowhere")[0] == []
    assert step("", "a") == "a"


def test_searching_and_weighing_of_huge_values_end_early() -> None:
    huge = {"rows": ["x" * 1_000_000] * 400}
    assert weight(huge, 2_000_000) < 5_000_000
    hits, whole = find(huge, "y")
    assert (hits, whole) == ([], False)
    many, whole = find({"a": ["tide"] * 1_000_000}, "tide")
    assert len(many) == 200
    assert not whole
    deep: Any = "tide"
    for _ in range(50_000):
        deep = [deep]
    assert find(deep, "tide")[0] == []
    assert weight(deep, 1_000) > 0


def test_a_column_sorts_numbers_by_size_and_leaves_empty_cells_at_the_end() -> None:
    rows: list[list[Any]] = [[10], ["b"], [None], [9.5], ["A"], [""]]
    assert ordered(rows, 0, down=False) == [[9.5], [10], ["A"], ["b"], [None], [""]]
    assert ordered(rows, 0, down=True) == [["b"], ["A"], [10], [9.5], [None], [""]]
    assert ordered([[1], []], 3, down=False) == [[1], []]


def test_a_spreadsheet_computes_nothing_of_a_table() -> None:
    written = as_csv(["=1+1", "n"], [["@x", -3], ["ok, fine", None]]).decode("utf-8-sig")
    assert written.splitlines() == ["'=1+1,n", "'@x,-3", '"ok, fine",']


@pytest.mark.parametrize(
    ("value", "image"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", True),
        ("data:image/svg+xml;base64,PHN2Zz4=", False),
        ("data:image/png;base64,<script>", False),
        ("data:text/html;base64,PHN2Zz4=", False),
        (3, False),
    ],
)
def test_only_pictures_that_cannot_run_anything_are_drawn(value: Any, image: bool) -> None:
    assert is_image(value) is image


def test_steps_inside_a_node_are_found_by_item() -> None:
    names = ["map", "map[10]/clean", "map[2]/clean", "map[2]/b[1]/x", "part/answer", "mapper[1]/y"]
    steps = {
        name: StepView(node_id=name, name=name, type="t", status="completed") for name in names
    }
    found = inner_steps(steps, "map")
    assert {item: list(inner) for item, inner in found.items()} == {
        "2": ["clean", "b[1]/x"],
        "10": ["clean"],
    }
    assert list(found) == ["2", "10"]
    assert list(inner_steps(steps, "part")) == [""]
    assert inner_steps(steps, "answer") == {}


def test_usage_is_told_in_words() -> None:
    used = {"prompt_tokens": 1200, "completion_tokens": 34, "cost_usd": 0.00123, "calls": 2}
    assert usage_facts(used) == {"Tokens": "1.2k in, 34 out", "Calls": "2", "Cost": "$0.0012"}
    assert usage_facts(None) == {}


def test_languages_of_blocks_are_counted_where_they_differ() -> None:
    from app.ui.viewers.reading import languages

    english, german = {"language": "en"}, {"language": "de"}
    assert languages([english, german, english, {}]) == "English 2, German 1"
    assert languages([english, english]) == ""
    assert languages([]) == ""
