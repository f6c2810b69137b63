"""Chunks packed from whole paragraphs or sentences: never across a page, a heading stays on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.documents.chunkers.units import WHOLE_FACTOR, Unit, units
from app.documents.text import sentences
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput

#: A chunk below this share of `chunk_size` goes on into the next section (of the same page).
SMALL_SHARE = 0.25


def recursive(source: ChunkInput) -> Iterator[Span]:
    """Yield chunks of whole paragraphs; one that is too large falls to sentences, then to words."""
    return pack(source, units(source, whole_blocks=True))


def sentence(source: ChunkInput) -> Iterator[Span]:
    """Yield chunks of whole sentences, filled as far as they go."""
    return pack(source, units(source, whole_blocks=False))


def pack(
    source: ChunkInput, parts: Sequence[Unit], small_share: float = SMALL_SHARE
) -> Iterator[Span]:
    """Yield spans of consecutive units that fit `chunk_size` together.

    A heading ends the chunk before it unless that is below `small_share` of `chunk_size`.
    """
    held: list[Unit] = []
    for unit in parts:
        # Headings that are carried over are looked at again: they may not fit either.
        while held:
            overlap = _overlap_allowed(source, held, unit, small_share)
            if overlap is None:
                break
            yield _close(held)
            held = overlap
        held.append(unit)
    if held:
        yield _close(held)


def _close(held: Sequence[Unit]) -> Span:
    return held[0].start, held[-1].end


def _overlap_allowed(
    source: ChunkInput, held: list[Unit], unit: Unit, small_share: float
) -> list[Unit] | None:
    """Return None where `unit` joins `held`, else what the next chunk starts with before it."""
    size, blocks = source.config.chunk_size, source.blocks
    used = source.tokens.count(held[0].start, held[-1].end)
    if unit.tokens > size and all(u.heading for u in held):
        size *= WHOLE_FACTOR  # a large block takes its headings along
    if blocks[held[-1].block].page != blocks[unit.block].page:
        return []
    if all(u.heading for u in held):
        return None if used + unit.tokens <= size else []
    if unit.heading:
        return [] if used >= size * small_share or used + unit.tokens > size else None
    if used + unit.tokens <= size:
        return None
    if len(held) > 1 and held[-1].heading:
        # The chunk would end with headings: take them along.
        first = next(i for i, u in enumerate(held) if all(v.heading for v in held[i:]))
        carried = held[first:]
        del held[first:]
        return carried
    return _overlap(source, held[-1], unit)


def _overlap(source: ChunkInput, last: Unit, unit: Unit) -> list[Unit]:
    """Return the last sentences of `last` that fit both the overlap and the next chunk."""
    config, tokens = source.config, source.tokens
    room = min(config.chunk_overlap, config.chunk_size - unit.tokens)
    if last.solid or last.heading or room <= 0:
        return []
    start = None
    for begin, _ in reversed(sentences(source.text, last.start, last.end)):
        # A whole unit again would be a copy, not an overlap, unless it is one short sentence.
        if tokens.count(begin, last.end) > room:
            break
        start = begin
    if start is None:
        return []
    return [Unit(start, last.end, tokens.count(start, last.end), last.block)]
