from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import search as search_module
from storage.filters import InvalidFilter
from storage.projections.analysis import pieces, query_terms
from tests.storage.corpus import MODEL, Corpus, Stores, embed

FRUIT = {
    "a.txt": ["red apple pie", "green apple juice"],
    "b.txt": ["yellow banana bread", "ripe banana split"],
    "c.txt": ["sour cherry cake", "dark cherry jam"],
}


@pytest.fixture
def fruit(corpus: Corpus, stores: Stores) -> Corpus:
    for name, texts in FRUIT.items():
        corpus.put(name, texts)
    stores.projector.catch_up(corpus.kb)
    return corpus


def semantic(
    corpus: Corpus, stores: Stores, query: str, k: int = 3, ref: str = "main", **f
) -> list[str]:  # type: ignore
    commit = corpus.knowledge.resolve(corpus.kb, ref).id
    candidates = corpus.knowledge.candidates(commit, f.get("filters"), f.get("languages", ()))
    hits = stores.search.semantic(corpus.kb, commit, MODEL, embed(query), k, candidates)
    assert hits == sorted(hits, key=lambda hit: -hit[1])
    return corpus.texts(hits)


def keyword(
    corpus: Corpus, stores: Stores, query: str, k: int = 3, ref: str = "main", **f
) -> list[str]:  # type: ignore
    commit = corpus.knowledge.resolve(corpus.kb, ref).id
    candidates = corpus.knowledge.candidates(commit, f.get("filters"), f.get("languages", ()))
    hits = stores.search.keyword(corpus.kb, commit, query, k, candidates)
    assert all(score > 0 for _, score in hits)
    return corpus.texts(hits)


def test_the_nearest_and_the_best_matching_chunks_come_first(fruit: Corpus, stores: Stores) -> None:
    assert semantic(fruit, stores, "red apple")[0] == "red apple pie"
    assert keyword(fruit, stores, "juice of apples")[:2] == ["green apple juice", "red apple pie"]
    assert keyword(fruit, stores, "nothing like it") == []
    assert len(semantic(fruit, stores, "cherry", k=100)) == 6


def test_an_unchanged_branch_and_an_old_commit_are_searched_as_they_were(
    fruit: Corpus, stores: Stores
) -> None:
    old = fruit.head()
    fruit.knowledge.create_branch(fruit.kb, "draft")
    fruit.put("a.txt", ["blue apple sauce"], ref="draft")
    fruit.put("b.txt", ["banana milk"])
    fruit.remove("c.txt")
    stores.projector.catch_up(fruit.kb)
    for find in (semantic, keyword):
        assert "banana milk" in find(fruit, stores, "banana", k=1)
        assert set(find(fruit, stores, "banana", k=2, ref="draft")) == set(FRUIT["b.txt"])
        assert find(fruit, stores, "blue apple", k=1, ref="draft") == ["blue apple sauce"]
        assert "blue apple sauce" not in find(fruit, stores, "blue apple", k=10)
        # The old commit holds versions that no index holds any more.
        assert set(find(fruit, stores, "cherry", k=2, ref="draft")) == set(FRUIT["c.txt"])
        assert set(find(fruit, stores, "banana", k=2, ref=old)) == set(FRUIT["b.txt"])
        assert not set(find(fruit, stores, "cherry", k=10)) & set(FRUIT["c.txt"])


def test_an_old_commit_whose_versions_are_in_no_index_is_still_searched(
    fruit: Corpus, stores: Stores
) -> None:
    old = fruit.head()
    for name in FRUIT:
        fruit.remove(name)
    fruit.put("new.txt", ["apple news"])
    stores.projector.catch_up(fruit.kb)
    for find in (semantic, keyword):
        assert set(find(fruit, stores, "apple", k=2, ref=old)) == set(FRUIT["a.txt"])
        assert find(fruit, stores, "ripe banana", k=1, ref=old) == ["ripe banana split"]
        assert find(fruit, stores, "apple", k=5, ref=old, filters={"filename": "b.txt"}) in (
            [],
            FRUIT["b.txt"],
            FRUIT["b.txt"][::-1],
        )


def test_a_commit_is_searched_before_the_indexes_caught_up(fruit: Corpus, stores: Stores) -> None:
    fruit.put("d.txt", ["fresh dragonfruit", "apple and dragonfruit"])
    for find in (semantic, keyword):
        assert set(find(fruit, stores, "dragonfruit", k=2)) == {
            "fresh dragonfruit",
            "apple and dragonfruit",
        }


def test_words_weigh_the_same_in_versions_that_are_not_indexed(
    corpus: Corpus, stores: Stores
) -> None:
    # "common" is in every indexed chunk and "rare" in few: a chunk that is not indexed yet and
    # says "common" must not beat an indexed one that says "rare".
    corpus.put("bulk", [f"common filler{i} text" for i in range(50)] + ["rare common text here"])
    stores.projector.catch_up(corpus.kb)
    corpus.put("late", ["common late text", "rare late text"])
    found = keyword(corpus, stores, "rare common", k=3)
    assert set(found[:2]) == {"rare common text here", "rare late text"}


@pytest.mark.parametrize("limit", [0, 10_000])
def test_filters_hold_whichever_way_they_are_carried_out(
    limit: int, corpus: Corpus, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "EXACT_LIMIT", limit)
    for year in range(2000, 2020):
        corpus.put(
            f"{year}.txt",
            [f"report about apples {year}", f"appendix about pears {year}"],
            facts={"meta": {"year": year, "tags": ["old" if year < 2010 else "new"]}},
            chunk_facts=[{"page": 1, "headings": ["Report"]}, {"page": 2, "language": "de"}],
        )
    stores.projector.catch_up(corpus.kb)
    check_filters(partial(semantic, corpus, stores))
    check_filters(partial(keyword, corpus, stores))


