"""Brings the projections up to the index log, and starts them over when they disagree with SQL."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from sqlmodel import select

from storage.database import Database
from storage.knowledge import KnowledgeRepository
from storage.projections.keywords import KeywordIndex
from storage.projections.log import PROJECTIONS, Entry, ProjectionLog, ProjectionName
from storage.projections.vectors import VectorIndex
from storage.tables import Chunk

log = logging.getLogger(__name__)

#: Chunks applied before the cursor moves: a crash repeats at most this much.
_BATCH_CHUNKS = 2_000

#: Called with (knowledge bases done, all of them).
Progress = Callable[[int, int], None]


class Projector:
    """Applies the log. One batch at a time for each knowledge base, whoever asks."""

    def __init__(
        self,
        db: Database,
        knowledge: KnowledgeRepository,
        vectors: VectorIndex,
        keywords: KeywordIndex,
    ) -> None:
        self.vectors = vectors
        self.keywords = keywords
        self._db = db
        self._knowledge = knowledge
        self._log = ProjectionLog(db)
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def open(self) -> None:
        """Open the stores; one that had to be started over is filled by `reconcile_all`."""
        if not self.vectors.open():
            self._log.reset("vectors")

    def close(self) -> None:
        """Close the stores."""
        self.vectors.close()
        self.keywords.close()

    def catch_up(self, kb_id: str) -> None:
        """Apply all that is pending for a knowledge base.

        The cursor moves after each batch was durably applied, so that a crash in between repeats
        the batch, which changes nothing.
        """
        with self._locks[kb_id]:
            for projection in PROJECTIONS:
                self._apply_pending(projection, kb_id)

    def behind(self, kb_id: str) -> bool:
        """Whether something is pending for a knowledge base."""
        return any(self._log.behind(projection, kb_id) for projection in PROJECTIONS)

    def reconcile_all(self, progress: Progress | None = None) -> list[tuple[str, ProjectionName]]:
        """Make every projection hold what SQL says, rebuilding those that cannot be trusted.

        Returns what was rebuilt. Run once at start.
        """
        bases = self._log.bases()
        for orphan in (self.vectors.bases() | self.keywords.bases()) - set(bases):
            self.drop(orphan)
        rebuilt: list[tuple[str, ProjectionName]] = []
        for done, kb_id in enumerate(bases):
            if progress is not None:
                progress(done, len(bases))
            with self._locks[kb_id]:
                if not self.keywords.sound(kb_id):
                    self._start_over("keywords", kb_id)
                    rebuilt.append((kb_id, "keywords"))
                self.catch_up(kb_id)
                for projection in PROJECTIONS:
                    if not self._agrees(projection, kb_id):
                        self.rebuild(kb_id, projection)
                        rebuilt.append((kb_id, projection))
        if progress is not None:
            progress(len(bases), len(bases))
        return rebuilt

    def rebuild(self, kb_id: str, projection: ProjectionName) -> None:
        """Throw a projection of a knowledge base away and fill it from SQL; needs no model."""
        with self._locks[kb_id]:
            log.warning("rebuilding the %s of %s from the database", projection, kb_id)
            self._start_over(projection, kb_id)
            self._apply_pending(projection, kb_id)

    def drop(self, kb_id: str) -> None:
        """Remove the projections of a deleted knowledge base."""
        with self._locks[kb_id]:
            self.vectors.drop(kb_id)
            self.keywords.drop(kb_id)
            self._log.forget(kb_id)
        self._locks.pop(kb_id, None)

    def _start_over(self, projection: ProjectionName, kb_id: str) -> None:
        # The cursor goes first: after a crash in between, a full index is filled once more.
        self._log.reset(projection, [kb_id])
        (self.vectors if projection == "vectors" else self.keywords).drop(kb_id)

    def _apply_pending(self, projection: ProjectionName, kb_id: str) -> None:
        pending = self._log.pending(projection, kb_id)
        if not pending:
            return
        last = {entry.version_id: entry.op for entry in pending}
        apply = self._apply_vectors if projection == "vectors" else self._apply_keywords
        for batch in self._batches(pending):
            # A version that is removed further on is never added in the first place.
            versions = dict.fromkeys(entry.version_id for entry in batch)
            apply(
                kb_id,
                [version for version in versions if last[version] == "remove"],
                [version for version in versions if last[version] == "add"],
            )
            self._log.advance(projection, kb_id, batch[-1].seq)

    def _batches(self, pending: Sequence[Entry]) -> Iterator[list[Entry]]:
        sizes = {
            version.id: version.chunk_count
            for version in self._knowledge.versions([entry.version_id for entry in pending])
        }
        batch: list[Entry] = []
        chunks = 0
        for entry in pending:
            batch.append(entry)
            chunks += sizes.get(entry.version_id, 0)
            if chunks >= _BATCH_CHUNKS:
                yield batch
                batch, chunks = [], 0
        if batch:
            yield batch

    def _apply_vectors(self, kb_id: str, remove: Sequence[str], add: Sequence[str]) -> None:
        for model, versions in self._by_model(remove).items():
            self.vectors.delete(kb_id, model, self._chunk_ids(versions))
        for model, versions in self._by_model(add).items():
            ids, matrix = self._knowledge.version_vectors(versions, model)
            self.vectors.upsert(kb_id, model, ids, matrix)

    def _apply_keywords(self, kb_id: str, remove: Sequence[str], add: Sequence[str]) -> None:
        self.keywords.apply(kb_id, remove, self._knowledge.version_texts(add))

    def _agrees(self, projection: ProjectionName, kb_id: str) -> bool:
        """Whether a projection that is caught up holds as many chunks as SQL says."""
        versions = self._log.contents(projection, kb_id).versions
        expected = self._knowledge.model_counts(versions)
        if projection == "keywords":
            return self.keywords.count(kb_id) == sum(expected.values())
        return all(self.vectors.count(kb_id, model) == count for model, count in expected.items())

    def _by_model(self, versions: Sequence[str]) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for version, share in self._knowledge.shares(versions).items():
            for model in share.embedding.models:
                found[model.vectors].append(version)
        return found

    def _chunk_ids(self, versions: Sequence[str]) -> list[str]:
        query = select(Chunk.id).where(self._db.among(Chunk.version_id, versions))
        with self._db.read() as session:
            return list(session.exec(query).all())
