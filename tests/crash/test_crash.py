"""The process is really killed, again and again; nothing that was acknowledged may be lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from storage.folder import DataFolder
from storage.jobs import MAX_ATTEMPTS, JobRepository
from storage.knowledge import KnowledgeRepository

ROOT = Path(__file__).parents[2]
FILES = 30
KILLS = 3


def start(data: Path, acknowledged: Path, count: int = FILES) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.child", str(data), str(acknowledged), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if not said:
        assert process.stderr is not None
        pytest.fail(f"the process ended without a word: {process.stderr.read()}")
    return said


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    state: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return state


@pytest.mark.slow
@pytest.mark.timeout(300)
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
        assert line(process) == "open"
        time.sleep(dice.uniform(0, 1.5))
        process.kill()
        process.communicate()
    acknowledged = set(ledger.read_text().split()) if ledger.exists() else set()
    # Nothing more is handed in: what was acknowledged must be there all the same.
    after = finish(start(data, ledger, count=0))
    assert acknowledged <= {name for name, _ in after["documents"]}
    assert {name: expected["chunks"][name] for name in after["chunks"]} == after["chunks"]
    assert finish(start(data, ledger)) == expected


@pytest.mark.slow
def test_a_second_process_is_told_who_owns_the_data_folder(tmp_path: Path) -> None:
    first = start(tmp_path / "data", tmp_path / "first.txt", count=0)
    try:
        assert line(first) == "open"
        second = start(tmp_path / "data", tmp_path / "second.txt", count=0)
        said, err = second.communicate(timeout=60)
        if first.poll() is None:
            assert second.returncode == 3, err
            assert f"in use by process {first.pid}" in said
            assert "--data" in said
            assert "Traceback" not in err
    finally:
        first.kill()
        first.communicate()


@pytest.mark.slow
@pytest.mark.timeout(200)
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
