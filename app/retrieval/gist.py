"""What a text is about, in its own sentences: for questions that ask for nothing in particular.

A cross-encoder finds no answer to “What is this about?”: no sentence says so. The sentences that are
made of the words which the whole uses most say it best (SumBasic: Nenkova and Vanderwende, “The
impact of frequency on summarization”, 2005).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from app.retrieval.candidates import Candidate
from app.retrieval.support import content_words
from app.retrieval.words import word_set

#: Words, of a sentence worth quoting for what it says about the whole.
_FEWEST, _MOST = 6, 60
#: At 1 the shortest sentence of frequent words wins, at 0 the longest of all.
_LENGTH = 0.7
#: A passage's first sentence says more often than others what follows.
_FIRST = 1.3
_WORD = re.compile(r"[^\W\d_]+")
_ASKS = re.compile(
    r"\babout\b|\bsummar|\boverview\b|\bgist\b|\bmain\b|\bmost important\b|\bkey points?\b"
    r"|\b(?:say|says|said|contain|contains|cover|covers|describe|describes)\b"
    r"|\bworum geht|\bwovon handelt|\bfass\w*\b.*\bzusammen|\bzusammenfass"
    r"|\bde quoi\b|\brésum|\bde qué\b|\bresum",
    re.IGNORECASE,
)
#: Words that name no topic.
_PLAIN = word_set(
    """a all an and are article book brief briefly can chapter contain contains contract cover covers
    describe describes do document documents does file files for gist give here i idea ideas
    important in is it its key letter main manual me most of overview page pages paper passage please
    point points read report s say says said section sentence sentences shall short should
    summarise summarised summarize summarized summary tell text that the their them these this those
    to topic topics us what whole would write you your about something
    das dem den der des diese diesem dieser dieses dokument dokuments die bitte eine einer es fass fasse
    fassen geht handelt hier ich in inhalt kurz mir text um uns worum wovon zusammen zusammenfassen
    zusammenfassung datei von
    ce cet cette de quoi document est fais fichier il le la les moi parle résume résumé résumer
    s agit texte traite un une du
    del documento el este esta está resume resumen resumir se texto trata que qué archivo"""
)


def asks_for_gist(question: str) -> bool:
    """Whether a question is about the text as a whole: it asks for a summary and names no topic."""
    words = _WORD.findall(question.lower())
    return bool(_ASKS.search(question)) and all(word in _PLAIN for word in words)


def gist(found: Sequence[Candidate], most: int) -> list[int]:
    """Indexes of the candidates, at most so many, that say best what all are about."""
    said = {i: content_words(c.text) for i, c in enumerate(found) if _is_plain(c)}
    if not said:
        said = {i: content_words(c.text) for i, c in enumerate(found) if not c.rough}
    frequency = Counter(word for words in said.values() for word in words)
    total = frequency.total()
    weight = {word: count / total for word, count in frequency.items()}
    first = {c.passage: i for i, c in reversed(list(enumerate(found))) if i in said}
    picked: list[int] = []
    while len(picked) < min(most, len(said)):
        best = max(
            (i for i in said if i not in picked),
            key=lambda i: (
                sum(weight[w] for w in said[i])
                / max(1, len(said[i])) ** _LENGTH
                * (_FIRST if first[found[i].passage] == i else 1.0)
            ),
        )
        picked.append(best)
        # What was said counts less from here on.
        weight.update({word: weight[word] ** 2 for word in said[best]})
    return picked


def _is_plain(candidate: Candidate) -> bool:
    """A whole sentence of running text."""
    whole = candidate.text[:1].isalpha() and not candidate.text[:1].islower()
    return whole and not candidate.loose and _FEWEST <= len(candidate.text.split()) <= _MOST
