"""The process is really killed, again and again; nothing that was acknowledged may be lost."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from storage.folder import DataFolder
from storage.jobs import MAX_ATTEMPTS, JobRepository
from storage.knowledge import KnowledgeRepository
from tests.crash import child
from tests.crash.lives import Life

FILES = 12
KILLS = 3


def start(data: Path, acknowledged: Path, count: int = FILES) -> Life:
    return Life(child.main, data, acknowledged, count)


def finish(process: Life) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(process.end())
    return state


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_while_ingesting_lose_and_double_nothing(tmp_path: Path) -> None:
    undisturbed = start(tmp_path / "calm", tmp_path / "calm.txt")
    expected = finish(undisturbed)
    assert [status for _, status in expected["documents"]] == ["ready"] * FILES
    assert expected["commits"] == FILES + 1
    total = sum(map(len, expected["chunks"].values()))
    assert expected["vectors"] == expected["words"] == total

    seed = time.time_ns()
    print(f"seed {seed}")
    dice = random.Random(seed)
    data, ledger = tmp_path / "wild", tmp_path / "wild.txt"
    for _ in range(KILLS):
        process = start(data, ledger)
        assert process.line() == "open"
        for _ in range(dice.randint(0, FILES // KILLS)):
            if not process.line().startswith("acknowledged"):
                break
        time.sleep(dice.uniform(0, 0.1))
        process.kill()
    acknowledged = set(ledger.read_text().split()) if ledger.exists() else set()
    # Nothing more is handed in: what was acknowledged must be there all the same.
    after = finish(start(data, ledger, count=0))
    assert acknowledged <= {name for name, _ in after["documents"]}
    assert {name: expected["chunks"][name] for name in after["chunks"]} == after["chunks"]
    assert finish(start(data, ledger)) == expected


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_embedding_anew_goes_on_by_itself_and_repeats_nothing(tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    dice = random.Random(seed)
    files, data, ledger = 8, tmp_path / "data", tmp_path / "embedded.txt"
    counts = []
    for _ in range(2):
        # In the middle: after what one document needs, before what all of them need.
        life = Life(child.embed_anew, data, ledger, files, dice.randint(2, files // 2))
        assert life.line() == "stuck"
        life.kill()
        counts.append(len(ledger.read_text().split()))
    end = json.loads(Life(child.embed_anew, data, ledger, files, 0).end())
    embedded = ledger.read_text().split()
    assert 0 < counts[0] < counts[1] < len(embedded) == len(set(embedded)) == end["main"]
    assert end == {
        "status": "completed",
        "done": files,
        "authors": ["", "ann"],
        "models": ["toy-b"],
        "found": end["main"],
        "main": end["main"],
    }


@pytest.mark.slow
def test_a_second_process_is_told_who_owns_the_data_folder(tmp_path: Path) -> None:
    first = Life(child.hold, tmp_path / "data")
    try:
        assert first.line() == "open"
        second = start(tmp_path / "data", tmp_path / "second.txt", count=0)
        said = second.end(code=3)
        assert f"in use by process {first.pid}" in said
        assert "--data" in said
        assert "Traceback" not in second.errors()
    finally:
        first.kill()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_file_that_takes_the_server_down_is_given_up(tmp_path: Path) -> None:
    """It dies over the same file again and again, until a start leaves it alone."""
    finish(start(tmp_path / "data", tmp_path / "acks.txt", count=1))
    folder = DataFolder(tmp_path / "data")
    database = Database(folder.db_url)
    jobs = JobRepository(database)
    kb = KnowledgeRepository(database).find("Crash")
    blob = folder.blobs.put_bytes(b"poison")
    jobs.create(kb.id, [{"filename": "poison.txt", "blob": blob, "size": 6, "processing": {}}])
    for _ in range(MAX_ATTEMPTS):
        assert jobs.claim() is not None  # … and the process dies here.
        jobs.recover()
    database.close()
    state = finish(start(tmp_path / "data", tmp_path / "acks.txt", count=1))
    assert ["poison.txt", "error"] in state["documents"]
    assert ["0.md", "ready"] in state["documents"]
