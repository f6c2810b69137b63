"""Joining rankings of several retrievers into one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

#: The constant of Cormack, Clarke and Büttcher; larger flattens the difference between ranks.
RRF_K = 60


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[K]],
    *,
    weights: Sequence[float] | None = None,
    k: int = RRF_K,
) -> list[tuple[K, float]]:
    """Join rankings by rank alone: ``score(d) = Σ w_r / (k + rank_r(d))``, ranks from 1.

    Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
    rank learning methods", SIGIR 2009. Items missing from a ranking get nothing from it. Best
    first; ties keep the order in which the items were first seen.
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    if len(weights) != len(rankings):
        raise ValueError(f"{len(rankings)} rankings but {len(weights)} weights")
    scores: dict[K, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return _best_first(scores)


def min_max(scores: Mapping[K, float], *, floor: float | None = None) -> dict[K, float]:
    """Map scores to 0..1: ``(s - min) / (max - min)``; `floor` replaces the observed minimum.

    Where all scores are equal, each becomes 1: they all are the best there is.
    """
    if not scores:
        return {}
    low = min(scores.values()) if floor is None else floor
    span = max(scores.values()) - low
    if span <= 0:
        return dict.fromkeys(scores, 1.0)
    return {item: max(0.0, (score - low) / span) for item, score in scores.items()}


def convex_fusion(
    semantic: Mapping[K, float],
    keyword: Mapping[K, float],
    *,
    semantic_weight: float = 0.5,
    semantic_floor: float | None = None,
    keyword_floor: float | None = 0.0,
) -> list[tuple[K, float]]:
    """Join two scored result lists: ``w · norm(semantic) + (1 - w) · norm(keyword)``.

    Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023:
    a convex combination of min-max scores beats RRF in and out of domain and needs few samples to
    tune its weight. BM25 has the theoretical minimum 0; cosines of small embedders crowd together
    far from their theoretical minimum, so theirs is the lowest one observed. An item found by one
    side only counts 0 on the other. Scores are in 0..1, best first.
    """
    if not 0.0 <= semantic_weight <= 1.0:
        raise ValueError(f"semantic_weight is between 0 and 1, not {semantic_weight}")
    left = min_max(semantic, floor=semantic_floor)
    right = min_max(keyword, floor=keyword_floor)
    scores = {
        item: semantic_weight * left.get(item, 0.0) + (1 - semantic_weight) * right.get(item, 0.0)
        for item in dict.fromkeys([*left, *right])
    }
    return _best_first(scores)


def _best_first(scores: Mapping[K, float]) -> list[tuple[K, float]]:
    return sorted(scores.items(), key=lambda pair: -pair[1])
