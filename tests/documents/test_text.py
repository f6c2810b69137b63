"""Sentences with exact offsets, decoding, languages, token counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.encoding import decode, looks_binary
from app.documents.language import detect_language
from app.documents.text import clean, sentences
from app.documents.tokens import CountingTokenizer, TokenIndex, default_tokenizer


def split(text: str) -> list[str]:
    return [text[a:b] for a, b in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mr. J. R. Jones at 3.5 p.m. on Monday.", 1),
        ("See Fig. 3 and e.g. No. 7, approx. 2.5 kg. Then go.", 2),
        ("It costs 1.234,56 EUR. Danke.", 2),
        ("Apples, pears, etc. The rest follows.", 2),
        ("She said “Stop.” Then she left.", ["She said “Stop.”", "Then she left."]),
        ("これは文です。次の文です！終わり", ["これは文です。", "次の文です！", "終わり"]),
        ("我们今天学习。明天休息。", 2),
        ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
        ("- a\n- b", ["- a", "- b"]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("A line\nthat goes on. Next", ["A line\nthat goes on.", "Next"]),
        ("Use ver. 2.0.1 of the U.S. edition. Ok?", 2),
        ("Wait... what? Yes.", 2),
        ("", []),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str] | int) -> None:
    found = split(text)
    assert len(found) == expected if isinstance(expected, int) else found == expected, found


@settings(deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from(".?! \n。\"'ab1"))))
def test_sentences_lose_nothing_and_never_overlap(text: str) -> None:
    spans = sentences(text)
    covered = set()
    end = 0
    for a, b in spans:
        assert end <= a < b
        end = b
        covered.update(range(a, b))
    assert all(char.isspace() or i in covered for i, char in enumerate(text))


@settings(deadline=None)
@given(st.text())
def test_clean_text_can_be_encoded_and_has_one_kind_of_line_end(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\r" not in cleaned
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    "name", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]
)
def test_decode_unicode(name: str) -> None:
    text = "Größe, café and “quotes” – naïve. " * 3
    assert decode(text.encode(name))[0] == text


def test_decode_older_encodings() -> None:
    german = "Die Größe der Straße überraschte alle Gäste im Café. " * 5
    assert decode(german.encode("cp1252"))[0] == german
    japanese = "日本語の文章をここに書いて、文字コードを調べます。" * 8
    assert decode(japanese.encode("shift_jis"))[0] == japanese
    russian = "Это обычный русский текст для проверки кодировки. " * 8
    assert decode(russian.encode("koi8-r"))[0] == russian


def test_decode_takes_the_page_at_its_word_and_forgives_a_cut_character() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body>Łódź</body></html>'
    assert "Łódź" in decode(page.encode("iso-8859-2"), html=True)[0]
    text = "Größe und Maße. " * 20
    assert decode(text.encode()[:-3] + b"\xc3")[1] == "utf-8"


def test_binary_is_told_from_text() -> None:
    assert looks_binary(b"\x00\x01\x02\x03" * 20)
    assert looks_binary(bytes(range(256)))
    assert not looks_binary(b"plain\ttext\r\n\f")
    assert not looks_binary("text".encode("utf-16"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I install the server on a new machine?", "en"),
        ("Wie installiere ich den Server auf einem neuen Rechner?", "de"),
        ("¿Cómo se instala el servidor en una máquina nueva?", "es"),
        ("Comment installer le serveur sur une nouvelle machine ?", "fr"),
        ("サーバーの設定", "ja"),
        ("如何安装服务器", "zh"),
        ("서버 설치", "ko"),
        ("东西发现", "zh"),
        ("東京駅", "ja"),
        ("東京", None),
        ("名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n髙橋淳,35,名古屋", "ja"),
        ("Ok", None),
        ("α", None),
        ("10 µm", None),
        ("12 + 34 = 46", None),
        ("", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("letters", [2, 4, 6, 12, 16, 24, 40])
def test_what_is_told_of_short_texts_is_right(letters: int, shared_data: Path) -> None:
    told, right = 0, 0
    for language, folder in (
        ("de", "xquad/de"), ("en", "xquad/en"), ("es", "xquad/es"), ("ja", "jaquad-ja"), ("zh", "cmrc2018-zh"),
    ):  # fmt: skip
        with gzip.open(shared_data / folder / "corpus.jsonl.gz", "rt") as lines:
            texts = [json.loads(line)["text"] for line in lines][:120]
        for n, text in enumerate(texts):
            found = detect_language(text[7 * n % 60 :][:letters])
            told += found is not None
            right += found == language
    assert told >= 100
    assert right >= 0.95 * told


def test_language_among_those_in_use() -> None:
    assert detect_language("reset my password", candidates=("en", "de")) == "en"
    assert detect_language("日本語のテキスト", candidates=("en", "ja")) == "ja"
    assert detect_language("株式会社", candidates=("en", "ja")) == "ja"


def test_token_counts_are_those_of_the_model() -> None:
    tokenizer = default_tokenizer()
    text = "Tokenization of unbelievably long words, e.g. Donaudampfschifffahrt."
    index = TokenIndex(text, tokenizer)
    assert index.count(0, len(text)) == len(tokenizer.spans(text)) == len(index)
    assert index.count(0, 12) + index.count(12, len(text)) == len(index)
    cut = index.advance(0, 5)
    assert index.count(0, cut) == 5


def test_an_endless_word_counts_as_many_tokens() -> None:
    word = "A" * 10_000
    assert len(TokenIndex(word, default_tokenizer())) == 2_500
    assert len(TokenIndex(word, CountingTokenizer(lambda w: 1))) == 2_500
