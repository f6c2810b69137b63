"""Quality checks: what is dropped, what is only said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from app.documents import quality
from app.documents.quality import (
    DEFAULT_ACTIONS,
    Action,
    CodeSpan,
    Passage,
    QualityConfig,
    QualityReport,
    check,
    register_validator,
    repairable,
    summary,
    usual_action,
    validator_names,
)

GOOD = "The pump moves twelve litres a minute. It needs oil every month."


def found(report: QualityReport) -> list[tuple[int, str, str]]:
    return [(finding.index, finding.validator, finding.action) for finding in report.findings]


def only(*names: str, action: Action = "flag", **settings: Any) -> QualityConfig:
    return QualityConfig(validators=dict.fromkeys(names, action), **settings)


def test_good_text_passes() -> None:
    report = check([GOOD, "42 kg", "| a | b |\n| --- | --- |\n| 1 | 2 |"])
    assert report == QualityReport(checked=3, kept=(0, 1, 2))


def test_empty_repeated_and_damaged_chunks_are_dropped() -> None:
    report = check([GOOD, "-----", GOOD.upper().replace(" ", "  "), "\ufffd" * 9])
    assert report.kept == (0,)
    assert [item for item in found(report) if item[2] == "drop"] == [
        (1, "min_length", "drop"),
        (2, "duplicate", "drop"),
        (3, "encoding", "drop"),
        (3, "min_length", "drop"),
    ]
    assert "same text as chunk 1" in [finding.reason for finding in report.findings]


def test_damaged_characters_are_mended_where_they_can_be() -> None:
    damaged = "Ã©tÃ© Ã  la plage dâ€™or"
    lost = GOOD + "\ufffd" * 30
    report = check([damaged, lost, "Åland: 5 Â°C – “quotes” ﬁ ｆ &amp;"])
    assert report.kept == (0, 2)
    assert report.repaired == {
        0: "été à la plage d’or",
        2: "Åland: 5 °C – “quotes” ﬁ ｆ &amp;",
    }
    assert found(report) == [
        (0, "encoding", "repair"),
        (1, "encoding", "drop"),
        (2, "encoding", "repair"),
    ]
    # What is well is left as it is, in any script.
    well = ["Ça va très bien, “merci” – naïve Ångström", "Привет, мир", "東京は日本の首都です"]
    assert check(well).repaired == {}


def test_a_mended_text_is_what_the_other_checks_see() -> None:
    report = check(["été à la plage d’or", "Ã©tÃ© Ã  la plage dâ€™or"])
    assert report.kept == (0,)
    assert (1, "duplicate", "drop") in found(report)


def test_menus_long_texts_and_other_languages_are_reported() -> None:
    german = "Die Pumpe fördert zwölf Liter in der Minute und braucht jeden Monat Öl."
    menu = "\n".join(f"- Item {i}" for i in range(14))
    notice = "© 2024 Somebody. All rights reserved. Privacy policy"
    config = only("max_length", "boilerplate", "language", languages=("en",), max_chunk_length=500)
    report = check([GOOD, german, menu, notice, "word " * 200], config)
    assert report.kept == (0, 1, 2, 3, 4)
    assert (1, "language", "flag") in found(report)
    assert (2, "boilerplate", "flag") in found(report)
    assert (3, "boilerplate", "flag") in found(report)
    assert (4, "max_length", "flag") in found(report)


def test_notices_are_taken_out_of_a_text_or_leave_it_out() -> None:
    notice = "© 2024 Somebody. All rights reserved. Privacy policy"
    report = check([f"{GOOD}\n{notice}", notice], only("boilerplate", action="repair"))
    assert report.kept == (0,)
    assert report.repaired == {0: GOOD}


def test_a_text_that_changes_a_word_is_nearly_the_same() -> None:
    long = " ".join(f"step {i} turns valve {i * 7} by {i} degrees" for i in range(12))
    other = " ".join(f"part {i} hangs below beam {i * 5} at {i} metres" for i in range(12))
    texts = [long, other, long.replace("valve 42", "valve 43"), other + " and no more", "short"]
    report = check(texts, only("near_duplicate", action="drop"))
    assert report.kept == (0, 1, 4)
    assert [f.reason.split(" the same as ")[1] for f in report.findings] == ["chunk 1", "chunk 2"]
    # Nearly the same in a script without spaces too.
    chinese = "知识库中的每一次更改都是一次提交，可以随时回到任何一个提交，也可以比较任意两个提交之间的差别，或者把一个分支合并到另一个分支里。"
    report = check([chinese, chinese.replace("每一次", "每两次")], only("near_duplicate"))
    assert [f.index for f in report.findings] == [1]


def fenced(info: str, code: str) -> str:
    return f"Look:\n\n```{info}\n{code}\n```"


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("python", "def f(x):\n    return x['a']"),
        ("{.py .numberLines}", "    indented = 1\n    more = 2"),
        ("python", ">>> 1 + 1\n2\n>>> for i in 'ab':\n...     print(i)\na\nb"),
        ("ipython3", "%timeit f()\nx = 1"),
        ("python", "return x"),
        ("json", '{"a": [1, 2]}'),
        ("jsonl", '{"a": 1}\n{"b": 2}'),
        ("js", "f('(') /* ( */ // don't (\n;"),
        ("bash", "case x in a) echo ;; esac"),
        ("", "what (ever"),
        ("python", "(" * 5_000),
        ("python", "-" * 5_000 + "1"),
        ("json", "[" * 50_000),
    ],
)
def test_code_that_is_well_formed_or_cannot_be_judged_passes(info: str, code: str) -> None:
    assert found(check([fenced(info, code)], only("code_syntax"))) == []


@pytest.mark.parametrize(
    ("info", "code", "said"),
    [
        ("python", "def f(:\n    pass", "python: line 1"),
        ("py", "print 'x'", "py: line 1"),
        ("json", '{"a": 1,}', "json: line 1"),
        ("jsonl", '{"a": 1}\n{"b"}', "line 1"),
        ("java", "class A { void f() { }", "“{” is not closed"),
        ("c", "int f(a]];", "“]” closes nothing"),
    ],
)
def test_code_that_is_not_well_formed_is_found(info: str, code: str, said: str) -> None:
    (finding,) = check([fenced(info, code)], only("code_syntax")).findings
    assert said in finding.reason


def test_only_whole_blocks_of_code_are_judged() -> None:
    text = "def f(:"
    half, whole = (Passage(text, code=(CodeSpan(0, 7, "python", w),)) for w in (False, True))
    assert [f.index for f in check([half, whole], only("code_syntax")).findings] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "Call `open` first.", "The max_size matters.", "Use readFile there.", "See os.path now.",
        "Then run() it.", "Pass --verbose to it.", "Look into /etc/hosts first.", "An HTTP server.",
        "It is utf8 text.", "Version v1.2 is out.",
    ],
)  # fmt: skip
def test_words_that_look_technical_are_terms(text: str) -> None:
    assert found(check([text], only("technical_terms"))) == []


def test_prose_without_terms_is_found_where_asked() -> None:
    texts = [
        "We thank everybody and/or their families for a long and happy 19th century.",
        "A self-made man - so to speak - wrote it.",
    ]
    report = check(texts, only("technical_terms"))
    assert [f.reason for f in report.findings] == [
        "no technical term among 14 words",
        "no technical term among 9 words",
    ]
    assert check(["x = 1"], only("technical_terms")).findings != ()
    assert check([Passage("x = 1", kinds=("code",))], only("technical_terms")).findings == ()


def test_a_validator_can_drop_or_flag() -> None:
    flagged = check(["-"], only("min_length"))
    assert flagged.kept == (0,)
    assert found(flagged) == [(0, "min_length", "flag")]
    short = check(["abcdef", GOOD], only("min_length", action="drop", min_chunk_length=20))
    assert (short.kept, short.findings[0].reason) == ((1,), "shorter than 20 characters")


def test_a_report_says_the_same_once() -> None:
    report = check(["-", "?", GOOD, "Ã©tÃ© Ã  la plage"])
    said = summary(report, [0, 5, 10, None])
    assert said["checked"] == 4
    assert said["kept"] == 2
    assert said["counts"] == {"min_length": 2, "encoding": 1}
    assert said["findings"][0] == {
        "validator": "min_length",
        "action": "drop",
        "reason": "0 letters and digits, fewer than 3",
        "start": 0,
        "count": 2,
    }
    assert len(summary(report, [0, 5, 10, None], limit=1)["findings"]) == 1


def no_shouting(texts: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    return [(i, "shouts") for i, passage in enumerate(texts) if passage.text.isupper()]


def calm(passage: Passage, config: QualityConfig) -> tuple[str, str] | None:
    return (passage.text.lower(), "calmed down") if passage.text.isupper() else None


def test_other_packages_add_validators() -> None:
    register_validator("no_shouting", no_shouting, repair=calm, action="repair")
    try:
        assert "no_shouting" in validator_names()
        assert "no_shouting" in repairable()
        assert usual_action("no_shouting") == "repair"
        assert check(["HEY", "hey you"], only("no_shouting", action="drop")).kept == (1,)
        assert check(["HEY"], only("no_shouting", action="repair")).repaired == {0: "hey"}
    finally:
        quality._validators.unregister("no_shouting")
    with pytest.raises(ValueError, match="unknown validator “nope”"):
        check(["x"], only("nope"))
    with pytest.raises(ValueError, match="nothing can repair"):
        check(["x"], only("duplicate", action="repair"))
    with pytest.raises(ValueError, match="no way to"):
        register_validator("no_shouting", no_shouting, action="repair")


def test_the_usual_actions_fit_the_validators() -> None:
    assert {name: usual_action(name) for name in DEFAULT_ACTIONS} | {
        "near_duplicate": "flag"
    } == DEFAULT_ACTIONS
    assert set(DEFAULT_ACTIONS) <= set(validator_names())
