"""Words of a text, and lists of words written as a person would."""

from __future__ import annotations


def word_set(words: str) -> frozenset[str]:
    """The words of a text between white space."""
    return frozenset(words.split())
