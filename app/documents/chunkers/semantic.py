"""Chunks that end where the topic changes, as seen by an embedding model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.documents.chunkers.packed import pack
from app.documents.chunkers.units import Unit, units
from app.documents.tokens import Span

if TYPE_CHECKING:
    import numpy as np

    from app.documents.chunk import ChunkInput, Embed

#: Sentences on either side whose vectors are averaged into each sentence's.
WINDOW = 1
#: Sentences that are embedded at once: a cancel waits for no more than these.
BATCH = 64
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
    distances = np.array(list(_distances(source, source.embed, parts)))
    limit = np.percentile(distances, source.config.breakpoint_percentile)
    # A heading always goes with what follows it.
    return [
        i + 1 for i, distance in enumerate(distances) if distance > limit and not parts[i].heading
    ]


def _distances(source: ChunkInput, embed: Embed, parts: list[Unit]) -> Iterator[float]:
    """Yield how far each window of sentences is from the next; holds one batch of vectors.

    A window is the mean vector of a sentence and its neighbours: against the noise of short ones.
    """
    import numpy as np

    size = 2 * WINDOW + 1
    before: np.ndarray | None = None
    held: deque[np.ndarray] = deque(maxlen=size)
    for vector in _padded(source, embed, parts):
        held.append(vector)
        if len(held) < size:
            continue
        window = np.sum(held, axis=0)
        window /= max(float(np.linalg.norm(window)), 1e-12)
        if before is not None:
            yield 1 - float(before @ window)
        before = window


def _padded(source: ChunkInput, embed: Embed, parts: list[Unit]) -> Iterator[np.ndarray]:
    """Yield the vectors of the units in order, with nothing on either side."""
    import numpy as np

    vectors: np.ndarray | None = None
    for at in range(0, len(parts), BATCH):
        vectors = embed([source.text[u.start : u.end] for u in parts[at : at + BATCH]])
        if at == 0:
            yield from np.zeros((WINDOW, vectors.shape[1]), dtype=vectors.dtype)
        yield from vectors
    if vectors is not None:
        yield from np.zeros((WINDOW, vectors.shape[1]), dtype=vectors.dtype)
