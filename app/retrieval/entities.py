"""Names, numbers, dates, addresses and quoted terms of a text, by careful patterns.

No model: the patterns find what a question singles out, so that a filter or a person can use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.retrieval.words import word_set

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_UNIT = (
    r"(?:%|percent|per cent|°[CF]|[kKMGT]i?B|kB|ms|µs|s|min|h|hours?|days?|weeks?|months?|years?|"
    r"km|cm|mm|m|kg|g|mg|l|ml|kWh|W|V|A|Hz|GHz|MHz|dpi|px|tokens?|pages?|million|billion|thousand)"
)
#: Earlier kinds win where patterns overlap.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("url", re.compile(r"\b(?:https?://|www\.)[^\s<>\"“”]*[^\s<>\"“”.,;:!?)\]}']", re.I)),
    ("email", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")),
    ("term", re.compile(r"[\"“„«`]([^\"“”„«»`\n]{1,80})[\"”“»`]|(?<!\w)'([^'\n]{2,80})'(?!\w)")),
    (
        "date",
        re.compile(
            rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d{{2}})"
            rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\.?(?:,?\s+\d{{4}})?"
            rf"|{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?(?!\d)"
            rf"|{_MONTH}\.?\s+\d{{4}}|Q[1-4]\s+\d{{4}})\b",
            re.I,
        ),
    ),
    (
        "version",
        re.compile(r"\bv\d+(?:\.\d+)*(?:-[\w.]+)?\b|\b\d+\.\d+\.\d+(?:[-+.][\w.]+)?\b", re.I),
    ),
    (
        "money",
        re.compile(
            r"(?:[$€£¥]|\b(?:USD|EUR|GBP|CHF)\s?)\d[\d,.]*\d?(?:\s?(?:million|billion|[kKmMbB]n?)\b)?"
            r"|\b\d+(?:[,.]\d+)*\s?(?:€|£|dollars?\b|euros?\b|USD\b|EUR\b|GBP\b|CHF\b)"
        ),
    ),
    (
        "code",
        re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)+\b|\b\w+(?:_\w+)+\b"),
    ),
    ("date", re.compile(r"\b(?:19|20)\d{2}\b(?!\s*%)")),
    (
        "name",
        re.compile(
            r"\b(?:[A-Z][\w’'&-]*[a-z0-9][\w’'&-]*|[A-Z]{2,}[\w&-]*)"
            r"(?:\s+(?:(?:of|de|van|von|der|du|la|the)\s+)?"
            r"(?:[A-Z][\w’'&-]*|[A-Z]\.|\d+(?:\.\d+)*(?![\w%-]|\.\d))){0,5}"
        ),
    ),
    ("number", re.compile(rf"(?<![\w.])[-+]?\d+(?:[,.]\d+)*(?:\s?{_UNIT}(?!\w))?(?!\w)")),
)
_QUESTION_WORDS = word_set(
    """a an and are as ask at be but by can could describe did do does explain find for from give had
    has have how i if in is it its list me my name of on or please show summarise summarize tell
    that the their there these they this those to was were what when where which who whom whose
    why will with would you your define compare"""
)


@dataclass(frozen=True, slots=True)
class Found:
    """A span of a text that names something."""

    text: str
    kind: str
    start: int
    end: int


def find_entities(text: str) -> list[Found]:
    """Entities in reading order, without overlaps.

    Kinds: url, email, term (quoted), date, version, money, code, number, name.
    """
    taken = [False] * len(text)
    found: list[Found] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            span = _span(kind, match, text)
            if span is None or any(taken[span[0] : span[1]]):
                continue
            start, end = span
            # A quoted term keeps its marks to itself, too.
            outer = range(match.start(), match.end()) if kind == "term" else range(start, end)
            for i in outer:
                taken[i] = True
            found.append(Found(text[start:end], kind, start, end))
    return sorted(found, key=lambda e: e.start)


def _span(kind: str, match: re.Match[str], text: str) -> tuple[int, int] | None:
    if kind == "term":
        group = 1 if match.group(1) is not None else 2
        start, end = match.span(group)
        return (start, end) if text[start:end].strip() else None
    start, end = match.span()
    return _name_span(start, end, text) if kind == "name" else (start, end)


def _name_span(start: int, end: int, text: str) -> tuple[int, int] | None:
    """Drop question words and sentence openers in front of a name."""
    while start < end:
        word = re.match(r"\S+", text[start:end])
        if word is None:
            return None
        if (
            word.group().lower().rstrip("’'s") not in _QUESTION_WORDS
            and word.group().lower() not in _QUESTION_WORDS
        ):
            break
        start += word.end()
        while start < end and text[start].isspace():
            start += 1
    if end - start < 2:
        return None
    first = text[start:end].split(maxsplit=1)[0]
    opens = not text[:start].strip() or re.search(r"[.!?:]\s*$", text[:start]) is not None
    # One capitalised plain word at the start of a sentence is most likely just its first word.
    if opens and " " not in text[start:end] and first[1:].islower():
        return None
    return start, end
