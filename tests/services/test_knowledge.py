"""Knowledge bases: made, filled, read, changed and deleted through the service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.engine.problems import ModelUnavailable, RagloomError
from app.services.container import Services
from storage.errors import Conflict, NotFound
from tests.services.conftest import FACTS, Fill, opened

# Opening the stores takes longer than most of these tests: they share them, and no knowledge base.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    """An empty knowledge base of its own."""
    return (await services.knowledge.create(f"Docs {uuid.uuid4()}")).knowledge_base_id


async def test_a_config_of_another_platform_is_taken_with_warnings(services: Services) -> None:
    name = f"Docs {uuid.uuid4()}"
    kb = await services.knowledge.create(
        name,
        "Some docs",
        {"chunk_size": 500, "chunk_overlap": 50, "search_engine": "elasticsearch"},
    )
    assert kb.config["chunk_size"] == 500
    assert kb.config["embedding_model"] == "bge-small-en-v1.5"
    assert "elasticsearch" in kb.warnings[0]
    assert await services.knowledge.get(name) == kb
    assert (await services.knowledge.get(kb.knowledge_base_id)).name == name


async def test_a_model_that_cannot_be_had_says_how_to_get_it(services: Services) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await services.knowledge.create("X", config={"embedding_model": "text-embedding-ada-002"})
    assert "OPENAI_API_KEY" in caught.value.message
    assert "default" in caught.value.fix
    assert "bge-small-en-v1.5" in caught.value.fix
    names = {kb.name for kb in (await services.knowledge.list(limit=200)).items}
    assert "X" not in names


async def test_chunks_longer_than_the_model_reads_are_warned_about(services: Services) -> None:
    kb = await services.knowledge.create("Long", config={"chunk_size": 2000})
    assert "512" in kb.warnings[0]


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x07b"])
async def test_names_are_checked(services: Services, name: str) -> None:
    with pytest.raises(RagloomError) as caught:
        await services.knowledge.create(name)
    assert caught.value.code == "invalid_name"


async def test_a_name_is_taken_once(services: Services) -> None:
    await services.knowledge.create("Taken")
    with pytest.raises(Conflict):
        await services.knowledge.create("Taken")


async def test_documents_chunks_text_and_history(services: Services, kb: str, fill: Fill) -> None:
    await fill(kb)
    page = await services.knowledge.documents(kb)
    assert [d.filename for d in page.items] == sorted(FACTS)
    assert {d.status for d in page.items} == {"ready"}
    tides = next(d for d in page.items if d.filename == "tides.md")
    assert (tides.title, tides.language, tides.media_type) == ("Tides", "en", "text/markdown")
    assert await services.knowledge.document(kb, tides.document_id) == tides

    chunks = await services.knowledge.chunks(kb, tides.document_id)
    assert chunks.total == tides.chunk_count == len(chunks.items)
    first = chunks.items[0]
    assert await services.knowledge.chunk(kb, first.chunk_id) == first

    text = await services.knowledge.text(kb, tides.document_id)
    for chunk in text.chunks:
        assert text.text[chunk.start : chunk.end] == chunk.content

    path, filename, media_type = await services.knowledge.original(kb, tides.document_id)
    assert path.read_text() == FACTS["tides.md"]
    assert (filename, media_type) == ("tides.md", "text/markdown")

    commits = await services.knowledge.commits(kb)
    assert commits.total == 4
    assert [c.added for c in commits.items] == [1, 1, 1, 0]

    found = await services.knowledge.documents(kb, text="bread")
    assert [d.filename for d in found.items] == ["bread.md"]


async def test_stats(services: Services, kb: str, fill: Fill) -> None:
    before = await services.knowledge.stats(kb)
    assert (before.document_count, before.chunk_count, before.branches) == (0, 0, ["main"])
    await fill(kb, {**FACTS, "broken.pdf": "%PDF-1.7 nothing"})
    stats = await services.knowledge.stats(kb)
    assert stats.document_count == 3
    assert stats.chunk_count >= 3
    assert stats.index_size > 0
    assert stats.languages == {"en": 3}
    assert (stats.failed_documents, stats.pending_documents) == (1, 0)


async def test_a_deleted_document_is_gone_and_its_history_stays(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb)
    before = (await services.knowledge.stats(kb)).commit
    document = (await services.knowledge.documents(kb)).items[0]
    commit = await services.knowledge.delete_document(kb, document.document_id, "ann")
    assert (commit.removed, commit.author) == (1, "ann")
    assert (await services.knowledge.documents(kb)).total == 2
    with pytest.raises(NotFound):
        await services.knowledge.document(kb, document.document_id)
    with pytest.raises(NotFound):
        await services.knowledge.delete_document(kb, document.document_id)
    assert before is not None
    assert (await services.knowledge.documents(kb, ref=before)).total == 3


async def test_a_failed_document_is_listed_first_and_can_be_deleted(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb, {**FACTS, "zzz.pdf": "%PDF-1.7 nothing"})
    page = await services.knowledge.documents(kb)
    failed = page.items[0]
    assert (page.total, failed.filename, failed.status) == (4, "zzz.pdf", "error")
    assert failed.error is not None
    assert failed.error["fix"]
    second = await services.knowledge.documents(kb, limit=2, offset=1)
    assert [d.filename for d in second.items] == sorted(FACTS)[:2]
    await services.knowledge.delete_document(kb, failed.document_id)
    assert (await services.knowledge.documents(kb)).total == 3


async def test_update(services: Services, kb: str) -> None:
    changed = await services.knowledge.update(kb, name="Renamed", description="d")
    assert (changed.name, changed.description) == ("Renamed", "d")
    changed = await services.knowledge.update(kb, config={"chunk_size": 100, "chunk_overlap": 9})
    assert changed.config["chunk_size"] == 100
    assert changed.config["embedding_model"] == "bge-small-en-v1.5"
    with pytest.raises(RagloomError, match="no key"):
        await services.knowledge.update(kb, config={"nonsense": 1})


async def test_a_deleted_knowledge_base_is_gone_with_its_indexes(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb)
    await services.indexer.catch_up(kb)
    await services.knowledge.delete(kb)
    with pytest.raises(NotFound):
        await services.knowledge.get(kb)
    projector = await services.indexer.projector()
    assert kb not in projector.vectors.bases() | projector.keywords.bases()
