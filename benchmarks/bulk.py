"""Many mixed files at once: files and chunks a second, memory over time, answers meanwhile.

The embedder alone is given the same texts in turns, in the same process. `BULK_FILES` is the number
of files, 1,000 by default; the hostile files of the shared data come along when they are there.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from app.documents.embed_onnx import BgeSmallEmbedder
from app.services.container import Services
from app.services.ingest import IncomingFile
from app.services.models import ModelService
from app.settings import load_settings
from benchmarks.mixed_files import DATA, mixed_files

FILES = int(os.environ.get("BULK_FILES", "1000"))
ROUNDS = 5
_HOSTILE = DATA / "hostile-docs"
_LOOK_S = 0.05


class Watcher:
    """How long a request waits, and how much memory there is, while something else goes on."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.waits: list[float] = []
        self.memory: list[float] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        process = psutil.Process()
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_LOOK_S)
            await self._services.knowledge.list(limit=5)
            self.waits.append(time.perf_counter() - started - _LOOK_S)
            self.memory.append(process.memory_info().rss / 2**20)

    async def stop(self) -> None:
        """Look no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def report(self, what: str) -> str:
        """The waits in words."""
        waits = sorted(self.waits)
        if not waits:
            return f"{what}: nobody looked"
        middle, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
        return (
            f"{what}: another request waits {1000 * middle:.0f} ms (p50), {1000 * late:.0f} ms "
            f"(p99), {1000 * waits[-1]:.0f} ms at most"
        )


async def measure(folder: Path) -> None:
    """Turn by turn: ingest a part of the files, then embed the same texts with nothing around."""
    texts: list[str] = []
    embed = ModelService.embed

    async def noted(self: ModelService, given: Sequence[str], **more: Any) -> Any:
        texts.extend(given)
        return await embed(self, given, **more)

    ModelService.embed = noted  # type: ignore[assignment,method-assign]
    services = await Services.open(
        load_settings(environ={}, data=folder / "data", demo=False, log_level="error"),
        background=False,
    )
    kb = (await services.knowledge.create("Bulk")).knowledge_base_id
    alone = BgeSmallEmbedder()
    alone.embed(["warm"])
    warm = await services.ingest.submit(kb, [IncomingFile("warm.txt", data=b"Warm the readers.")])
    await services.ingest.wait(warm.job_id)
    files = list(mixed_files(FILES))
    watcher = Watcher(services)
    sums = dict.fromkeys(("files", "chunks", "embedded", "whole", "bare", "failed"), 0.0)
    for number in range(ROUNDS):
        part = files[number::ROUNDS]
        texts.clear()
        started = time.perf_counter()
        job = await services.ingest.submit(kb, [IncomingFile(n, data=data) for n, data in part])
        taken = time.perf_counter() - started
        done = await services.ingest.wait(job.job_id)
        await services.indexer.catch_up(kb)
        whole = time.perf_counter() - started
        given = list(texts)
        started = time.perf_counter()
        await asyncio.to_thread(alone.embed, given)
        bare = time.perf_counter() - started
        chunks = sum(result.chunks_created for result in done.results)
        print(
            f"round {number + 1}: {len(part)} files ({done.progress.failed} failed), {chunks} "
            f"chunks, {len(given)} new texts · {len(part) / whole:.2f} files/s · "
            f"{chunks / whole:.1f} chunks/s · {len(given) / whole:.1f} embeds/s, alone "
            f"{len(given) / bare:.1f}/s ({100 * bare / whole:.0f} %) · upload taken in "
            f"{taken:.2f} s · {watcher.memory[-1]:.0f} MB",
            flush=True,
        )
        for name, value in zip(
            sums, (len(part), chunks, len(given), whole, bare, done.progress.failed), strict=True
        ):
            sums[name] += value
    await watcher.stop()
    print(
        f"{sums['files']:.0f} files, {sums['chunks']:.0f} chunks: "
        f"{sums['files'] / sums['whole']:.2f} files/s, {sums['chunks'] / sums['whole']:.1f} "
        f"chunks/s end to end, {100 * sums['bare'] / sums['whole']:.1f} % of the embedder alone"
    )
    third = max(1, len(watcher.memory) // 3)
    first, last = watcher.memory[:third], watcher.memory[-third:]
    print(
        f"memory of the server: {sum(first) / third:.0f} MB in the first third, "
        f"{sum(last) / third:.0f} MB in the last, {max(watcher.memory):.0f} MB at most"
    )
    print(watcher.report("meanwhile"))
    await _hostile(services, kb)
    await services.close()


async def _hostile(services: Services, kb: str) -> None:
    if not _HOSTILE.is_dir():
        return
    paths = [path for path in sorted(_HOSTILE.iterdir()) if path.suffix not in (".md", ".jsonl")]
    watcher = Watcher(services)
    started = time.perf_counter()
    job = await services.ingest.submit(kb, [IncomingFile(p.name, path=p) for p in paths])
    done = await services.ingest.wait(job.job_id)
    took = time.perf_counter() - started
    await watcher.stop()
    print(
        f"{len(paths)} hostile files: {done.progress.done} read, {done.progress.failed} refused "
        f"in {took:.1f} s"
    )
    print(watcher.report("meanwhile"))


def main() -> None:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
