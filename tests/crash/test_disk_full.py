"""A full disk: what does not fit is refused whole, and goes in once there is room."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from app.services.container import Services
from app.services.ingestion.pauses import Pauses
from app.services.ingestion.service import IncomingFile
from app.services.problems import explain
from app.services.views import JobView
from storage.errors import StorageFull, StorageReadOnly
from tests.crash.bad_nodes import Bad, workflow
from tests.services.conftest import opened


@contextmanager
def little_room_for_files(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def little_room_for_rows(services: Services, pages: int) -> Iterator[None]:
    """SQLite may not grow by more than so many pages, and says what it says on a full disk."""
    engine = services.database.engine
    with engine.connect() as connection:
        used = connection.execute(text("PRAGMA page_count")).scalar_one()

    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {used + pages}")

    event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "connect", limit)
        engine.dispose()


@contextmanager
def read_only(services: Services) -> Iterator[None]:
    """SQLite takes no writes, and says what it says in a folder that cannot be written to."""
    engine = services.database.engine

    def limit(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "connect", limit)
        engine.dispose()


def long_text(seed: int) -> bytes:
    return "\n\n".join(
        f"Line {seed + n} of the ledger says that {n * 3} sacks of grain went to mill {n * 7}."
        for n in range(40)
    ).encode()


async def test_no_room_for_the_original(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        big = IncomingFile("big.txt", data=b"word " * 2_000_000)
        with little_room_for_files(8_000_000), pytest.raises(StorageFull) as caught:
            await services.ingest.submit(kb, [big])
        assert explain(caught.value).http_status == 507
        assert "space" in caught.value.fix
        # Nothing was acknowledged, and nothing stayed behind.
        assert (await services.knowledge.documents(kb)).total == 0
        assert services.folder.blobs.size_total() == 0
        assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


async def test_no_room_for_the_rows_pauses_the_job_until_there_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        workers = services.ingest._workers
        workers.pauses = Pauses(first_s=0.05, longest_s=0.1)
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        with little_room_for_rows(services, 12):
            files = [IncomingFile(f"{n}.txt", data=long_text(n)) for n in range(3)]
            # Many small chunks: much to write, little to compute at each attempt.
            job = await services.ingest.submit(kb, files, {"chunk_size": 16, "chunk_overlap": 0})
            paused = await pause_of(services, job.job_id)
            assert paused.reason is not None
            assert paused.reason["code"] == "storage_full"
            assert "space" in paused.reason["fix"]
            assert paused.resumes_at is not None
            # Tried again by itself, more than once, and no file is blamed.
            await pause_of(services, job.job_id, pauses=3)
            waiting = await services.ingest.job(job.job_id)
            assert {r.status for r in waiting.results} <= {"queued", "running"}
            stats = await services.knowledge.stats(kb)
            assert (stats.document_count, stats.chunk_count, stats.commits) == (0, 0, 1)
        done = await services.ingest.wait(job.job_id, 60)
        assert (done.status, done.reason) == ("completed", None)
        assert {r.status for r in done.results} == {"success"}
        chunks = sum(r.chunks_created for r in done.results)
        assert (await services.knowledge.stats(kb)).chunk_count == chunks


async def test_no_room_even_to_say_so(tmp_path: Path) -> None:
    """Not one more page: nothing can be written down, and yet whoever looks is told."""
    async with opened(tmp_path) as services:
        workers = services.ingest._workers
        workers.pauses = Pauses(writing_s=(30.0,))
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        job = await services.ingest.submit(kb, [IncomingFile("a.txt", data=long_text(1))])
        with read_only(services):
            paused = await pause_of(services, job.job_id, pauses=0)
            assert paused.reason is not None
            assert paused.reason["code"] == "storage_read_only"
            assert "data folder" in paused.reason["fix"]
            listed = (await services.ingest.jobs(kb)).items[0]
            assert (listed.status, listed.reason) == ("paused", paused.reason)
            with pytest.raises(StorageReadOnly):
                await services.ingest.submit(kb, [IncomingFile("b.txt", data=b"text")])
        # It would wait for half a minute; a person need not.
        await services.ingest.resume(job.job_id)
        done = await services.ingest.wait(job.job_id, 60)
        assert done.status == "completed"


async def pause_of(services: Services, job_id: str, pauses: int = 1) -> JobView:
    """The job once it is paused, for that many times at least."""
    async with asyncio.timeout(60):
        while True:
            view = await services.ingest.brief(job_id)
            row = services.ingest._jobs.job(job_id)
            if view.status == "paused" and row.pauses >= pauses:
                return view
            await asyncio.sleep(0.01)


async def test_no_room_for_the_upload_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        files = [IncomingFile(f"{n}.txt", data=f"file {n}".encode()) for n in range(300)]
        with little_room_for_rows(services, 2), pytest.raises(StorageFull):
            await services.ingest.submit(kb, files)
        assert (await services.knowledge.stats(kb)).pending_documents == 0
        job = await services.ingest.submit(kb, files[:2])
        done = await services.ingest.wait(job.job_id, 60)
        assert {r.status for r in done.results} == {"success"}


async def run_of_much(services: Services, **input_data: Any) -> str:
    """Start a workflow one step of which gives 3 MB."""
    if "bad" not in services.registry:
        services.registry.register(Bad)
    graph = workflow(
        "Much",
        {
            "text": {"type": "text_input"},
            "much": {"type": "bad", "config": {"how": "much", "size_mb": 3}},
            "out": {"type": "output"},
        },
        "text.text>much.text much.text>out.value",
        outputs={"end": ["out", "value"]},
    )
    return await services.runs.start(graph=graph, input_data=input_data)


async def test_no_room_for_what_a_step_gave(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        with little_room_for_files(1_000_000):
            ended = await services.runs.wait(await run_of_much(services, text="x"), 60)
            assert ended.status == "failed"
            assert ended.error is not None
            assert ended.error["code"] == "storage_full"
            assert "space" in ended.error["fix"]
            assert services.runs.active == 0
            # The server goes on: what fits is kept.
            stored = await services.workflows.create(workflow("Small", {}))
        assert (await services.workflows.get(stored.workflow_id)).name == "Small"
        again = await services.runs.wait(await run_of_much(services, text="x"), 60)
        assert again.status == "completed"


async def test_no_room_for_the_end_of_a_run(tmp_path: Path) -> None:
    """It is told at once, and written as soon as there is room."""
    async with opened(tmp_path) as services:
        services.runs._live.ends.pauses = (0.05, 0.05)
        with little_room_for_rows(services, 1):
            run_id = await run_of_much(services, text="x" * 5_000)
            events = [event async for event in services.runs.watch(run_id)]
            assert events[-1].kind == "run_finished"
            assert events[-1].problem is not None
            ended = await services.runs.get(run_id)
            assert ended.status == "failed"
            assert ended.error is not None
            assert ended.error["code"] == "storage_full"
            assert (await services.runs.list()).items[0].status == "failed"
            assert (await services.runs.cancel(run_id)).status == "failed"
        repository = services.runs._runs

        async def written() -> bool:
            return repository.get(run_id)[0].status == "failed"

        async with asyncio.timeout(60):
            while not await written():
                await asyncio.sleep(0.02)
        assert (await services.runs.get(run_id)).error == ended.error
        again = await services.runs.wait(await run_of_much(services, text="x"), 60)
        assert again.status == "completed"
