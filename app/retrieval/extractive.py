"""Answering by quoting: the sentences of the passages that best answer a question.

Candidates are sentences, table rows with their header, list items, lists with the sentence that
introduces them, and runs of short lines as forms have them. A cross-encoder, handed in by the
caller, reads each of them with the question; the best ones are read again under their heading and
after the sentence before, which tells an answer from words about the same thing. Questions in
scripts that the cross-encoder cannot read are answered by shared words. How the numbers here were
found is told in `docs/how-answers-are-judged.md`.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.retrieval.candidates import Candidate, Passage, propose
from app.retrieval.confidence import PASSAGE_SHARE, logit
from app.retrieval.confidence import confidence as as_confidence
from app.retrieval.gist import asks_for_gist, gist
from app.retrieval.lexical import is_latin, lexical_scores

#: Scores texts against a question, 0..1, in the order given.
Score = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]

#: Counts the ways of choosing sentences: kept answers of an earlier one are not reused.
REVISION = 2
#: Confidence below which there is no answer.
ABSTAIN_BELOW = 0.5
#: How many candidates are read a second time.
_SHORTLIST = 10
#: A further sentence joins the answer when its score (a logit) comes this close to the best.
_MARGIN = 1.5
#: A question's number or code that the passage does not hold costs this much (a logit), one that
#: the passage holds elsewhere costs the lesser.
_MISSING_KEY, _DISTANT_KEY = 5.0, 1.0
#: The sentence before is quoted too where it adds this much (a logit) to one that points back.
_LEANS = 1.0
#: A passage counts no worse than this (a logit): a page of a form never reads as an answer.
_WORST_PASSAGE = -3.0
#: How sure one may be that a few sentences tell what the whole is about.
_GIST_CONFIDENCE = 0.6
#: A title, menu or cut-off line costs this much.
_ROUGH = 1.5
#: Sentences that say the same: share of their words in common.
_DUPLICATE = 0.8

_WORD = re.compile(r"\w+")
_KEY = re.compile(r"\w[\w./:-]*\d[\w./:-]*|\d[\w./:-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Picked:
    """One sentence of the answer."""

    passage: int
    #: As a person reads it.
    text: str
    #: Verbatim in the passage.
    quote: str
    #: 0..1, how sure it is that this answers.
    confidence: float


@dataclass(frozen=True, slots=True)
class Extract:
    """The answer: no sentences where nothing supports one."""

    sentences: tuple[Picked, ...]
    #: Of the best candidate, whether it was good enough or not.
    confidence: float


async def extract_answer(
    question: str,
    passages: Sequence[Passage],
    score: Score,
    *,
    max_sentences: int = 3,
    abstain_below: float = ABSTAIN_BELOW,
    limit: int = 160,
) -> Extract:
    """Pick the sentences that answer `question`, in reading order, each said once.

    At most `limit` candidates are scored, those of earlier passages first.
    """
    asked = content(question)
    found = [c for c in propose(passages) if c.adds_to(asked)][:limit]
    if not found:
        return Extract((), 0.0)
    if asks_for_gist(question):
        return _gist(found, max_sentences, abstain_below)
    scores, leaning = await _scores(question, passages, found, score)
    order = sorted(range(len(found)), key=lambda i: -scores[i])
    best = order[0]
    confidence = as_confidence(scores[best])
    if confidence < abstain_below:
        return Extract((), confidence)
    picked = _pick(asked, found, scores, order, max_sentences, abstain_below)
    said = {(found[i].passage, found[i].start) for i in picked}
    sentences: list[Picked] = []
    for i in picked:
        c = found[i]
        text, quote = c.text, c.quote
        if i in leaning and (c.passage, c.before_start) not in said:
            text, quote = c.in_context, passages[c.passage].text[c.before_start : c.end]
        sentences.append(Picked(c.passage, text, quote, as_confidence(scores[i])))
    return Extract(tuple(sentences), confidence)


def _gist(found: Sequence[Candidate], max_sentences: int, abstain_below: float) -> Extract:
    """What the passages are about, in sentences of theirs."""
    if abstain_below > _GIST_CONFIDENCE:
        return Extract((), _GIST_CONFIDENCE)
    picked = sorted(gist(found, max_sentences), key=lambda i: (found[i].passage, found[i].start))
    sentences = tuple(
        Picked(found[i].passage, found[i].text, found[i].quote, _GIST_CONFIDENCE) for i in picked
    )
    return Extract(sentences, _GIST_CONFIDENCE if sentences else 0.0)


async def _scores(
    question: str, passages: Sequence[Passage], found: Sequence[Candidate], score: Score
) -> tuple[list[float], set[int]]:
    """Score of each candidate (a logit): read alone, under its heading, and in its context.

    And those that say who or what they are about only with the sentence before them.
    """
    if is_latin(question):
        alone = [logit(p) for p in await score(question, [c.text for c in found])]
    else:
        alone = lexical_scores(question, [c.text for c in found])
    keys = keys_of(question)
    total = [
        a - _missing(keys, c, passages) - _ROUGH * c.rough
        for a, c in zip(alone, found, strict=True)
    ]
    if not is_latin(question):
        return total, set()
    shortlist = sorted(range(len(found)), key=lambda i: -total[i])[:_SHORTLIST]
    whole = {found[i].passage: passages[found[i].passage].relevance for i in shortlist}
    unknown = [p for p, relevance in whole.items() if relevance is None]
    texts = (
        [found[i].under_heading for i in shortlist]
        + [found[i].in_context for i in shortlist]
        + [passages[p].reading for p in unknown]
    )
    again = await score(question, texts)
    whole.update(zip(unknown, again[2 * len(shortlist) :], strict=True))
    leaning: set[int] = set()
    for n, i in enumerate(shortlist):
        headed, followed = logit(again[n]), logit(again[n + len(shortlist)])
        if found[i].points_back and followed - alone[i] >= _LEANS:
            leaning.add(i)
        readings = sorted((alone[i], headed, followed))
        # What stands above a line of a form is often about something else: the best two count.
        total[i] += statistics.fmean(readings[1:] if found[i].loose else readings) - alone[i]
        relevance = logit(whole[found[i].passage] or 0.0)
        total[i] += PASSAGE_SHARE * max(relevance, _WORST_PASSAGE)
    # Those not read again cannot overtake those that were.
    worst = min(total[i] for i in shortlist)
    read_again = set(shortlist)
    return [t if i in read_again else min(t, worst) for i, t in enumerate(total)], leaning


def _pick(
    asked: set[str],
    found: Sequence[Candidate],
    scores: Sequence[float],
    order: Sequence[int],
    max_sentences: int,
    abstain_below: float,
) -> list[int]:
    best = order[0]
    told = asked & content(found[best].full_text)
    picked: list[int] = []
    for i in order:
        if len(picked) == max_sentences or scores[i] < scores[best] - _MARGIN:
            break
        if as_confidence(scores[i]) < abstain_below:
            break
        # A further row, or line of a form, must meet the question as well as the best one does:
        # the same column of another year is no part of the answer.
        if i != best and found[i].tabular and not told <= content(found[i].full_text):
            continue
        if not any(_overlap(found[i], found[j]) for j in picked):
            picked.append(i)
    return sorted(picked, key=lambda i: (found[i].passage, found[i].start))


def keys_of(question: str) -> frozenset[str]:
    """Numbers, dates and codes of a question: what an answer has to be about to the letter."""
    return frozenset(_plain(m) for m in _KEY.findall(question))


def content(text: str) -> set[str]:
    """Lower-cased words and numbers of a text."""
    return set(_WORD.findall(text.lower().replace(",", "")))


def _missing(keys: frozenset[str], candidate: Candidate, passages: Sequence[Passage]) -> float:
    if not keys:
        return 0.0
    near = _plain(candidate.full_text)
    far = _plain(f"{passages[candidate.passage].reading} {passages[candidate.passage].title}")
    return sum(0.0 if key in near else _DISTANT_KEY if key in far else _MISSING_KEY for key in keys)


def _overlap(a: Candidate, b: Candidate) -> bool:
    """Whether two candidates quote the same place, or say the same in other words."""
    if a.passage == b.passage and a.start < b.end and b.start < a.end:
        return True
    left, right = content(a.text), content(b.text)
    if not left or not right:
        return False
    return len(left & right) / min(len(left), len(right)) >= _DUPLICATE


def _plain(text: str) -> str:
    return text.lower().replace(",", "").rstrip(".:-/")
