"""A server without its pages on a disk that fills up, and gets room again.

`python -m tests.crash.small_disk DATA`: DATA lies on a small file system of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from app.services.container import Services
from app.services.ingestion.pauses import Pauses
from app.services.ingestion.service import IncomingFile
from app.settings import load_settings

#: Left for the upload itself, and too little for its chunks with their vectors.
ROOM = 300_000


def text() -> bytes:
    """A document of some hundred chunks, each with a vector of 1.5 KB."""
    lines = (
        f"Line {n} of the ledger: {n * 3} sacks of grain went to mill {n * 7}." for n in range(300)
    )
    return "\n\n".join(lines).encode()


async def main(data: Path) -> None:
    """Fill the disk, hand a file in, see it pause, make room, see it end."""
    settings = load_settings(environ={}, data=data, demo=False, log_level="error")
    services = await Services.open(settings, background=False)
    services.ingest._workers.pauses = Pauses(first_s=0.1, longest_s=0.3)
    kb = (await services.knowledge.create("Docs")).knowledge_base_id
    filler = data / "filler"
    disk = os.statvfs(data)
    filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - ROOM))
    job = await services.ingest.submit(
        kb, [IncomingFile("a.txt", data=text())], {"chunk_size": 16, "chunk_overlap": 0}
    )
    async with asyncio.timeout(200):
        while (view := await services.ingest.brief(job.job_id)).status != "paused":
            assert view.status in ("queued", "running"), view
            await asyncio.sleep(0.02)
    assert view.reason is not None
    print("paused", view.reason["code"], flush=True)
    filler.unlink()
    done = await services.ingest.wait(job.job_id, 200)
    print(done.status, done.results[0].status, flush=True)
    await services.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
