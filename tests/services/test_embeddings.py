"""Models by language, changes of model, and embedding a knowledge base anew on a branch."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import event

from app.documents.embed import EmbedderOptions, Kind, _embedders, register_embedder
from app.documents.errors import EmbedderError
from app.engine.problems import ModelUnavailable, RagloomError
from app.services import reembed, reembed_copies
from app.services.container import Services
from app.services.ingest_pauses import Pauses
from app.services.views import SearchConfig
from storage.errors import NotFound
from storage.merging import MergeConflict
from tests.services.conftest import Fill, opened, text_files

# Opening the stores takes longer than most of these tests: they share them, and no knowledge base.
pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = {
    "tides.md": "# Tides\n\nThe harbour of Lowick has the highest tide at noon on Fridays, and the "
    "boats leave two hours before the tide turns.\n",
    "hafen.md": "# Hafen\n\nDer Hafen von Emden ist bei Ebbe trocken, und die Fischer warten dort "
    "viele Stunden auf das Wasser der nächsten Flut.\n",
    "motor.md": "# Motor\n\nDer Motor wiegt elf Kilogramm und verbrennt ein Gemisch aus Öl und "
    "Benzin, das man vor der Fahrt selbst mischen muss.\n",
}


class Words:
    """Adds up a direction for each word; remembers what it embedded."""

    max_tokens = 512

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim
        self.seen: list[str] = []
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        (self.asked if kind == "query" else self.seen).extend(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> np.ndarray:
        total = np.full(self.dim, 1e-3, dtype=np.float32)
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.strip(".,").encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(self.dim, dtype=np.float32)
        return total / np.linalg.norm(total)


def _given(model: Words, options: EmbedderOptions) -> Words:
    return model


@pytest.fixture(scope="module")
def words() -> Iterator[dict[str, Words]]:
    """Models of other packages, of two lengths."""
    found = {name: Words(f"{name}-v1", dim) for name, dim in (("words-a", 32), ("words-b", 48))}
    for name, model in found.items():
        register_embedder(name, partial(_given, model))
    yield found
    for name in found:
        _embedders._items.pop(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(
    tmp_path_factory: pytest.TempPathFactory, words: dict[str, Words]
) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest.fixture(autouse=True)
def _forgotten(words: dict[str, Words]) -> None:
    for model in words.values():
        model.seen.clear()
        model.asked.clear()


async def made(services: Services, fill: Fill, **config: object) -> str:
    """A knowledge base of its own texts: others' are embedded already."""
    own = uuid.uuid4().hex
    kb = (await services.knowledge.create(own, config=config)).knowledge_base_id
    await fill(kb, {name: f"{text}\n{own}\n" for name, text in TEXTS.items()})
    return kb


async def names(services: Services, kb: str, query: str, **config: Any) -> list[str]:
    found = await services.search.search(kb, query, SearchConfig(**config))
    return [chunk.document_name for chunk in found.results]


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


