"""Which models the chunks of versions and commits are embedded by, and what branches are to use."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func
from sqlmodel import col, select

from storage import commits, manifests
from storage.ancestry import CACHED_ENTRIES
from storage.corrections import Corrections
from storage.embedding import Embedding, Model, Share
from storage.errors import NotFound
from storage.lru import Lru
from storage.tables import Chunk, Commit, DocumentVersion, Ref, Vector
from storage.versions import Edit, History, identify, vector_rows

if TYPE_CHECKING:
    import numpy as np

    from storage.database import Database

_MOST_SHARES = 500_000


@dataclass
class Copy:
    """A version made from another one: the same chunks, other vectors."""

    #: The version it is a copy of, which the branch must still hold.
    before: str
    version: DocumentVersion
    chunks: Sequence[Chunk]
    corrections: Corrections = field(default_factory=Corrections)


class ModelUse(History):
    """Models of versions, commits and branches; part of `KnowledgeRepository`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        # A version never changes: what was read once stays known.
        self._shares: dict[str, Share] = {}
        self._shares_lock = threading.Lock()
        self._in_use: Lru[str, Mapping[Share, frozenset[str]]] = Lru(
            64, lambda shares: sum(map(len, shares.values())), CACHED_ENTRIES
        )

    def shares(self, version_ids: Collection[str]) -> dict[str, Share]:
        """By which models versions are embedded; unknown ids are left out."""
        with self._shares_lock:
            known = {id: self._shares[id] for id in version_ids if id in self._shares}
        if missing := [id for id in version_ids if id not in known]:
            query = select(
                DocumentVersion.id,
                DocumentVersion.embedding_model,
                DocumentVersion.models,
                DocumentVersion.language,
            ).where(self._db.among(DocumentVersion.id, missing))
            with self._db.read() as session:
                rows = session.exec(query).all()
            same: dict[Share, Share] = {}
            for id, vectors, data, language in rows:
                share = Share.of(Embedding.stored(vectors, data), language)
                known[id] = same.setdefault(share, share)
            with self._shares_lock:
                if len(self._shares) > _MOST_SHARES:
                    self._shares.clear()
                self._shares.update({id: known[id] for id in missing if id in known})
        return known

    def shares_at(self, commit_id: str) -> Mapping[Share, frozenset[str]]:
        """The shares of a commit, each with its versions. Cached, not to be changed."""

        def read() -> Mapping[Share, frozenset[str]]:
            found: defaultdict[Share, set[str]] = defaultdict(set)
            for id, share in self.shares(self.version_ids(commit_id)).items():
                found[share].add(id)
            return {share: frozenset(ids) for share, ids in found.items()}

        return self._in_use.get(commit_id, read)

    def models_at(self, commit_id: str, languages: Collection[str] = ()) -> list[Model]:
        """Models that chunks at a commit are embedded by; only those that chunks in `languages`
        may be embedded by, where some are given. In a stable order."""
        found: set[Model] = set()
        for share in self.shares_at(commit_id):
            if languages:
                found.update(share.embedding.of(language) for language in languages)
            else:
                found.update(share.embedding.models)
        return sorted(found)

    def users(self, commit_id: str, model: str) -> frozenset[str] | None:
        """Versions at a commit with chunks whose vectors are `model`'s; None where all are."""
        shares = self.shares_at(commit_id)
        if all(share.single == model for share in shares):
            return None
        using = [
            versions
            for share, versions in shares.items()
            if any(one.vectors == model for one in share.embedding.models)
        ]
        return frozenset().union(*using)

    def embedded_otherwise(
        self, kb_id: str, ref: str, embedding: Embedding
    ) -> tuple[list[str], int]:
        """Versions on a branch that are not embedded as `embedding` says, in a stable order, and
        how many there are on it. Raises NotFound."""
        head = self.resolve(kb_id, ref)
        versions = self.version_ids(head.id)
        others = [
            id
            for share, ids in self.shares_at(head.id).items()
            if share.embedding.key != embedding.key
            for id in ids
        ]
        return sorted(others), len(versions)

    def model_counts(self, version_ids: Collection[str]) -> Counter[str]:
        """Chunks of versions by the name of their vectors."""
        found: Counter[str] = Counter()
        mixed: dict[str, Share] = {}
        plain: list[str] = []
        for id, share in self.shares(version_ids).items():
            if share.single is None:
                mixed[id] = share
            else:
                plain.append(id)
        counts = (
            select(DocumentVersion.embedding_model, func.sum(DocumentVersion.chunk_count))
            .where(self._db.among(DocumentVersion.id, plain))
            .group_by(col(DocumentVersion.embedding_model))
        )
        spoken = (
            select(Chunk.version_id, Chunk.language, func.count())
            .where(self._db.among(Chunk.version_id, list(mixed)))
            .group_by(col(Chunk.version_id), col(Chunk.language))
        )
        with self._db.read() as session:
            for model, count in session.exec(counts):
                found[model] += count
            if mixed:
                for id, language, count in session.exec(spoken):
                    found[mixed[id].vectors(language)] += count
        return found

    def vector_dim(self, model: str) -> int | None:
        """Length of the stored vectors of a model; None where there are none."""
        query = select(Vector.dim).where(col(Vector.model) == model).limit(1)
        with self._db.read() as session:
            return session.exec(query).first()

    def branch_models(self, kb_id: str, name: str) -> dict[str, Any] | None:
        """{"embedding_model", "language_models"} of a branch; None where it has none of its own."""
        with self._db.read() as session:
            ref = session.get(Ref, (kb_id, name))
            return None if ref is None else ref.models

    def models_of(self, kb_id: str, name: str) -> dict[str, Any]:
        """What is to embed that comes to a branch: its own models, else the knowledge base's.

        Raises NotFound.
        """
        with self._db.read() as session:
            return commits.models_of(session, kb_id, name)

    def set_branch_models(self, kb_id: str, name: str, models: Mapping[str, Any] | None) -> None:
        """What later uploads to a branch are embedded by; None: by the knowledge base's models.

        Raises NotFound.
        """
        with self._db.write() as session:
            ref = session.get(Ref, (kb_id, name))
            if ref is None:
                raise NotFound("branch", name)
            ref.models = None if models is None else dict(models)

    def reembedding(self, kb_id: str, name: str) -> dict[str, Any] | None:
        """What is known of the last embedding anew of a branch; None where there was none."""
        with self._db.read() as session:
            ref = session.get(Ref, (kb_id, name))
            return None if ref is None else ref.reembedding

    def note_reembedding(self, kb_id: str, name: str, **values: Any) -> None:
        """Write down how the embedding anew of a branch is; what is not given stays as it was.

        A branch that is gone has nothing to note.
        """
        with self._db.write() as session:
            ref = session.get(Ref, (kb_id, name))
            if ref is not None:
                ref.reembedding = {**(ref.reembedding or {}), **values}

    def reembeddings(self, status: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Knowledge base, branch and what is known of each embedding anew in a status."""
        query = select(Ref).where(col(Ref.reembedding)["status"].as_string() == status)
        with self._db.read() as session:
            return [
                (ref.knowledge_base_id, ref.name, ref.reembedding or {})
                for ref in session.exec(query.order_by(col(Ref.updated_at)))
            ]

    def keep_vectors(self, model: str, vectors: Mapping[str, np.ndarray]) -> None:
        """Store unit vectors (float32, one dimension) by text hash, ahead of their versions."""
        with self._db.write() as session:
            self._db.insert_missing(session, Vector, vector_rows(model, vectors))

    def commit_copies(
        self, kb_id: str, ref: str, copies: Sequence[Copy], author: str, message: str
    ) -> Commit | None:
        """Put copies in the place of their originals, in one commit.

        A copy whose original the branch no longer holds is left out; None where all are. The
        vectors must be stored already. Raises VectorsMissing.
        """
        for copy in copies:
            identify(kb_id, copy.version, copy.chunks, copy.corrections)
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, ref)
            edits = []
            for copy in copies:
                document = copy.version.document_id
                before = manifests.lookup(session, head.manifest_id, document)
                if before != copy.before or before == copy.version.id:
                    continue
                kept = None if copy.corrections == Corrections() else copy.corrections
                self._keep_version(session, copy.version, copy.chunks, [], kept)
                edits.append(Edit(document, before, copy.version.id))
            return (
                self._advance(session, kb_id, ref, head, edits, author, message) if edits else None
            )
