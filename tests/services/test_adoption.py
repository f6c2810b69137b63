"""Taking a branch of another model over into `main`, and going back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from app.documents.embed import Kind
from app.engine.problems import ModelUnavailable, RagloomError
from app.services.container import Services
from app.services.ingestion import reembed
from app.services.ingestion.uploads import IncomingFile
from app.services.views import SearchConfig
from storage import commits, tables
from storage.errors import Conflict, NotFound
from storage.merging import MergeConflict
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


async def test_a_copy_is_deleted_and_brought_back_and_what_is_in_use_stays(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    await services.reembedding.start(kb, "words-b", "other")
    await services.reembedding.wait(kb, "other")
    model, goes_on = words["words-b"], threading.Event()

    def held(texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        assert goes_on.wait(60)
        return Words.embed(model, texts, kind)

    monkeypatch.setattr(model, "embed", held)
    extra = await services.ingest.submit(
        kb, text_files({"extra.md": f"More in {kb}."}), branch="other"
    )
    try:
        with pytest.raises(Conflict, match="on their way"):
            await services.branches.delete(kb, "other")
    finally:
        goes_on.set()
    await services.ingest.wait(extra.job_id, 60)

    async def told() -> list[tuple[str, str, int, bool, bool]]:
        return [
            (b.branch, b.embedding_model, b.document_count, b.in_use, b.taken_over)
            for b in (await services.branches.list(kb)).items
        ]

    both = [
        ("main", "words-a", len(TEXTS), True, False),
        ("other", "words-b", len(TEXTS) + 1, False, False),
    ]
    assert await told() == both
    # A workflow that searches it, naming the knowledge base.
    name = (await services.knowledge.get(kb)).name
    asks = {"id": "a", "type": "retrieve", "config": {"knowledge_base": name, "ref": "other"}}
    about = {"format": "ragloom/1", "name": "Ask the copy"}
    graph = {"directed": True, "multigraph": True, "graph": about, "nodes": [asks], "edges": []}
    workflow = await services.workflows.create(graph)
    with pytest.raises(RagloomError, match="searched or filled by “Ask the copy”"):
        await services.branches.delete(kb, "other")
    await services.workflows.delete(workflow.workflow_id)
    # One that is saved once the others were looked at.
    repository, looked = services.branches._workflows, list[int]()
    delete, newest = services.branches._repository.delete_branch, repository.newest

    def saved_since(*args: Any) -> tables.Ref:
        late = repository.create("Late", "", graph)
        try:
            return delete(*args)
        finally:
            repository.delete(late.id)

    def look(known: Mapping[str, int]) -> Any:
        found = newest(known)
        looked.append(len(found))
        return found

    repository.create("Another")
    with monkeypatch.context() as patch:
        patch.setattr(services.branches._repository, "delete_branch", saved_since)
        patch.setattr(repository, "newest", look)
        with pytest.raises(RagloomError, match="searched or filled by “Late”"):
            await services.branches.delete(kb, "other")
    assert looked[0] > 0
    assert looked[1:] == [1]
    for branch, error in (("main", Conflict), ("nowhere", NotFound)):
        with pytest.raises(error):
            await services.branches.delete(kb, branch)

    words["words-b"].seen.clear()
    gone = await services.branches.delete(kb, "other")
    assert await told() == both[:1]
    with pytest.raises(NotFound):
        await services.reembedding.get(kb, "other")
    assert "extra.md" in await names(services, kb, f"More in {kb}.", ref=gone.commit)
    await services.branches.bring_back(kb, gone)
    assert await told() == both
    assert (await services.reembedding.get(kb, "other")).status == "completed"
    assert (await names(services, kb, f"More in {kb}.", k=1, ref="other")) == ["extra.md"]
    assert not words["words-b"].seen, "nothing is embedded again"
    with pytest.raises(Conflict):
        await services.branches.bring_back(kb, gone)
    # Once main holds all of it, deleting it loses nothing.
    await services.adoption.adopt(kb, "other")
    await services.reembedding.wait(kb, "main")
    assert [row[3:] for row in await told()] == [(True, False), (False, True)]
    await services.branches.delete(kb, "other")
    assert (await names(services, kb, f"More in {kb}.", k=1)) == ["extra.md"]


async def test_an_embedding_goes_on_where_a_deletion_is_refused_and_where_it_is_undone(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    kept = services.models.embed

    async def away(*args: Any, **more: Any) -> np.ndarray:
        raise ModelUnavailable("It is away.", fix="Wait.")

    async def goes_on(branch: str) -> bool:
        return (await services.reembedding.get(kb, branch)).status in ("running", "paused")

    monkeypatch.setattr(services.models, "embed", away)
    for branch in ("main", "other"):
        await services.reembedding.start(kb, "words-b", branch)
    files = text_files({"late.md": f"Late in {kb}."})
    job = await services.ingest.submit(kb, files, branch="other")
    for branch in ("main", "other"):
        with pytest.raises(Conflict):
            await services.branches.delete(kb, branch)
        assert await goes_on(branch)
    await services.ingest.cancel(job.job_id)
    gone = await services.branches.delete(kb, "other")
    with pytest.raises(NotFound):
        await services.reembedding.get(kb, "other")
    monkeypatch.setattr(services.models, "embed", kept)
    await services.branches.bring_back(kb, gone)
    done = await services.reembedding.wait(kb, "other")
    assert (done.status, done.done, done.documents) == ("completed", len(TEXTS), len(TEXTS))
    await services.reembedding.stop(kb, "main")


async def test_an_upload_to_a_branch_that_is_deleted_meanwhile_is_refused(
    services: Services, words: dict[str, Words], fill: Fill
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    services.repository.create_branch(kb, "other")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"# Late\n\n"
        await services.branches.delete(kb, "other")
        yield b"It came while its branch went away.\n"

    before = (await services.ingest.jobs(kb)).total
    with pytest.raises(NotFound, match="no branch 'other'"):
        await services.ingest.submit(kb, [IncomingFile("late.md", chunks=pieces())], branch="other")
    assert (await services.ingest.jobs(kb)).total == before
    # What is no branch is refused before it is read.
    with pytest.raises(NotFound, match="no branch"):
        await services.ingest.submit(
            kb, [IncomingFile("late.md", chunks=pieces())], branch=await services.knowledge.head(kb)
        )


async def test_a_password_for_a_branch_that_is_deleted_is_not_kept(
    services: Services, words: dict[str, Words], fill: Fill, shared_data: Path
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    services.repository.create_branch(kb, "other")
    path = shared_data / "hostile-docs" / "r6-user-password.pdf"
    job = await services.ingest.submit(kb, [IncomingFile("locked.pdf", path=path)], branch="other")
    locked = (await services.ingest.wait(job.job_id, 60)).results[0]
    await services.branches.delete(kb, "other")
    with pytest.raises(Conflict, match="which was deleted"):
        await services.ingest.give_password(kb, locked.document_id, "asdfzxcv")
    assert services.ingest._workers._passwords == {}


async def test_branches_are_listed_with_one_look_at_history_and_only_those_asked_for(
    services: Services, words: dict[str, Words], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = await made(services, fill, embedding_model="words-a")
    for number in range(4):
        services.repository.create_branch(kb, f"copy{number}")
    asked: list[str] = []
    walk, manifest = commits.walk, services.repository.manifest

    def walked(start: str, known: Any) -> list[str]:
        asked.append("history")
        return walk(start, known)

    def looked(commit_id: str) -> Any:
        asked.append("documents")
        return manifest(commit_id)

    monkeypatch.setattr(commits, "walk", walked)
    monkeypatch.setattr(services.repository, "manifest", looked)
    everything = await services.branches.list(kb)
    assert [b.branch for b in everything.items] == ["main", *(f"copy{n}" for n in range(4))]
    assert [b.taken_over for b in everything.items] == [False, *[True] * 4]
    assert asked.count("history") == 1
    asked.clear()
    page = await services.branches.list(kb, limit=2, offset=2)
    assert (page.items, page.total) == (everything.items[2:4], 5)
    assert (asked.count("history"), asked.count("documents")) == (1, 3)
    asked.clear()
    assert await services.branches.get(kb, "copy3") == everything.items[4]
    assert (asked.count("history"), asked.count("documents")) == (1, 2)
    with pytest.raises(NotFound):
        await services.branches.get(kb, "copy4")
