"""A server without its pages: takes files in, works on them, and may be killed at any moment.

`main` hands in the files whose names are not in a file yet, one upload after the other, and notes
each name there once its upload is acknowledged. It says a line for everything that happens, and ends
when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from app.documents.embed import EmbedderOptions, Kind, register_embedder
from app.services.container import Services
from app.services.ingestion import reembed_copies
from app.services.ingestion.service import IncomingFile
from app.services.views import SearchConfig
from app.settings import load_settings
from storage.errors import NotFound
from storage.ids import text_hash
from tests.crash.lives import Say

KB = "Crash"
CONFIG = {"chunk_size": 40, "chunk_overlap": 8}


def content(number: int) -> str:
    """A small document of a few chunks."""
    paragraphs = (
        f"Paragraph {part} of report {number} says that town {number * 13 + part} has "
        f"{number * 7 + part} wells, {part + 2} mills and a market on every day but Sunday."
        for part in range(2 + number % 4)
    )
    return f"# Report {number}\n\n" + "\n\n".join(paragraphs)


async def opened(data: Path) -> Services:
    """Services over a data folder."""
    settings = load_settings(environ={}, data=data, demo=False, log_level="error")
    return await Services.open(settings, background=False)


async def hold(say: Say, data: Path) -> None:
    """Own the data folder for ever."""
    await opened(data)
    say("open")
    await asyncio.Event().wait()


async def main(say: Say, data: Path, acknowledged: Path, count: int) -> None:
    """Hand in, work, and report the final state as JSON."""
    services = await opened(data)
    try:
        await services.knowledge.get(KB)
    except NotFound:
        await services.knowledge.create(KB, config=CONFIG)
    say("open")
    known = set(acknowledged.read_text().split()) if acknowledged.exists() else set()
    with acknowledged.open("a") as ledger:
        for number in range(count):
            name = f"{number}.md"
            if name not in known:
                data_ = content(number).encode()
                await services.ingest.submit(KB, [IncomingFile(name, data=data_)])
                ledger.write(f"{name}\n")
                ledger.flush()
                os.fsync(ledger.fileno())
                say(f"acknowledged {name}")
    while (await services.knowledge.stats(KB)).pending_documents:
        await asyncio.sleep(0.05)
    say(json.dumps(await state(services)))
    await services.close()


async def embed_anew(say: Say, data: Path, ledger: Path, files: int, stuck_at: int) -> None:
    """Embed a knowledge base anew on a branch, and say how it stands once that has ended.

    The first life makes the knowledge base and asks for it; every other one goes on by itself. What
    was embedded is written down; the call with the number `stuck_at` never ends, 0: every call does.
    """
    for name in ("toy-a", "toy-b"):
        register_embedder(name, partial(_toy, name, ledger, say, stuck_at))
    reembed_copies._BATCH_DOCUMENTS = 1
    services = await opened(data)
    try:
        kb = (await services.knowledge.get(KB)).knowledge_base_id
    except NotFound:
        config = {**CONFIG, "embedding_model": "toy-a"}
        kb = (await services.knowledge.create(KB, config=config)).knowledge_base_id
        incoming = [IncomingFile(f"{n}.md", data=content(n).encode()) for n in range(files)]
        await services.ingest.wait((await services.ingest.submit(kb, incoming)).job_id)
        await services.reembedding.start(kb, "toy-b", "other", author="ann")
    view = await services.reembedding.wait(kb, "other")
    query = SearchConfig(search_type="semantic", ref="other", k=200)
    found = await services.search.search(KB, "How many wells?", query)
    end = {
        "status": view.status,
        "done": view.done,
        "authors": sorted(
            {c.author for c in (await services.knowledge.commits(kb, "other")).items}
        ),
        "models": found.metadata["embedding_models"],
        "found": len(found.results),
        "main": (await services.knowledge.stats(kb)).chunk_count,
    }
    say(json.dumps(end))
    await services.close()


class Toy:
    """Counts letters. Writes down what it embedded with the model `toy-b`."""

    max_tokens = 512
    dim = 26

    def __init__(self, name: str, ledger: Path, say: Say, stuck_at: int) -> None:
        self.name = f"{name}-v1"
        self._ledger = ledger if name == "toy-b" else None
        self._say, self._stuck_at = say, stuck_at
        self._calls = 0

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        if self._ledger is not None and kind == "passage":
            self._calls += 1
            if self._calls == self._stuck_at:
                self._say("stuck")
                threading.Event().wait()
            with self._ledger.open("a") as book:
                book.writelines(f"{text_hash(text)}\n" for text in texts)
        rows = np.array(
            [[1 + text.lower().count(chr(97 + n)) for n in range(self.dim)] for text in texts],
            dtype=np.float32,
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _toy(name: str, ledger: Path, say: Say, stuck_at: int, options: EmbedderOptions) -> Toy:
    return Toy(name, ledger, say, stuck_at)


async def state(services: Services) -> dict[str, object]:
    """Everything that must be the same however often the process was killed."""
    kb = (await services.knowledge.get(KB)).knowledge_base_id
    await services.indexer.catch_up(kb)
    documents = (await services.knowledge.documents(KB, limit=1_000)).items
    chunks = {
        document.filename: [
            chunk.content
            for chunk in (await services.knowledge.chunks(KB, document.document_id, 1_000)).items
        ]
        for document in documents
    }
    found = await services.search.search(KB, "How many wells?", SearchConfig(k=200))
    projector = await services.indexer.projector()
    return {
        "documents": sorted([document.filename, document.status] for document in documents),
        "chunks": chunks,
        "commits": (await services.knowledge.commits(KB)).total,
        "vectors": projector.vectors.count(kb, await services.models.vector_name()),
        "words": projector.keywords.count(kb),
        "found": sorted([chunk.document_name, chunk.content] for chunk in found.results),
    }