async def test_a_branch_is_taken_over_with_what_came_to_main_meanwhile_and_given_back(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    # Meanwhile a document comes to main and one is corrected there; another comes to the branch.
    await fill(kb, {"new.md": f"New in {kb}."})
    document = (await services.knowledge.documents(kb, text="tides")).items[0]
    chunk = (await services.knowledge.chunks(kb, document.document_id)).items[0]
    await services.corrections.change(
        kb, document.document_id, chunk.chunk_id, content=f"The tide of {kb} is corrected."
    )
    extra = await services.ingest.submit(
        kb, text_files({"extra.md": f"More in {kb}."}), branch="other"
    )
    await services.ingest.wait(extra.job_id, 60)
    words["words-b"].seen.clear()

    taken = await services.adoption.adopt(kb, "other", author="ann")
    assert (taken.commit.author, len(taken.commit.parents)) == ("ann", 2)
    assert (await services.reembedding.wait(kb, "main")).status == "completed"
    # Nothing else is embedded again.
    assert len(words["words-b"].seen) == 2
    assert (await services.knowledge.get(kb)).config["embedding_model"] == "words-b"

    async def state(query: str) -> tuple[set[str], list[str], str]:
        config = SearchConfig(search_type="semantic", k=10)
        found = await services.search.search(kb, query, config)
        held = {d.filename for d in (await services.knowledge.documents(kb)).items}
        return held, found.metadata["embedding_models"], found.results[0].content

    everything = {*TEXTS, "new.md", "extra.md"}
    corrected = f"The tide of {kb} is corrected."
    assert await state(f"tide of {kb}") == (everything, ["words-b"], corrected)
    again = await services.adoption.adopt(kb, "other")
    assert again.commit.commit_id == again.before, "there is nothing left to take over"
    await services.reembedding.wait(kb, "main")

    back = await services.adoption.restore(kb, taken.before, author="ann")
    assert await state(f"tide of {kb}") == (everything - {"extra.md"}, ["words-a"], corrected)
    assert (await services.knowledge.get(kb)).config["embedding_model"] == "words-a"
    await services.adoption.restore(kb, back.before)
    assert await state(f"tide of {kb}") == (everything, ["words-b"], corrected)
    assert words["words-a"].seen.count(corrected) == 1


async def test_a_document_that_both_sides_changed_is_asked_about(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    with pytest.raises(RagloomError, match="used already"):
        await services.adoption.adopt(kb, "main")
    with pytest.raises(NotFound):
        await services.adoption.adopt(kb, "other")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    for branch in ("main", "other"):
        files = text_files({"tides.md": f"What {branch} says in {kb}."})
        job = await services.ingest.submit(kb, files, branch=branch)
        await services.ingest.wait(job.job_id, 60)
    with pytest.raises(MergeConflict) as caught:
        await services.adoption.adopt(kb, "other")
    assert caught.value.filenames == ["tides.md"]
    assert "prefer" in caught.value.fix
    assert (await services.knowledge.get(kb)).config["embedding_model"] == "words-a"
    taken = await services.adoption.adopt(kb, "other", prefer="branch")
    assert await names(services, kb, f"What other says in {kb}.", k=1) == ["tides.md"]
    document = (await services.knowledge.documents(kb, text="tides")).items[0]
    chunks = (await services.knowledge.chunks(kb, document.document_id)).items
    assert [chunk.content for chunk in chunks] == [f"What other says in {kb}."]
    await services.reembedding.wait(kb, "main")
    # Taken back, it can be taken over once more.
    await services.adoption.restore(kb, taken.before)
    assert await names(services, kb, f"What main says in {kb}.", k=1) == ["tides.md"]
    await services.adoption.adopt(kb, "other", prefer="main")
    await services.reembedding.wait(kb, "main")
    chunks = (await services.knowledge.chunks(kb, document.document_id)).items
    assert [chunk.content for chunk in chunks] == [f"What main says in {kb}."]
    assert (await services.knowledge.get(kb)).config["embedding_model"] == "words-b"
    await services.adoption.restore(kb, taken.before)
    await services.adoption.adopt(kb, "other", prefer="branch")
    chunks = (await services.knowledge.chunks(kb, document.document_id)).items
    assert [chunk.content for chunk in chunks] == [f"What other says in {kb}."]
    await services.reembedding.wait(kb, "main")


async def test_a_file_under_way_while_a_branch_is_taken_over_has_its_model(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    model, late = words["words-a"], f"Late in {kb}."
    kept, begun, goes_on = model.embed, threading.Event(), threading.Event()

    def waits(texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        if kind == "passage":
            begun.set()
            assert goes_on.wait(60)
        return kept(texts, kind)

    monkeypatch.setattr(model, "embed", waits)
    job = await services.ingest.submit(kb, text_files({"late.md": late}))
    assert await asyncio.to_thread(begun.wait, 60)
    await services.adoption.adopt(kb, "other")
    assert (await services.reembedding.wait(kb, "main")).status == "completed"
    goes_on.set()
    ended = await services.ingest.wait(job.job_id, 60)
    assert [result.status for result in ended.results] == ["success"]
    found = await services.search.search(kb, late, SearchConfig(search_type="semantic", k=9))
    assert found.metadata["embedding_models"] == ["words-b"]
    assert found.results[0].content == late
    assert late in words["words-b"].seen


async def test_settings_saved_while_a_branch_is_taken_over_leave_its_model(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    kept = services.models.max_tokens

    async def meanwhile(model: str = "default") -> int | None:
        monkeypatch.setattr(services.models, "max_tokens", kept)
        await services.adoption.adopt(kb, "other")
        return await kept(model)

    monkeypatch.setattr(services.models, "max_tokens", meanwhile)
    await services.knowledge.update(kb, config={"chunk_size": 123})
    config = (await services.knowledge.get(kb)).config
    assert (config["chunk_size"], config["embedding_model"]) == (123, "words-b")
    await services.reembedding.wait(kb, "main")


async def test_an_adoption_that_was_broken_off_goes_on_with_the_next_server(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    await fill(kb, {"new.md": f"New in {kb}."})
    # The process is gone right after the transaction.
    noted = reembed.beginning("ann", 1.0)
    services.repository.adopt(kb, "other", reembedding=noted)
    assert await names(services, kb, f"New in {kb}.", k=1) == ["new.md"]
    await services.reembedding.recover()
    done = await services.reembedding.wait(kb, "main")
    assert (done.status, done.done, done.documents, done.embedded) == ("completed", 4, 4, 1)
    config = SearchConfig(search_type="semantic")
    found = await services.search.search(kb, f"New in {kb}.", config)
    assert found.metadata["embedding_models"] == ["words-b"]


async def test_going_back_ends_what_is_being_embedded(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    await fill(kb, {"new.md": f"New in {kb}."})
    kept = services.models.embed

    async def away(*args: Any, **more: Any) -> np.ndarray:
        raise ModelUnavailable("It is away.", fix="Wait.")

    monkeypatch.setattr(services.models, "embed", away)
    taken = await services.adoption.adopt(kb, "other")
    assert taken.reembedding is not None
    assert taken.reembedding.status in ("running", "paused")
    with pytest.raises(RagloomError, match="just now"):
        await services.adoption.adopt(kb, "other")
    back = await services.adoption.restore(kb, taken.before)
    assert back.before == taken.commit.commit_id
    with pytest.raises(NotFound):
        await services.reembedding.get(kb, "main")
    assert services.repository.reembeddings("running") == []
    monkeypatch.setattr(services.models, "embed", kept)
    config = SearchConfig(search_type="semantic", k=9)
    found = await services.search.search(kb, f"New in {kb}.", config)
    assert found.metadata["embedding_models"] == ["words-a"]
    # Nothing is moved to a model that is not here.
    services.repository.create_branch(
        kb, "nobody", models={"embedding_model": "nobody/nothing", "language_models": {}}
    )
    with pytest.raises(ModelUnavailable):
        await services.adoption.adopt(kb, "nobody")
    assert (await services.knowledge.head(kb)) == back.commit.commit_id


async def test_a_copy_is_in_use_when_its_models_for_languages_are(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-a", "other", language_models={"de": "words-b"})
    await services.reembedding.wait(kb, "other")
    assert not await services.adoption.is_used(kb, "other")
    taken = await services.adoption.adopt(kb, "other")
    await services.reembedding.wait(kb, "main")
    assert await services.adoption.is_used(kb, "other")
    assert (await services.knowledge.get(kb)).config["language_models"] == {"de": "words-b"}
    await services.adoption.restore(kb, taken.before)
    assert not await services.adoption.is_used(kb, "other")
    assert (await services.knowledge.get(kb)).config["language_models"] == {}


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
