"""Quality checks: what is dropped, what is only said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from app.documents.quality import (
    QualityConfig,
    QualityReport,
    check,
    register_validator,
    validator_names,
)

GOOD = "The pump moves twelve litres a minute. It needs oil every month."


def found(report: QualityReport) -> list[tuple[int, str, bool]]:
    return [(finding.index, finding.validator, finding.dropped) for finding in report.findings]


def test_good_text_passes() -> None:
    report = check([GOOD, "42 kg", "| a | b |\n| --- | --- |\n| 1 | 2 |"])
    assert report == QualityReport(checked=3, kept=(0, 1, 2))


def test_empty_repeated_and_damaged_chunks_are_dropped() -> None:
    report = check(
        [GOOD, "-----", GOOD.upper().replace(" ", "  "), "Ã©tÃ© Ã  la plage dâ€™or", "\ufffd" * 9]
    )
    assert report.kept == (0,)
    assert found(report) == [
        (1, "min_length", True),
        (2, "duplicate", True),
        (3, "encoding", True),
        (4, "encoding", True),
        (4, "min_length", True),
    ]
    assert report.findings[1].reason == "same text as chunk 1"


def test_menus_long_texts_and_other_languages_are_reported() -> None:
    german = "Die Pumpe fördert zwölf Liter in der Minute und braucht jeden Monat Öl."
    menu = "\n".join(f"- Item {i}" for i in range(14))
    notice = "© 2024 Somebody. All rights reserved. Privacy policy"
    config = QualityConfig(languages=("en",), max_length=500)
    report = check([GOOD, german, menu, notice, "word " * 200], config)
    assert report.kept == (0, 1, 2, 3, 4)
    assert (1, "language", False) in found(report)
    assert (2, "boilerplate", False) in found(report)
    assert (3, "boilerplate", False) in found(report)
    assert (4, "max_length", False) in found(report)


def test_a_validator_can_drop_or_flag() -> None:
    flagged = check(["-"], QualityConfig(drop=(), flag=("min_length",)))
    assert flagged.kept == (0,)
    assert found(flagged) == [(0, "min_length", False)]


def no_shouting(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    return [(i, "shouts") for i, text in enumerate(texts) if text.isupper()]


def test_other_packages_add_validators() -> None:
    register_validator("no_shouting", no_shouting)
    assert "no_shouting" in validator_names()
    assert check(["HEY", "hey you"], QualityConfig(drop=("no_shouting",))).kept == (1,)
    with pytest.raises(ValueError, match="unknown validator “nope”"):
        check(["x"], QualityConfig(drop=("nope",)))
