"""Run every measurement, one process each, and print what they print: `make bench`."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import date

import psutil

#: Name of the module -> what it measures.
ALL = {
    "startup": "time to /health and to the first page, memory when idle",
    "engine_overhead": "cost per no-op node beside a bare asyncio loop and peers",
    "search": "a hybrid query at 5,000 chunks beside embedding plus a bare Chroma query",
    "documents": "words, table cells and a book as they are read, beside other tools",
    "ingest": "ingestion throughput beside the embedder alone",
    "kills": "a 200-file ingest under 50 kills at random instants, beside an undisturbed one",
    "bulk": "many mixed files: files and chunks a second, memory, answers meanwhile",
    "reopen": "a knowledge base of 100,000 chunks after a kill, and rebuilds of its indexes",
    "canvas": "500 nodes and 800 edges: loading, dragging, statuses, edits",
    "running": "running again after a change, a map of 1,000 items, 200 runs at once",
    "live": "from the engine's event to the badge, with ten viewers",
    "answers": "answers quoted, left open and made up, over questions with and without an answer",
    "followups": "follow-up questions completed with the topic of the question before",
    "doc_qa": "questions over real documents: hit@5 and answers that hold the expected string",
}


def main() -> int:
    """Run those named on the command line, or all; returns the number that failed."""
    names = sys.argv[1:] or list(ALL)
    print(
        f"{date.today()} · {psutil.cpu_count()} cores · "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB · Python {platform.python_version()}"
    )
    failed = 0
    for name in names:
        print(f"\n== {name}: {ALL[name]}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
