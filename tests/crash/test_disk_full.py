"""A full disk: what does not fit is refused whole, and goes in once there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from app.services.container import Services
from app.services.ingest import IncomingFile
from app.services.problems import explain
from storage.errors import StorageFull
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


def long_text() -> bytes:
    return "\n\n".join(
        f"Line {n} of the ledger says that {n * 3} sacks of grain went to mill {n * 7}."
        for n in range(300)
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


async def test_no_room_for_the_rows_is_an_error_that_a_retry_mends(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        with little_room_for_rows(services, 12):
            job = await services.ingest.submit(kb, [IncomingFile("a.txt", data=long_text())])
            done = await services.ingest.wait(job.job_id, 60)
            failed = done.results[0]
            assert failed.status == "error"
            assert failed.error is not None
            assert failed.error["code"] == "storage_full"
            assert "space" in failed.error["fix"]
            stats = await services.knowledge.stats(kb)
            assert (stats.document_count, stats.chunk_count, stats.commits) == (0, 0, 1)
        again = await services.ingest.retry(kb, failed.document_id)
        mended = await services.ingest.wait(again.job_id, 60)
        assert mended.results[0].status == "success"
        assert (await services.knowledge.stats(kb)).chunk_count == mended.results[0].chunks_created


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
