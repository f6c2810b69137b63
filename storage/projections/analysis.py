"""How text becomes terms: English stems for words, n-grams for scripts without spaces."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

WORDS = "words"
PIECES = "pieces"

#: Han, Hiragana, Katakana, Hangul, Thai, Lao, Khmer and Myanmar run words together.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0002fa1f]+"
)
_LONGEST_TERM = 64


@cache
def words_analyzer() -> Any:
    """Lower-cased, unaccented English stems of at most 64 bytes."""
    import tantivy

    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(_LONGEST_TERM),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ):
        analyzer = analyzer.filter(step)
    return analyzer.build()


@cache
def pieces_analyzer() -> Any:
    """Splits what `pieces` made at its spaces."""
    import tantivy

    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


def pieces(text: str, *, query: bool = False) -> list[str]:
    """Characters and pairs of characters of each run of unspaced script.

    A query asks for pairs alone where a run has any: single characters match nearly everything.
    """
    found: list[str] = []
    for run in _UNSPACED.findall(text):
        pairs = [run[i : i + 2] for i in range(len(run) - 1)]
        found += pairs if query and pairs else [*run, *pairs]
    return found


def query_terms(text: str, limit: int) -> list[tuple[str, str]]:
    """Distinct (field, term) of any text, in order, at most `limit` of them."""
    text = clean(text)
    terms = [(WORDS, term) for term in words_analyzer().analyze(_UNSPACED.sub(" ", text))]
    terms += [(PIECES, piece) for piece in pieces(text, query=True)]
    return list(dict.fromkeys(terms))[:limit]


def words_of(text: str) -> str:
    """The part of a text that `words_analyzer` is to see."""
    return _UNSPACED.sub(" ", text)


def clean(text: str) -> str:
    """Text as UTF-8 can carry it: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
