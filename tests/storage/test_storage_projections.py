from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from storage.database import Database
from storage.errors import StorageFull
from storage.folder import DataFolder
from storage.knowledge import KnowledgeRepository
from storage.projections import KeywordIndex, Projector, VectorIndex, guard
from storage.projections.guard import is_sound
from storage.projections.vectors import collection_name, next_size
from tests.storage.corpus import MODEL, Corpus, Stores, embed


def test_projections_follow_adds_changes_and_removals(corpus: Corpus, stores: Stores) -> None:
    corpus.put("a", ["red apple", "green pear"])
    corpus.put("b", ["blue plum"])
    stores.projector.catch_up(corpus.kb)
    assert held(corpus, stores) == ({"red apple", "green pear", "blue plum"},) * 2
    corpus.put("a", ["yellow lemon"])
    corpus.remove("b")
    assert stores.projector.behind(corpus.kb)
    stores.projector.catch_up(corpus.kb)
    assert not stores.projector.behind(corpus.kb)
    assert held(corpus, stores) == ({"yellow lemon"},) * 2


def test_applying_the_log_again_changes_nothing(
    corpus: Corpus, stores: Stores, db: Database
) -> None:
    corpus.put("a", ["one", "two"])
    stores.projector.catch_up(corpus.kb)
    with db.write() as session:
        session.connection().exec_driver_sql("UPDATE projection_cursor SET seq = 0")
    stores.projector.catch_up(corpus.kb)
    assert held(corpus, stores) == ({"one", "two"},) * 2
    assert stores.projector.reconcile_all() == []


