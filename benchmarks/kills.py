"""A 200-file ingest under 50 kills at random instants, beside an undisturbed one."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.kills import kill_while_ingesting

FILES = int(os.environ.get("KILLS_FILES", "200"))
KILLS = int(os.environ.get("KILLS", "50"))


def main() -> int:
    """Measure in a folder that is removed afterwards; 1 when the ends differ."""
    seed = int(os.environ.get("KILLS_SEED", time.time_ns()))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        calm, wild, again, done = kill_while_ingesting(
            Path(folder), files=FILES, kills=KILLS, dice=random.Random(seed)
        )
    hits = sum(count < FILES for count in done)
    same = [name for name in calm.digests if calm.digests[name] == wild.digests[name]]
    differ = [name for name in calm.digests if name not in same]
    print(
        f"{FILES} files, {calm.counts['chunk']} chunks · {KILLS} kills, {hits} of them before the "
        f"end · {time.perf_counter() - started:.0f} s · seed {seed}"
    )
    print(f"byte for byte the same: {', '.join(same) or 'nothing'}")
    print(f"different: {', '.join(differ) or 'nothing'} · statuses {dict(wild.statuses)}")
    print(f"parses and embeds of what was committed already: {len(again)}")
    return int(bool(differ or again))


if __name__ == "__main__":
    sys.exit(main())
