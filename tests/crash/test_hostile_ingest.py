"""Hostile files handed in together: each ends with sane text or a clear error, others are served."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from app.services.ingestion.service import IncomingFile
from app.services.rows import LOCKED
from tests.services.conftest import FACTS, opened, text_files

#: Only whether anybody is answered at all; how soon is measured by `benchmarks.bulk`.
ANSWERED_S = 60.0


@pytest.mark.slow
@pytest.mark.timeout(800)
async def test_hostile_files_end_and_nobody_else_waits_for_them(
    tmp_path: Path, shared_data: Path
) -> None:
    folder = shared_data / "hostile-docs"
    entries = list(map(json.loads, (folder / "manifest.jsonl").read_text().splitlines()))
    files = [IncomingFile(e["file"], path=folder / e["file"]) for e in entries]
    async with opened(tmp_path) as services:
        kb = (await services.knowledge.create("Hostile")).knowledge_base_id
        job = await services.ingest.submit(kb, files)
        ending = asyncio.create_task(services.ingest.wait(job.job_id, 600))
        asked = 0
        while not ending.done():
            started = time.monotonic()
            await services.knowledge.stats(kb)
            assert time.monotonic() - started < ANSWERED_S
            asked += 1
            await asyncio.sleep(0.05)
        assert asked > 5
        done = await ending
        assert {r.status for r in done.results} == {"success", "error"}
        assert done.progress.done + done.progress.failed == len(entries)
        for result in done.results:
            if result.status == "error":
                assert result.error is not None
                assert result.error["message"], result
                assert result.error["fix"], result
                assert result.error["code"] != "internal_error", result
            else:
                assert result.chunks_created > 0, result
        locked = {r.filename: r.document_id for r in done.results if _asks(r.error)}
        passwords = {e["file"]: e["password"] for e in entries if e.get("password")}
        name = "r6-user-password.pdf"
        assert name in locked
        again = await services.ingest.give_password(kb, locked[name], passwords[name])
        opened_ = await services.ingest.wait(again.job_id, 120)
        assert {r.filename: r.status for r in opened_.results}[name] == "success"
        # What is harmless goes in as ever.
        good = await services.ingest.submit(kb, text_files(FACTS))
        assert (await services.ingest.wait(good.job_id, 120)).progress.failed == 0


def _asks(error: dict[str, str] | None) -> bool:
    return error is not None and error["code"] in LOCKED
