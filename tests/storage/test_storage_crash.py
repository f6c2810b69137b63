from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from storage.database import Database
from storage.folder import DataFolder
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex
from tests.storage.corpus import MODEL, Corpus, embed
from tests.storage.crash_writer import DOCUMENTS

ROOT = Path(__file__).resolve().parents[2]
KILLS = 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_in_the_middle_of_writing_lose_and_double_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(7)
    acknowledged: dict[str, int] = {}
    number = 0
    for _ in range(KILLS):
        number = kill_while_writing(tmp_path / "data", number, rng, acknowledged)
        check(tmp_path / "data", acknowledged)


def kill_while_writing(
    path: Path, start: int, rng: random.Random, acknowledged: dict[str, int]
) -> int:
    """Returns a number above those of all documents that were begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.crash_writer", str(path), str(start)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    kill_at, last = start + rng.randint(3, 2 * DOCUMENTS), start
    timer = threading.Timer(rng.uniform(0, 0.1), process.kill)
    for line in process.stdout:
        # A line that the kill cut short was not an acknowledgement.
        if line.endswith("\n"):
            last = int(line)
            acknowledged[f"doc {last % DOCUMENTS}"] = last
            if last == kill_at:
                timer.start()
    process.stdout.close()
    assert process.wait() == -9
    timer.join()
    return last + 2


def check(path: Path, acknowledged: dict[str, int]) -> None:
    folder = DataFolder(path)
    folder.lock()
    db = Database(folder.db_url)
    db.upgrade()
    with db.read() as session:
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert session.connection().exec_driver_sql("PRAGMA foreign_key_check").all() == []
    knowledge = KnowledgeRepository(db)
    corpus = Corpus.existing(knowledge)
    head = corpus.head()
    content = dict(knowledge.iter_texts(head))
    for filename, number in acknowledged.items():
        document = knowledge.ensure_document(corpus.kb, filename)
        version = knowledge.version(knowledge.manifest(head)[document.id])
        assert version.chunk_count == 25
        texts = [chunk.content for chunk in knowledge.chunks(version.id)[0]]
        # What was acknowledged, or the next one, whose acknowledgement the kill cut off.
        assert int(texts[0].split()[1]) >= number
        assert len(texts) == 25
    assert len(content) == 25 * knowledge.counts(head)[0]
    projector = Projector(db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy))
    projector.open()
    projector.reconcile_all()
    everything = len(content) + 100
    near = projector.vectors.query(corpus.kb, MODEL, embed("document"), everything)
    assert sorted(id for id, _ in near) == sorted(content)
    words = projector.keywords.query(corpus.kb, "document", everything)
    assert sorted(id for id, _ in words) == sorted(content)
    for id, text in random.Random(1).sample(sorted(content.items()), 10):
        [(_, score), *_] = projector.vectors.query(corpus.kb, MODEL, embed(text), 1)
        assert score == pytest.approx(1.0, abs=1e-4)
        assert np.array_equal(knowledge.chunk_vectors([id], MODEL)[id], embed(text))
    projector.close()
    db.close()
    folder.release()
