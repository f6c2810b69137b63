"""A large knowledge base after a kill: seconds until it is ready, and rebuilds of its indexes.

Vectors are random directions, so no model is needed: what is measured is storage alone.
`python -m benchmarks.reopen [CHUNKS]`, 100,000 unless said otherwise.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from app.services.container import Services
from app.services.views import SearchConfig
from app.settings import load_settings
from benchmarks.corpus import passages
from storage import ids, tables
from storage.folder import DataFolder

CHUNKS, PER_DOCUMENT = 100_000, 100
NAME = "Large"


async def opened(folder: Path) -> Services:
    """Services over a data folder whose indexes are open and complete."""
    settings = load_settings(environ={}, data=folder, demo=False, log_level="error")
    return await Services.open(settings, background=False)


async def fill(folder: Path, chunks: int) -> None:
    """Make the knowledge base, index it, and stay until killed."""
    services = await opened(folder)
    kb = (await services.knowledge.create(NAME)).knowledge_base_id
    model = await services.models.vector_name()
    random = np.random.default_rng(7)
    texts = passages(60)
    for number in range(chunks // PER_DOCUMENT):
        _document(services, kb, model, number, texts, random)
    started = time.perf_counter()
    await services.indexer.catch_up(kb)
    print(f"{chunks / (time.perf_counter() - started):.0f}", flush=True)
    await asyncio.sleep(3600)


def _document(
    services: Services, kb: str, model: str, number: int, texts: list[str],
    random: np.random.Generator,
) -> None:  # fmt: skip
    repository = services.repository
    document = repository.ensure_document(kb, f"{number}.txt")
    own = [f"{texts[(number + n) % len(texts)]} ({number}.{n})" for n in range(PER_DOCUMENT)]
    vectors = random.standard_normal((PER_DOCUMENT, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    version = tables.DocumentVersion(
        id="", document_id=document.id, knowledge_base_id=kb, content_hash=str(number),
        config_hash="bench", embedding_model=model, language="en", created_at=0.0,
    )  # fmt: skip
    chunks = [
        tables.Chunk(id="", version_id="", document_id="", ordinal=0, content=text, text_hash="",
                     page=1, headings=["Topic"])
        for text in own
    ]  # fmt: skip
    known = {ids.text_hash(text): vector for text, vector in zip(own, vectors, strict=True)}
    repository.commit_document(kb, "main", version, chunks, known, model, "bench", "bench")


async def reopen(folder: Path, chunks: int) -> None:
    """Measure the opening, a first search, and both rebuilds."""
    started = time.perf_counter()
    services = await opened(folder)
    ready = time.perf_counter() - started
    kb = (await services.knowledge.get(NAME)).knowledge_base_id
    started = time.perf_counter()
    found = await services.search.search(kb, "how are settings changed?", SearchConfig(k=10))
    assert len(found.results) == 10
    first = time.perf_counter() - started
    projector = await services.indexer.projector()
    print(f"ready after a kill -9                  {ready:8.1f} s")
    print(f"first hybrid search                    {first * 1e3:8.0f} ms")
    for projection in ("vectors", "keywords"):
        started = time.perf_counter()
        projector.rebuild(kb, projection)
        rate = chunks / (time.perf_counter() - started)
        print(f"rebuild of the {projection + ' from SQL':<23} {rate:8.0f} chunks/s")
    model = await services.models.vector_name()
    assert projector.vectors.count(kb, model) == projector.keywords.count(kb) == chunks
    print(
        f"resident memory at the end             {psutil.Process().memory_info().rss / 2**20:8.0f} MB"
    )
    await services.close()


def main() -> None:
    """Fill in a process of its own, kill it, and open what it left."""
    if len(sys.argv) == 4 and sys.argv[1] == "fill":
        asyncio.run(fill(Path(sys.argv[2]), int(sys.argv[3])))
        return
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        command = [sys.executable, "-m", "benchmarks.reopen", "fill", str(folder), str(chunks)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            rate = child.stdout.readline().strip()
            os.kill(child.pid, signal.SIGKILL)
        if not rate:
            raise SystemExit("the knowledge base could not be filled")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{chunks:,} chunks in {chunks // PER_DOCUMENT:,} documents, {size / 2**20:,.0f} MB")
        print(f"indexed at first                       {float(rate):8.0f} chunks/s")
        assert DataFolder(folder).holder() is None
        asyncio.run(reopen(folder, chunks))


if __name__ == "__main__":
    main()
