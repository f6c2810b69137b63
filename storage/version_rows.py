"""Rows of a new version and its chunks, written within a transaction that the caller holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from storage.database import Database
from storage.embedding import Embedding, Share
from storage.errors import NotFound, VectorsMissing
from storage.tables import Chunk, Document, DocumentVersion, Vector

# Made once, as those in `storage.commits`: every file that is ingested passes through them.
_VERSION = columns(col(DocumentVersion.id)).where(col(DocumentVersion.id) == bindparam("id"))
_OWNER = columns(col(Document.knowledge_base_id)).where(col(Document.id) == bindparam("id"))
_VERSION_FIELDS, _CHUNK_FIELDS = tuple(DocumentVersion.model_fields), tuple(Chunk.model_fields)
_ADD_VERSION, _ADD_CHUNKS = insert(DocumentVersion), insert(Chunk)


@dataclass(slots=True)
class NewChunk:
    """A row of `Chunk` that is not there yet. It is the same fields without the ORM, in which
    making one and naming it took as long as all statements of a commit.
    """

    content: str
    embed_text: str | None = None
    page: int | None = None
    headings: list[str] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    language: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    #: These follow from the version, and are filled in with it.
    id: str = ""
    version_id: str = ""
    document_id: str = ""
    ordinal: int = 0
    text_hash: str = ""


def add_version(
    db: Database,
    session: Session,
    version: DocumentVersion,
    chunks: Sequence[Chunk | NewChunk],
    fresh: Collection[tuple[object, object]],
) -> bool:
    """Add a version with its chunks; False where it is there already.

    `fresh` holds (model, text hash) of vectors that this transaction has stored. Raises NotFound
    where its document is not there, VectorsMissing where a chunk has no vector of its model.
    """
    connection = session.connection()
    if connection.execute(_VERSION, {"id": version.id}).first() is not None:
        return False
    owner = connection.execute(_OWNER, {"id": version.document_id}).scalar()
    if owner != version.knowledge_base_id:
        raise NotFound("document", version.document_id)
    _check_embedded(db, session, version, chunks, fresh)
    connection.execute(_ADD_VERSION, [_row(version)])
    if chunks:
        connection.execute(_ADD_CHUNKS, [_row(chunk) for chunk in chunks])
    return True


def _check_embedded(
    db: Database,
    session: Session,
    version: DocumentVersion,
    chunks: Sequence[Chunk | NewChunk],
    fresh: Collection[tuple[object, object]],
) -> None:
    share = Share.of(Embedding.of_version(version), version.language)
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for chunk in chunks:
        model = share.vectors(chunk.language)
        if (model, chunk.text_hash) not in fresh:
            wanted[model].add(chunk.text_hash)
    for model, hashes in wanted.items():
        known = session.exec(
            select(Vector.text_hash).where(
                col(Vector.model) == model, db.among(Vector.text_hash, hashes)
            )
        )
        if missing := hashes - set(known):
            raise VectorsMissing(model, sorted(missing))


def _row(item: DocumentVersion | Chunk | NewChunk) -> dict[str, object]:
    names = _VERSION_FIELDS if isinstance(item, DocumentVersion) else _CHUNK_FIELDS
    return {name: getattr(item, name) for name in names}
