"""Search: four ways, filters, thresholds, history, and what the answer says about itself."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.engine.context import SearchRequest
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.views import SearchConfig
from storage.errors import NotFound
from tests.services.conftest import FACTS, Fill, opened, text_files

# Opening the stores takes longer than most of these tests: they share them, and no knowledge base.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kb(services: Services) -> str:
    """A knowledge base that nobody changes."""
    kb = (await services.knowledge.create("Docs")).knowledge_base_id
    job = await services.ingest.submit(kb, text_files(FACTS))
    await services.ingest.wait(job.job_id, 60)
    return kb


@pytest_asyncio.fixture(loop_scope="module")
async def own(services: Services, fill: Fill) -> str:
    """A knowledge base to change."""
    kb = (await services.knowledge.create(f"Own {uuid.uuid4()}")).knowledge_base_id
    await fill(kb)
    return kb


async def test_meaning_and_words(services: Services, kb: str) -> None:
    by_meaning = await services.search.search(
        kb, "when does the sea rise most?", SearchConfig(search_type="semantic", k=2)
    )
    assert by_meaning.results[0].document_name == "tides.md"
    assert by_meaning.results[0].scores.keys() == {"semantic"}
    assert 0 < (by_meaning.results[0].score or 0) <= 1
    by_words = await services.search.search(
        kb, "XK-4471-B", SearchConfig(search_type="keyword", k=2)
    )
    assert "XK-4471-B" in by_words.results[0].content
    assert by_words.results[0].scores.keys() == {"keyword"}


async def test_hybrid_joins_both_sides_with_a_weight(services: Services, kb: str) -> None:
    query = "part number of the motor"
    found = await services.search.search(kb, query, SearchConfig(k=5))
    assert found.metadata["search_type"] == "hybrid"
    assert found.results[0].document_name == "engines.txt"
    assert {"semantic", "hybrid"} <= found.results[0].scores.keys()
    scores = [chunk.score or 0 for chunk in found.results]
    assert scores == sorted(scores, reverse=True)
    meaning = await services.search.search(kb, query, SearchConfig(k=5, semantic_weight=1))
    alone = await services.search.search(kb, query, SearchConfig(k=5, search_type="semantic"))
    assert [c.chunk_id for c in meaning.results] == [c.chunk_id for c in alone.results]


async def test_adaptive_says_what_it_chose_and_why(services: Services, kb: str) -> None:
    found = await services.search.search(
        kb, '"XK-4471-B"', SearchConfig(search_type="adaptive", k=1)
    )
    assert found.metadata["search_type"] in ("keyword", "hybrid")
    assert found.metadata["reason"]
    assert "XK-4471-B" in found.results[0].content


async def test_reranking_reads_question_and_passage_together(services: Services, kb: str) -> None:
    found = await services.search.search(
        kb, "How heavy is the engine?", SearchConfig(k=2, rerank=True)
    )
    assert len(found.results) == 2
    assert "eleven kilograms" in found.results[0].content
    assert found.results[0].score == found.results[0].scores["rerank"]
    assert found.metadata["reranked"] is True
    strict = SearchConfig(k=5, rerank=True, score_threshold=0.9999)
    assert (await services.search.search(kb, "capital of France", strict)).results == []


async def test_metadata(services: Services, kb: str) -> None:
    found = await services.search.search(kb, "bread", SearchConfig(k=1))
    assert found.metadata["commit"] == (await services.knowledge.stats(kb)).commit
    assert found.metadata["took_ms"] > 0
    assert found.metadata["total"] == 1


async def test_filters_languages_and_threshold(services: Services, kb: str) -> None:
    only = await services.search.search(
        kb, "tide", SearchConfig(k=10, filters={"filename": "bread.md"})
    )
    assert {c.document_name for c in only.results} == {"bread.md"}
    none = await services.search.search(kb, "tide", SearchConfig(target_languages=["fr"]))
    assert none.results == []
    english = await services.search.search(kb, "tide", SearchConfig(target_languages=["en"]))
    assert english.results
    with pytest.raises(RagloomError, match="“eng” is no language known here") as caught:
        await services.search.search(kb, "tide", SearchConfig(target_languages=["de", "eng"]))
    assert "“en” (English)" in caught.value.fix
    strict = SearchConfig(search_type="semantic", score_threshold=0.99)
    assert (await services.search.search(kb, "tide", strict)).results == []


async def test_search_at_an_earlier_commit(services: Services, own: str, fill: Fill) -> None:
    before = (await services.knowledge.stats(own)).commit
    assert before is not None
    await fill(own, {"tides.md": "# Tides\n\nThe harbour of Seahouses is dry at noon."})
    now = await services.search.search(own, "Lowick harbour", SearchConfig(k=10))
    assert not any("Lowick" in c.content for c in now.results)
    for ref in (before, before[:12]):
        then = await services.search.search(own, "Lowick harbour", SearchConfig(k=10, ref=ref))
        assert "Lowick" in then.results[0].content
    with pytest.raises(NotFound):
        await services.search.search(own, "x", SearchConfig(ref="nowhere"))


async def test_indexes_and_database_agree(services: Services, own: str) -> None:
    """What is found while the indexes lag is what is found once they have caught up."""
    query = SearchConfig(k=5)
    before = await services.search.search(own, "boats leave with the tide", query)
    await services.indexer.catch_up(own)
    after = await services.search.search(own, "boats leave with the tide", query)
    assert [c.chunk_id for c in before.results] == [c.chunk_id for c in after.results]
    assert [c.score for c in before.results] == pytest.approx(
        [c.score for c in after.results], abs=1e-3
    )


async def test_an_empty_knowledge_base_finds_nothing(services: Services) -> None:
    kb = (await services.knowledge.create("Empty")).knowledge_base_id
    for search_type in ("semantic", "keyword", "hybrid", "adaptive"):
        config = SearchConfig(search_type=search_type, rerank=True)
        assert (await services.search.search(kb, "anything", config)).results == []


@pytest.mark.parametrize(
    ("query", "code"), [("  ", "empty_query"), ("x" * 5_000, "query_too_long")]
)
async def test_bad_queries(services: Services, kb: str, query: str, code: str) -> None:
    with pytest.raises(RagloomError) as caught:
        await services.search.search(kb, query, SearchConfig())
    assert caught.value.code == code


@pytest.mark.parametrize("query", ['"', "AND OR (", "field:x^2~", "*", "\x00", "日本語", "-", "\\"])
async def test_any_text_is_a_query(services: Services, kb: str, query: str) -> None:
    await services.search.search(kb, query, SearchConfig())


async def test_nodes_search_through_the_world(services: Services, kb: str) -> None:
    knowledge = services.world.knowledge
    outcome = await knowledge.search("Docs", SearchRequest(query="rye flour", k=3))
    assert outcome.knowledge_base_id == kb
    assert outcome.chunks[0].document_name == "bread.md"
    assert (kb, outcome.commit) == await knowledge.resolve("Docs")
    vectors = await knowledge.vectors(kb, [c.chunk_id for c in outcome.chunks])
    assert vectors.shape == (len(outcome.chunks), 384)
    assert (vectors**2).sum(axis=1) == pytest.approx(1, abs=1e-3)
    with pytest.raises(RagloomError) as caught:
        await knowledge.search("nowhere", SearchRequest(query="x"))
    assert caught.value.code == "not_found"


async def test_the_lexicon_follows_the_documents(services: Services, own: str, fill: Fill) -> None:
    knowledge = services.world.knowledge
    words = await knowledge.vocabulary(own)
    assert words["lowick"] >= 1
    assert "AGT" not in await knowledge.glossary(own)
    await fill(own, {"tides.md": "The astronomical gauge table (AGT) predicts tides."})
    assert (await knowledge.glossary(own))["AGT"] == "astronomical gauge table"
    words = await knowledge.vocabulary(own)
    assert "lowick" not in words
    assert words["gauge"] == 1
