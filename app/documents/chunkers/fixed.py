"""Chunks of a fixed number of tokens, whatever the text says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.documents.chunkers.units import word_cut
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput


def fixed(source: ChunkInput) -> Iterator[Span]:
    """Yield windows of `chunk_size` tokens that overlap by `chunk_overlap`, cut between words."""
    text, tokens, config = source.text, source.tokens, source.config
    start = 0
    while start < len(text):
        end = word_cut(text, start, tokens.advance(start, config.chunk_size))
        yield start, end
        if end >= len(text):
            return
        # Back by the overlap, to the start of a word, but always past where this one began.
        back = end
        if config.chunk_overlap:
            back = tokens.advance(start, max(1, tokens.count(start, end) - config.chunk_overlap))
            back = word_cut(text, start, back)
        start = back if start < back <= end else end
