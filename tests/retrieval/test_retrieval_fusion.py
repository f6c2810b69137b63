"""Fusion of rankings, diversity and measures of a ranking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.retrieval.fusion import convex_fusion, min_max, reciprocal_rank_fusion
from app.retrieval.metrics import (
    hit_at_k,
    mean,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
)
from app.retrieval.mmr import mmr


def test_rrf_is_the_sum_of_reciprocal_ranks() -> None:
    fused = dict(reciprocal_rank_fusion([["a", "b"], ["b", "c"]]))
    assert fused == pytest.approx({"b": 1 / 62 + 1 / 61, "a": 1 / 61, "c": 1 / 62})
    assert next(iter(fused)) == "b"


def test_rrf_weights_let_one_ranking_decide() -> None:
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "a"]], weights=[0.0, 1.0])
    assert [item for item, _ in fused] == ["b", "a"]
    with pytest.raises(ValueError, match="2 rankings but 1 weights"):
        reciprocal_rank_fusion([["a"], ["b"]], weights=[1.0])


def test_convex_fusion_brings_both_sides_to_one_scale() -> None:
    semantic = {"a": 0.9, "b": 0.8, "c": 0.7}
    keyword = {"b": 12.0, "d": 6.0}
    fused = dict(convex_fusion(semantic, keyword, semantic_weight=0.5))
    assert fused == pytest.approx({"b": 0.75, "a": 0.5, "d": 0.25, "c": 0.0})


@pytest.mark.parametrize(("weight", "first"), [(1.0, "a"), (0.0, "b")])
def test_the_ends_of_the_weight_are_one_side_alone(weight: float, first: str) -> None:
    fused = convex_fusion({"a": 0.9, "b": 0.1}, {"a": 1.0, "b": 9.0}, semantic_weight=weight)
    assert fused[0][0] == first


def test_equal_scores_are_all_the_best() -> None:
    assert min_max({"a": 0.3, "b": 0.3}) == {"a": 1.0, "b": 1.0}
    assert min_max({}) == {}


scored = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 50), max_size=8)


@settings(deadline=None)
@given(scored, scored, st.floats(0, 1))
def test_fused_scores_lie_between_0_and_1_and_fall(
    semantic: dict[str, float], keyword: dict[str, float], weight: float
) -> None:
    fused = convex_fusion(semantic, keyword, semantic_weight=weight)
    values = [score for _, score in fused]
    assert {item for item, _ in fused} == set(semantic) | set(keyword)
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 + 1e-9 for value in values)


def test_mmr_prefers_what_is_new() -> None:
    same, other = [1.0, 0.0], [0.0, 1.0]
    vectors = np.array([same, same, other], dtype=np.float32)
    assert mmr([0.9, 0.89, 0.5], vectors, k=2, relevance_weight=0.5) == [0, 2]
    assert mmr([0.9, 0.89, 0.5], vectors, k=2, relevance_weight=1.0) == [0, 1]


def test_mmr_of_nothing_and_of_too_few() -> None:
    assert mmr([], np.zeros((0, 2), np.float32), k=3) == []
    assert mmr([0.5], np.ones((1, 2), np.float32), k=3) == [0]
    with pytest.raises(ValueError, match="1 relevance scores but 2 vectors"):
        mmr([0.5], np.ones((2, 2), np.float32), k=1)


def test_metrics_of_a_known_ranking() -> None:
    ranked, relevant = ["x", "a", "y", "b"], {"a", "b"}
    assert recall_at_k(ranked, relevant, 2) == 0.5
    assert precision_at_k(ranked, relevant, 4) == 0.5
    assert hit_at_k(ranked, relevant, 1) == 0.0
    assert reciprocal_rank(ranked, relevant) == 0.5
    assert reciprocal_rank(ranked, relevant, k=1) == 0.0
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
    assert ndcg_at_k(ranked, relevant, 4) == pytest.approx(expected)
    assert ndcg_at_k(["b", "a"], {"a": 3.0, "b": 1.0}, 2) < ndcg_at_k(
        ["a", "b"], {"a": 3.0, "b": 1.0}, 2
    )


def test_metrics_of_nothing() -> None:
    assert recall_at_k(["a"], set(), 5) == 0.0
    assert ndcg_at_k([], {"a"}, 5) == 0.0
    assert mean([]) == 0.0
