"""Answering by quoting: the sentences of the passages that best answer a question.

The caller scores the candidates with a cross-encoder (`Candidate.reading` is what the model
reads); this module proposes candidates and picks the answer. It needs no model of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.retrieval.sentences import Unit, units

#: Below this score of the best sentence there is no answer.
ABSTAIN_BELOW = 0.35
#: A further sentence joins the answer when it scores at least this share of the best one.
_KEEP_RATIO = 0.75
#: Sentences that say the same: share of their words in common.
_DUPLICATE = 0.8
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the answerer sees it."""

    text: str
    headings: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quotable unit of a passage, and the words a model scores it by."""

    passage: int
    unit: Unit
    #: The unit with what makes sense of it: heading, table header, the sentence before.
    reading: str


@dataclass(frozen=True, slots=True)
class Picked:
    """One sentence of the answer."""

    passage: int
    #: As a person reads it.
    text: str
    #: Verbatim in the passage.
    quote: str
    score: float


@dataclass(frozen=True, slots=True)
class Extract:
    """The answer: no sentences where nothing supports one."""

    sentences: tuple[Picked, ...]
    #: Score of the best candidate, whether it was good enough or not.
    confidence: float


def candidates(passages: Sequence[Passage], *, limit: int = 200) -> list[Candidate]:
    """Quotable units of the passages in their order, at most `limit`, headings left out."""
    found: list[Candidate] = []
    for index, passage in enumerate(passages):
        for unit in units(passage.text):
            readable = unit.readable
            if unit.kind == "heading":
                continue
            if len(_WORD.findall(readable)) >= 2 or unit.kind == "row":
                found.append(Candidate(index, unit, readable))
    return found[:limit]


def select(
    found: Sequence[Candidate],
    scores: Sequence[float],
    *,
    max_sentences: int = 3,
    abstain_below: float = ABSTAIN_BELOW,
) -> Extract:
    """Pick the best candidates, without repetition, in reading order.

    `scores` are 0..1, one for each candidate. The answer is empty where the best one is below
    `abstain_below`.
    """
    if not found:
        return Extract((), 0.0)
    order = sorted(range(len(found)), key=lambda i: -scores[i])
    best = scores[order[0]]
    if best < abstain_below:
        return Extract((), best)
    picked: list[int] = []
    for i in order:
        if len(picked) == max_sentences or scores[i] < max(abstain_below, best * _KEEP_RATIO):
            break
        if not any(similar(found[i].reading, found[j].reading) for j in picked):
            picked.append(i)
    picked.sort(key=lambda i: (found[i].passage, found[i].unit.start))
    return Extract(
        tuple(
            Picked(found[i].passage, found[i].unit.readable, found[i].unit.text, scores[i])
            for i in picked
        ),
        best,
    )


def similar(a: str, b: str) -> bool:
    """Whether two sentences say the same in (nearly) the same words."""
    left, right = words(a), words(b)
    if not left or not right:
        return a.strip() == b.strip()
    return len(left & right) / min(len(left), len(right)) >= _DUPLICATE


def words(text: str) -> set[str]:
    """Lower-cased words and numbers of a text."""
    return set(_WORD.findall(text.lower()))
