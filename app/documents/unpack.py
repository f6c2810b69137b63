"""Zip archives of documents, unpacked into a folder within bounds, archives inside them too."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import Field

from app.documents.archive import MAX_RATIO, SMALL_MEMBER
from app.documents.errors import DocumentError
from app.documents.model import Frozen
from app.documents.text import one_line

#: Bytes of a zip's directory that one member may take; more is refused before it is read.
_DIRECTORY_BYTES = 512
_PART = 1 << 18
#: Ways of packing whose memory is small whatever the file says (not so LZMA's).
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
#: Parts that say that a zip container is one document or program, not an archive of files.
_NO_ARCHIVE = frozenset({"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"})
#: What systems leave in archives.
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_BAD = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)
_LONGEST_NAME = 180


class UnpackLimits(Frozen):
    """How far unpacking may go."""

    max_members: int = Field(10_000, ge=1, description="Most files, those of inner zips included.")
    max_bytes: int = Field(4 * 2**30, ge=1, description="Most bytes on disk when unpacked.")
    max_ratio: float = Field(
        MAX_RATIO, gt=1, description="Unpacked to packed size of a member over 8 MB."
    )
    max_depth: int = Field(3, ge=1, description="Zips inside zips: 1 is the outermost alone.")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One file of an archive. `name` is its path inside, with "/" and without "..".

    A member of an inner zip is called "inner.zip/path". Where `error` is set nothing is at `path`.
    """

    name: str
    path: Path
    size: int
    error: DocumentError | None = None


def is_archive(path: Path) -> bool:
    """Whether a file is a zip of files, rather than a document that is stored as a zip.

    False too for a zip that is damaged: reading it as a document says so.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
                return False
        with _Archive(path, UnpackLimits().max_members) as opened:
            return not any(name in _NO_ARCHIVE for name in opened.namelist())
    except DocumentError:
        return True  # too many files: unpacking refuses it with a reason
    except _BAD:
        return False


def unpack(path: Path, into: Path, limits: UnpackLimits | None = None) -> list[Unpacked]:
    """Write the files of the zip at `path` into the folder `into`; return them in its order.

    Folders, links, dot files and what systems leave behind are passed over. A member that cannot be
    read (encrypted, damaged, packed like a bomb, nested too deeply) is returned with its `error`;
    the others are not held up. When a bound on the whole is passed, nothing stays in `into`.

    Raises:
        DocumentError: damaged, empty (no files inside), unsafe or too_large for the whole.
        OSError: `into` cannot be written.
    """
    work = _Unpacking(into, limits or UnpackLimits())
    try:
        work.archive(path, "", 1)
        if not work.found:
            raise DocumentError(
                "empty", "The archive holds no files.", "Upload an archive with documents in it."
            )
    except BaseException:
        work.forget()
        raise
    return work.found


class _BoundedFile(io.FileIO):
    """A file of which no more than `most` bytes can be read at once: zipfile reads a directory so."""

    def __init__(self, path: Path, max_members: int) -> None:
        super().__init__(path, "rb")
        self._members = max_members
        self._most = max(max_members * _DIRECTORY_BYTES, 4 * _PART)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes."""
        if size is not None and size > self._most:
            raise _too_many(self._members)
        return super().read(self._most if size is None or size < 0 else size) or b""


class _Archive(zipfile.ZipFile):
    """A zip whose directory is bounded before it is read."""

    def __init__(self, path: Path, max_members: int) -> None:
        self._source = _BoundedFile(path, max_members)
        try:
            super().__init__(self._source)
        except BaseException:
            self._source.close()
            raise

    def close(self) -> None:
        super().close()
        self._source.close()


