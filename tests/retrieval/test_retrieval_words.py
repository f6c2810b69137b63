"""Acronyms, spelling, entities and the choice of a search."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.retrieval.adaptive import choose_search
from app.retrieval.entities import find_entities
from app.retrieval.glossary import build_glossary, expand, find_definitions
from app.retrieval.spelling import correct, edit_distance


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (
            "We use Retrieval-Augmented Generation (RAG) here.",
            [("RAG", "Retrieval-Augmented Generation")],
        ),
        ("A KB (knowledge base) holds documents.", [("KB", "knowledge base")]),
        ("Large language models (LLMs) write.", [("LLMs", "Large language models")]),
        (
            "Optimised Table Structure Language (OTSL)",
            [("OTSL", "Optimised Table Structure Language")],
        ),
        (
            "Heat shock transcription factor (HSF) binds.",
            [("HSF", "Heat shock transcription factor")],
        ),
        ("It was built (in 2020) and sold (see Fig. 2).", []),
        ("The report (PDF) is here.", []),
        ("Ask Anna (the IT lead) about it.", []),
    ],
)
def test_definitions_in_parentheses(text: str, pairs: list[tuple[str, str]]) -> None:
    assert find_definitions(text) == pairs


def test_the_most_frequent_expansion_wins() -> None:
    glossary = build_glossary(
        ["Key buffer (KB) once.", "A knowledge base (KB).", "The Knowledge Base (KB) again."]
    )
    assert glossary == {"KB": "knowledge base"}


def test_acronyms_are_spelt_out_once_and_only_in_their_own_case() -> None:
    glossary = {
        "KB": "knowledge base",
        "IT": "information technology",
        "LLM": "large language model",
    }
    text, used = expand("Is it in the KB? The KB of LLMs.", glossary)
    assert text == "Is it in the KB (knowledge base)? The KB of LLMs (large language model)."
    assert set(used) == {"KB", "LLM"}
    assert expand("The knowledge base (KB)", glossary) == ("The knowledge base (KB)", {})


def test_misspelt_words_are_corrected() -> None:
    text, changes = correct("How do I congigure the databse for retreival?")
    assert text == "How do I configure the database for retrieval?"
    assert changes == {"congigure": "configure", "databse": "database", "retreival": "retrieval"}


def test_words_of_the_documents_are_right_and_preferred() -> None:
    vocabulary = {"chromadb": 12, "tantivy": 4, "reranker": 9}
    assert correct("install chromadb and tantivy", vocabulary=vocabulary)[1] == {}
    assert correct("install chromdb", vocabulary=vocabulary)[0] == "install chromadb"
    assert correct("which rerankr", vocabulary=vocabulary)[0] == "which reranker"


@pytest.mark.parametrize(
    "text",
    [
        "Ask Jonhson about GPT4o and qwen2.5",
        "see https://exmaple.com/teh and teh_value",
        "the term “retreival” as written",
        "was kostet das Fahrrad",
        "NASA and iPhone",
    ],
)
def test_names_code_links_and_quotes_are_left_alone(text: str) -> None:
    vocabulary = {"kostet": 1, "fahrrad": 1}
    assert correct(text, vocabulary=vocabulary)[0] == text


def test_capitals_at_the_start_are_kept() -> None:
    assert correct("Retreival of facts")[0] == "Retrieval of facts"


@settings(deadline=None)
@given(st.text(alphabet="abc", max_size=6), st.text(alphabet="abc", max_size=6))
def test_edit_distance_is_symmetric_and_zero_only_for_equals(a: str, b: str) -> None:
    distance = edit_distance(a, b, 6)
    assert distance == edit_distance(b, a, 6)
    assert (distance == 0) == (a == b)
    assert distance >= abs(len(a) - len(b))


def test_swapped_letters_are_one_edit() -> None:
    assert edit_distance("teh", "the", 2) == 1
    assert edit_distance("abcdef", "uvwxyz", 2) == 3


def kinds(text: str) -> dict[str, str]:
    return {e.text: e.kind for e in find_entities(text)}


def test_entities_of_every_kind() -> None:
    found = kinds(
        'What did Marie Curie pay on 2024-01-07 for "Widget C" v1.2.3, €500 and 1,200 USD at '
        "https://a.b/c?x=1, for SKU-4563 and max_tokens to a@b.org with 12 kg in March 2021?"
    )
    assert found == {
        "Marie Curie": "name",
        "2024-01-07": "date",
        "Widget C": "term",
        "v1.2.3": "version",
        "€500": "money",
        "1,200 USD": "money",
        "https://a.b/c?x=1": "url",
        "SKU-4563": "code",
        "max_tokens": "code",
        "a@b.org": "email",
        "12 kg": "number",
        "March 2021": "date",
    }


def test_question_words_are_no_names() -> None:
    assert kinds("How does the parser work?") == {}
    assert kinds("Where is IBM headquartered?") == {"IBM": "name"}
    assert kinds("Ask Alice and Bob about Claude 3.5 Sonnet") == {
        "Alice": "name",
        "Bob": "name",
        "Claude 3.5 Sonnet": "name",
    }


@settings(deadline=None)
@given(st.text(max_size=200))
def test_entities_are_spans_without_overlap(text: str) -> None:
    found = find_entities(text)
    assert all(text[e.start : e.end] == e.text for e in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("query", "search_type"),
    [
        ("SKU-4563", "keyword"),
        ('"exact phrase"', "keyword"),
        ("error AND timeout", "keyword"),
        ("what can I do when my program becomes slow?", "semantic"),
        ("What revenue did Widget C make on 2024-01-07?", "hybrid"),
        ("duck food", "hybrid"),
        ("How do I set max_tokens for this?", "hybrid"),
    ],
)
def test_the_search_fits_the_query(query: str, search_type: str) -> None:
    choice = choose_search(query)
    assert choice.search_type == search_type
    assert choice.reason
