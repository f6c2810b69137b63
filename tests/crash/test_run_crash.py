"""The server is really killed in the middle of runs; each goes on where it was."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash import run_child
from tests.crash.lives import Life


def counted(data: Path) -> Counter[str]:
    ledger = data / "counts"
    return Counter(ledger.read_text().split()) if ledger.exists() else Counter()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_kill_in_the_middle_costs_only_the_steps_under_way(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    killed = Life(run_child.main, data, "begin")
    reached = {f"{who}:c" for who in ("api", "page", "row0", "row1")}
    deadline = time.monotonic() + 180
    while not (data / "ids.json").exists() or not reached <= counted(data).keys():
        assert time.monotonic() < deadline
        if not killed.alive:
            pytest.fail(killed.errors())
        time.sleep(0.02)
    killed.kill()
    outcome = json.loads(Life(run_child.main, data, "end").end())
    assert outcome["page_was"] == "interrupted"
    assert outcome["statuses"] == dict.fromkeys(("api", "page", "ask"), "completed")
    assert outcome["outputs"]["api"] == outcome["outputs"]["page"] == {"all": {"text": "abcde"}}
    assert outcome["outputs"]["ask"] == {"yes": {"value": True}}
    assert (outcome["batch"], outcome["rows"]) == ("completed", ["completed"] * 4)
    counts = counted(data)
    # Only the third step of each was under way: it ran twice, every other one once.
    for who in ("api", "page", "row0", "row1"):
        assert {s: counts[f"{who}:{s}"] for s in "abcde"} == {
            "a": 1,
            "b": 1,
            "c": 2,
            "d": 1,
            "e": 1,
        }
    for who in ("row2", "row3"):
        assert {s: counts[f"{who}:{s}"] for s in "abcde"} == dict.fromkeys("abcde", 1)
    assert counts["ask:a"] == 1
