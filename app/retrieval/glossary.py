"""Acronyms a text defines: "Retrieval-Augmented Generation (RAG)", "RAG (retrieval-augmented …)".

The algorithm of Schwartz and Hearst, "A simple algorithm for identifying abbreviation definitions
in biomedical text", Pacific Symposium on Biocomputing 2003: candidates are pairs of a short form
and the words beside its parentheses; the letters of the short form are matched from right to
left, and the first of them must start a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_PARENTHESES = re.compile(r"\(([^()\n]{2,120})\)")
#: At most this many words may stand in a long form (of the paper: min(|A| + 5, |A| * 2)).
_SENTENCE_END = re.compile(r"[.!?;:]\s+(?=[A-Z0-9\"“])|\n\s*\n|\|")


def find_definitions(text: str) -> list[tuple[str, str]]:
    """(short form, long form) pairs in the order in which the text defines them."""
    pairs: list[tuple[str, str]] = []
    for match in _PARENTHESES.finditer(text):
        inside = re.split(r"[,;]\s|\s[-–—]\s", match.group(1).strip(), maxsplit=1)[0].strip(
            " \"'“”‘’"
        )
        before = _words_before(text, match.start())
        pair = _forward(inside, before) or _backward(inside, before)
        if pair:
            pairs.append(pair)
    return pairs


def build_glossary(texts: Iterable[str]) -> dict[str, str]:
    """Acronym -> its most frequent expansion over all texts (the first one met wins ties)."""
    counts: dict[str, Counter[str]] = {}
    spelling: dict[tuple[str, str], str] = {}
    for text in texts:
        for short, long in find_definitions(text):
            key = _fold(long)
            spelling.setdefault((short, key), long)
            counts.setdefault(short, Counter())[key] += 1
    return {
        short: spelling[short, counter.most_common(1)[0][0]]
        for short, counter in sorted(counts.items())
    }


def expand(text: str, glossary: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Write the expansion behind each acronym that `text` uses: "RAG" -> "RAG (retrieval …)".

    Acronyms match whole words in their own case, so that "IT" does not expand "it"; one already
    spelt out is left alone. Returns the text and the expansions made.
    """
    used: dict[str, str] = {}
    folded = _fold(text)
    for word in dict.fromkeys(re.findall(r"\w[\w&/.\-]*\w", text)):
        for form in (word, word[:-1] if word.endswith("s") and len(word) > 2 else word):
            long = glossary.get(form)
            if long and _fold(long) not in folded:
                used[form] = long
                break
    for short, long in used.items():
        plural = "s?" if not short.endswith("s") else ""
        pattern = re.compile(rf"(?<!\w)({re.escape(short)}{plural})(?!\w)")
        text = pattern.sub(lambda m, long=long: f"{m.group(1)} ({long})", text, count=1)  # type: ignore[misc]
    return text, used


def _words_before(text: str, at: int) -> str:
    piece = text[max(0, at - 240) : at].rstrip()
    return _SENTENCE_END.split(piece)[-1].strip()


def _forward(inside: str, before: str) -> tuple[str, str] | None:
    """Long form (SHORT)."""
    if not _is_short_form(inside):
        return None
    words = before.split()
    limit = min(len(inside) + 5, len(inside) * 2)
    long = _best_long_form(inside, " ".join(words[-limit:]))
    return (inside, long) if long else None


def _backward(inside: str, before: str) -> tuple[str, str] | None:
    """SHORT (long form)."""
    short = before.rsplit(maxsplit=1)[-1].strip("\"'“”‘’*_`") if before.split() else ""
    if not _is_short_form(short) or len(inside.split()) < 2:
        return None
    long = _best_long_form(short, inside)
    # The whole of the parentheses must be the long form, not a remark that ends in it.
    return (short, inside) if long and len(long) >= 0.8 * len(inside) else None


def _is_short_form(text: str) -> bool:
    """2 to 10 letters, at most two words, a capital at least, starting with a letter or digit."""
    return (
        2 <= len(text) <= 10
        and len(text.split()) <= 2
        and text[0].isalnum()
        and sum(c.isupper() for c in text) >= 2 - (len(text) == 2)
        and not any(c in text for c in '=<>@$€%\\{}[]"')
    )


def _best_long_form(short: str, long: str) -> str | None:
    """Schwartz and Hearst's match from right to left; None where letters are left over."""
    s, at = len(short) - 1, len(long) - 1
    while s >= 0:
        letter = short[s].lower()
        if not letter.isalnum():
            s -= 1
            continue
        while at >= 0 and (
            long[at].lower() != letter or (s == 0 and at > 0 and long[at - 1].isalnum())
        ):
            at -= 1
        if at < 0:
            return None
        at -= 1
        s -= 1
    start = long.rfind(" ", 0, at + 1) + 1
    found = long[start:].strip(" \"'“”‘’([")
    words = re.split(r"[\s\-]+", found)
    letters = sum(c.isalnum() for c in short)
    acceptable = (
        len(found) > len(short)
        and len(words) <= min(letters + 5, letters * 2)
        and len(words) >= 2
        and short.lower() not in (w.lower() for w in words)
    )
    return found if acceptable else None


def _fold(text: str) -> str:
    return re.sub(r"[\s\-]+", " ", text).strip().lower()
