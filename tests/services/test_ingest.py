"""Uploads: durable, file by file, observable, cancellable, repeatable."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.views import SearchConfig
from storage.database import Database
from storage.errors import DataFolderInUse, NotFound
from storage.folder import DataFolder
from storage.jobs import JobRepository
from tests.services.conftest import FACTS, Fill, opened, text_files
from tests.services.running import until

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


def long_text(words: int, seed: str = "") -> str:
    return "\n\n".join(
        f"{seed} paragraph {n} says that item {n * 7} costs {n * 3} coins in town {n * 11}."
        for n in range(words // 14)
    )


async def test_every_file_has_a_result_of_its_own(services: Services, kb: str) -> None:
    files = [
        *text_files(FACTS),
        IncomingFile("empty.txt", data=b""),
        IncomingFile("broken.pdf", data=b"%PDF-1.7 rubbish"),
        IncomingFile("picture.bin", data=bytes(range(256)) * 10),
    ]
    job = await services.ingest.submit(kb, files, author="ann")
    assert [r.filename for r in job.results] == [f.filename for f in files]
    done = await services.ingest.wait(job.job_id, 60)
    assert done.status == "completed"
    by_name = {r.filename: r for r in done.results}
    for name in FACTS:
        assert by_name[name].status == "success"
        assert by_name[name].change == "added"
        assert by_name[name].chunks_created > 0
        assert by_name[name].processing_time > 0
    for name, code in (
        ("empty.txt", "empty"),
        ("broken.pdf", "damaged"),
        ("picture.bin", "unsupported_type"),
    ):
        result = by_name[name]
        assert result.status == "error"
        assert result.error is not None
        assert result.error["code"] == code
        assert result.error["fix"]
        assert result.error_message
    commits = await services.knowledge.commits(kb)
    assert {c.author for c in commits.items} == {"ann", ""}


async def test_searchable_as_soon_as_the_job_is_done(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb)
    for search_type in ("semantic", "keyword", "hybrid"):
        found = await services.search.search(
            kb, "tide at Lowick", SearchConfig(search_type=search_type, k=1)
        )
        assert found.results[0].document_name == "tides.md"


async def test_the_same_file_again_changes_nothing(services: Services, kb: str, fill: Fill) -> None:
    await fill(kb)
    before = await services.knowledge.stats(kb)
    again = await fill(kb)
    assert {r.change for r in again.results} == {"unchanged"}
    assert {r.chunks_created for r in again.results} >= {1}
    after = await services.knowledge.stats(kb)
    assert (after.commit, after.chunk_count) == (before.commit, before.chunk_count)


async def test_a_new_version_replaces_the_old_one(services: Services, kb: str, fill: Fill) -> None:
    await fill(kb)
    done = await fill(kb, {"bread.md": "# Bread\n\nFlatbread needs no yeast at all."})
    assert done.results[0].change == "updated"
    found = await services.search.search(kb, "wild yeast starter rye", SearchConfig(k=10))
    assert not any("rye flour" in chunk.content for chunk in found.results)
    assert any("Flatbread" in chunk.content for chunk in found.results)


async def test_other_settings_make_another_version(services: Services, kb: str, fill: Fill) -> None:
    await fill(kb)
    done = await fill(kb, FACTS, {"chunk_size": 16, "overlap": 0, "chunking_strategy": "semantic"})
    assert {r.change for r in done.results} == {"updated"}
    assert done.warnings == []


async def test_two_files_of_one_name_end_with_the_later(services: Services, kb: str) -> None:
    files = [IncomingFile("a.txt", data=f"Version number {n}.".encode()) for n in range(5)]
    job = await services.ingest.submit(kb, files)
    await services.ingest.wait(job.job_id, 60)
    document = (await services.knowledge.documents(kb)).items[0]
    chunks = await services.knowledge.chunks(kb, document.document_id)
    assert [c.content for c in chunks.items] == ["Version number 4."]


async def test_watching_a_job_tells_stages_and_ends(services: Services, kb: str) -> None:
    job = await services.ingest.submit(kb, text_files({"long.txt": long_text(6_000)}))
    seen = [view async for view in services.ingest.watch(job_id=job.job_id)]
    assert seen[-1].status == "success"
    stages = list(dict.fromkeys(view.stage for view in seen if view.stage))
    assert "embed" in stages
    counts = [view.done for view in seen if view.stage == "embed"]
    assert counts == sorted(counts)


async def test_watching_a_knowledge_base_sees_every_upload(
    services: Services, kb: str, fill: Fill
) -> None:
    finished: set[str] = set()

    async def watch() -> None:
        async for view in services.ingest.watch(kb=kb):
            if view.status == "success":
                finished.add(view.filename)
            if finished == set(FACTS):
                return

    watchers = services.ingest._updates._watchers
    before = len(watchers)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(watch())
        await until(lambda: len(watchers) > before)
        await fill(kb)


async def test_cancel_stops_at_once_and_keeps_what_is_in(services: Services, kb: str) -> None:
    files = text_files({f"{n}.txt": long_text(20_000, str(n)) for n in range(6)})
    job = await services.ingest.submit(kb, files)
    async for view in services.ingest.watch(job_id=job.job_id):
        if view.stage == "embed":
            break
    cancelled = await services.ingest.cancel(job.job_id)
    assert cancelled.status == "cancelled"
    assert {r.status for r in cancelled.results} <= {"cancelled", "success"}
    await asyncio.sleep(0.3)
    stats = await services.knowledge.stats(kb)
    assert stats.document_count == sum(r.status == "success" for r in cancelled.results)
    assert stats.pending_documents == 0


async def test_a_cancelled_file_can_be_tried_again(services: Services, kb: str) -> None:
    job = await services.ingest.submit(kb, text_files({"long.txt": long_text(9_000)}))
    await services.ingest.cancel(job.job_id)
    again = await services.ingest.retry(kb, job.results[0].document_id)
    done = await services.ingest.wait(again.job_id, 60)
    assert done.results[0].status == "success"
    with pytest.raises(RagloomError, match="did not fail"):
        await services.ingest.retry(kb, job.results[0].document_id)
    with pytest.raises(NotFound):
        await services.ingest.retry(kb, "doc_none")


async def test_limits(tmp_path: Path) -> None:
    async with opened(tmp_path, max_upload_mb=1, max_request_mb=2, max_files=3) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        big = await services.ingest.submit(kb, [IncomingFile("b.txt", data=b"x" * 1_100_000)])
        assert big.status == "failed"
        assert big.results[0].error is not None
        assert big.results[0].error["code"] == "too_large"
        with pytest.raises(RagloomError) as caught:
            await services.ingest.submit(kb, text_files({str(n): "x" for n in range(4)}))
        assert caught.value.code == "too_many_files"
        with pytest.raises(RagloomError):
            await services.ingest.submit(kb, [])


async def test_unknown_places_are_not_found(services: Services, kb: str) -> None:
    with pytest.raises(NotFound):
        await services.ingest.submit("nowhere", text_files(FACTS))
    with pytest.raises(NotFound):
        await services.ingest.submit(kb, text_files(FACTS), branch="nowhere")
    with pytest.raises(NotFound):
        await services.ingest.job("job_none")


async def test_what_was_accepted_goes_on_after_a_restart(tmp_path: Path) -> None:
    files = text_files({f"{n}.txt": long_text(3_000, str(n)) for n in range(6)})
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        job = await services.ingest.submit(kb, files)
        async for view in services.ingest.watch(job_id=job.job_id):
            if view.stage:
                break
    async with opened(tmp_path) as services:
        done = await services.ingest.wait(job.job_id, 90)
        assert done.status == "completed"
        assert {r.status for r in done.results} == {"success"}
        stats = await services.knowledge.stats(kb)
        assert (stats.document_count, stats.commits) == (6, 7)


async def test_files_that_were_under_way_at_a_crash_come_last_and_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
    folder = DataFolder(tmp_path)
    database = Database(folder.db_url)
    jobs = JobRepository(database)
    contents = {f"{n}.txt": f"Text number {n}." for n in range(6)}
    files = [
        {"filename": name, "blob": folder.blobs.put_bytes(text.encode()), "size": len(text)}
        for name, text in contents.items()
    ]
    jobs.create(kb, [*files[:2], {**files[0], "blob": files[5]["blob"]}, *files[3:5]])
    suspects = [jobs.claim(), jobs.claim()]
    assert [task.filename for task in suspects if task] == ["0.txt", "1.txt"]
    jobs.recover()  # … as after a crash of the process that had claimed them.
    database.close()
    order: list[str] = []
    async with opened(tmp_path) as services:
        job_id = suspects[0].job_id if suspects[0] else ""
        async for view in services.ingest.watch(job_id=job_id):
            if view.status == "success" and view.filename not in order:
                order.append(view.filename)
        done = await services.ingest.wait(job_id, 60)
        assert {r.status for r in done.results} == {"success"}
        assert set(order[:2]) == {"3.txt", "4.txt"}
        # Of two files of one name the later one wins, suspected or not.
        found = await services.knowledge.documents(kb, text="0.txt")
        chunks = await services.knowledge.chunks(kb, found.items[0].document_id)
        assert chunks.items[0].content == "Text number 5."


async def test_a_suspect_is_tried_though_the_others_ended_while_it_was_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        blobs = [services.folder.blobs.put_bytes(f"Text {n}.".encode()) for n in range(2)]
        jobs, workers = services.ingest._jobs, services.ingest._workers
        release, put_back = jobs.release, threading.Event()

        def late(task_id: str) -> None:
            release(task_id)
            while workers._processing:
                time.sleep(0.005)
            put_back.set()

        monkeypatch.setattr(jobs, "release", late)
        job = jobs.create(kb, [{"filename": f"{blob}.txt", "blob": blob} for blob in blobs])
        # As after a crash of a process that had claimed the first one.
        assert jobs.claim() is not None
        jobs.recover()
        workers.wake()
        done = await services.ingest.wait(job.id, 60)
        assert {r.status for r in done.results} == {"success"}
        assert put_back.is_set()


async def test_a_second_owner_of_the_data_folder_is_told_who_has_it(services: Services) -> None:
    services.folder.set_url("http://127.0.0.1:8080")
    with pytest.raises(DataFolderInUse) as caught:
        await Services.open(services.settings)
    assert "http://127.0.0.1:8080" in caught.value.message
    assert "--data" in caught.value.fix


async def test_real_files_of_many_formats(services: Services, kb: str, shared_data: Path) -> None:
    folder = shared_data / "same-text-14-formats"
    files = [
        IncomingFile(path.name, path=path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".pdf", ".docx", ".pptx", ".xlsx", ".html", ".md", ".txt"}
    ]
    assert files
    job = await services.ingest.submit(kb, files)
    done = await services.ingest.wait(job.job_id, 100)
    assert [r.error_message for r in done.results if r.status != "success"] == []