@dataclass(slots=True)
class _Unpacking:
    """What was written so far, against the bounds."""

    into: Path
    limits: UnpackLimits
    found: list[Unpacked] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    files: int = 0
    members: int = 0
    room: int = field(init=False)

    def __post_init__(self) -> None:
        self.room = self.limits.max_bytes

    def forget(self) -> None:
        """Remove everything written."""
        for number in range(1, self.files + 1):
            self._target(number).unlink(missing_ok=True)

    def _target(self, number: int) -> Path:
        return self.into / f"{number:06d}"

    def archive(self, path: Path, prefix: str, depth: int) -> None:
        """Unpack one zip whose members are called `prefix` + their path."""
        try:
            opened = _Archive(path, self.limits.max_members)
        except _BAD as error:
            raise DocumentError(
                "damaged",
                "The zip archive is cut off or damaged: its directory cannot be read.",
                "Pack the files anew and upload that.",
            ) from error
        with opened:
            infos = opened.infolist()
            self.members += len(infos)
            if self.members > self.limits.max_members:
                raise _too_many(self.limits.max_members)
            for info in infos:
                name = _safe_name(info)
                if name is not None:
                    self._member(opened, info, self._unique(prefix + name), depth)

    def _member(
        self, opened: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, depth: int
    ) -> None:
        self.files += 1
        target = self._target(self.files)
        error = self._refusal(info)
        size = 0
        if error is None:
            # Sizes of the directory are kept to: zipfile gives no byte beyond them.
            self.room -= info.file_size
            if self.room < 0:
                raise DocumentError(
                    "too_large",
                    f"The archive unpacks to more than {_megabytes(self.limits.max_bytes)}.",
                    "Split it into several archives, or raise the limit on unpacked size.",
                )
            error = _write(opened, info, target)
            size = info.file_size
        if error is None and is_archive(target):
            error = self._inner(target, name, depth)
            if error is None:
                return
        if error is not None:
            target.unlink(missing_ok=True)
        self.found.append(Unpacked(name, target, size, error))

    def _inner(self, path: Path, name: str, depth: int) -> DocumentError | None:
        """Unpack a zip that was in a zip; return why it cannot be."""
        if depth >= self.limits.max_depth:
            return DocumentError(
                "unsafe",
                f"The archive lies in more than {self.limits.max_depth - 1} other archives.",
                "Unpack it and upload what is inside.",
            )
        try:
            self.archive(path, f"{name}/", depth + 1)
        except DocumentError as error:
            if error.code == "damaged":
                return error
            raise  # a bound on the whole
        path.unlink(missing_ok=True)
        return None

    def _refusal(self, info: zipfile.ZipInfo) -> DocumentError | None:
        if info.flag_bits & 0x1:
            return DocumentError(
                # Not “encrypted”, which asks for a password: none would help.
                "unsupported_encryption",
                "The file is encrypted inside its archive.",
                "Unpack the archive with its password and upload the files.",
            )
        if info.compress_type not in _METHODS:
            return DocumentError(
                "unsupported_type",
                "The file is packed in a way that is not read here.",
                "Pack the files as an ordinary zip (“deflate”) and upload that.",
            )
        ratio = info.file_size / max(1, info.compress_size)
        if info.file_size > SMALL_MEMBER and ratio > self.limits.max_ratio:
            return DocumentError(
                "unsafe",
                f"The file unpacks to {ratio:,.0f} times its size "
                f"({_megabytes(info.file_size)}): this is how zip bombs look.",
                "Check where it comes from; if it is sound, unpack it and upload it by itself.",
            )
        return None

    def _unique(self, name: str) -> str:
        path, number, unique = PurePosixPath(name), 1, name
        while unique in self.names:
            number += 1
            unique = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        self.names.add(unique)
        return unique


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> DocumentError | None:
    """Write one member; return why it cannot be read. What cannot be written raises."""
    with target.open("wb") as out:
        try:
            source = opened.open(info)
        except (*_BAD, RuntimeError):
            return _damaged_member()
        with source:
            while True:
                try:
                    part = source.read(_PART)
                except _BAD:
                    return _damaged_member()
                if not part:
                    return None
                out.write(part)


def _safe_name(info: zipfile.ZipInfo) -> str | None:
    """Return a member's path without what leads out of a folder; None: it is passed over."""
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        return None
    name = info.filename
    if not info.flag_bits & 0x800:  # zipfile took it for code page 437; most programs write UTF-8
        try:
            name = name.encode("cp437").decode("utf-8")
        except ValueError:
            name = info.filename
    parts = []
    for raw in name.replace("\\", "/").split("/"):
        part = one_line(raw).rstrip(". ").replace(":", "_")
        if part:
            parts.append(part)
    if not parts or any(p.startswith(".") or p.lower() in _LITTER for p in parts):
        return None
    return "/".join(p if len(p) <= _LONGEST_NAME else p[-_LONGEST_NAME:] for p in parts[-20:])


def _damaged_member() -> DocumentError:
    return DocumentError(
        "damaged",
        "The file is damaged inside its archive.",
        "Pack the files anew and upload that.",
    )


def _too_many(most: int) -> DocumentError:
    return DocumentError(
        "unsafe",
        f"The archive holds more than {most:,} files.",
        "Split it into several archives.",
    )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
