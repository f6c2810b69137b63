"""How well the passages an answer cites support each of its sentences.

Three signs are joined: how many of the sentence's words the passages hold, how many the best
single sentence of theirs holds, and how close a cross-encoder finds them. Where the numbers come
from is told in `docs/how-answers-are-judged.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.retrieval.confidence import logit, sigmoid
from app.retrieval.lexical import split_unspaced
from app.retrieval.sentences import units
from app.retrieval.words import word_set

#: A sentence counts as supported from here on.
SUPPORTED = 0.5
#: What a sentence gets at most when it names a number that no passage holds.
_MISSING_NUMBER = 0.3
#: Shares of the three signs, and the logistic fit that makes a chance of their sum.
_WORDS, _QUOTE, _MODEL = 0.4, 0.3, 0.3
_SLOPE, _OFFSET = 13.0, -7.15
#: Cross-encoders are sure of themselves; their logits are divided by this.
_TEMPERATURE = 4.0
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
    """Support of `sentence` by `passages`, the passages it cites.

    `similarity` is how close a cross-encoder finds the sentence and the passages or their quotes,
    0..1, the best of them. A sentence that stands in a passage word by word needs none.
    """
    wanted = content_words(sentence)
    if not passages:
        return Support(0.0, 0.0, ())
    if not wanted or any(_same(sentence) in _same(passage) for passage in passages):
        return Support(1.0, 1.0, ())
    held = set().union(*(content_words(p) for p in passages))
    missing = tuple(sorted(w for w in wanted - held if _NUMBER.search(w)))
    containment = len(wanted & held) / len(wanted)
    quoted = max(len(wanted & content_words(best_quote(sentence, p))) for p in passages)
    mixed = (
        _WORDS * containment
        + _QUOTE * quoted / len(wanted)
        + _MODEL * sigmoid(logit(similarity) / _TEMPERATURE)
    )
    score = sigmoid(_SLOPE * mixed + _OFFSET)
    return Support(min(score, _MISSING_NUMBER) if missing else score, containment, missing)


def best_quote(claim: str, passage: str) -> str:
    """The unit of a passage that shares most words with a claim, verbatim."""
    wanted = content_words(claim)
    best, quote = -1.0, passage[:300].strip()
    for unit in units(passage):
        held = content_words(unit.text)
        if not held or unit.kind == "heading":
            continue
        score = 2 * len(wanted & held) / (len(wanted) + len(held))
        if score > best:
            best, quote = score, unit.text
    return quote


def _same(text: str) -> str:
    """A text as far as wording goes: white space, case, marks and table bars do not count."""
    return " ".join(re.findall(r"[\w%€$£]+", text.lower()))


def content_words(text: str) -> set[str]:
    """Words that carry meaning, lower-cased and without common endings; numbers as written."""
    words = _WORD.findall(text.lower())
    return {_stem(t) for w in words if w not in _STOP for t in split_unspaced(w)}


def _stem(word: str) -> str:
    if _NUMBER.search(word):
        return word.rstrip(".,").replace(",", "")
    for suffix in ("ies", "ing", "ed", "es", "s", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)] + ("y" if suffix == "ies" else "")
    return word
