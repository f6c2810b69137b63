"""What can go wrong in storage: each error says what happened (`message`) and what to do (`fix`)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class StorageError(Exception):
    """Base of all errors of this package."""

    code = "storage"

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class NotFound(StorageError):
    """Nothing of that kind has that id."""

    code = "not_found"

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(
            f"There is no {kind} '{id}'.", f"List what there is and use the id of a {kind}."
        )
        self.kind = kind
        self.id = id


class Conflict(StorageError):
    """Somebody else was first; `current` is the state they left."""

    code = "conflict"

    def __init__(
        self,
        message: str,
        current: Any = None,
        fix: str = "Load the current state, apply your change to it and save again.",
    ) -> None:
        super().__init__(message, fix)
        self.current = current


class DataFolderInUse(StorageError):
    """Another process owns the data folder."""

    code = "data_folder_in_use"

    def __init__(self, path: Path, pid: int | None, url: str | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        where = f" at {url}" if url else ""
        super().__init__(
            f"The data folder {path} is in use by {holder}{where}.",
            "Use that server, stop it, or choose another folder with --data.",
        )
        self.path = path
        self.pid = pid
        self.url = url


class StorageFull(StorageError):
    """The disk (or a quota) has no room left; what was being written is undone."""

    code = "storage_full"

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"There is no space left to write to {path}; nothing was changed.",
            "Free some space on that disk, or move the data folder to a larger one, and try again.",
        )
        self.path = str(path)


class StorageReadOnly(StorageError):
    """The data folder (or the database) takes no writes; what was being written is undone."""

    code = "storage_read_only"

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"{path} cannot be written to: it is read-only for this server; nothing was changed.",
            "Let the server's user write to the data folder, or mount its disk for writing.",
        )
        self.path = str(path)


class TaskGone(StorageError):
    """A task was cancelled or paused while it was being processed; nothing is committed."""

    code = "cancelled"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"The task '{task_id}' does not run any more.", "Try the file again.")
        self.task_id = task_id


class TooLarge(StorageError):
    """A stream went past the limit given for it."""

    code = "too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The file is larger than the limit of {limit / 1_048_576:.4g} MiB.",
            "Split the file, or raise max_upload_mb.",
        )
        self.limit = limit


class ModelsMoved(Conflict):
    """A branch is embedded by other models since something was embedded for it."""

    def __init__(self, branch: str) -> None:
        super().__init__(
            f"The branch “{branch}” is embedded by other models by now.",
            fix="Embed it by those, and try again.",
        )


class VectorsMissing(StorageError):
    """Chunks came without vectors that were there a moment ago; embed those texts and try again."""

    code = "vectors_missing"

    def __init__(self, model: str, text_hashes: list[str]) -> None:
        super().__init__(
            f"{len(text_hashes)} texts have no vector of the model '{model}'.",
            "Process the document again.",
        )
        self.text_hashes = text_hashes


#: What to do where a knowledge base and an embedding model do not fit.
REEMBED = (
    "Embed the documents anew on a branch: POST /api/v1/knowledge_bases/{id}/reembed with "
    '{"embedding_model": "…", "branch": "…"}. Nothing is parsed again, and the branch can be '
    "searched beside this one."
)


class ModelMismatch(StorageError):
    """A model gives vectors that do not fit those stored under its name."""

    code = "model_mismatch"

    def __init__(self, model: str, stored: int, given: int) -> None:
        super().__init__(
            f"The embedding model “{model}” gives vectors of {given} numbers now; the documents "
            f"were embedded with {stored}.",
            f"Bring back the model that was there. Or: {REEMBED}",
        )
        self.stored = stored
        self.given = given


_FULL_SIGNS = (
    "no space left",
    "disk is full",
    "disk quota exceeded",
    "file too large",
    "os error 28)",
)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def full_disk_as_error(path: Path | str) -> Iterator[None]:
    """Turn the operating system's "no space", "quota" and "file too big" into StorageFull, and its
    "read-only" and "no permission" into StorageReadOnly."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(path) from error
        if error.errno in _READ_ONLY:
            raise StorageReadOnly(path) from error
        raise


@contextmanager
def full_index_as_error(path: Path | str) -> Iterator[None]:
    """Turn what the index engines say when the disk is full, which is text, into StorageFull."""
    with full_disk_as_error(path):
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            text = str(error).lower()
            if any(sign in text for sign in _FULL_SIGNS):
                raise StorageFull(path) from error
            raise
