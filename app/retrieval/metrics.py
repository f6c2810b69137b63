"""How good a ranking is, given which items are relevant.

`ranked` is best first; `relevant` holds the ids that answer the question, or their grades.
Definitions follow Manning, Raghavan and Schütze, "Introduction to Information Retrieval", ch. 8.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def recall_at_k(ranked: Sequence[K], relevant: Collection[K], k: int) -> float:
    """Share of the relevant items among the first `k`; 0 where nothing is relevant."""
    wanted = set(relevant)
    return len(wanted & set(ranked[:k])) / len(wanted) if wanted else 0.0


def precision_at_k(ranked: Sequence[K], relevant: Collection[K], k: int) -> float:
    """Share of relevant items among the first `k` places (an empty place counts as a miss)."""
    return len(set(relevant) & set(ranked[:k])) / k if k > 0 else 0.0


def hit_at_k(ranked: Sequence[K], relevant: Collection[K], k: int) -> float:
    """1 where at least one relevant item is among the first `k`, else 0."""
    return float(not set(relevant).isdisjoint(ranked[:k]))


def reciprocal_rank(ranked: Sequence[K], relevant: Collection[K], k: int | None = None) -> float:
    """1 / rank of the first relevant item (within the first `k`), else 0; its mean is MRR."""
    wanted = set(relevant)
    for rank, item in enumerate(ranked[:k], start=1):
        if item in wanted:
            return 1.0 / rank
    return 0.0


def ndcg_at_k(ranked: Sequence[K], relevant: Collection[K] | Mapping[K, float], k: int) -> float:
    """Normalised discounted cumulative gain: ``Σ (2^grade - 1) / log2(rank + 1)`` over the ideal.

    Järvelin and Kekäläinen, ACM TOIS 2002, with the exponential gain of Burges et al. 2005; both
    forms agree where grades are 0 and 1. Ids without grades count as grade 1.
    """
    grades: Mapping[K, float] = (
        relevant if isinstance(relevant, Mapping) else dict.fromkeys(relevant, 1.0)
    )
    gains = [grades.get(item, 0.0) for item in dict.fromkeys(ranked[:k])]
    ideal = _dcg(sorted(grades.values(), reverse=True)[:k])
    return _dcg(gains) / ideal if ideal > 0 else 0.0


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0


def _dcg(grades: Sequence[float]) -> float:
    return math.fsum((2.0**g - 1.0) / math.log2(rank + 1) for rank, g in enumerate(grades, start=1))
