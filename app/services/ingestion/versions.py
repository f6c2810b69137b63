"""Documents become versions: what is new is embedded, and committed in one transaction."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from app.engine.context import IndexReport
from app.engine.values import Chunk, Document
from app.services.ingestion.embeddings import Embeddings, Text
from app.services.ingestion.index_preview import preview
from app.services.knowledge.chunk_changes import Passage
from app.services.knowledge.chunk_edits import EDIT_CONFLICTS, Carried, carry, noted
from app.services.knowledge.indexer import Indexer
from app.services.threads import call
from storage import ids, tables
from storage.corrections import Corrections, VersionMoved
from storage.errors import ModelsMoved
from storage.knowledge import KnowledgeRepository
from storage.version_rows import NewChunk

if TYPE_CHECKING:
    from pydantic import SecretStr
    from sqlmodel import Session

#: Chunks from which on vectors are stored while a document is still being embedded.
_KEPT_FROM = 256


class Stored(NamedTuple):
    """What became of a version: its commit, what it changed, how many chunks, how many embedded."""

    commit: tables.Commit
    change: str
    chunks: int
    embedded: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Who puts documents in, and with which settings."""

    author: str = "workflow"
    #: Settings that chunks were made with; None takes what the node that indexes says.
    processing: Mapping[str, Any] | None = None
    #: Where the document goes and its id there, when that was looked up already.
    base: tables.KnowledgeBase | None = None
    document_id: str | None = None
    #: What says by which models chunks are embedded there, when that was looked up already.
    models: Mapping[str, Any] | None = None
    #: Whether people corrected any version of the document, when that was looked up already.
    corrected: bool = True
    #: Takes part in the transaction that commits the document: see `commit_document`.
    within: Callable[[Session, str, int], None] | None = None
    #: Opens an encrypted file; it is kept in memory alone.
    password: SecretStr | None = None
    #: Nothing is written: indexing tells what it would do.
    dry: bool = False


