"""Words and acronyms of a knowledge base, kept up to date from version to version.

Spelling correction spares words that documents use; acronyms are expanded as documents define them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.retrieval.glossary import find_definitions

_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")


def words(text: str) -> set[str]:
    """Lower-cased words of a text, each once."""
    return {word.lower() for word in _WORD.findall(text)}


@dataclass(slots=True)
class Lexicon:
    """Words and acronyms of one set of versions; never changed once handed out."""

    versions: frozenset[str] = frozenset()
    #: Lower-cased word -> number of chunks that hold it.
    words: Counter[str] = field(default_factory=Counter)
    #: (acronym, expansion) -> number of times it is defined so.
    defined: Counter[tuple[str, str]] = field(default_factory=Counter)

    def glossary(self) -> Mapping[str, str]:
        """Acronym -> its most frequent expansion."""
        best: dict[str, str] = {}
        for (acronym, phrase), _ in self.defined.most_common():
            best.setdefault(acronym, phrase)
        return best

    def moved(
        self, versions: frozenset[str], added: Iterable[str], removed: Iterable[str]
    ) -> Lexicon:
        """The lexicon of other versions, given the chunks that came and those that went."""
        new = Lexicon(versions, self.words.copy(), self.defined.copy())
        for text in added:
            new.words.update(words(text))
            new.defined.update(find_definitions(text))
        for text in removed:
            new.words.subtract(words(text))
            new.defined.subtract(find_definitions(text))
        if self.versions - versions:
            new.words = +new.words
            new.defined = +new.defined
        return new
