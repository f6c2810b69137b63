"""Ingestion beside the embedder alone: the same chunks, in turns, in the same process."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from app.documents.chunk import ChunkConfig, chunk
from app.documents.embed_onnx import BgeSmallEmbedder
from app.documents.extract import extract
from app.services.container import Services
from app.services.ingestion.processing import Processing
from app.services.ingestion.service import IncomingFile
from app.settings import load_settings
from benchmarks.corpus import documents

ROUNDS = 4


async def measure(folder: Path) -> None:
    """Turn by turn: embed the chunks of a quarter of the files, then ingest those files."""
    services = await Services.open(
        load_settings(environ={}, data=folder / "data", demo=False), background=False
    )
    files = list(documents().items())
    (folder / "in").mkdir()
    kb = (await services.knowledge.create("Bench")).knowledge_base_id
    embedder = BgeSmallEmbedder()
    embedder.embed(["warm"])
    warm = await services.ingest.submit(kb, [IncomingFile("warm.txt", data=b"Warm the readers.")])
    await services.ingest.wait(warm.job_id)
    alone = whole = 0.0
    count = 0
    for number in range(ROUNDS):
        part = files[number::ROUNDS]
        texts = [text for name, content in part for text in _texts(folder / "in" / name, content)]
        started = time.perf_counter()
        embedder.embed(texts)
        bare = time.perf_counter() - started
        started = time.perf_counter()
        job = await services.ingest.submit(
            kb, [IncomingFile(name, data=content.encode()) for name, content in part]
        )
        done = await services.ingest.wait(job.job_id)
        await services.indexer.catch_up(kb)
        full = time.perf_counter() - started
        chunks = sum(result.chunks_created for result in done.results)
        print(
            f"round {number + 1}: {len(part)} files, {len(texts)} chunks · embedder alone "
            f"{len(texts) / bare:.1f}/s · ingestion {chunks / full:.1f}/s"
        )
        alone, whole, count = alone + bare, whole + full, count + chunks
    await services.close()
    print(f"ingestion, indexes included: {100 * alone / whole:.1f} % of the embedder alone")


def _texts(path: Path, content: str) -> list[str]:
    """What ingestion embeds of a file."""
    path.write_text(content)
    settings = Processing()
    config = ChunkConfig(chunk_size=settings.chunk_size, chunk_overlap=settings.chunk_overlap)
    pieces = chunk(extract(path), config)
    return [piece.content if piece.embed_text is None else piece.embed_text for piece in pieces]


def main() -> None:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