def test_large_documents_are_applied_in_batches(
    corpus: Corpus, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.projections.projector._BATCH_CHUNKS", 3)
    for i in range(5):
        corpus.put(f"f{i}", [f"text {i} {n}" for n in range(2)])
    corpus.put("f0", ["changed"])
    stores.projector.catch_up(corpus.kb)
    expected = {"changed"} | {f"text {i} {n}" for i in range(1, 5) for n in range(2)}
    assert held(corpus, stores) == (expected, expected)


def test_a_deleted_knowledge_base_leaves_no_index(
    corpus: Corpus, stores: Stores, folder: DataFolder
) -> None:
    corpus.put("a", ["one"])
    stores.projector.catch_up(corpus.kb)
    corpus.knowledge.delete(corpus.kb)
    # As after a crash between the two: the next start cleans up.
    stores.projector.reconcile_all()
    assert stores.projector.vectors.bases() == set()
    assert list(folder.tantivy.iterdir()) == []
    stores.projector.catch_up(corpus.kb)


def test_damaged_or_missing_keyword_indexes_are_rebuilt(
    corpus: Corpus, stores: Stores, folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    corpus.put("a", ["one two", "three"])
    stores.projector.catch_up(corpus.kb)
    stores.projector.close()
    (folder.tantivy / corpus.kb / "meta.json").write_text("{ not json")
    again = reopened(folder, corpus.knowledge)
    assert again.reconcile_all() == [(corpus.kb, "keywords")]
    assert [hit[1] > 0 for hit in again.keywords.query(corpus.kb, "two", 5)] == [True]
    again.close()
    shutil.rmtree(folder.tantivy)
    again = reopened(folder, corpus.knowledge)
    assert again.reconcile_all() == [(corpus.kb, "keywords")]
    assert again.keywords.count(corpus.kb) == 2
    again.close()


def test_a_vector_index_that_lacks_chunks_is_rebuilt(
    corpus: Corpus, stores: Stores, folder: DataFolder
) -> None:
    corpus.put("a", ["one two", "three"])
    stores.projector.catch_up(corpus.kb)
    [id, *_] = [chunk for chunk, _ in corpus.knowledge.iter_texts(corpus.head())]
    stores.projector.vectors.delete(corpus.kb, MODEL, [id])
    assert stores.projector.reconcile_all() == [(corpus.kb, "vectors")]
    assert held(corpus, stores)[0] == {"one two", "three"}
    stores.projector.close()
    shutil.rmtree(folder.chroma)
    again = reopened(folder, corpus.knowledge)
    assert again.reconcile_all() == [(corpus.kb, "vectors")]
    assert again.vectors.count(corpus.kb, MODEL) == 2
    again.close()


def test_a_clean_shutdown_needs_no_check(
    corpus: Corpus, stores: Stores, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[Path] = []

    def check(path: Path, timeout_s: float) -> bool:
        checks.append(path)
        return is_sound(path, timeout_s)

    monkeypatch.setattr("storage.projections.guard.is_sound", check)
    corpus.put("a", ["one"])
    stores.projector.catch_up(corpus.kb)
    stores.projector.close()
    reopened(folder, corpus.knowledge).close()
    assert checks == []
    dirty = reopened(folder, corpus.knowledge)
    dirty.vectors._disconnect()  # Gone without a word, as a killed process is.
    again = reopened(folder, corpus.knowledge)
    assert checks == [folder.chroma]
    assert again.reconcile_all() == []
    again.close()


def test_an_import_that_fails_leaves_the_index_as_it_is(
    corpus: Corpus, stores: Stores, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.put("a", ["one", "two"])
    stores.projector.catch_up(corpus.kb)
    stores.projector.close()
    before = sorted(path for path in folder.chroma.rglob("*"))
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "chromadb.api.rust", None)
        with pytest.raises(ImportError):
            reopened(folder, corpus.knowledge)
    assert sorted(path for path in folder.chroma.rglob("*")) == before
    again = reopened(folder, corpus.knowledge)
    assert again.reconcile_all() == []
    again.close()


@pytest.mark.parametrize("damage", ["index", "database", "segment"])
def test_a_damaged_chroma_folder_is_thrown_away_and_rebuilt_from_sql(
    damage: str,
    corpus: Corpus,
    stores: Stores,
    folder: DataFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Enough vectors that Chroma writes its index files, where these are what is damaged.
    rng = np.random.default_rng(0)
    texts = [f"chunk number {i}" for i in range(20 if damage == "database" else 1_200)]
    from storage.ids import text_hash

    vectors = {text_hash(text): unit(rng.standard_normal(64)) for text in texts}
    for start in range(0, len(texts), 100):
        corpus.put(f"f{start}", texts[start : start + 100], vectors=vectors)
    stores.projector.catch_up(corpus.kb)
    probe = vectors[text_hash(texts[7])]
    before = stores.projector.vectors.query(corpus.kb, MODEL, probe, 3)
    stores.projector.vectors._disconnect()
    files = [path for path in folder.chroma.rglob("*") if path.is_file()]
    if damage == "database":
        (folder.chroma / "chroma.sqlite3").write_bytes(b"\0" * 4096)
    elif damage == "index":
        broken = [path for path in files if path.suffix in {".bin", ".pickle"}]
        assert broken
        for path in broken:
            path.write_bytes(bytes(random.Random(1).randbytes(path.stat().st_size or 100)))
    else:
        for path in files:
            if path.name != "chroma.sqlite3":
                path.unlink()
    again = reopened(folder, corpus.knowledge)
    again.reconcile_all()
    assert again.vectors.count(corpus.kb, MODEL) == len(texts)
    after = again.vectors.query(corpus.kb, MODEL, probe, 3)
    assert after[0][0] == before[0][0]
    assert after[0][1] == pytest.approx(1.0, abs=1e-5)
    again.close()


def test_a_check_that_hangs_is_given_up(
    corpus: Corpus,
    stores: Stores,
    folder: DataFolder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus.put("a", ["one"])
    stores.projector.catch_up(corpus.kb)
    stores.projector.vectors._disconnect()
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    again = Projector(
        corpus.knowledge.db,
        corpus.knowledge,
        VectorIndex(folder.chroma, check_timeout_s=0.2),
        KeywordIndex(folder.tantivy),
    )
    again.open()
    again.reconcile_all()
    assert again.vectors.count(corpus.kb, MODEL) == 1
    again.close()


def test_the_check_runs_under_a_limit_on_file_size(tmp_path: Path) -> None:
    source = str(guard.__file__)
    outcome = subprocess.run(
        [sys.executable, "-P", source, str(tmp_path / "chroma"), "1000"],
        check=False,
        stderr=subprocess.DEVNULL,
    )
    assert outcome.returncode != 0


def test_a_disk_that_is_full_is_reported_by_the_keyword_index(tmp_path: Path) -> None:
    # The kernel refuses to let files grow; nothing is half applied, and the next try succeeds.
    script = """
import json, resource, signal, sys
from pathlib import Path
from storage.errors import StorageFull
from storage.projections import KeywordIndex
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
index = KeywordIndex(Path(sys.argv[1]))
index.apply("kb", [], [("a", "v1", "apple")])
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
try:
    index.apply("kb", ["v1"], [(f"c{i}", "v2", f"word{i} " * 50) for i in range(2000)])
    outcome = "applied"
except StorageFull as full:
    outcome = full.code
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
before = index.query("kb", "apple", 5)
index.apply("kb", ["v1"], [("b", "v2", "banana")])
print(json.dumps([outcome, len(before), len(index.query("kb", "apple", 5)),
                  [id for id, _ in index.query("kb", "banana", 5)]]))
"""
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert json.loads(outcome.stdout) == ["storage_full", 1, 0, ["b"]]


def test_a_cursor_does_not_move_past_what_could_not_be_applied(
    corpus: Corpus, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.put("a", ["one"])

    def full(*_: object) -> None:
        raise StorageFull("disk")

    with monkeypatch.context() as patch:
        patch.setattr(stores.projector.keywords, "apply", full)
        with pytest.raises(StorageFull):
            stores.projector.catch_up(corpus.kb)
    assert stores.projector.behind(corpus.kb)
    stores.projector.catch_up(corpus.kb)
    assert held(corpus, stores) == ({"one"},) * 2


def test_reconciling_reports_progress(corpus: Corpus, stores: Stores) -> None:
    Corpus(corpus.knowledge, name="second")
    seen: list[tuple[int, int]] = []
    stores.projector.reconcile_all(lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_chroma_server_serves_instead_of_a_folder(
    corpus: Corpus, chroma_server: str, folder: DataFolder, tmp_path: Path
) -> None:
    projector = Projector(
        corpus.knowledge.db,
        corpus.knowledge,
        VectorIndex(tmp_path / "unused", url=chroma_server),
        KeywordIndex(folder.tantivy),
    )
    projector.open()
    corpus.put("a", ["red apple", "green pear"])
    projector.reconcile_all()
    [(best, score), _] = projector.vectors.query(corpus.kb, MODEL, embed("red apple"), 2)
    assert corpus.knowledge.chunk(best).content == "red apple"
    assert score == pytest.approx(1.0, abs=1e-5)
    projector.drop(corpus.kb)
    assert projector.vectors.bases() == set()
    projector.close()
    assert not (tmp_path / "unused").exists()


def test_model_names_of_any_kind_name_a_collection() -> None:
    assert collection_name("kb_1", "openai/text-embedding-3 ü").startswith("kb_1.")


def reopened(folder: DataFolder, knowledge: KnowledgeRepository) -> Projector:
    projector = Projector(
        knowledge.db, knowledge, VectorIndex(folder.chroma), KeywordIndex(folder.tantivy)
    )
    projector.open()
    return projector


def held(corpus: Corpus, stores: Stores) -> tuple[set[str], set[str]]:
    """Texts in the vector index, and in the keyword index."""
    vectors = stores.projector.vectors.query(corpus.kb, MODEL, embed("anything"), 10_000)
    keywords = stores.projector.keywords
    words = {
        hit
        for text in set(corpus.texts(vectors))
        for hit in keywords.query(corpus.kb, text, 10_000)
    }
    assert keywords.count(corpus.kb) == len({id for id, _ in words})
    return set(corpus.texts(vectors)), set(corpus.texts(sorted(words)))


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype("f4")


def test_a_busy_machine_is_given_fewer_chunks_at_once() -> None:
    """Nothing else of the server runs while Chroma takes them."""
    sizes = [64]
    for took in (0.04, 0.15, 0.1, 0.2, 0.05, 0.01, 0.01, 0.01):
        sizes.append(next_size(sizes[-1], took))
    assert sizes == [64, 64, 32, 16, 16, 16, 32, 64, 64]
