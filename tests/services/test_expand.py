"""Children are found, their parents returned; what the check found is kept with a document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from app.engine.context import SearchRequest
from app.services.container import Services
from app.services.knowledge.expand import text_of
from app.services.views import SearchConfig
from tests.services.conftest import opened, text_files

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = {
    "pump": "pump moves twelve litres of water in a minute",
    "valve": "valve closes by itself when the pressure falls",
    "motor": "motor is started by a green button on its left",
}
MANUAL = "# Manual\n\n" + "\n\n".join(
    f"## The {name}\n\n"
    + " ".join(f"The {name} has the number {i}, which nobody needs." for i in range(4))
    + f" The {words}.\n\nThe {name} is cleaned on Fridays."
    for name, words in PARTS.items()
)
CONFIG = {
    "chunking_strategy": "parent_child",
    "chunk_size": 24,
    "chunk_overlap": 8,
    "parent_size": 110,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kb(services: Services) -> str:
    kb = (await services.knowledge.create("Manual", config=CONFIG)).knowledge_base_id
    files = text_files({"manual.md": MANUAL, "note.txt": "-----\n\nCall Ruth."})
    await services.ingest.wait((await services.ingest.submit(kb, files)).job_id, 60)
    job = await services.ingest.submit(
        kb,
        text_files({"plain.txt": "A valve is no pump."}),
        {"chunking_strategy": "recursive"},
    )
    assert (await services.ingest.wait(job.job_id, 60)).status == "completed"
    return kb


def text_in(content: str) -> str:
    """The text as the manual has it, its headings without marks."""
    return " ".join(content.replace("#", "").split())


async def test_the_passage_around_what_was_found_is_returned(services: Services, kb: str) -> None:
    query = "Who closes when the pressure falls?"
    config: dict[str, Any] = {"search_type": "hybrid", "k": 2}
    small = await services.search.search(kb, query, SearchConfig(**config))
    large = await services.search.search(kb, query, SearchConfig(expand="parent", **config))
    best, found = small.results[0], large.results[0]
    assert "closes by itself" in best.content
    assert "number 0" not in best.content
    assert "closes by itself" in found.content
    assert "The valve has the number 0" in found.content
    assert "The valve is cleaned on Fridays." in found.content
    # Nothing twice, nothing lost.
    assert text_in(found.content) in text_in(MANUAL)
    assert (found.chunk_id, found.score, found.scores) == (best.chunk_id, best.score, best.scores)
    assert found.metadata["children"][0] == best.chunk_id
    assert (found.start, found.end) == (
        found.metadata["parent"]["start"],
        found.metadata["parent"]["end"],
    )
    assert found.headings[:1] == ("Manual",)


async def test_a_passage_is_returned_once_and_others_as_they_are(
    services: Services, kb: str
) -> None:
    request = SearchRequest(query="valve pump motor number", k=20, expand="parent")
    outcome = await services.world.knowledge.search(kb, request)
    places = [(c.document_name, c.start) for c in outcome.chunks]
    assert len(set(places)) == len(places)
    plain = next(c for c in outcome.chunks if c.document_name == "plain.txt")
    assert plain.content == "A valve is no pump."
    assert "children" not in plain.metadata
    manual = [c for c in outcome.chunks if c.document_name == "manual.md"]
    assert sum(len(c.metadata["children"]) for c in manual) > len(manual)
    one = await services.world.knowledge.search(kb, request.model_copy(update={"k": 1}))
    assert len(one.chunks) == 1


async def test_a_passage_of_a_talk_begins_when_its_first_words_are_said(services: Services) -> None:
    cues = [
        f"00:{n:02}:00.000 --> 00:{n:02}:09.000\nThe {word} of the loom is the part number {n}."
        for n, word in enumerate(("warp", "weft", "shed", "heddle", "shuttle", "treadle"), start=1)
    ]
    kb = (await services.knowledge.create("Talk", config=CONFIG)).knowledge_base_id
    files = text_files({"talk.vtt": "WEBVTT\n\n" + "\n\n".join(cues)})
    job = await services.ingest.submit(kb, files)
    assert (await services.ingest.wait(job.job_id, 60)).status == "completed"
    config: dict[str, Any] = {"search_type": "keyword", "k": 1}
    (hit,) = (await services.search.search(kb, "treadle", SearchConfig(**config))).results
    found = await services.search.search(kb, "treadle", SearchConfig(expand="parent", **config))
    (whole,) = found.results
    assert hit.metadata["time"] > "00:01:00"
    assert whole.content.startswith("The warp")
    assert whole.metadata["time"] == "00:01:00"


async def test_reranked_children_lead_to_their_parents(services: Services, kb: str) -> None:
    config = SearchConfig(rerank=True, expand="parent", k=1)
    found = await services.search.search(kb, "How is the motor started?", config)
    assert len(found.results) == 1
    assert "green button" in found.results[0].content
    assert "rerank" in found.results[0].scores


async def test_what_the_check_found_is_stored_with_the_version(services: Services, kb: str) -> None:
    def meta() -> dict[str, Any]:
        row = services.knowledge._repository.find(kb)
        commit = services.knowledge._repository.resolve(row.id, "main")
        versions = services.knowledge._repository.version_ids(commit.id)
        return {
            services.knowledge._repository.document(row.id, v.document_id).filename: v.meta
            for v in services.knowledge._repository.versions(list(versions))
        }

    found = meta()
    quality = found["manual.md"]["quality"]
    assert quality["checked"] == quality["kept"] > 3
    assert set(quality) == {"checked", "kept", "counts", "findings"}


def row(start: int | None, content: str, **meta: Any) -> Any:
    end = None if start is None else start + meta.pop("length", len(content))
    return SimpleNamespace(content=content, start=start, end=end, meta=meta)


async def test_chunks_are_joined_by_their_places() -> None:
    assert text_of([row(0, "One. Two."), row(5, "Two. Three.")]) == "One. Two. Three."
    assert text_of([row(0, "One."), row(5, "Two."), row(11, "Three.")]) == "One. Two.\n\nThree."
    assert text_of([row(0, "a | b", kinds=["table"]), row(6, "1 | 2", kinds=["table"])]) == (
        "a | b\n1 | 2"
    )
    # A text that was mended has other lengths than its place.
    assert text_of([row(0, "été", length=5, source_text="Ã©tÃ©"), row(6, "fini")]) == "été fini"
    assert text_of([row(None, "x"), row(None, "y")]) == "x\n\ny"
    assert text_of([]) == ""
