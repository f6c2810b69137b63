from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.folder import DataFolder
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from storage.search import ChunkSearch
from tests.storage.corpus import Corpus, Stores


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "data")
    folder.lock()
    yield folder
    folder.release()


@pytest.fixture
def db(folder: DataFolder) -> Iterator[Database]:
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
def stores(folder: DataFolder, db: Database, knowledge: KnowledgeRepository) -> Iterator[Stores]:
    projector = Projector(db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy))
    projector.open()
    search = ChunkSearch(knowledge, projector.vectors, projector.keywords)
    yield Stores(projector, search)
    projector.close()
