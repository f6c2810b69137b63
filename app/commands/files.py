"""Files named on the command line, in batches that one upload takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.engine.problems import RagloomError

_BATCH_FILES = 50
_BATCH_BYTES = 200 * 1024 * 1024

NamedFile = tuple[str, Path]


def find_files(paths: Sequence[Path]) -> list[NamedFile]:
    """Files with the names they get: those in a folder are named from that folder on.

    Hidden files and folders are left out. Raises RagloomError “no_files”.
    """
    found: list[NamedFile] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file())
            relative = ((p.relative_to(path), p) for p in inside)
            found += [
                (name.as_posix(), p)
                for name, p in relative
                if not any(part.startswith(".") for part in name.parts)
            ]
        else:
            found.append((path.name, path))
    if not found:
        raise RagloomError(
            "There are no files in what was named.", code="no_files", fix="Name files or folders."
        )
    return found


def batches(files: Sequence[NamedFile]) -> Iterator[list[NamedFile]]:
    """Groups of files, each small enough for one upload."""
    batch: list[NamedFile] = []
    size = 0
    for name, path in files:
        own = path.stat().st_size
        if batch and (len(batch) >= _BATCH_FILES or size + own > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, path))
        size += own
    if batch:
        yield batch
