"""A content-addressed folder: a file's name is the SHA-256 of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.errors import NotFound, TooLarge, full_disk_as_error

_PIECE = 1 << 20
_SHA = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = "tmp"


class Blobs:
    """Files under `root/ab/cdef…`. What a put returned survives a crash and is never half there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; returns their SHA-256."""
        return self.put_stream([data])[0]

    def put_file(self, path: Path) -> str:
        """Store a copy of a file; returns its SHA-256."""
        with path.open("rb") as source:
            return self.put_stream(_pieces(source))[0]

    def put_stream(self, chunks: Iterable[bytes], limit: int | None = None) -> tuple[str, int]:
        """Store a stream; returns its SHA-256 and size.

        Raises TooLarge when it goes past `limit` bytes, StorageFull when the disk is full; either
        way nothing stays behind.
        """
        with self.writer(limit) as write:
            for chunk in chunks:
                write.add(chunk)
        return write.sha, write.size

    @contextmanager
    def writer(self, limit: int | None = None) -> Iterator[BlobWriter]:
        """A blob written piece by piece; stored under its hash when the block ends well."""
        with full_disk_as_error(self.root):
            temporary = self.root / _TEMPORARY
            temporary.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=temporary)
            try:
                with os.fdopen(handle, "wb") as file:
                    writer = BlobWriter(file, limit)
                    yield writer
                    file.flush()
                    os.fsync(file.fileno())
                self._keep(Path(name), writer.sha)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
                raise

    def path(self, sha: str) -> Path:
        """Path of a blob; raises NotFound."""
        path = self._where(sha)
        if not path.is_file():
            raise NotFound("file", sha)
        return path

    def read(self, sha: str) -> bytes:
        """Content of a blob; raises NotFound."""
        return self.path(sha).read_bytes()

    def exists(self, sha: str) -> bool:
        """Whether the blob is there."""
        return self._where(sha).is_file()

    def delete(self, sha: str) -> None:
        """Remove a blob; nothing happens when it is not there."""
        self._where(sha).unlink(missing_ok=True)

    def size_total(self) -> int:
        """Bytes in all blobs."""
        return sum(path.stat().st_size for path in self._all())

    def sweep(
        self, keep: Callable[[Collection[str]], Collection[str]], *, older_than_s: float
    ) -> int:
        """Remove blobs that `keep(shas)` does not return; returns the bytes freed.

        Blobs younger than `older_than_s` stay: their owner may be about to be written.
        """
        horizon = time.time() - older_than_s
        old = {
            path.parent.name + path.name: path
            for path in self._all()
            if path.stat().st_mtime <= horizon
        }
        kept = set(keep(old.keys()))
        freed = 0
        for sha, path in old.items():
            if sha not in kept:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        for stale in (self.root / _TEMPORARY).glob("*"):
            if stale.stat().st_mtime <= horizon:
                stale.unlink(missing_ok=True)
        return freed

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _where(self, sha: str) -> Path:
        # Names come from requests too: anything but a hash could leave the folder.
        if not _SHA.fullmatch(sha):
            raise NotFound("file", sha)
        return self.root / sha[:2] / sha[2:]

    def _all(self) -> Iterator[Path]:
        return (path for path in self.root.glob("??/*") if path.is_file())

    def _keep(self, temporary: Path, sha: str) -> None:
        target = self._where(sha)
        if target.is_file():
            # The same content again: as fresh as if written now, so that `sweep` spares it.
            os.utime(target)
            temporary.unlink()
            return
        target.parent.mkdir(exist_ok=True)
        temporary.chmod(0o600)
        temporary.replace(target)
        _sync_folder(target.parent)
        _sync_folder(self.root)


class BlobWriter:
    """Collects the pieces of one blob; `sha` and `size` describe what came so far."""

    def __init__(self, file: BinaryIO, limit: int | None) -> None:
        self._file = file
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha(self) -> str:
        """SHA-256 of the pieces."""
        return self._hash.hexdigest()

    def add(self, piece: bytes) -> None:
        """Append a piece; raises TooLarge past the limit."""
        self.size += len(piece)
        if self._limit is not None and self.size > self._limit:
            raise TooLarge(self._limit)
        self._hash.update(piece)
        self._file.write(piece)


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
