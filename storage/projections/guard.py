"""Open a Chroma folder in a process of its own, to see whether it can be trusted.

A folder whose index file was destroyed in a crash can hang the process that counts it, crash the
one that opens it, or fill the disk. So after an unclean shutdown a child process with limits on
time and file size goes first. Run as a script, this file is that child; it imports only Chroma.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

_MIB = 1 << 20
#: Files may grow while a write-ahead log is applied, but not without bound.
_FILE_LIMIT_AT_LEAST = 512 * _MIB
_FILE_LIMIT_FACTOR = 3
#: Bytes of index that can be read in a second even on a slow disk.
_BYTES_PER_S = 20 * _MIB


def is_sound(folder: Path, timeout_s: float) -> bool:
    """Whether a child process could open, count and query every collection in time."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    file_limit = max(_FILE_LIMIT_AT_LEAST, _FILE_LIMIT_FACTOR * max(sizes, default=0))
    command = [sys.executable, "-P", __file__, str(folder), str(file_limit)]
    try:
        outcome = subprocess.run(  # noqa: S603  (this file, under this interpreter)
            command,
            check=False,
            timeout=timeout_s + sum(sizes) / _BYTES_PER_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
        )
    except subprocess.TimeoutExpired:
        return False
    return outcome.returncode == 0


def _check(folder: str, file_limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    for listed in client.list_collections():
        collection = client.get_collection(listed.name, embedding_function=None)
        count = collection.count()
        if not count:
            continue
        probe = collection.get(limit=1, include=["embeddings"])["embeddings"]
        if probe is None or not len(probe):
            raise RuntimeError(f"{listed.name} counts {count} but returns none")
        found = collection.query(query_embeddings=probe, n_results=1, include=["distances"])
        if not found["ids"][0]:
            raise RuntimeError(f"{listed.name} finds none of its {count}")
    client.close()


if __name__ == "__main__":
    _check(sys.argv[1], int(sys.argv[2]))
