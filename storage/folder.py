"""The data folder: where everything lies, and the lock that keeps it to one process."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from storage.blobs import Blobs
from storage.errors import DataFolderInUse, full_disk_as_error


@dataclass(frozen=True)
class Holder:
    """The process that owns a data folder, as far as it told."""

    pid: int | None
    url: str | None


class DataFolder:
    """Paths inside a data folder; `lock` makes this process its owner."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        self._lock: int | None = None

    def create(self) -> None:
        """Make the folder, readable by its owner alone."""
        with full_disk_as_error(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def db_path(self) -> Path:
        """The SQLite file."""
        return self.path / "ragloom.db"

    @property
    def db_url(self) -> str:
        """SQLAlchemy URL of the SQLite file."""
        return f"sqlite:///{self.db_path}"

    @property
    def chroma(self) -> Path:
        """Folder of the vector projection."""
        return self.path / "chroma"

    @property
    def tantivy(self) -> Path:
        """Folder of the keyword projection."""
        return self.path / "tantivy"

    @cached_property
    def blobs(self) -> Blobs:
        """Original files."""
        return Blobs(self.path / "blobs")

    @cached_property
    def payloads(self) -> Blobs:
        """Large inputs and outputs of steps; apart from originals, because these expire."""
        return Blobs(self.path / "payloads")

    def lock(self, *, url: str | None = None) -> None:
        """Become the owner until `release`, or until this process ends, however it ends.

        Raises DataFolderInUse with what the owner wrote about itself.
        """
        self.create()
        with full_disk_as_error(self.path):
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read(handle)
            os.close(handle)
            raise DataFolderInUse(self.path, holder.pid, holder.url) from error
        self._lock = handle
        # A forked worker must not keep the folder locked after its parent was killed.
        os.register_at_fork(after_in_child=self._forget)
        self.set_url(url)

    def set_url(self, url: str | None) -> None:
        """Tell other processes where this one can be reached."""
        if self._lock is None:
            raise RuntimeError("set_url needs the lock")
        record = json.dumps({"pid": os.getpid(), "url": url}).encode()
        with full_disk_as_error(self.path):
            os.pwrite(self._lock, record, 0)
            os.ftruncate(self._lock, len(record))

    def holder(self) -> Holder | None:
        """The owner of the folder, or None when nobody has it."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(handle)
        else:
            return None
        finally:
            os.close(handle)

    def release(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            self._forget()

    def _forget(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _read(handle: int) -> Holder:
    try:
        record = json.loads(os.pread(handle, 4096, 0))
        return Holder(pid=record["pid"], url=record["url"])
    except (ValueError, KeyError, TypeError):
        # The owner is between taking the lock and writing its name.
        return Holder(pid=None, url=None)
