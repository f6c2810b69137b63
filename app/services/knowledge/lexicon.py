"""Words and acronyms of a knowledge base, kept up to date from version to version.

Spelling correction spares words that documents use; acronyms are expanded as documents define them.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.retrieval.glossary import find_definitions
from app.services.threads import call
from storage.knowledge import KnowledgeRepository
from storage.lru import Lru

#: Knowledge bases whose words are kept in memory.
_KEPT = 32
_PAGE = 500
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


class Lexicons:
    """Lexicons of the knowledge bases used last; a small change of a large one costs what changed."""

    def __init__(self, repository: KnowledgeRepository) -> None:
        self._repository = repository
        self._known: Lru[str, Lexicon] = Lru(_KEPT)
        #: Held by whoever makes the lexicon of a knowledge base; gone when nobody does.
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def at(self, kb_id: str, commit_id: str) -> Lexicon:
        """The lexicon of a commit."""
        versions = await call(self._repository.version_ids, commit_id)
        known = self._known.peek(kb_id)
        if known is None or known.versions != versions:
            # One at a time: whoever asks for the same meanwhile finds it made.
            async with self._making.setdefault(kb_id, asyncio.Lock()):
                known = self._known.peek(kb_id)
                if known is None or known.versions != versions:
                    known = await call(self._moved, known or Lexicon(), versions)
                    self._known.put(kb_id, known)
        return known

    def _moved(self, known: Lexicon, versions: frozenset[str]) -> Lexicon:
        if len(known.versions ^ versions) > len(versions):
            known = Lexicon()
        added = self._texts(versions - known.versions)
        removed = self._texts(known.versions - versions)
        return known.moved(versions, added, removed)

    def _texts(self, versions: frozenset[str]) -> Iterator[str]:
        for version in versions:
            offset, total = 0, 1
            while offset < total:
                chunks, total = self._repository.chunks(version, _PAGE, offset)
                yield from (chunk.content for chunk in chunks)
                offset += _PAGE
