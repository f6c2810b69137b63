"""A hybrid query at 5,000 chunks beside what it cannot do without: embedding and a Chroma query."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np

from app.documents.embed_onnx import BgeSmallEmbedder
from app.services.container import Services
from app.services.views import SearchConfig
from app.settings import load_settings
from benchmarks.corpus import passages
from storage import ids, tables

CHUNKS, DOCUMENTS, QUERIES = 5_000, 50, 120
#: Real embeddings that the others are mixed from: embedding all would take minutes.
SEEDS = 240


async def measure(folder: Path) -> None:
    """Fill a knowledge base, then ask both ways in turn."""
    services = await Services.open(
        load_settings(environ={}, data=folder / "data", demo=False), background=False
    )
    kb = (await services.knowledge.create("Bench")).knowledge_base_id
    embedder = BgeSmallEmbedder()
    _fill(services, kb, embedder)
    await services.indexer.catch_up(kb)
    projector = await services.indexer.projector()
    collection: Any = projector.vectors._collection(kb, embedder.name, create=False)
    queries = [f"{' '.join(p.split()[:9])}?" for p in passages(150)[:QUERIES]]
    config = SearchConfig(k=10)
    for query in queries[:20]:
        await services.search.search(kb, query, config)
        _bare(embedder, collection, query)
    times: dict[str, list[float]] = {"hybrid": [], "bare": []}
    for query in queries:
        started = time.perf_counter()
        await services.search.search(kb, query, config)
        times["hybrid"].append(time.perf_counter() - started)
        started = time.perf_counter()
        _bare(embedder, collection, query)
        times["bare"].append(time.perf_counter() - started)
    await services.close()
    for name, label in (
        ("bare", "embed the query + bare Chroma query"),
        ("hybrid", "hybrid search, passages in hand"),
    ):
        taken = times[name]
        print(
            f"{label:<38} p50 {median(taken) * 1e3:6.1f} ms   "
            f"p95 {quantiles(taken, n=20)[-1] * 1e3:6.1f} ms"
        )
    print(f"ratio of medians: {median(times['hybrid']) / median(times['bare']):.2f}")


def _bare(embedder: BgeSmallEmbedder, collection: Any, query: str) -> None:
    vector = embedder.embed([query], "query")
    collection.query(query_embeddings=vector, n_results=10)


def _fill(services: Services, kb: str, embedder: BgeSmallEmbedder) -> None:
    """Real passages with vectors mixed from real ones."""
    texts = (passages(60) * 10)[:CHUNKS]
    texts = [f"{text} ({number})" for number, text in enumerate(texts)]
    seeds = embedder.embed(texts[:SEEDS])
    random = np.random.default_rng(7)
    weights = random.dirichlet(np.full(SEEDS, 0.02), CHUNKS).astype(np.float32)
    vectors = weights @ seeds + random.normal(0, 0.02, (CHUNKS, embedder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    repository, step = services.repository, CHUNKS // DOCUMENTS
    for number in range(DOCUMENTS):
        part = slice(number * step, (number + 1) * step)
        document = repository.ensure_document(kb, f"{number}.txt")
        version = tables.DocumentVersion(
            id="", document_id=document.id, knowledge_base_id=kb, content_hash=str(number),
            config_hash="bench", embedding_model=embedder.name, language="en", created_at=0.0,
        )  # fmt: skip
        chunks = [
            tables.Chunk(id="", version_id="", document_id="", ordinal=0, content=text,
                         text_hash="", page=1, headings=["Topic"])
            for text in texts[part]
        ]  # fmt: skip
        known = {ids.text_hash(t): v for t, v in zip(texts[part], vectors[part], strict=True)}
        repository.commit_document(
            kb, "main", version, chunks, known, embedder.name, "bench", "bench"
        )


def main() -> None:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
