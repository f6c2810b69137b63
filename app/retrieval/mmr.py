"""Maximal marginal relevance: results that are relevant and do not repeat each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def mmr(
    relevance: Sequence[float], vectors: np.ndarray, *, k: int, relevance_weight: float = 0.7
) -> list[int]:
    """Pick `k` of n items, each the best of ``λ · relevance - (1 - λ) · max similarity to picked``.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents
    and producing summaries", SIGIR 1998. `vectors` are unit vectors of shape (n, dim), so a dot
    product is the cosine; relevance is brought to at most 1 first, so that λ (`relevance_weight`)
    means the same whatever the scale of the scores (BM25, logits, cosines). Returns indices in order of picking.
    """
    import numpy as np

    n = len(relevance)
    if vectors.shape[0] != n:
        raise ValueError(f"{n} relevance scores but {vectors.shape[0]} vectors")
    if n == 0 or k <= 0:
        return []
    scores = np.asarray(relevance, dtype=np.float64)
    if scores.min() < 0:
        scores = scores - scores.min()
    scores = scores / scores.max() if scores.max() > 0 else np.ones(n)
    similarity = np.full(n, -np.inf)
    picked: list[int] = []
    left = np.ones(n, dtype=bool)
    for _ in range(min(k, n)):
        penalty = np.where(np.isfinite(similarity), similarity, 0.0)
        gain = relevance_weight * scores - (1 - relevance_weight) * penalty
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        picked.append(best)
        left[best] = False
        similarity = np.maximum(similarity, vectors @ vectors[best])
    return picked
