"""Chunks that follow how a document is built: sections, pages, parents with children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from app.documents.chunkers.packed import pack, recursive
from app.documents.chunkers.units import Unit, units
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput, Cut


def document_aware(source: ChunkInput) -> Iterator[Span]:
    """Yield chunks that never reach over a heading, with tables and code kept whole.

    A table or code block stays whole up to twice `chunk_size`; larger ones are cut between lines.
    """
    parts = units(source, whole_blocks=True, keep=frozenset({"table", "code"}))
    return pack(source, parts, small_share=0.0)


def page(source: ChunkInput) -> Iterator[Span]:
    """Yield one chunk a page, slide or sheet; one above `parent_size` tokens is cut as usual.

    Blocks that are on no page belong to the page before them; a document without pages is cut as
    usual.
    """
    parts = units(source, whole_blocks=True)
    if all(block.page is None for block in source.blocks):
        yield from pack(source, parts)
        return
    for _, group in groupby(_with_pages(source, parts), key=lambda item: item[0]):
        own = [unit for _, unit in group]
        start, end = own[0].start, own[-1].end
        if source.tokens.count(start, end) <= source.config.parent_size:
            yield start, end
        else:
            yield from pack(source, own)


def _with_pages(source: ChunkInput, parts: list[Unit]) -> Iterator[tuple[int | None, Unit]]:
    current: int | None = None
    for unit in parts:
        number = source.blocks[unit.block].page
        current = current if number is None else number
        yield current, unit


def parent_child(source: ChunkInput) -> Iterator[Cut]:
    """Yield chunks of `chunk_size` tokens that know the larger passage they stand in.

    Parents are cut as by "recursive", of at most `parent_size` tokens and without overlap; no
    child reaches over its parent's end. `metadata["parent"]` is `{"id", "start", "end"}`, offsets
    as those of chunks.
    """
    from app.documents.chunk import Cut

    config = source.config
    larger = source.with_config(
        config.model_copy(update={"chunk_size": config.parent_size, "chunk_overlap": 0})
    )
    parts = units(source, whole_blocks=True)
    at = 0
    for number, (start, end) in enumerate(recursive(larger)):
        own: list[Unit] = []
        while at < len(parts) and parts[at].start < end:
            unit = parts[at]
            # What is cut inside a sentence may end beyond the parent: the rest is the next one's.
            if unit.end > end:
                own.append(replace(unit, end=end, tokens=source.tokens.count(unit.start, end)))
                rest = replace(unit, start=end, tokens=source.tokens.count(end, unit.end))
                parts[at] = rest
                break
            own.append(unit)
            at += 1
        parent = {"id": f"p{number}", "start": start, "end": end}
        for a, b in pack(source, own):
            yield Cut(a, b, {"parent": parent})
