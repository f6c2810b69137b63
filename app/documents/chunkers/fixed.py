"""Chunks of a fixed number of tokens, whatever the text says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.documents.chunkers.units import word_cut, word_start
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput


def fixed(source: ChunkInput) -> Iterator[Span]:
    """Yield windows of `chunk_size` tokens that overlap by `chunk_overlap`, cut between words."""
    text, tokens, config = source.text, source.tokens, source.config
    start = last_end = 0
    while start < len(text):
        hard_end = tokens.advance(start, config.chunk_size)
        end = word_cut(text, start, hard_end)
        if end <= last_end:
            end = hard_end  # a word that does not fit after the overlap is cut
        if end <= last_end:
            start = last_end
            continue
        yield start, end
        if end >= len(text):
            return
        # Back by at most the overlap, to the start of a word, but always past where this one began.
        back = end
        if config.chunk_overlap:
            back = tokens.advance(start, max(1, tokens.count(start, end) - config.chunk_overlap))
            back = word_start(text, back, end)
        start, last_end = (back if start < back <= end else end), end
