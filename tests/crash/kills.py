"""An ingest that is killed at random instants, beside one that is left alone.

Both begin with the same data folder: a knowledge base and a job that nobody has worked on yet. So
ids are the same, and the ends can be compared byte for byte. Every life of the process writes down
what it parses and embeds; nothing that was committed before may be among it.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.lives import Life, Say

CONFIG = {"chunk_size": 40, "chunk_overlap": 8, "embedding_model": "default"}
KINDS = ("md", "txt", "html", "csv")


def text_of(number: int) -> str:
    """A small document of a few chunks."""
    sentences = [
        f"Paragraph {part} of report {number} says that town {number * 13 + part} has "
        f"{number * 7 + part} wells, {part + 2} mills and a market on every day but Sunday."
        for part in range(2 + number % 4)
    ]
    kind = KINDS[number % len(KINDS)]
    if kind == "csv":
        return "town;wells\n" + "\n".join(f"Town {n};{n * number}" for n in range(8))
    if kind == "html":
        body = "".join(f"<p>{sentence}</p>" for sentence in sentences)
        return f"<html><body><h1>Report {number}</h1>{body}</body></html>"
    return f"# Report {number}\n\n" + "\n\n".join(sentences)


def prepare(folder: Path, files: int) -> None:
    """Make a data folder with a job of so many files that nobody has worked on yet."""
    from app.services.ingestion.processing import KnowledgeConfig, Processing
    from storage.database import Database
    from storage.folder import DataFolder
    from storage.jobs import JobRepository
    from storage.knowledge import KnowledgeRepository

    place = DataFolder(folder)
    place.create()
    database = Database(place.db_url)
    database.upgrade()
    kb = KnowledgeRepository(database).create(
        "Kills", config=KnowledgeConfig(**CONFIG).model_dump()
    )
    settings = Processing(chunk_size=40, chunk_overlap=8).model_dump()
    tasks = []
    for number in range(files):
        data = text_of(number).encode()
        name = f"folder {number % 7}/{number}.{KINDS[number % len(KINDS)]}"
        blob = place.blobs.put_bytes(data)
        tasks.append({"filename": name, "blob": blob, "size": len(data), "processing": settings})
    JobRepository(database).create(kb.id, tasks)
    database.close()


@dataclass(frozen=True)
class End:
    """What a data folder holds: hashes of everything that counts, by table, and counts."""

    digests: Mapping[str, str]
    counts: Mapping[str, int]
    statuses: Mapping[str, int]
    committed: frozenset[str]
    embedded: frozenset[str]


_SELECTS = {
    "chunk": "SELECT id, version_id, document_id, ordinal, content, embed_text, text_hash, page, "
    'headings, boxes, start, "end", language, meta FROM chunk ORDER BY id',
    "vector": "SELECT model, text_hash, dim, data FROM vector ORDER BY model, text_hash",
    "version": "SELECT id, document_id, content_hash, config_hash, processing, embedding_model, "
    "media_type, size, pages, language, title, meta, chunk_count FROM document_version ORDER BY id",
    "document": "SELECT id, filename FROM document ORDER BY id",
    "branch": "SELECT c.manifest_id FROM ref r JOIN 'commit' c ON c.id = r.commit_id",
    "task": "SELECT filename, status, change, chunks_created, error FROM task ORDER BY ordinal",
}


def end_of(data: Path) -> End:
    """Read a data folder that nobody has open."""
    from sqlalchemy import text

    from storage.database import Database
    from storage.folder import DataFolder

    database = Database(DataFolder(data).db_url)
    with database.engine.connect() as connection:

        def rows(query: str) -> list[Any]:
            return [tuple(row) for row in connection.execute(text(query))]

        digests = {
            name: hashlib.sha256(repr(rows(query)).encode()).hexdigest()
            for name, query in _SELECTS.items()
        }
        tables = ("chunk", "vector", "document_version", "'commit'")
        counts = {t.strip("'"): rows(f"SELECT count(*) FROM {t}")[0][0] for t in tables}
        statuses = dict(rows("SELECT status, count(*) FROM task GROUP BY status"))
        committed = frozenset(r[0] for r in rows("SELECT blob FROM task WHERE status = 'success'"))
        embedded = frozenset(r[0] for r in rows("SELECT text_hash FROM vector"))
    database.close()
    return End(digests, counts, statuses, committed, embedded)


def repeated(before: End, ledger: Path) -> list[str]:
    """What a life did though it was committed when the life began."""
    found = []
    for line in ledger.read_text().splitlines() if ledger.exists() else ():
        kind, _, key = line.partition(" ")
        if key in (before.committed if kind == "parse" else before.embedded):
            found.append(line)
    return found


def kill_while_ingesting(
    folder: Path, *, files: int, kills: int, dice: random.Random
) -> tuple[End, End, Sequence[str], Sequence[int]]:
    """Ends of the undisturbed and of the killed ingest, what was repeated, files in at each kill.

    A life is killed in the middle of its work once a random number of files is in, now and then
    before it is open.
    """
    prepare(folder / "start", files)
    for name in ("calm", "wild"):
        shutil.copytree(folder / "start", folder / name)
    Life(main, folder / "calm", folder / "calm.txt").end(timeout_s=600)
    again: list[str] = []
    done: list[int] = []
    for life in range(kills):
        before = end_of(folder / "wild")
        ledger = folder / f"life{life}.txt"
        process = Life(main, folder / "wild", ledger)
        if life % 5 == 1:
            time.sleep(dice.uniform(0, 1))  # not even open yet, now and then
        else:
            # On average the lives share what is left.
            was = before.statuses.get("success", 0)
            share = 2 * (files - was) // (kills - life + 1)
            _reach(process, folder / "wild", was + dice.randint(min(1, share), share))
            time.sleep(dice.uniform(0, 0.05))
        process.kill()
        again += repeated(before, ledger)
        done.append(end_of(folder / "wild").statuses.get("success", 0))
    before = end_of(folder / "wild")
    Life(main, folder / "wild", folder / "last.txt").end(timeout_s=600)
    again += repeated(before, folder / "last.txt")
    return end_of(folder / "calm"), end_of(folder / "wild"), again, done


def _reach(process: Life, data: Path, files: int) -> None:
    """Wait until so many files are in, or a life ended."""
    from storage.folder import DataFolder

    process.line()  # it is open
    place = f"file:{DataFolder(data).db_path}?mode=ro"
    with closing(sqlite3.connect(place, uri=True)) as database:
        count = "SELECT count(*) FROM task WHERE status = 'success'"
        ends = time.monotonic() + 300
        while process.alive and database.execute(count).fetchone()[0] < files:
            if time.monotonic() > ends:
                raise RuntimeError(f"nothing goes on any more: {process.errors()}")
            time.sleep(0.005)


async def main(say: Say, data: Path, ledger: Path) -> None:
    """Open the data folder, and close it once nothing is left to do."""
    from app.services.container import Services
    from app.services.knowledge.files import FileService
    from app.services.models import ModelService
    from app.settings import load_settings
    from storage.ids import text_hash

    book = ledger.open("a")

    def note(kind: str, key: str) -> None:
        book.write(f"{kind} {key}\n")
        book.flush()

    extract, embed = FileService.extract, ModelService.embed

    async def noted_extract(self: FileService, document: Any, options: Any) -> Any:
        note("parse", document.blob)
        return await extract(self, document, options)

    async def noted_embed(self: ModelService, texts: Sequence[str], **more: Any) -> Any:
        for one in texts:
            note("embed", text_hash(one))
        return await embed(self, texts, **more)

    FileService.extract = noted_extract  # type: ignore[method-assign]
    ModelService.embed = noted_embed  # type: ignore[assignment,method-assign]
    settings = load_settings(environ={}, data=data, demo=False, log_level="error")
    services = await Services.open(settings, background=False)
    say("open")
    [job] = (await services.ingest.jobs()).items
    ended = await services.ingest.wait(job.job_id)
    await services.close()
    say(json.dumps(ended.progress.model_dump()))
