"""Files on their way in: names made safe, bytes into the blob folder, limits kept."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.engine.problems import RagloomError
from app.services.threads import call
from storage.blobs import Blobs
from storage.errors import TooLarge

_PIECE = 1 << 20
_MAX_NAME_BYTES = 255
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(slots=True)
class IncomingFile:
    """A file as somebody hands it in: its bytes, a path on this machine, or a stream."""

    filename: str
    data: bytes | None = None
    path: Path | None = None
    chunks: AsyncIterable[bytes] | None = None
    media_type: str = ""


@dataclass(slots=True)
class StoredFile:
    """What became of an incoming file: a blob, or the reason why not."""

    filename: str
    media_type: str = ""
    blob: str = ""
    size: int = 0
    #: {"code", "message", "fix"} where it was refused.
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class UploadLimits:
    """Bytes a file and an upload may have, and how many files."""

    file_bytes: int
    request_bytes: int
    files: int
    used: int = field(default=0, init=False)

    def check_count(self, count: int) -> None:
        """Raise RagloomError “too_many_files” or “no_files”."""
        if count == 0:
            raise RagloomError(
                "The upload holds no files.",
                code="no_files",
                fix="Send at least one file in the field “files”.",
            )
        if count > self.files:
            raise RagloomError(
                f"The upload holds {count:,} files; at most {self.files:,} are accepted at once.",
                code="too_many_files",
                fix="Send them in several uploads, or raise max_files.",
            )


def safe_filename(name: str) -> str:
    """A name that is safe to show and to save: no parent folders, control or direction marks.

    Folders inside the name are kept, so that two files called README.md can live side by side.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    name = "".join(c for c in _DRIVE.sub("", name) if unicodedata.category(c) not in ("Cc", "Cf"))
    # Lone surrogates come from file systems with names in no known encoding.
    name = name.encode("utf-8", "replace").decode()
    parts = (part.strip() for part in name.split("/"))
    kept = [part for part in parts if part.strip(".")]
    return _shortened("/".join(kept)) or "unnamed"


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, dot, suffix = name, "", ""
    room = _MAX_NAME_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + suffix


async def store(file: IncomingFile, blobs: Blobs, limits: UploadLimits) -> StoredFile:
    """Put one file into the blob folder; a refusal is a result, a full disk an error.

    Raises StorageFull.
    """
    stored = StoredFile(safe_filename(file.filename), file.media_type)
    room = limits.request_bytes - limits.used
    limit = min(limits.file_bytes, room)
    try:
        stored.blob, stored.size = await call(
            blobs.put_stream, _pieces(file, asyncio.get_running_loop()), limit
        )
    except TooLarge:
        stored.error = _too_large(limits) if limit < room else _upload_too_large(limits)
    except OSError as error:
        stored.error = {
            "code": "unreadable",
            "message": f"{stored.filename} cannot be read: {error.strerror or error}.",
            "fix": "Check that the file exists and may be read.",
        }
    else:
        limits.used += stored.size
        if stored.size == 0:
            stored.blob = ""
            stored.error = {
                "code": "empty",
                "message": f"{stored.filename} is empty (0 bytes).",
                "fix": "Check the file at its source and upload it again.",
            }
    return stored


def _pieces(file: IncomingFile, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The bytes of a file, for a thread; a stream is read on the event loop it belongs to."""
    if file.data is not None:
        yield from _sliced(file.data)
    elif file.path is not None:
        with file.path.open("rb") as source:
            while piece := source.read(_PIECE):
                yield piece
    elif file.chunks is not None:
        stream = aiter(file.chunks)

        async def following() -> bytes | None:
            return await anext(stream, None)

        while (piece_ := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield piece_


def _sliced(data: bytes) -> Iterable[bytes]:
    return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


def _too_large(limits: UploadLimits) -> dict[str, Any]:
    return {
        "code": "too_large",
        "message": f"The file is larger than {limits.file_bytes / 1_048_576:.4g} MB.",
        "fix": "Split the file, or raise max_upload_mb.",
    }


def _upload_too_large(limits: UploadLimits) -> dict[str, Any]:
    return {
        "code": "too_large",
        "message": f"The files together are larger than {limits.request_bytes / 1_048_576:.4g} MB.",
        "fix": "Send them in several uploads, or raise max_request_mb.",
    }
