"""Search of chunks at any commit, whatever the projections hold at the moment.

The projections hold the versions at the heads of the branches. A search asks them for more than it
needs and keeps what belongs to the commit; versions that a projection does not hold (an old commit,
an index still catching up) are scored from the rows in SQL.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from storage.errors import ModelMismatch
from storage.filters import Candidates
from storage.knowledge import KnowledgeRepository
from storage.lru import Lru
from storage.projections.keywords import BM25Index, KeywordIndex, temporary_index
from storage.projections.log import ProjectionLog, ProjectionName
from storage.projections.vectors import VectorIndex

if TYPE_CHECKING:
    import numpy as np

Hits = list[tuple[str, float]]
#: Model, versions, chunks.
_Filtered = tuple[str, frozenset[str], frozenset[str] | None]

#: Up to so many candidates are scored one by one: faster than an index asked with a filter.
EXACT_LIMIT = 2_000
#: An index asked for more than this is slower than scoring every vector.
_MOST_FETCHED = 8_192
_MOST_WORDS_FETCHED = 640
#: Versions whose vectors are in memory at a time when all are scored.
_VERSIONS_AT_A_TIME = 200
_MOST_OWNERS = 500_000


class ChunkSearch:
    """Semantic and keyword search; scores are cosines and BM25, best first."""

    def __init__(
        self, knowledge: KnowledgeRepository, vectors: VectorIndex, keywords: KeywordIndex
    ) -> None:
        self._knowledge = knowledge
        self._vectors = vectors
        self._keywords = keywords
        self._log = ProjectionLog(knowledge.db)
        # Which version a chunk belongs to never changes, so what a query learned stays known.
        self._owners: dict[str, str] = {}
        self._absent: Lru[tuple[str, ProjectionName, int], frozenset[str]] = Lru(32)
        # A filter is rarely asked once: the few vectors it leaves are kept, 3 MB at most for each.
        self._scored: Lru[_Filtered, tuple[list[str], np.ndarray]] = Lru(8)
        self._temporary: Lru[frozenset[str], BM25Index] = Lru(2)

    def semantic(
        self,
        kb_id: str,
        commit_id: str,
        model: str,
        vector: np.ndarray,
        k: int,
        candidates: Candidates | None = None,
    ) -> Hits:
        """The `k` chunks nearest to a unit vector (float32, one dimension), of those that `model`
        embeds. Raises ModelMismatch when their vectors have another dimension."""
        if candidates is not None and len(candidates) <= EXACT_LIMIT:
            key = model, candidates.version_ids, candidates.chunk_ids
            ids, matrix = self._scored.get(key, lambda: self._candidate_matrix(candidates, model))
            return _score(ids, matrix, vector, k, model)
        members = self._members(commit_id, candidates)
        if (users := self._knowledge.users(commit_id, model)) is not None:
            members &= users
        held, absent = self._held_and_absent("vectors", kb_id, commit_id)
        hits = self._exact(members & absent, candidates, model, vector, k) if absent else []

        def ask(n: int) -> Hits:
            return self._vectors.query(kb_id, model, vector, n)

        found = self._overfetch(ask, k, members, held, candidates)
        if found is None:
            found = self._exact(members - absent, candidates, model, vector, k)
        return _best(hits + found, k)

    def keyword(
        self,
        kb_id: str,
        commit_id: str,
        text: str,
        k: int,
        candidates: Candidates | None = None,
    ) -> Hits:
        """The `k` chunks that match the words of any text best; none that match no word."""
        members = self._members(commit_id, candidates)
        held, absent = self._held_and_absent("keywords", kb_id, commit_id)
        hits: Hits = []
        if absent:
            hits = self._search_temporary(kb_id, absent, members, text, k, candidates)
        return _best(hits + self._search_words(kb_id, members, held, text, k, candidates), k)

    def _search_words(
        self,
        kb_id: str,
        members: frozenset[str],
        held: frozenset[str],
        text: str,
        k: int,
        candidates: Candidates | None,
    ) -> Hits:
        def ask(n: int) -> Hits:
            return self._keywords.query(kb_id, text, n)

        few = candidates is not None and len(candidates) <= EXACT_LIMIT
        if candidates is not None and few and candidates.chunk_ids is None:
            among = candidates.version_ids
            return self._keywords.query(kb_id, text, k, field="version_id", among=among)
        # Many chunk ids make a slow query: only when asking for more has not helped.
        most = _MOST_WORDS_FETCHED if few else None
        found = self._overfetch(ask, k, members, held, candidates, most)
        if found is None and candidates is not None and candidates.chunk_ids is not None:
            among = candidates.chunk_ids
            found = self._keywords.query(kb_id, text, k, field="chunk_id", among=among)
        return found or []

    def _members(self, commit_id: str, candidates: Candidates | None) -> frozenset[str]:
        if candidates is not None:
            return candidates.version_ids
        return self._knowledge.version_ids(commit_id)

    def _held_and_absent(
        self, projection: ProjectionName, kb_id: str, commit_id: str
    ) -> tuple[frozenset[str], frozenset[str]]:
        """What a projection holds, and what of the commit it does not."""
        contents = self._log.contents(projection, kb_id)
        absent = self._absent.get(
            (commit_id, projection, contents.seq),
            lambda: self._knowledge.version_ids(commit_id) - contents.versions,
        )
        return contents.versions, absent

    def _overfetch(
        self,
        ask: Callable[[int], Hits],
        k: int,
        members: frozenset[str],
        held: frozenset[str],
        candidates: Candidates | None,
        most: int | None = _MOST_FETCHED,
    ) -> Hits | None:
        """Ask for more and more until `k` members are found or the index has no more.

        None when that would take more than `most`.
        """
        chosen = None if candidates is None else candidates.chunk_ids
        everything = chosen is None and held <= members
        n = k if everything else 2 * k
        while most is None or n <= most:
            hits = ask(n)
            # Even when the index holds nothing else: a batch may be half applied.
            kept = self._keep(hits, members, chosen)
            if len(kept) >= k or len(hits) < n:
                return kept
            n *= 2
        return None

    def _keep(self, hits: Hits, members: frozenset[str], chosen: frozenset[str] | None) -> Hits:
        if chosen is not None:
            return [hit for hit in hits if hit[0] in chosen]
        owners = self._owners
        if unknown := [id for id, _ in hits if id not in owners]:
            if len(owners) > _MOST_OWNERS:
                owners.clear()
                unknown = [id for id, _ in hits]
            # With their neighbours: later queries find those known already.
            found = self._knowledge.version_members(unknown)
            owners.update((id, sys.intern(version)) for id, version in found.items())
        return [hit for hit in hits if owners.get(hit[0]) in members]

    def _exact(
        self,
        versions: frozenset[str],
        candidates: Candidates | None,
        model: str,
        vector: np.ndarray,
        k: int,
    ) -> Hits:
        """Score every vector of versions, or those of the candidates among them."""
        chosen = None if candidates is None else candidates.chunk_ids
        hits: Hits = []
        ordered = sorted(versions)
        for start in range(0, len(ordered), _VERSIONS_AT_A_TIME):
            batch = ordered[start : start + _VERSIONS_AT_A_TIME]
            ids, matrix = self._knowledge.version_vectors(batch, model)
            scored = _score(ids, matrix, vector, len(ids) if chosen is not None else k, model)
            hits = _best(hits + [hit for hit in scored if chosen is None or hit[0] in chosen], k)
        return hits

    def _candidate_matrix(self, candidates: Candidates, model: str) -> tuple[list[str], np.ndarray]:
        if candidates.chunk_ids is None:
            return self._knowledge.version_vectors(candidates.version_ids, model)
        return self._knowledge.chunk_matrix(candidates.chunk_ids, model)

    def _search_temporary(
        self,
        kb_id: str,
        absent: frozenset[str],
        members: frozenset[str],
        text: str,
        k: int,
        candidates: Candidates | None,
    ) -> Hits:
        """Search versions that the index does not hold, in an index in memory made of them."""
        index = self._temporary.get(
            absent, lambda: temporary_index(self._knowledge.version_texts(absent))
        )

        def reweigh(field: str, term: str, own: float) -> float:
            # A word is as rare as it is in the large index, so that scores of both compare.
            shared = self._keywords.idf(kb_id, field, term)
            return own if shared is None else shared

        def ask(n: int) -> Hits:
            return index.query(text, n, reweigh=reweigh)

        return self._overfetch(ask, k, members, absent, candidates, most=None) or []


def _best(hits: Hits, k: int) -> Hits:
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]


def _score(ids: Sequence[str], matrix: np.ndarray, vector: np.ndarray, k: int, model: str) -> Hits:
    """The `k` best rows of a matrix."""
    import numpy as np

    if not ids:
        return []
    if matrix.shape[1] != vector.shape[0]:
        raise ModelMismatch(model, matrix.shape[1], vector.shape[0])
    scores = matrix @ vector
    rows = range(len(ids)) if k >= len(ids) else np.argpartition(scores, -k)[-k:].tolist()
    return _best([(ids[row], float(scores[row])) for row in rows], k)
