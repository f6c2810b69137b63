"""Counting text in tokens of an embedding model, with the characters each token covers."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any, Protocol

Span = tuple[int, int]

#: A "token" longer than this (a word the vocabulary does not know is one token, however long) is
#: counted as several, so that no chunk grows without bounds.
MAX_TOKEN_CHARS = 24
_CHARS_PER_TOKEN = 4
_WORD = re.compile(r"\S+")
_SPACE = re.compile(r"\s")
#: Characters tokenized in one call: some milliseconds.
_WINDOW = 10_000


class Tokenizer(Protocol):
    """Splits text into tokens."""

    def spans(self, text: str) -> list[Span]:
        """Return the characters (start, end) each token of `text` covers, in order."""


class EmbeddedTokenizer:
    """The tokenizer of the embedded model."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer as HfTokenizer

        from app.documents.model_files import embedded_file

        self._tokenizer: Any = HfTokenizer.from_file(str(embedded_file("tokenizer.json")))

    def spans(self, text: str) -> list[Span]:
        """Return the characters each WordPiece covers, special tokens left out."""
        spans: list[Span] = []
        for start, end in _windows(text):
            # Unlike `encode`, a batch lets others have the interpreter meanwhile; what it gives
            # holds it again, for as long as there are tokens.
            (encoded,) = self._tokenizer.encode_batch([text[start:end]], add_special_tokens=False)
            spans += [(start + a, start + b) for a, b in encoded.offsets]
        return spans


def _windows(text: str) -> Iterable[Span]:
    """Parts of a text, cut at white space, which no token spans."""
    start = 0
    while start < len(text):
        end = start + _WINDOW
        if end < len(text):
            space = _SPACE.search(text, end, end + _WINDOW)
            end = space.start() if space else end
        yield start, min(end, len(text))
        start = end


class CountingTokenizer:
    """A tokenizer made of a function that counts tokens; counts are taken word by word."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count

    def spans(self, text: str) -> list[Span]:
        """Return, for each word, as many even parts as it counts tokens."""
        spans: list[Span] = []
        for match in _WORD.finditer(text):
            spans += _even_parts(match.start(), match.end(), max(1, self._count(match.group())))
        return spans


@cache
def default_tokenizer() -> Tokenizer:
    """Return the embedded model's tokenizer, loaded once in a process."""
    return EmbeddedTokenizer()


class TokenIndex:
    """The tokens of one text, for counting any part of it without tokenizing again."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._starts = [start for start, _ in _bounded(tokenizer.spans(text))]

    def __len__(self) -> int:
        return len(self._starts)

    def count(self, start: int, end: int) -> int:
        """Return how many tokens begin in `start`..`end`."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def advance(self, start: int, tokens: int) -> int:
        """Return the largest offset such that `start`..offset holds at most `tokens` tokens."""
        last = bisect_left(self._starts, start) + tokens
        return self._starts[last] if last < len(self._starts) else len(self.text)


def _bounded(spans: Iterable[Span]) -> Iterable[Span]:
    for start, end in spans:
        if end - start > MAX_TOKEN_CHARS:
            yield from _even_parts(start, end, -(-(end - start) // _CHARS_PER_TOKEN))
        else:
            yield start, end


def _even_parts(start: int, end: int, parts: int) -> list[Span]:
    length = end - start
    cuts = [start + length * i // parts for i in range(parts + 1)]
    return list(pairwise(cuts))
