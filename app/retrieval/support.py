"""How well the passages an answer cites support each of its sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.retrieval.words import word_set

#: A sentence counts as supported from here on.
SUPPORTED = 0.5
_WORD = re.compile(r"\w+(?:[.,]\w+)*")
_NUMBER = re.compile(r"\d")
_STOP = word_set(
    """a an and are as at be been but by can could did do does for from had has have he her his how
    i if in into is it its may more most not of on or our she should so such than that the their
    them then there these they this those to was we were what when where which who why will with
    would you your also both each"""
)


@dataclass(frozen=True, slots=True)
class Support:
    """Support of one sentence, 0..1, and what it was made of."""

    score: float
    containment: float
    #: Numbers of the sentence that no passage holds: the surest sign of invention.
    missing_numbers: tuple[str, ...]

    @property
    def supported(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.score >= SUPPORTED


def support(sentence: str, passages: Sequence[str], similarity: float) -> Support:
    """Support of `sentence` by `passages`.

    `similarity` is how close a model finds sentence and passages, 0..1 (the best of them).
    """
    wanted = content_words(sentence)
    if not wanted:
        return Support(1.0 if passages else 0.0, 1.0, ())
    held = set().union(*(content_words(p) for p in passages)) if passages else set()
    containment = len(wanted & held) / len(wanted)
    missing = tuple(sorted(w for w in wanted - held if _NUMBER.search(w)))
    score = 0.0 if not passages else max(containment, 0.5 * containment + 0.5 * similarity)
    if missing:
        score *= 0.5
    return Support(min(1.0, score), containment, missing)


def content_words(text: str) -> set[str]:
    """Words that carry meaning, lower-cased and without common endings; numbers as written."""
    return {_stem(w) for w in _WORD.findall(text.lower()) if w not in _STOP}


def _stem(word: str) -> str:
    if _NUMBER.search(word):
        return word.rstrip(".,").replace(",", "")
    for suffix in ("ies", "ing", "ed", "es", "s", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)] + ("y" if suffix == "ies" else "")
    return word
