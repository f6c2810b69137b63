"""Models by language, changes of model, and embedding a knowledge base anew on a branch."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import event

from app.documents.embed import Kind
from app.documents.errors import EmbedderError
from app.engine.problems import ModelUnavailable, RagloomError
from app.services.container import Services
from app.services.ingestion import reembed_copies
from app.services.ingestion.pauses import Pauses
from app.services.views import SearchConfig
from storage.errors import NotFound
from tests.services.conftest import Fill, opened, text_files
from tests.services.word_models import TEXTS, Words, made, names

# Opening the stores takes longer than most of these tests: they share them, and no knowledge base.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("forgotten")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(
    tmp_path_factory: pytest.TempPathFactory, words: dict[str, Words]
) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


async def test_each_language_has_its_model(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a", language_models={"de": "words-b"})
    a, b = words["words-a"], words["words-b"]
    assert (len(a.seen), len(b.seen)) == (1, 2)
    for _ in range(2):
        found = await services.search.search(
            kb, "Hafen von Emden", SearchConfig(search_type="semantic", k=3)
        )
        # The model of the query's language goes first: the first of each model, then the second
        # of the one that found two.
        assert found.metadata["embedding_models"] == ["words-b", "words-a"]
        assert [c.document_name for c in found.results] == ["hafen.md", "tides.md", "motor.md"]
        assert found.results[0].score == pytest.approx(1)
        await services.indexer.catch_up(kb)
    assert await names(services, kb, "Ebbe", k=1) == ["hafen.md"]
    english = await names(services, kb, "When do the boats leave?", search_type="semantic")
    assert english[0] == "tides.md"
    projector = await services.indexer.projector()
    assert projector.vectors.count(kb, "words-a-v1") == 1
    assert projector.vectors.count(kb, "words-b-v1") == 2
    vectors = await services.world.knowledge.vectors(kb, [c.chunk_id for c in found.results])
    assert vectors.shape == (3, 48)
    assert (vectors**2).sum(axis=1).round(3).tolist().count(1.0) == 2


async def test_languages_restrict_which_models_are_asked(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a", language_models={"de": "words-b"})
    config: dict[str, Any] = {"search_type": "semantic", "target_languages": ["de"]}
    assert set(await names(services, kb, "Hafen", **config)) == {"hafen.md", "motor.md"}
    assert (words["words-a"].asked, words["words-b"].asked) == ([], ["Hafen"])
    # A threshold means cosines of the model that found it.
    config = {"search_type": "semantic", "score_threshold": 0.99}
    assert await names(services, kb, "Hafen", **config) == []


async def test_every_other_language(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(
        services, fill, embedding_model="words-a", language_models={"*": "words-b", "en": "default"}
    )
    assert (len(words["words-a"].seen), len(words["words-b"].seen)) == (0, 2)
    assert await names(services, kb, "when do boats leave", search_type="semantic")


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"language_models": {"German": "words-b"}}, RagloomError),
        ({"language_models": {"de": "nobody/nothing"}}, ModelUnavailable),
        ({"language_models": {"de": 7}}, RagloomError),
    ],
)
async def test_models_of_languages_are_checked(
    services: Services, config: dict[str, object], error: type[RagloomError]
) -> None:
    with pytest.raises(error):
        await services.knowledge.create("X", config=config)


async def test_another_model_is_refused_where_documents_are(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    with pytest.raises(RagloomError) as caught:
        await services.knowledge.update(kb, config={"embedding_model": "words-b"})
    assert caught.value.code == "model_mismatch"
    assert f"{kb}/reembed" in caught.value.fix
    assert '"words-b"' in caught.value.fix
    empty = (await services.knowledge.create(f"E {uuid.uuid4()}")).knowledge_base_id
    changed = await services.knowledge.update(empty, config={"embedding_model": "words-b"})
    assert changed.config["embedding_model"] == "words-b"


async def test_a_model_that_changed_under_its_name_is_told(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    monkeypatch.setattr(words["words-a"], "name", "words-a-v2")
    with pytest.raises(RagloomError, match="words-a-v2") as caught:
        await names(services, kb, "tide")
    assert caught.value.code == "model_mismatch"
    monkeypatch.setattr(words["words-a"], "name", "words-a-v1")
    monkeypatch.setattr(words["words-a"], "dim", 40)
    with pytest.raises(Exception, match="40") as mismatch:
        await names(services, kb, "boats")
    assert mismatch.value.code == "model_mismatch"  # type: ignore[attr-defined]
    job = await fill(kb, {"new.md": "Something new about dolphins."})
    assert job.results[0].error is not None
    assert job.results[0].error["code"] == "model_mismatch"


async def test_a_branch_is_embedded_anew_without_parsing(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    document = (await services.knowledge.documents(kb, text="tides")).items[0]
    chunk = (await services.knowledge.chunks(kb, document.document_id)).items[0]
    await services.corrections.change(
        kb, document.document_id, chunk.chunk_id, content=f"The tide of {kb} is corrected."
    )
    words["words-a"].seen.clear()
    started = await services.reembedding.start(kb, "words-b", "other", author="ann")
    assert started.status in ("running", "completed")
    done = await services.reembedding.wait(kb, "other")
    assert (done.status, done.documents, done.done, done.embedded) == ("completed", 3, 3, 3)
    assert (len(words["words-a"].seen), len(words["words-b"].seen)) == (0, 3)
    commits = (await services.knowledge.commits(kb, "other")).items
    assert (commits[0].author, commits[0].changed) == ("ann", 3)
    # What people corrected is there, and each branch is searched with its own model.
    for ref, model in (("main", "words-a"), ("other", "words-b"), ("main", "words-a")):
        found = await services.search.search(
            kb, f"tide of {kb}", SearchConfig(search_type="semantic", k=3, ref=ref)
        )
        assert found.results[0].content == f"The tide of {kb} is corrected."
        assert len(found.results) == 3
        assert found.metadata["embedding_models"] == [model]
        await services.indexer.catch_up(kb)
    # So are uploads.
    words["words-b"].seen.clear()
    job = await services.ingest.submit(kb, text_files({"new.md": f"New in {kb}."}), branch="other")
    await services.ingest.wait(job.job_id, 60)
    assert (len(words["words-a"].seen), len(words["words-b"].seen)) == (0, 1)
    assert (await services.knowledge.documents(kb)).total == 3
    # Asked again there is nothing left to do; back again nothing is embedded at all.
    again = await services.reembedding.start(kb, "words-b", "other")
    again = await services.reembedding.wait(kb, "other")
    assert (again.status, again.documents, again.embedded) == ("completed", 4, 0)
    await services.reembedding.start(kb, "words-a", "back")
    await services.reembedding.wait(kb, "back")
    assert words["words-a"].seen == []


async def test_the_main_branch_takes_the_settings_along(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-a", "main", language_models={"de": "words-b"})
    done = await services.reembedding.wait(kb, "main")
    assert (done.status, done.embedded, len(words["words-b"].seen)) == ("completed", 2, 2)
    config = (await services.knowledge.get(kb)).config
    assert (config["embedding_model"], config["language_models"]) == (
        "words-a", {"de": "words-b"},
    )  # fmt: skip
    assert await names(services, kb, "Hafen", search_type="semantic", target_languages=["de"])
    await services.knowledge.update(kb, config={"embedding_model": "words-a"})


async def test_what_was_broken_off_goes_on_and_repeats_nothing(
    services: Services,
    words: dict[str, Words],
    fill: Fill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    model = words["words-b"]
    kept = model.embed

    def breaks(texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        if model.seen:
            raise EmbedderError("model_failed", "The provider is away.", "Wait.")
        return kept(texts, kind)

    monkeypatch.setattr(reembed_copies, "_BATCH_DOCUMENTS", 1)
    monkeypatch.setattr(model, "embed", breaks)
    await services.reembedding.start(kb, "words-b", "other")
    failed = await services.reembedding.wait(kb, "other")
    assert (failed.status, failed.done, failed.documents) == ("failed", 1, 3)
    assert failed.error is not None
    assert failed.error["code"] == "provider_error"
    # In the middle both models are asked.
    monkeypatch.setattr(model, "embed", kept)
    config = {"search_type": "semantic", "ref": "other"}
    assert sorted(await names(services, kb, "Hafen", **config)) == sorted(TEXTS)
    # Another process knows what was to be done, and how far it is.
    services.reembedding._work.clear()
    known = await services.reembedding.get(kb, "other")
    assert (known.status, known.done, known.embedding_model) == ("failed", 1, "words-b")
    assert known.error == failed.error
    await services.reembedding.start(kb, "words-b", "other")
    done = await services.reembedding.wait(kb, "other")
    assert (done.status, done.done, done.embedded) == ("completed", 3, 2)
    assert len(model.seen) == len(set(model.seen)) == 3
    await services.reembedding.start(kb, "words-a", "other")
    stopped = await services.reembedding.stop(kb, "other")
    assert stopped.status in ("stopped", "completed")


async def test_a_model_that_is_away_pauses_it(
    services: Services,
    words: dict[str, Words],
    fill: Fill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    reembedding, kept = services.reembedding, services.models.embed
    monkeypatch.setattr(reembedding, "pauses", Pauses(first_s=600, longest_s=600))

    async def away(*args: Any, **more: Any) -> np.ndarray:
        raise ModelUnavailable("It is away.", fix="Wait.")

    monkeypatch.setattr(services.models, "embed", away)
    await reembedding.start(kb, "words-b", "other")
    async with asyncio.timeout(60):
        while (paused := await reembedding.get(kb, "other")).status != "paused":
            await asyncio.sleep(0.01)
    assert paused.error is not None
    assert (paused.error["code"], paused.done) == ("model_unavailable", 0)
    assert paused.resumes_at is not None
    # Stopped it stays stopped, whoever starts next; asked again it goes on at once.
    assert (await reembedding.stop(kb, "other")).status == "stopped"
    assert services.repository.reembeddings("running") == []
    await reembedding.start(kb, "words-b", "other")
    async with asyncio.timeout(60):
        while (await reembedding.get(kb, "other")).status != "paused":
            await asyncio.sleep(0.01)
    monkeypatch.setattr(services.models, "embed", kept)
    await reembedding.start(kb, "words-b", "other")
    done = await reembedding.wait(kb, "other")
    assert (done.status, done.done, done.error) == ("completed", 3, None)


async def test_what_cannot_be_embedded_anew_is_told(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    with pytest.raises(ModelUnavailable):
        await services.reembedding.start(kb, "nobody/nothing", "other")
    with pytest.raises(RagloomError, match="cannot name a branch"):
        await services.reembedding.start(kb, "words-b", "no such name!")
    with pytest.raises(RagloomError, match="no branch"):
        await services.reembedding.start(kb, "words-b", "other", start_from="nowhere")
    with pytest.raises(NotFound):
        await services.reembedding.get(kb, "other")


async def test_a_search_with_one_model_costs_what_it_must(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    """Four statements: the place, the cursors of both indexes, and the chunks that are given."""
    kb = await made(services, fill, embedding_model="words-a")
    await services.indexer.catch_up(kb)
    for _ in range(2):
        await names(services, kb, "boats")
    said: list[str] = []

    # What works in the background asks the database, too; threads know who they were begun by.
    ours: ContextVar[bool] = ContextVar("ours", default=False)

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if ours.get() and statement.startswith("SELECT"):
            said.append(statement)

    words["words-a"].asked.clear()
    ours.set(True)
    event.listen(services.database.engine, "before_cursor_execute", note)
    try:
        await names(services, kb, "boats")
    finally:
        event.remove(services.database.engine, "before_cursor_execute", note)
    tables = [statement.split("FROM", 1)[1].split()[0] for statement in said]
    assert sorted(tables) == ["chunk", "knowledge_base", "projection_cursor", "projection_cursor"]
    assert words["words-a"].asked == ["boats"]
    assert words["words-b"].asked == []
