"""Chunks of a document as its page reads them: a few at a time, wherever one looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.services.rows import chunk_view
from app.services.threads import call
from app.services.views import PassageView, PassageWindow
from storage import tables
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository


class PassageService:
    """Windows on the chunks of a document; `kb` is an id or a name."""

    def __init__(self, repository: KnowledgeRepository) -> None:
        self._repository = repository

    async def window(
        self, kb: str, document_id: str, offset: int, limit: int, ref: str = "main"
    ) -> PassageWindow:
        """`limit` chunks from number `offset` on, in reading order. Raises NotFound."""

        def read() -> PassageWindow:
            document, version = self._at(kb, document_id, ref)
            rows, total = self._repository.chunk_window(version.id, limit, max(0, offset))
            return self._view(document, version, rows, total)

        return await call(read)

    async def on_page(
        self, kb: str, document_id: str, page: int, ref: str = "main"
    ) -> PassageWindow:
        """Chunks with a box on a page. Raises NotFound."""

        def read() -> PassageWindow:
            document, version = self._at(kb, document_id, ref)
            rows = self._repository.chunks_on_page(version.id, page)
            _, total = self._repository.chunk_window(version.id, 0)
            return self._view(document, version, rows, total)

        return await call(read)

    async def number_at(
        self, kb: str, document_id: str, start: int, ref: str = "main"
    ) -> int | None:
        """Number of the chunk at a place of the text. Raises NotFound."""

        def read() -> int | None:
            _, version = self._at(kb, document_id, ref)
            return self._repository.ordinal_at(version.id, start)

        return await call(read)

    async def number_of(
        self, kb: str, document_id: str, chunk_id: str, ref: str = "main"
    ) -> tuple[int | None, bool]:
        """Number of a chunk of any version, and whether it is still the same.

        One of an earlier version has the number of what stands at its place now.
        """

        def read() -> tuple[int | None, bool]:
            _, version = self._at(kb, document_id, ref)
            try:
                chunk = self._repository.chunk(chunk_id)
            except NotFound:
                return None, False
            if chunk.document_id != document_id:
                return None, False
            if chunk.version_id == version.id:
                return chunk.ordinal, True
            if chunk.start is None:
                return None, False
            number = self._repository.ordinal_at(version.id, chunk.start)
            if number is None:
                return None, False
            rows, _ = self._repository.chunk_window(version.id, 1, number)
            return number, bool(rows) and rows[0][0].content == chunk.content

        return await call(read)

    def _at(
        self, kb: str, document_id: str, ref: str
    ) -> tuple[tables.Document, tables.DocumentVersion]:
        base = self._repository.find(kb)
        document = self._repository.document(base.id, document_id)
        commit = self._repository.resolve(base.id, ref)
        version_id = self._repository.manifest(commit.id).get(document_id)
        if version_id is None:
            raise NotFound("document", document_id)
        return document, self._repository.version(version_id)

    def _view(
        self,
        document: tables.Document,
        version: tables.DocumentVersion,
        rows: Sequence[tuple[tables.Chunk, bool]],
        total: int,
    ) -> PassageWindow:
        sources = self._repository.corrections(version.id).sources
        items = [
            PassageView(
                **chunk_view(row, document.filename, disabled=disabled).model_dump(),
                source=sources.get(row.ordinal),
            )
            for row, disabled in rows
        ]
        return PassageWindow(version_id=version.id, total=total, items=items)


def joined_text(chunks: Sequence[tables.Chunk], sources: Mapping[int, str]) -> str:
    """The text that the chunks were cut from: every chunk at its place, new lines between them.

    Chunks cover a document but for white space and what the quality check left out. `sources` has
    the text, by ordinal, of chunks whose content is another.
    """
    parts: list[str] = []
    at = 0
    for chunk in chunks:
        start = at if chunk.start is None else chunk.start
        if start > at:
            parts.append("\n" * (start - at))
            at = start
        source = sources.get(chunk.ordinal) or chunk.meta.get("source_text", chunk.content)
        fresh = source[at - start :]
        parts.append(fresh)
        at += len(fresh)
    return "".join(parts)
