"""Languages paragraph by paragraph."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.documents.model import Block
from app.documents.segments import segment

ENGLISH = "Read this manual carefully before you use the pump for the first time."
GERMAN = "Lesen Sie diese Anleitung sorgfältig, bevor Sie die Pumpe zum ersten Mal verwenden."
FRENCH = "Lisez attentivement ce manuel avant d'utiliser la pompe pour la première fois."
CHINESE = "首次使用水泵之前，请仔细阅读本手册。水泵每分钟可以输送十二升水。"


def blocks_of(*parts: tuple[str, str]) -> list[Block]:
    return [Block.model_validate({"kind": kind, "text": text}) for kind, text in parts]


def languages(blocks: Sequence[Block], candidates: Sequence[str] = ()) -> list[str | None]:
    return [block.language for block in segment(blocks, candidates)]


def test_each_paragraph_has_its_language_and_the_rest_follows() -> None:
    blocks = blocks_of(
        ("heading", "Manual"),
        ("paragraph", ENGLISH),
        ("code", "x = 1"),
        ("heading", "Bedienung"),
        ("paragraph", GERMAN),
        ("paragraph", "OK."),
        ("table", "| a | b |"),
        ("heading", "Mode d'emploi"),
        ("paragraph", FRENCH),
        ("heading", "使用说明"),
        ("paragraph", CHINESE),
        ("paragraph", "1 2 3"),
    )
    assert languages(blocks) == ["en"] * 3 + ["de"] * 4 + ["fr"] * 2 + ["zh"] * 3
    # Nothing but the language changes.
    plain = [block.model_copy(update={"language": None}) for block in segment(blocks)]
    assert plain == blocks


def test_candidates_are_the_only_languages() -> None:
    blocks = blocks_of(("paragraph", ENGLISH), ("paragraph", GERMAN), ("paragraph", FRENCH))
    assert set(languages(blocks, ("en", "de"))) == {"en", "de"}
    assert languages(blocks, ("de",)) == ["de"] * 3


def test_short_lines_do_not_stand_out() -> None:
    names = ["Vasco da Gama, Lisboa", "Error 404: nil", "Rendez-vous", "Kindergarten, Zeitgeist"]
    for name in names:
        blocks = blocks_of(("paragraph", ENGLISH), ("paragraph", name), ("paragraph", ENGLISH))
        assert languages(blocks) == ["en"] * 3, name
        mixed = [*blocks, *blocks_of(("paragraph", FRENCH), ("paragraph", GERMAN))]
        assert languages(mixed) == ["en"] * 3 + ["fr", "de"], name


def test_a_language_that_is_known_is_kept() -> None:
    blocks = [Block(kind="paragraph", text=ENGLISH, language="nl"), *blocks_of(("code", "x"))]
    assert languages(blocks) == ["nl", "nl"]


@pytest.mark.parametrize("texts", [[], ["12", "34"], ["-"]])
def test_texts_without_words_have_no_language(texts: list[str]) -> None:
    assert languages(blocks_of(*(("paragraph", text) for text in texts))) == [None] * len(texts)