class VersionWriter:
    """Writes versions of documents on behalf of somebody."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        embeddings: Embeddings,
        indexer: Indexer,
        origin: Origin,
    ) -> None:
        self._repository = repository
        self.embeddings = embeddings
        self._indexer = indexer
        self._origin = origin

    async def index(
        self,
        kb: str,
        document: Document,
        chunks: Sequence[Chunk],
        ref: str,
        processing: Mapping[str, Any] | None,
        progress: Callable[[int, int], None] | None,
    ) -> IndexReport:
        """Embed what is new and commit the document's version to `ref`, in one transaction."""
        if self._origin.dry:
            return await self._preview(kb, document, chunks, ref)
        origin = self._origin
        row = origin.base
        if row is None:
            row = await call(self._repository.find, kb)
        settings = dict(origin.processing or processing or {})
        document_id = origin.document_id
        if document_id is None:
            found = await call(self._repository.ensure_document, row.id, document.filename)
            document_id = found.id
        corrected = origin.corrected or origin.document_id is None
        while True:
            # Most documents were never corrected: then nobody is asked.
            before, carried = (
                await call(self._carried, row.id, ref, document_id, chunks)
                if corrected
                else (None, _nothing_carried(chunks))
            )
            version = _version(row.id, document_id, document, settings)
            try:
                stored = await self.store(
                    row, ref, version, carried, over=None if before is None else before.id,
                    author=origin.author, message=document.filename, progress=progress,
                )  # fmt: skip
            except VersionMoved:
                corrected = True
                continue  # Corrected by somebody meanwhile: that is carried along too.
            break
        return IndexReport(
            document_id=document_id,
            filename=document.filename,
            change=stored.change,
            chunks=stored.chunks,
            embedded=stored.embedded,
            commit=stored.commit.id,
        )

    async def _preview(
        self, kb: str, document: Document, chunks: Sequence[Chunk], ref: str
    ) -> IndexReport:
        row = await call(self._repository.find, kb)
        known = await call(self._repository.find_document, row.id, document.filename)
        _, carried = await call(
            self._carried, row.id, ref, None if known is None else known.id, chunks
        )
        found = [passage.chunk for passage in carried.passages if not passage.disabled]
        return await preview(self._repository, self.embeddings, row, document, found, ref)

    def _carried(
        self, kb_id: str, ref: str, document_id: str | None, chunks: Sequence[Chunk]
    ) -> tuple[tables.DocumentVersion | None, Carried]:
        """The version that people corrected, if any, and what they did there repeated."""
        before = None
        if document_id is not None:
            before = self._repository.corrected_head(kb_id, ref, document_id)
        if before is None:
            return None, _nothing_carried(chunks)
        edits = self._repository.corrections(before.id).edits
        return before, carry([*edits, *before.meta.get(EDIT_CONFLICTS, ())], chunks)

    async def store(
        self,
        row: tables.KnowledgeBase,
        ref: str,
        version: tables.DocumentVersion,
        carried: Carried,
        *,
        over: str | None,
        author: str,
        message: str,
        progress: Callable[[int, int], None] | None = None,
    ) -> Stored:
        """Embed what is new of a version with corrections, and commit it to `ref`.

        `over` is the version that the corrections were made on. Raises VersionMoved.
        """
        models = self._origin.models
        while True:
            if models is None:
                models = await call(self._repository.models_of, row.id, ref)
            try:
                return await self._embedded(
                    row, ref, version, carried, models, over=over, author=author, message=message,
                    progress=progress,
                )  # fmt: skip
            except ModelsMoved:
                models = None  # Another model was taken meanwhile: by that one, then.

    async def _embedded(
        self,
        row: tables.KnowledgeBase,
        ref: str,
        version: tables.DocumentVersion,
        carried: Carried,
        models: Mapping[str, Any],
        *,
        over: str | None,
        author: str,
        message: str,
        progress: Callable[[int, int], None] | None,
    ) -> Stored:
        """As `store`, by these models. Raises ModelsMoved, too."""
        embedding = await self.embeddings.chosen(models)
        model = embedding.model.vectors
        found = [passage.chunk for passage in carried.passages if not passage.disabled]
        vectors = await self.embeddings.missing(
            embedding,
            (Text(_embedded_text(chunk), chunk.language or version.language) for chunk in found),
            batch_size=row.config.get("embedding_batch_size"),
            progress=progress,
            # What a long document cost so far is not lost with the process.
            keep=len(found) > _KEPT_FROM,
        )

        def write() -> tuple[tables.Commit, str]:
            version.meta = noted(version.meta, carried)
            version.embedding_model, version.models = model, embedding.data()
            version.config_hash = ids.config_hash(
                version.processing, embedding.key, [*carried.edits, *carried.conflicts]
            )
            return self._repository.commit_document(
                row.id,
                ref,
                version,
                [_row(chunk) for chunk in found],
                vectors.get(model, {}),
                model,
                author,
                message,
                corrections=_corrections(carried),
                over=over,
                exact=over is not None,
                others={other: more for other, more in vectors.items() if other != model},
                models=models,
                within=self._origin.within,
            )

        # A long document has many rows: making them would hold up the event loop.
        commit, change = await call(write)
        self._indexer.touch(row.id)
        return Stored(commit, change, len(found), sum(map(len, vectors.values())))


def _embedded_text(chunk: Chunk) -> str:
    return chunk.content if chunk.embed_text is None else chunk.embed_text


def _version(
    kb_id: str, document_id: str, document: Document, processing: dict[str, Any]
) -> tables.DocumentVersion:
    return tables.DocumentVersion(
        id="",
        document_id=document_id,
        knowledge_base_id=kb_id,
        content_hash=document.blob,
        config_hash="",
        processing=processing,
        embedding_model="",
        media_type=document.media_type,
        size=document.size,
        pages=document.pages,
        language=document.language,
        title=document.title,
        meta=document.metadata,
        created_at=time.time(),
    )


def _nothing_carried(chunks: Sequence[Chunk]) -> Carried:
    return Carried([Passage(chunk) for chunk in chunks], [], [])


def _corrections(carried: Carried) -> Corrections | None:
    if not carried.edits and not carried.conflicts:
        return None
    return Corrections(
        carried.edits,
        {
            n: tables.Chunk(**dataclasses.asdict(_row(p.chunk)))
            for n, p in enumerate(carried.passages)
            if p.disabled
        },
        {n: p.source for n, p in enumerate(carried.passages) if p.source is not None},
    )


def _row(chunk: Chunk) -> NewChunk:
    """The chunk as stored; its ids follow from its version and place, and are filled in there."""
    return NewChunk(
        content=chunk.content,
        embed_text=chunk.embed_text,
        page=chunk.page,
        headings=list(chunk.headings),
        boxes=[dict(box.__dict__) for box in chunk.boxes],
        start=chunk.start,
        end=chunk.end,
        language=chunk.language,
        meta=chunk.metadata,
    )
