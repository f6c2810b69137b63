"""Kills at random instants end as if nothing had happened, and repeat nothing that was done."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.crash.kills import kill_while_ingesting

FILES = 16


@pytest.mark.slow
@pytest.mark.timeout(800)
def test_a_killed_ingest_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    calm, wild, again, done = kill_while_ingesting(
        tmp_path, files=FILES, kills=3, dice=random.Random(seed)
    )
    assert any(0 < count < FILES for count in done)
    assert calm.statuses == {"success": FILES}
    assert calm.counts["commit"] == FILES + 1
    assert calm.counts["chunk"] > 2 * FILES
    assert wild.counts == calm.counts
    assert wild.digests == calm.digests
    assert again == []
