from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.folder import DataFolder
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from storage.runs import RunRepository
from storage.search import ChunkSearch
from tests.storage.corpus import Corpus, Stores


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "data")
    folder.lock()
    yield folder
    folder.release()


@pytest.fixture
def db(folder: DataFolder, migrated: Path) -> Iterator[Database]:
    shutil.copy(migrated, folder.db_path)
    database = Database(folder.db_url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def knowledge(db: Database) -> KnowledgeRepository:
    return KnowledgeRepository(db)


@pytest.fixture
def corpus(knowledge: KnowledgeRepository) -> Corpus:
    return Corpus(knowledge)


@pytest.fixture
def runs(db: Database, folder: DataFolder) -> RunRepository:
    return RunRepository(db, folder.payloads, cap_bytes=2_000)


@pytest.fixture
def stores(folder: DataFolder, db: Database, knowledge: KnowledgeRepository) -> Iterator[Stores]:
    projector = Projector(db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy))
    projector.open()
    search = ChunkSearch(knowledge, projector.vectors, projector.keywords)
    yield Stores(projector, search)
    projector.close()


@pytest.fixture
def chroma_server(tmp_path: Path) -> Iterator[str]:
    """Chroma's own server on a free loopback port."""
    # Held by a socket that answers nobody, the port is given to nobody else meanwhile.
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    program = Path(sys.executable).with_name("chroma")
    command = [program, "run", "--path", tmp_path / "server", "--port", str(port)]
    process = subprocess.Popen(
        [*map(str, command), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
        place.close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the Chroma server did not start")
