"""Many mixed files in one job: files and chunks a second, memory over time, answers meanwhile.

Then the embedder is given the same texts with nothing around, once the new ones and once every
chunk's: nothing else could take files in faster with the same model. `BULK_FILES` is the number of
files, 1,000 by default; the hostile files of the shared data come along when they are there.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlmodel import func, select

from app.documents.embed_onnx import BgeSmallEmbedder
from app.main import collect_rarely, run, settle
from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.models import ModelService
from app.services.threads import call
from app.settings import load_settings
from benchmarks.mixed_files import DATA, mixed_files
from storage.tables import Chunk

FILES = int(os.environ.get("BULK_FILES", "1000"))
_HOSTILE = DATA / "hostile-docs"
_LOOK_S = 0.1
_LIST_EVERY = 20
_WARM = "Warm the readers."


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
            # What every search begins with; the list of bases counts all their documents, and
            # would be a tenth of all work if it were asked for as often.
            await call(self._services.repository.locate, "Bulk", "main")
            if len(self.waits) % _LIST_EVERY == 0:
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


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of the processors: in this process, and in those it started."""

    wall: float
    own: float
    readers: float

    @classmethod
    def now(cls) -> Spent:
        """What was spent until now."""
        process = psutil.Process()
        times = [child.cpu_times() for child in process.children(recursive=True)]
        ended = process.cpu_times()
        readers = sum(t.user + t.system for t in times)
        readers += ended.children_user + ended.children_system
        return cls(time.perf_counter(), time.process_time(), readers)

    def since(self, before: Spent) -> Spent:
        """What was spent after `before`."""
        return Spent(self.wall - before.wall, self.own - before.own, self.readers - before.readers)


async def measure(folder: Path) -> None:
    """Take all files in as one job, then embed their texts with nothing around."""
    new: list[str] = []
    embed = ModelService.embed

    async def noted(self: ModelService, given: Sequence[str], **more: Any) -> Any:
        new.extend(given)
        return await embed(self, given, **more)

    ModelService.embed = noted  # type: ignore[assignment,method-assign]
    services = await Services.open(
        load_settings(environ={}, data=folder / "data", demo=False, log_level="error"),
        background=False,
    )
    await settle(services)  # as a server does
    kb = (await services.knowledge.create("Bulk")).knowledge_base_id
    warm = await services.ingest.submit(kb, [IncomingFile("warm.txt", data=_WARM.encode())])
    await services.ingest.wait(warm.job_id)
    files = [IncomingFile(name, data=data) for name, data in mixed_files(FILES)]
    new.clear()
    watcher = Watcher(services)
    before = Spent.now()
    job = await services.ingest.submit(kb, files)
    taken = time.perf_counter() - before.wall
    done = await services.ingest.wait(job.job_id)
    await services.indexer.catch_up(kb)
    whole = Spent.now().since(before)
    await watcher.stop()
    chunks = sum(result.chunks_created for result in done.results)
    print(
        f"{len(files)} files ({done.progress.failed} failed), {chunks} chunks, {len(new)} new "
        f"texts in {whole.wall:.1f} s (upload taken in {taken:.2f} s): "
        f"{len(files) / whole.wall:.2f} files/s, {chunks / whole.wall:.1f} chunks/s end to end; "
        f"processors: server {whole.own:.1f} s, readers {whole.readers:.1f} s",
        flush=True,
    )
    third = max(1, len(watcher.memory) // 3)
    first, last = watcher.memory[:third], watcher.memory[-third:]
    print(
        f"memory of the server: {sum(first) / third:.0f} MB in the first third, "
        f"{sum(last) / third:.0f} MB in the last, {max(watcher.memory):.0f} MB at most"
    )
    print(watcher.report("meanwhile"), flush=True)
    await asyncio.to_thread(_alone, services, new, chunks, whole)
    await _hostile(services, kb)
    await services.close()


def _alone(services: Services, new: list[str], chunks: int, whole: Spent) -> None:
    """Give the embedder alone the new texts, then those that occur again: all there are."""
    text = func.coalesce(Chunk.embed_text, Chunk.content)
    with services.repository.db.read() as session:
        every = list(session.exec(select(text).where(Chunk.content != _WARM)))
    again = list((Counter(every) - Counter(new)).elements())
    alone = BgeSmallEmbedder()
    alone.embed(["warm"])
    spent = []
    for texts in (new, again):
        before = Spent.now()
        # All at once: the embedder takes the longest first, so that no core waits at the end.
        alone.embed(texts)
        spent.append(Spent.now().since(before))
    once, rest = spent
    print(
        f"the embedder alone, {len(new)} new texts: {once.wall:.1f} s, processors "
        f"{once.own:.1f} s; files were taken in at {100 * once.wall / whole.wall:.1f} % of the "
        f"embedder alone over the same new texts ({_share(once.own, whole)} % by processor time)"
    )
    wall, own = once.wall + rest.wall, once.own + rest.own
    print(
        f"the embedder alone, given every chunk ({len(new) + len(again)} texts, "
        f"{len(again)} of which it had before): {wall:.1f} s, {chunks / wall:.1f} chunks/s; end to "
        f"end {chunks / whole.wall:.1f} chunks/s are {100 * wall / whole.wall:.1f} % of that "
        f"({_share(own, whole)} % by processor time)",
        flush=True,
    )


def _share(own: float, whole: Spent) -> str:
    return f"{100 * own / (whole.own + whole.readers):.1f}"


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
    collect_rarely()
    with tempfile.TemporaryDirectory() as folder:
        run(measure(Path(folder)))


if __name__ == "__main__":
    main()
