"""Commits documents and applies them to the projections until it is killed.

Prints the number of each document whose commit was acknowledged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from storage.database import Database
from storage.folder import DataFolder
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from tests.storage.corpus import Corpus

#: So many are written, over and over.
DOCUMENTS = 12


def main(path: Path, start: int) -> None:
    folder = DataFolder(path)
    folder.lock()
    db = Database(folder.db_url)
    db.upgrade()
    knowledge = KnowledgeRepository(db)
    projector = Projector(db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy))
    projector.open()
    projector.reconcile_all()
    corpus = Corpus.existing(knowledge)
    print("ready", flush=True)
    for number in range(start, start + 100_000):
        texts = [f"document {number} chunk {n} words{n % 7}" for n in range(25)]
        corpus.put(f"doc {number % DOCUMENTS}", texts)
        print(number, flush=True)
        if number % 3 == 0:
            projector.catch_up(corpus.kb)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
