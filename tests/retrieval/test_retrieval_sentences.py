"""Passages cut into quotable units."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
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
    assert [r.readable for r in rows] == ["Berries: 150", "Corn: 200"]


def test_a_form_has_no_header_and_a_blank_line_ends_a_table() -> None:
    form = "| Order type: | Premium |\n| --- | --- |\n| Agency |  |\n| Contact: | Ann |"
    rows = units(f"{form}\n\n| Paid by: | Card |\n| --- | --- |\n| Term: | 30 days |")
    assert [(r.section, r.readable) for r in rows] == [
        ("", "Order type: Premium"),
        ("", "Agency"),
        ("Agency", "Contact: Ann"),
        ("", "Paid by: Card"),
        ("", "Term: 30 days"),
    ]


def test_a_part_of_a_table_has_a_name_and_a_header_of_its_own() -> None:
    rows = units(
        "|  | Estimate 8 |  |  |\n| --- | --- | --- | --- |\n| Number | A-1 | By | Ann |\n"
        "|  | Totals |  |  |\n|  | Hours | Rate | Cost |\n| Body work | 2 | 150 | 300 |\n"
        "| (by hand) |  |  |  |\n| Paint | 1 | 150 | 150 |"
    )
    assert [(r.section, r.readable) for r in rows][-3:] == [
        ("Totals", "Body work; Hours: 2; Rate: 150; Cost: 300"),
        ("Totals", "(by hand)"),
        ("Totals", "Paint; Hours: 1; Rate: 150; Cost: 150"),
    ]
    # Rows of words under a proper header are no headers themselves.
    plain = units(
        "| Firm | Land | Kind |\n|---|---|---|\n| Alpha | Peru | big |\n| Beta | Chad | 12 |"
    )
    assert plain[-1].readable == "Firm: Beta; Land: Chad; Kind: 12"


def test_lines_of_a_receipt_stand_alone_and_wrapped_text_does_not() -> None:
    assert texts("RETURN POLICY\nReturns within 30 days\nReceipt required") == [
        "RETURN POLICY",
        "Returns within 30 days",
        "Receipt required",
    ]
    wrapped = (
        "The annual meeting of the society was held in the great hall of\nNottingham Castle and went"
        " on until late at night, as the keeper says.\nIt rained."
    )
    assert texts(wrapped) == [wrapped.rpartition("\n")[0], "It rained."]
    assert len(texts("Wing nuts range in size up to 1\n⁄4 inch, others do not.")) == 1


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


@settings(deadline=None)
@given(st.text(alphabet="ab1 .|\n\t-#!?。(\"'", max_size=300))
def test_every_unit_is_a_verbatim_span_in_reading_order(passage: str) -> None:
    found = units(passage)
    for unit in found:
        assert passage[unit.start : unit.end] == unit.text
        assert unit.text.strip() == unit.text != ""
    assert all(a.end <= b.start for a, b in pairwise(found))
