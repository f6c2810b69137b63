"""A server without its pages: takes files in, works on them, and may be killed at any moment.

`python -m tests.crash.child DATA ACKNOWLEDGED FILE_COUNT`: hands in the files whose names are not
in ACKNOWLEDGED yet, one upload after the other, and notes each name once its upload is
acknowledged. Prints a line for everything that happens, and ends when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from app.services.container import Services
from app.services.ingest import IncomingFile
from app.services.problems import explain
from app.services.views import SearchConfig
from app.settings import load_settings
from storage.errors import NotFound

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


def say(text: str) -> None:
    """Tell whoever watches this process."""
    print(text, flush=True)


async def main(data: Path, acknowledged: Path, count: int) -> None:
    """Hand in, work, and report the final state as JSON."""
    settings = load_settings(environ={}, data=data, demo=False, log_level="error")
    services = await Services.open(settings, background=False)
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


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
    except Exception as error:
        report = explain(error)
        say(report.sentence())
        sys.exit(report.exit_code)