def check_filters(find: Callable[..., list[str]]) -> None:
    run = partial(find, "report about apples pears")
    everything = 100
    assert len(run(everything, filters={"metadata.year": {"$gte": 2015}})) == 10
    assert len(run(everything, filters={"year": 2003})) == 2
    assert len(run(everything, filters={"tags": "old", "page": 1})) == 10
    assert len(run(3, filters={"tags": "old", "page": 1})) == 3
    assert len(run(everything, filters={"page": [1, 2], "filename": {"$contains": "200"}})) == 20
    assert len(run(everything, filters={"headings": "Report"})) == 20
    assert (
        len(run(everything, filters={"language": "de"}))
        == len(run(everything, languages=["de"]))
        == 20
    )
    assert run(everything, filters={"filename": "no.txt"}) == []
    assert all("200" in text for text in run(everything, filters={"tags": {"$nin": ["new"]}}))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x", {"x"}),
        (["x", "y"], {"x", "y"}),
        ({"$ne": "x"}, {"y", "none"}),
        ({"$in": ["x"]}, {"x"}),
        ({"$contains": "X"}, {"x"}),
        ({"$gt": "x"}, {"y"}),
        ({"$gt": 3}, set()),
        (None, {"none"}),
    ],
)
def test_conditions(corpus: Corpus, condition: object, expected: set[str]) -> None:
    for name in ("x", "y", "none"):
        meta = {} if name == "none" else {"field": name}
        commit, _ = corpus.put(name, [name], facts={"meta": meta})
    found = corpus.knowledge.candidates(commit.id, {"field": condition})
    assert found is not None
    rows = corpus.knowledge.chunks_by_ids(list(found))
    assert {row.content for row in rows} == expected
    assert len(found) == len(expected)
    assert all(row.id in found for row in rows)


@pytest.mark.parametrize("condition", [{}, {"$like": "x"}, {"$in": "x"}])
def test_a_filter_that_makes_no_sense_is_refused(corpus: Corpus, condition: object) -> None:
    commit, _ = corpus.put("a", ["x"])
    with pytest.raises(InvalidFilter) as refused:
        corpus.knowledge.candidates(commit.id, {"field": condition})
    assert "field" in refused.value.message
    assert "$gte" in refused.value.fix


def test_no_filter_is_no_restriction(corpus: Corpus) -> None:
    commit, _ = corpus.put("a", ["x"])
    assert corpus.knowledge.candidates(commit.id, {}) is None
    assert corpus.knowledge.candidates(commit.id, None, []) is None


def test_stems_accents_and_case_do_not_matter(corpus: Corpus, stores: Stores) -> None:
    corpus.put("a", ["The Zürich office was RUNNING late", "Elsewhere"])
    stores.projector.catch_up(corpus.kb)
    for query in ("zurich", "ZÜRICH offices", "runs"):
        assert keyword(corpus, stores, query) == ["The Zürich office was RUNNING late"]


def test_scripts_without_spaces_are_found_by_pieces(corpus: Corpus, stores: Stores) -> None:
    corpus.put(
        "a", ["机器学习是人工智能的一个分支", "今日は天気がいいです", "ภาษาไทย", "plain words"]
    )
    stores.projector.catch_up(corpus.kb)
    assert keyword(corpus, stores, "人工智能", k=1) == ["机器学习是人工智能的一个分支"]
    assert keyword(corpus, stores, "天気", k=1) == ["今日は天気がいいです"]
    assert keyword(corpus, stores, "ไทย", k=1) == ["ภาษาไทย"]
    assert keyword(corpus, stores, "習", k=1) == []


def test_mixed_text_is_split_into_words_and_pieces() -> None:
    assert pieces("GPT 模型ab") == ["模", "型", "模型"]
    assert query_terms("GPT模型 GPT", 10) == [("words", "gpt"), ("pieces", "模型")]
    assert len(query_terms(" ".join(map(str, range(1000))), 128)) == 128


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(query=st.text(alphabet=st.characters(), max_size=80))
def test_any_text_is_a_keyword_query(fruit: Corpus, stores: Stores, query: str) -> None:
    keyword(fruit, stores, query)


@pytest.mark.parametrize(
    "query",
    ['"unclosed', "apple AND", "a:b", "(((", "apple~9999", "*", "\\", "\ud800", "\0", "+-!"],
)
def test_query_syntax_is_only_text(fruit: Corpus, stores: Stores, query: str) -> None:
    keyword(fruit, stores, query)


def test_an_empty_knowledge_base_finds_nothing(corpus: Corpus, stores: Stores) -> None:
    assert semantic(corpus, stores, "apple") == keyword(corpus, stores, "apple") == []


def test_semantic_search_equals_scoring_every_vector(corpus: Corpus, stores: Stores) -> None:
    texts = [f"w{i % 17} w{i % 23} w{i % 5} n{i}" for i in range(600)]
    for start in range(0, 600, 60):
        corpus.put(f"f{start}", texts[start : start + 60])
    corpus.knowledge.create_branch(corpus.kb, "half")
    for start in range(0, 300, 60):
        corpus.remove(f"f{start}", ref="half")
    stores.projector.catch_up(corpus.kb)
    matrix = np.stack([embed(text) for text in texts])
    for ref, members in (("main", texts), ("half", texts[300:])):
        for query in ("w3 w4", "w16 w22 w1", "n299"):
            found = semantic(corpus, stores, query, k=10, ref=ref)
            scores = dict(zip(texts, matrix @ embed(query), strict=True))
            best = sorted((scores[text] for text in members), reverse=True)[:10]
            assert [scores[text] for text in found] == pytest.approx(best, abs=1e-5)
