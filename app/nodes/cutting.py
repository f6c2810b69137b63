"""Cutting one document for the chunk node: settings, embeddings from its thread, the chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from app.engine.context import Models, TokenSpans
from app.engine.problems import NodeFailed
from app.engine.values import Box, Document
from app.engine.values import Chunk as ChunkValue

if TYPE_CHECKING:
    import numpy as np

#: Strategies that come along and ask for no embeddings.
WITHOUT_MODEL = frozenset(
    {
        "recursive", "fixed", "sentence", "document_aware", "parent_child", "table_rows",
        "question_answer", "page",
    }
)  # fmt: skip


class Settings(Protocol):
    """What cutting needs of a chunk node's settings."""

    strategy: str
    chunk_size: int
    chunk_overlap: int
    parent_size: int
    breakpoint_percentile: float
    heading_context: bool
    preserve_code_blocks: bool
    split_languages: bool
    languages: list[str]


class ThreadEmbed:
    """Embeds texts for a chunker that works in a thread; made on the event loop.

    `stop` breaks off what is under way: the thread gets a CancelledError.
    """

    def __init__(self, models: Models, model: str) -> None:
        self._models, self._model = models, model
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._current: Future[np.ndarray] | None = None
        self._stopped = False

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, shape (len(texts), dim), float32. Blocks; never call it on the loop."""
        with self._lock:
            if self._stopped:
                raise asyncio.CancelledError
            work = self._models.embed(texts, kind="passage", model=self._model)
            self._current = current = asyncio.run_coroutine_threadsafe(work, self._loop)
        return current.result()

    def stop(self) -> None:
        """Nobody waits for the thread any more."""
        with self._lock:
            self._stopped = True
            if self._current is not None:
                self._current.cancel()


def cut(
    document: Document, config: Settings, embed: ThreadEmbed, tokens: TokenSpans
) -> list[ChunkValue]:
    """Cut one document. Blocks (CPU), and waits for the embedder.

    Raises NodeFailed where the strategy is unknown or refuses the document.
    """
    from app.documents.chunk import ChunkConfig, chunk
    from app.documents.model import Block

    settings = ChunkConfig(
        strategy=config.strategy,
        chunk_size=config.chunk_size,
        chunk_overlap=config.chunk_overlap,
        parent_size=config.parent_size,
        breakpoint_percentile=config.breakpoint_percentile,
        heading_context=config.heading_context,
        preserve_code_blocks=config.preserve_code_blocks,
    )
    blocks: Sequence[Block] = [Block.model_validate(b.model_dump()) for b in document.blocks]
    if config.split_languages:
        from app.documents.segments import segment

        blocks = segment(blocks, config.languages)
    try:
        pieces = chunk(blocks, settings, tokenizer=tokens, embed=embed)
    except ValueError as error:
        raise NodeFailed(
            f"{document.filename} could not be cut: {error}.",
            code="bad_setting",
            fix="Choose another strategy in the chunk node's settings.",
        ) from error
    return [
        ChunkValue(
            chunk_id=f"{document.document_id}:{ordinal}",
            document_id=document.document_id,
            document_name=document.filename,
            content=piece.content,
            page=piece.page,
            headings=piece.headings,
            boxes=tuple(Box(**box.model_dump()) for box in piece.boxes),
            start=piece.start,
            end=piece.end,
            embed_text=piece.embed_text,
            language=piece.language or document.language,
            metadata=piece.metadata,
        )
        for ordinal, piece in enumerate(pieces)
    ]
