"""Chunks that end where the topic changes, as seen by an embedding model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.documents.chunkers.packed import pack
from app.documents.chunkers.units import Unit, units
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput

#: Sentences on either side whose vectors are averaged into each sentence's.
WINDOW = 1
#: A chunk below this share of `chunk_size` is not ended by a change of topic.
SMALL_SHARE = 0.125


def semantic(source: ChunkInput) -> Iterator[Span]:
    """Yield runs of sentences between changes of topic, none larger than `chunk_size`.

    A change is where the cosine distance between neighbouring sentence windows exceeds the
    `breakpoint_percentile` of all such distances of the document (Kamradt's percentile rule).
    """
    if source.embed is None:
        raise ValueError("the semantic chunker needs an embedding model; none was given")
    parts = units(source, whole_blocks=False)
    start = 0
    for end in [*_breakpoints(source, parts), len(parts)]:
        if end == len(parts) or _tokens(parts[start:end]) >= (
            SMALL_SHARE * source.config.chunk_size
        ):
            yield from pack(source, parts[start:end])
            start = end


def _tokens(parts: list[Unit]) -> int:
    return sum(unit.tokens for unit in parts)


def _breakpoints(source: ChunkInput, parts: list[Unit]) -> list[int]:
    """Return the indices of units that open a new topic."""
    import numpy as np

    if len(parts) < 3 or source.embed is None:
        return []
    alone = source.embed([source.text[unit.start : unit.end] for unit in parts])
    # Mean vector of each sentence and its neighbours: against the noise of short ones.
    padded = np.pad(alone, ((WINDOW, WINDOW), (0, 0)))
    vectors = sum(padded[i : i + len(parts)] for i in range(2 * WINDOW + 1))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - (vectors[:-1] * vectors[1:]).sum(axis=1)
    limit = np.percentile(distances, source.config.breakpoint_percentile)
    # A heading always goes with what follows it.
    return [
        i + 1 for i, distance in enumerate(distances) if distance > limit and not parts[i].heading
    ]
