"""Passages cut into quotable units."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.retrieval.sentences import MAX_UNIT, split_sentences, units


def texts(passage: str) -> list[str]:
    return [unit.text for unit in units(passage)]


def test_abbreviations_numbers_and_quotes_do_not_end_a_sentence() -> None:
    passage = 'Dr. Smith paid 3.5 euros, e.g. for tea. "Really?" asked J. Doe. Yes.'
    assert texts(passage) == [
        "Dr. Smith paid 3.5 euros, e.g. for tea.",
        '"Really?" asked J. Doe.',
        "Yes.",
    ]


def test_other_scripts_end_sentences_with_their_own_marks() -> None:
    assert texts("今天天气很好。我们去公园吧！好吗？") == [
        "今天天气很好。",
        "我们去公园吧！",
        "好吗？",
    ]


def test_a_table_row_carries_its_header() -> None:
    passage = "Prices:\n\n| Food | Calories |\n|---|---:|\n| **Berries** | 150 |\n| Corn | 200 |"
    rows = [u for u in units(passage) if u.kind == "row"]
    assert [r.readable for r in rows] == [
        "Food: Berries; Calories: 150",
        "Food: Corn; Calories: 200",
    ]
    assert rows[0].text == "| **Berries** | 150 |"


def test_a_table_whose_header_was_cut_off_keeps_its_rows() -> None:
    rows = units("| Berries | 150 |\n| Corn | 200 |")
    assert [r.readable for r in rows] == ["Berries | 150", "Corn | 200"]


def test_columns_set_apart_by_tabs_are_rows() -> None:
    rows = units("Year\tDucks\n2019\t120\n2020\t130")
    assert rows[-1].readable == "Year: 2020; Ducks: 130"


def test_lists_headings_and_code_fences() -> None:
    found = units("## Care\n- wash it\n  by hand\n2. dry it\n\n```\nrun me\n```")
    assert [(u.kind, u.readable) for u in found] == [
        ("heading", "Care"),
        ("item", "wash it by hand"),
        ("item", "dry it"),
        ("sentence", "run me"),
    ]


def test_a_pipe_in_prose_is_no_table() -> None:
    assert [u.kind for u in units("Use cat file|grep x to search.")] == ["sentence"]


def test_a_very_long_sentence_is_cut_at_spaces() -> None:
    found = units("word " * 400)
    assert len(found) > 2
    assert all(len(u.text) <= MAX_UNIT for u in found)


def test_split_sentences_of_running_text() -> None:
    assert split_sentences("It is so. [1] And so. [2]") == ["It is so.", "[1] And so.", "[2]"]


@given(st.text(alphabet="ab1 .|\n\t-#!?。(\"'", max_size=300))
def test_every_unit_is_a_verbatim_span_in_reading_order(passage: str) -> None:
    found = units(passage)
    for unit in found:
        assert passage[unit.start : unit.end] == unit.text
        assert unit.text.strip() == unit.text != ""
    assert all(a.end <= b.start for a, b in pairwise(found))
