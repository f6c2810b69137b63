"""What chunks are packed from: blocks where they fit, their sentences or words where not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.documents.text import sentences
from app.documents.tokens import Span, TokenIndex

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput


@dataclass(frozen=True, slots=True)
class Unit:
    """A span that is not cut any further."""

    start: int
    end: int
    tokens: int
    block: int
    #: True for a heading: it stays with what follows.
    heading: bool = False
    #: True where the unit is (part of) a table or code, which nothing overlaps into.
    solid: bool = False


#: Tables and code that are to be kept whole are, up to this many times `chunk_size`: an embedder
#: that reads chunks of that size to their end still sees most of them.
WHOLE_FACTOR = 2


def units(
    source: ChunkInput, *, whole_blocks: bool, keep: frozenset[str] = frozenset()
) -> list[Unit]:
    """Return the units of a document, none larger than `chunk_size`.

    With `whole_blocks` a paragraph that fits is one unit, otherwise each sentence is one. Tables
    and code that fit are one unit either way; larger ones are cut between lines, but for the kinds
    in `keep`, which stay whole up to WHOLE_FACTOR times that size.
    """
    if source.config.preserve_code_blocks:
        keep |= {"code"}
    return [
        unit
        for index in range(len(source.blocks))
        for unit in block_units(source, index, whole_blocks=whole_blocks, keep=keep)
    ]


def block_units(
    source: ChunkInput, index: int, *, whole_blocks: bool, keep: frozenset[str] = frozenset()
) -> Iterator[Unit]:
    """Yield the units of one block."""
    block, start = source.blocks[index], source.starts[index]
    end, size, tokens = start + len(block.text), source.config.chunk_size, source.tokens
    heading, solid = block.kind == "heading", block.kind in ("table", "code")
    count = tokens.count(start, end)
    limit = size * WHOLE_FACTOR if block.kind in keep else size
    if count <= limit and (whole_blocks or heading or solid):
        if source.text[start:end].strip():
            yield Unit(start, end, count, index, heading, solid)
        return
    parts = _lines(source.text, start, end) if solid else sentences(source.text, start, end)
    for part in parts:
        for a, b in split_words(source.text, tokens, part, size):
            yield Unit(a, b, tokens.count(a, b), index, heading, solid)


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    at = start
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        if text[at:stop].strip():
            yield at, stop
        at = stop + 1


def split_words(text: str, tokens: TokenIndex, span: Span, size: int) -> Iterator[Span]:
    """Yield `span` in parts of at most `size` tokens, cut between words where there are any."""
    start, end = span
    while tokens.count(start, end) > size:
        cut = word_cut(text, start, min(end, tokens.advance(start, size)))
        yield start, cut
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end


def word_cut(text: str, start: int, cut: int) -> int:
    """Return the last offset in `start`..`cut` that is not inside a word, or `cut` if none is.

    Scripts without spaces between words are cut where asked.
    """
    if cut >= len(text) or cut <= start:
        return cut
    at = cut
    while at > start and not text[at - 1].isspace() and not text[at].isspace():
        at -= 1
        if cut - at > 40:
            return cut
    return at if at > start else cut


def word_start(text: str, at: int, end: int) -> int:
    """Return the first offset in `at`..`end` that begins a word, or `at` if none is near.

    Scripts without spaces between words begin where asked.
    """
    for place in range(max(at, 1), min(end, at + 40)):
        if text[place - 1].isspace() and not text[place].isspace():
            return place
    return at
