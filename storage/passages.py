"""Chunks and vectors as rows, and what can be said about all of those at a commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row, Table, func
from sqlmodel import col, select

from storage.errors import NotFound
from storage.lru import Lru
from storage.merging import Merging
from storage.tables import Chunk, Document, DocumentVersion, Vector

if TYPE_CHECKING:
    import numpy as np

    from storage.database import Database

#: Versions whose texts are read at a time by `iter_texts`.
_TEXT_BATCH = 50
_FLOAT_BYTES = 4
_CHUNKS: Table = Chunk.__table__  # type: ignore[attr-defined]


class _Totals(NamedTuple):
    documents: int
    chunks: int
    languages: dict[str, int]


class Passages(Merging):
    """Chunks and vectors; part of `KnowledgeRepository`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._totals: Lru[str, _Totals] = Lru(64)
        self._bytes: Lru[tuple[str, ...], int] = Lru(64)

    def chunks(self, version_id: str, limit: int = 100, offset: int = 0) -> tuple[list[Chunk], int]:
        """Chunks of a version in reading order, and how many there are."""
        with self._db.read() as session:
            version = session.get(DocumentVersion, version_id)
            if version is None:
                raise NotFound("document version", version_id)
            query = select(Chunk).where(col(Chunk.version_id) == version_id)
            rows = session.exec(query.order_by(col(Chunk.ordinal)).limit(limit).offset(offset))
            return list(rows.all()), version.chunk_count

    def chunk(self, chunk_id: str) -> Chunk:
        """One chunk; raises NotFound."""
        with self._db.read() as session:
            row = session.get(Chunk, chunk_id)
        if row is None:
            raise NotFound("chunk", chunk_id)
        return row

    def chunks_by_ids(self, ids: Sequence[str]) -> list[Row[Any]]:
        """Rows with the columns of `Chunk`, in the order of `ids`; unknown ids are left out."""
        # Every search ends here: plain rows cost a third of what mapped objects do.
        query = _CHUNKS.select().where(self._db.among(_CHUNKS.c.id, ids))
        with self._db.engine.connect() as connection:
            by_id = {row.id: row for row in connection.execute(query)}
        return [by_id[id] for id in ids if id in by_id]

    def chunks_between(self, version_id: str, first: int, last: int) -> list[Row[Any]]:
        """Rows with the columns of `Chunk`: those of a version numbered `first`..`last`, in order."""
        query = (
            _CHUNKS.select()
            .where(_CHUNKS.c.version_id == version_id)
            .where(_CHUNKS.c.ordinal.between(first, last))
            .order_by(_CHUNKS.c.ordinal)
        )
        with self._db.engine.connect() as connection:
            return list(connection.execute(query))

    def known_vectors(self, model: str, text_hashes: Collection[str]) -> set[str]:
        """Those of `text_hashes` that have a vector of `model` already."""
        query = select(Vector.text_hash).where(
            col(Vector.model) == model, self._db.among(Vector.text_hash, text_hashes)
        )
        with self._db.read() as session:
            return set(session.exec(query).all())

    def load_vectors(self, model: str, text_hashes: Collection[str]) -> dict[str, np.ndarray]:
        """Stored unit vectors (float32, read-only) by text hash."""
        query = select(Vector.text_hash, Vector.data).where(
            col(Vector.model) == model, self._db.among(Vector.text_hash, text_hashes)
        )
        with self._db.read() as session:
            return {key: _vector(data) for key, data in session.exec(query)}

    def chunk_vectors(self, chunk_ids: Collection[str], model: str) -> dict[str, np.ndarray]:
        """Unit vectors (float32, read-only) by chunk id, of the chunks that `model` embeds."""
        ids, matrix = self.chunk_matrix(chunk_ids, model)
        return dict(zip(ids, matrix, strict=True))

    def chunk_matrix(self, chunk_ids: Collection[str], model: str) -> tuple[list[str], np.ndarray]:
        """Ids of those chunks that `model` embeds, and the vectors: (n, dim), float32."""
        return self._matrix(Chunk.id, chunk_ids, model)

    def nearby_vectors(self, chunk_ids: Collection[str]) -> dict[str, np.ndarray]:
        """Unit vectors (float32, read-only) by chunk id, of the model that embeds most of the
        chunks: vectors of different models do not compare."""
        versions = select(Chunk.version_id, Chunk.language).where(
            self._db.among(Chunk.id, chunk_ids)
        )
        with self._db.read() as session:
            rows = session.exec(versions).all()
        shares = self.shares({version for version, _ in rows})
        models = Counter(shares[version].vectors(language) for version, language in rows)
        return self.chunk_vectors(chunk_ids, models.most_common(1)[0][0]) if models else {}

    def version_vectors(
        self, version_ids: Collection[str], model: str
    ) -> tuple[list[str], np.ndarray]:
        """Ids of the chunks of versions that `model` embeds and their unit vectors: (n, dim),
        float32."""
        return self._matrix(Chunk.version_id, version_ids, model)

    def version_members(self, chunk_ids: Collection[str]) -> dict[str, str]:
        """Chunk id -> version id, of every chunk of the versions that `chunk_ids` belong to."""
        versions = select(Chunk.version_id).where(self._db.among(Chunk.id, chunk_ids))
        query = select(Chunk.id, Chunk.version_id).where(col(Chunk.version_id).in_(versions))
        with self._db.read() as session:
            return dict(session.exec(query).all())

    def version_texts(self, version_ids: Collection[str]) -> list[tuple[str, str, str]]:
        """(chunk id, version id, text as embedded) of all chunks of versions."""
        query = select(Chunk.id, Chunk.version_id, Chunk.embed_text, Chunk.content).where(
            self._db.among(Chunk.version_id, version_ids)
        )
        with self._db.read() as session:
            return [
                (id, version, content if embedded is None else embedded)
                for id, version, embedded, content in session.exec(query)
            ]

    def iter_texts(self, commit_id: str) -> Iterator[tuple[str, str]]:
        """(chunk id, content) of every chunk at a commit."""
        versions = sorted(self.version_ids(commit_id))
        for start in range(0, len(versions), _TEXT_BATCH):
            batch = versions[start : start + _TEXT_BATCH]
            query = select(Chunk.id, Chunk.content).where(self._db.among(Chunk.version_id, batch))
            with self._db.read() as session:
                rows = session.exec(query.order_by(col(Chunk.version_id), col(Chunk.ordinal))).all()
            yield from rows

    def counts(self, commit_id: str) -> tuple[int, int]:
        """Number of documents and of chunks at a commit."""
        totals = self._totals_at(commit_id)
        return totals.documents, totals.chunks

    def languages(self, commit_id: str) -> dict[str, int]:
        """Documents per language at a commit; those of unknown language are left out."""
        return dict(self._totals_at(commit_id).languages)

    def index_bytes(self, kb_id: str) -> int:
        """Bytes of the texts and vectors that the branches of a knowledge base hold."""
        heads = sorted({ref.commit_id for ref in self.branches(kb_id)})

        def measure() -> int:
            versions = {version for head in heads for version in self.version_ids(head)}
            text = select(func.coalesce(func.sum(func.length(Chunk.content)), 0)).where(
                self._db.among(Chunk.version_id, versions)
            )
            with self._db.read() as session:
                total = session.exec(text).one()
            for model, chunks in self.model_counts(versions).items():
                total += chunks * (self.vector_dim(model) or 0) * _FLOAT_BYTES
            return int(total)

        return self._bytes.get((kb_id, *heads), measure)

    def documents_at(
        self,
        commit_id: str,
        limit: int = 50,
        offset: int = 0,
        text: str | None = None,
        *,
        language: str | None = None,
        only: Collection[str] | None = None,
        but: Collection[str] = (),
    ) -> tuple[list[tuple[Document, DocumentVersion]], int]:
        """Documents at a commit by file name, those whose name or title holds `text`; and how
        many. `only` and `but` are ids of documents."""
        query = (
            select(Document, DocumentVersion)
            .join(DocumentVersion, col(DocumentVersion.document_id) == col(Document.id))
            .where(self._db.among(DocumentVersion.id, self.version_ids(commit_id)))
        )
        if text:
            query = query.where(
                col(Document.filename).icontains(text, autoescape=True)
                | col(DocumentVersion.title).icontains(text, autoescape=True)
            )
        if language:
            query = query.where(col(DocumentVersion.language) == language)
        if only is not None:
            query = query.where(self._db.among(Document.id, only))
        if but:
            query = query.where(~self._db.among(Document.id, but))
        page = query.order_by(func.lower(Document.filename), col(Document.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            rows = session.exec(page.limit(limit).offset(offset)).all()
        return [(document, version) for document, version in rows], total

    def _matrix(
        self, column: Any, ids: Collection[str], model: str
    ) -> tuple[list[str], np.ndarray]:
        import numpy as np

        chunks = select(Chunk.id, Chunk.text_hash, Chunk.version_id, Chunk.language).where(
            self._db.among(column, ids)
        )
        with self._db.read() as session:
            rows = session.connection().execute(chunks).all()
        shares = self.shares({version for _, _, version, _ in rows})
        if all(share.single == model for share in shares.values()):
            keys = [(id, key) for id, key, _, _ in rows]
        else:
            keys = [
                (id, key)
                for id, key, version, language in rows
                if shares[version].vectors(language) == model
            ]
        with self._db.read() as session:
            # Not one join: SQLite would walk through all vectors of the model.
            vectors = select(Vector.text_hash, Vector.data).where(
                col(Vector.model) == model,
                self._db.among(Vector.text_hash, {key for _, key in keys}),
            )
            data = dict(session.exec(vectors).all())
        found = [(id, data[key]) for id, key in keys if key in data]
        matrix = np.frombuffer(b"".join(blob for _, blob in found), "<f4")
        return [id for id, _ in found], matrix.reshape(len(found), -1 if found else 0)

    def _totals_at(self, commit_id: str) -> _Totals:
        def read() -> _Totals:
            versions = self.version_ids(commit_id)
            query = select(DocumentVersion.chunk_count, DocumentVersion.language).where(
                self._db.among(DocumentVersion.id, versions)
            )
            with self._db.read() as session:
                rows = session.exec(query).all()
            languages = Counter(language for _, language in rows if language)
            return _Totals(len(versions), sum(count for count, _ in rows), dict(languages))

        return self._totals.get(commit_id, read)


def _vector(data: bytes) -> np.ndarray:
    import numpy as np

    return np.frombuffer(data, "<f4")
