"""Spelling correction of questions that never harms the documents' own terms.

By the English frequency dictionary of symspellpy (82,765 words). Words that occur in the
knowledge base are right by definition, and closer to what a question means than the dictionary:
"chromdb" becomes "chromadb", not "chrome".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from string import ascii_lowercase
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
#: A token with any of these around is a name, a path, a number or code; it is left alone.
_TOKEN = re.compile(r"\S+")
_CODE = re.compile(r"[\d_@#/\\<>{}\[\]=+*$%^&|~`]|\w\.\w|\w-\w|://")
_MIN_LENGTH = 4
_DISTANCE = 2
#: A correction two letters away needs a word this long, or short words turn into other words.
_LONG = 7

_lock = threading.Lock()


def correct(
    text: str,
    *,
    vocabulary: Mapping[str, int] | None = None,
    protected: Collection[str] = (),
) -> tuple[str, dict[str, str]]:
    """Correct misspelt English words of `text`; returns it and misspelt -> correction.

    `vocabulary` maps lower-cased words of the knowledge base to how many chunks hold them: they
    are never changed, and are preferred as corrections. `protected` words are left alone too
    (acronyms, entities). Names (capitals inside a sentence), code, numbers, quoted terms and
    words of other scripts are left alone.
    """
    vocabulary = vocabulary or {}
    keep = {word.lower() for word in protected}
    quoted = [m.span() for m in re.finditer(r"[\"“`][^\"”`]{1,80}[\"”`]", text)]
    changes: dict[str, str] = {}
    pieces: list[str] = []
    at = 0
    for match in _WORD.finditer(text):
        word = match.group()
        if (
            word.lower() in keep
            or any(a <= match.start() < b for a, b in quoted)
            or not _correctable(text, match.start(), match.end())
        ):
            continue
        better = _best(word.lower(), vocabulary)
        if better is None:
            continue
        replacement = better.capitalize() if word[0].isupper() else better
        changes[word] = replacement
        pieces.extend((text[at : match.start()], replacement))
        at = match.end()
    pieces.append(text[at:])
    return "".join(pieces), changes


def _correctable(text: str, start: int, end: int) -> bool:
    word = text[start:end]
    if len(word) < _MIN_LENGTH or not word.isascii() or "'" in word or word[1:] != word[1:].lower():
        return False
    # A capital in the middle of a sentence is a name.
    if word[0].isupper() and re.search(r"[^\s.!?:¿¡(]\s*$", text[:start]):
        return False
    left = max(text.rfind(c, 0, start) for c in " \t\n") + 1
    token = _TOKEN.match(text, left)
    return token is None or not _CODE.search(token.group())


def _best(word: str, vocabulary: Mapping[str, int]) -> str | None:
    """The right spelling of a lower-cased word, or None where it is right or unknown for good."""
    if word in vocabulary or _known(word):
        return None
    own = _from_vocabulary(word, vocabulary)
    if own:
        return own
    return _from_dictionary(word)


def _from_vocabulary(word: str, vocabulary: Mapping[str, int]) -> str | None:
    """The most frequent word of the documents one edit away (two for long words)."""
    best: tuple[int, int, str] | None = None
    limit = _DISTANCE if len(word) >= _LONG else 1
    for candidate, count in vocabulary.items():
        if (
            abs(len(candidate) - len(word)) > limit
            or candidate[0] != word[0]
            or len(candidate) < _MIN_LENGTH
            or not candidate.isalpha()
        ):
            continue
        distance = edit_distance(word, candidate, limit)
        if distance <= limit and (best is None or (distance, -count) < best[:2]):
            best = (distance, -count, candidate)
    return best[2] if best else None


def _known(word: str) -> bool:
    words = _dictionary().words
    return word in words or any(
        word.endswith(suffix) and word[: -len(suffix)] + rest in words
        for suffix, rest in (
            ("s", ""),
            ("es", ""),
            ("ies", "y"),
            ("ed", ""),
            ("ed", "e"),
            ("d", ""),
            ("ing", ""),
            ("ing", "e"),
            ("ly", ""),
            ("er", ""),
            ("er", "e"),
        )
        if len(word) - len(suffix) >= 3
    )


@lru_cache(maxsize=4096)
def _from_dictionary(word: str) -> str | None:
    """The most frequent English word one edit away (two for long words) with its first letter.

    None also where a word that begins with another letter is closer, or as close and more frequent:
    then it may be either.
    """
    words, alike = _dictionary()
    best: tuple[int, int, str] | None = None
    limit = _DISTANCE if len(word) >= _LONG else 1
    for length in range(len(word) - limit, len(word) + limit + 1):
        for candidate in alike.get((word[0], length), ()):
            # Once one is found, those that are farther are of no interest.
            within = limit if best is None else best[0]
            distance = edit_distance(word, candidate, within)
            if distance <= within and (best is None or (distance, -words[candidate]) < best[:2]):
                best = (distance, -words[candidate], candidate)
    if best is None:
        return None
    distance, rank, found = best
    others = [words[other] for other in _other_beginnings(word) if other in words]
    likelier = others if distance > 1 else [count for count in others if count > -rank]
    return None if likelier else found


def _other_beginnings(word: str) -> Iterator[str]:
    """What is one edit of the first letter away."""
    yield word[1:]
    yield word[1] + word[0] + word[2:]
    for letter in ascii_lowercase:
        yield letter + word
        yield letter + word[1:]


class _Dictionary(NamedTuple):
    """English words and how often they are used; and the same words by first letter and length."""

    words: dict[str, int]
    alike: dict[tuple[str, int], list[str]]


@lru_cache(maxsize=1)
def _load() -> _Dictionary:
    # The list alone: making its index takes seconds and 100 MB, looking through a part of it for a
    # word that nobody knows some milliseconds.
    file = files("symspellpy") / "frequency_dictionary_en_82_765.txt"
    words = {}
    alike: dict[tuple[str, int], list[str]] = {}
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        word, _, count = line.partition(" ")
        words[word] = int(count)
        alike.setdefault((word[0], len(word)), []).append(word)
    return _Dictionary(words, alike)


def _dictionary() -> _Dictionary:
    # Two questions at once must not read it twice.
    with _lock:
        return _load()


def edit_distance(a: str, b: str, limit: int) -> int:
    """Damerau-Levenshtein distance (optimal string alignment); `limit + 1` once it is beyond.

    Swapped neighbours ("teh") count as one edit.
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    two_back: list[int] = []
    back = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(back[j] + 1, row[j - 1] + 1, back[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, two_back[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        two_back, back = back, row
    return back[-1]
