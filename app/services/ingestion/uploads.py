"""Files on their way in: names made safe, bytes into the blob folder, limits kept."""

from __future__ import annotations

import asyncio
import re
import tempfile
import unicodedata
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.engine.problems import RagloomError
from app.services.threads import call, call_waiting
from storage.blobs import Blobs
from storage.errors import TooLarge, full_disk_as_error

if TYPE_CHECKING:
    from app.documents.errors import DocumentError

_PIECE = 1 << 20
_MAX_NAME_BYTES = 255
#: Files written side by side.
_TOGETHER = 8
_DRIVE = re.compile(r"^[A-Za-z]:")


class _Unreadable(Exception):
    """The file that comes in cannot be read, which is not the fault of where it goes to."""


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


#: What pages write between folders in the name of a dropped file, where a slash would not arrive.
_FOLDER = "\ue02f"


def safe_filename(name: str) -> str:
    """A name that is safe to show and to save: no parent folders, control or direction marks.

    Folders inside the name are kept, so that two files called README.md can live side by side.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").replace(_FOLDER, "/")
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


async def store_all(
    files: Sequence[IncomingFile], blobs: Blobs, limits: UploadLimits, *, unpack: bool = True
) -> list[StoredFile]:
    """Put files into the blob folder, in their order; members of archives in place of those.

    Raises StorageFull, StorageReadOnly.
    """
    stored: list[StoredFile] = []
    # Most of the time of a small file is waiting for the disk: some wait together.
    for at in range(0, len(files), _TOGETHER):
        group = files[at : at + _TOGETHER]
        for found in await asyncio.gather(*(_opened(f, blobs, limits, unpack) for f in group)):
            stored += found
    return stored


async def _opened(
    file: IncomingFile, blobs: Blobs, limits: UploadLimits, unpack: bool
) -> list[StoredFile]:
    stored = await store(file, blobs, limits)
    if not unpack or stored.error or not await call(_is_archive, blobs.path(stored.blob)):
        return [stored]
    folder = blobs.root.parent / "uploads"
    await call(folder.mkdir, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=folder) as into:
        return await _members(stored, blobs, limits, Path(into))


async def _members(
    archive: StoredFile, blobs: Blobs, limits: UploadLimits, into: Path
) -> list[StoredFile]:
    from app.documents.errors import DocumentError
    from app.documents.unpack import UnpackLimits, unpack

    room = max(1, limits.request_bytes - limits.used)
    bounds = UnpackLimits(max_members=limits.files, max_bytes=room)
    try:
        with full_disk_as_error(into):
            members = await call(unpack, blobs.path(archive.blob), into, bounds)
    except DocumentError as error:
        archive.blob, archive.error = "", _as_data(error)
        return [archive]
    found = []
    for member in members:
        name = f"{archive.filename}/{member.name}"
        if member.error is not None:
            refused = StoredFile(safe_filename(name), error=_as_data(member.error))
            found.append(refused)
        else:
            found.append(await store(IncomingFile(name, path=member.path), blobs, limits))
            await call(member.path.unlink)
    return found


def _is_archive(path: Path) -> bool:
    from app.documents.unpack import is_archive

    return is_archive(path)


def _as_data(error: DocumentError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "fix": error.fix}


async def store(file: IncomingFile, blobs: Blobs, limits: UploadLimits) -> StoredFile:
    """Put one file into the blob folder; a refusal is a result, a full disk an error.

    Raises StorageFull.
    """
    stored = StoredFile(safe_filename(file.filename), file.media_type)
    room = limits.request_bytes - limits.used
    limit = min(limits.file_bytes, room)
    try:
        keep = call if file.chunks is None else call_waiting
        stored.blob, stored.size = await keep(
            blobs.put_stream, _pieces(file, asyncio.get_running_loop()), limit
        )
    except TooLarge:
        stored.error = _too_large(limits) if limit < room else _upload_too_large(limits)
    except _Unreadable as error:
        stored.error = {
            "code": "unreadable",
            "message": f"{stored.filename} cannot be read: {error}.",
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
        try:
            with file.path.open("rb") as source:
                while piece := source.read(_PIECE):
                    yield piece
        except OSError as error:
            raise _Unreadable(error.strerror or str(error)) from error
    elif file.chunks is not None:
        stream = aiter(file.chunks)

        async def following() -> bytes | None:
            try:
                return await anext(stream, None)
            except OSError as error:
                raise _Unreadable(error.strerror or str(error)) from error

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
