"""The work of embedding a branch anew: its documents are copied, embedded, and committed in groups.

Nothing is parsed again: chunks are copied, with the corrections people made. What is done already
can be told from the versions of the branch, so work that was broken off repeats nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.services.ingestion.embeddings import Embeddings, Text
from app.services.knowledge.chunk_edits import EDIT_CONFLICTS
from app.services.knowledge.indexer import Indexer
from app.services.threads import call
from storage import ids, tables
from storage.embedding import Embedding
from storage.knowledge import KnowledgeRepository
from storage.merging import MAIN
from storage.model_use import Copy

#: Documents of a commit, and the chunks after which no further document joins it.
_BATCH_DOCUMENTS, _BATCH_CHUNKS = 50, 1_000
_ALL_CHUNKS = 1_000_000


@dataclass
class Work:
    """One embedding anew, in this process."""

    base: tables.KnowledgeBase
    branch: str
    models: dict[str, Any]
    author: str
    started_at: float
    embedded: int = 0
    error: dict[str, Any] | None = None
    #: When it is tried again, while it waits for that.
    retry_at: float | None = None
    again: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.task is not None and not self.task.done()


class Copying:
    """Puts copies that are embedded by other models in the place of the documents of a branch."""

    def __init__(
        self, repository: KnowledgeRepository, indexer: Indexer, embeddings: Embeddings
    ) -> None:
        self._repository = repository
        self._indexer = indexer
        self._embeddings = embeddings

    async def run(self, work: Work) -> None:
        """Take it to its end. Raises what models and storage raise."""
        kb_id = work.base.id
        embedding = await self._embeddings.chosen(work.models)
        before: list[str] = []
        while True:
            others, _ = await call(
                self._repository.embedded_otherwise, kb_id, work.branch, embedding
            )
            # What is uploaded meanwhile is embedded as it should be already; what stays as it was
            # through a whole round will stay so.
            if not others or others == before:
                break
            before = others
            for batch in await call(self._batches, others):
                await self._embed_batch(work, embedding, batch)
        if work.branch == MAIN and not others:
            await call(self._settle, kb_id, work.models)

    async def _embed_batch(
        self, work: Work, embedding: Embedding, versions: Sequence[tables.DocumentVersion]
    ) -> None:
        copies = await call(self._copies, versions, embedding)
        texts = [
            Text(
                chunk.content if chunk.embed_text is None else chunk.embed_text,
                chunk.language or copy.version.language,
            )
            for copy in copies
            for chunk in copy.chunks
        ]
        at_first = work.embedded
        known: int | None = None

        def count(done: int, total: int) -> None:
            nonlocal known
            known = done if known is None else known
            work.embedded = at_first + done - known

        await self._embeddings.missing(
            embedding,
            texts,
            batch_size=work.base.config.get("embedding_batch_size"),
            progress=count,
            keep=True,
        )
        what = "a document" if len(copies) == 1 else f"{len(copies)} documents"
        message = f"Embed {what} with {work.models['embedding_model']}"
        await call(
            self._repository.commit_copies, work.base.id, work.branch, copies, work.author, message
        )
        self._indexer.touch(work.base.id)

    def _batches(self, ids: Sequence[str]) -> list[list[tables.DocumentVersion]]:
        return list(_grouped(self._repository.versions(ids)))

    def _copies(
        self, versions: Sequence[tables.DocumentVersion], embedding: Embedding
    ) -> list[Copy]:
        copies = []
        for version in versions:
            chunks, _ = self._repository.chunks(version.id, _ALL_CHUNKS)
            corrections = self._repository.corrections(version.id)
            edits = [*corrections.edits, *version.meta.get(EDIT_CONFLICTS, ())]
            fields = version.model_dump() | {
                "embedding_model": embedding.model.vectors,
                "models": embedding.data(),
                "config_hash": ids.config_hash(version.processing, embedding.key, edits),
                "created_at": time.time(),
            }
            copies.append(
                Copy(
                    version.id,
                    tables.DocumentVersion(**fields),
                    [tables.Chunk(**chunk.model_dump()) for chunk in chunks],
                    corrections,
                )
            )
        return copies

    def _settle(self, kb_id: str, models: Mapping[str, Any]) -> None:
        """The models of `main` are those of the knowledge base."""
        self._repository.update(kb_id, config=models)
        self._repository.set_branch_models(kb_id, MAIN, None)


def _grouped(
    versions: Sequence[tables.DocumentVersion],
) -> Iterator[list[tables.DocumentVersion]]:
    group: list[tables.DocumentVersion] = []
    chunks = 0
    for version in versions:
        group.append(version)
        chunks += version.chunk_count
        if len(group) == _BATCH_DOCUMENTS or chunks >= _BATCH_CHUNKS:
            yield group
            group, chunks = [], 0
    if group:
        yield group
