"""Files of a folder on this machine, as far as the settings let them be imported."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.documents.detect import supported_extensions
from app.engine.problems import RagloomError
from app.services.threads import call

_PIECE = 1 << 20
#: Folders inside one another; deeper ones are left out.
_MAX_DEPTH = 64
_MAX_KEY = 1_000
#: Entries looked at in search of files; more are left out.
_MAX_ENTRIES = 2_000_000


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders that may be imported from, and those within them that may not."""

    allowed: tuple[Path, ...]
    #: The data folder itself: what a knowledge base holds is no source of documents.
    refused: tuple[Path, ...] = ()

    def check(self, location: str) -> Path:
        """The folder as it really is. Raises RagloomError “folder_not_allowed”, “no_folder”."""
        path = Path(location.strip()).expanduser()
        if not location.strip() or "\0" in location or not path.is_absolute():
            raise RagloomError(
                f"“{location.strip()[:200]}” is not the whole path of a folder.",
                code="no_folder",
                fix="Write it from the top, such as /home/ann/handbook.",
            )
        real = Path(os.path.realpath(path))
        # Whether something exists outside of the roots is nobody's business.
        if not any(_within(real, Path(os.path.realpath(root))) for root in self.allowed):
            listed = ", ".join(str(root) for root in self.allowed)
            raise RagloomError(
                f"Files in {path} may not be imported"
                + (f": only those in {listed} may." if listed else " on this server."),
                code="folder_not_allowed",
                fix=f"Add the folder to the setting import_roots (RAGLOOM_IMPORT_ROOTS={path}) and "
                "start the server again, or upload the files.",
                found=str(path),
                expected=[str(root) for root in self.allowed],
            )
        if any(_within(real, Path(os.path.realpath(root))) for root in self.refused):
            raise RagloomError(
                f"{path} is where Ragloom keeps its own data.",
                code="folder_not_allowed",
                fix="Choose the folder that your documents are in.",
            )
        if not real.is_dir():
            raise RagloomError(
                f"There is no folder {path}.",
                code="no_folder",
                fix="Check its spelling, and whether its drive is connected.",
                found=str(path),
            )
        return real


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of a folder; `key` is its path within it, with slashes."""

    key: str
    path: Path
    size: int
    #: Size and time of modification: while they stay, the file is taken to be unchanged.
    stamp: str


@dataclass(slots=True)
class Listing:
    """What lies in a folder, and what was left out of it."""

    files: list[FolderFile] = field(default_factory=list)
    #: Reason in words -> how many.
    left_out: Counter[str] = field(default_factory=Counter)
    #: False where a limit cut it short: what is missing may be there after all.
    whole: bool = True

    def notes(self) -> list[str]:
        """What was left out, in words."""
        return [f"{number:,} × {reason}" for reason, number in self.left_out.most_common()]


class Globs:
    """Patterns such as “*.pdf”, “guides/**” or “drafts/”, of paths with slashes.

    A pattern without a slash in it is one of names, in whichever folder; `*` stops at slashes and
    `**` does not; a pattern that ends in a slash stands for everything below.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises RagloomError “bad_pattern”."""
        self._regex = [_compiled(pattern.strip()) for pattern in patterns if pattern.strip()]

    def __bool__(self) -> bool:
        return bool(self._regex)

    def match(self, key: str) -> bool:
        """Whether any of them fits."""
        return any(regex.fullmatch(key) for regex in self._regex)


def find_files(
    root: Path,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    max_files: int,
    max_bytes: int,
    max_file_bytes: int,
    refused: Sequence[Path] = (),
) -> Listing:
    """Files below `root` in the order of their paths.

    Without `include`, files of the formats that are read. Hidden files, links to folders and links
    that lead out of `root` are left out. Raises OSError when `root` itself cannot be read.
    """
    listing, room = Listing(), max_bytes
    wanted, unwanted = Globs(include), Globs(exclude)
    known = frozenset(supported_extensions())
    never = {os.path.realpath(path) for path in refused}
    for key, entry in _walk(root, listing, never):
        extension = os.path.splitext(key)[1].lower()
        if unwanted.match(key) or (wanted and not wanted.match(key)):
            listing.left_out["not chosen by the patterns"] += 1
            continue
        if not wanted and extension not in known:
            listing.left_out["of a kind that is not read"] += 1
            continue
        try:
            info = _look(entry, root)
        except OSError:
            listing.left_out["could not be looked at"] += 1
            continue
        if info is None:
            listing.left_out["link that leads out of the folder, or no plain file"] += 1
            continue
        if info.st_size > max_file_bytes:
            listing.left_out[f"larger than {max_file_bytes / 1_048_576:.4g} MB"] += 1
            continue
        if len(listing.files) >= max_files or info.st_size > room:
            listing.whole = False
            listing.left_out["beyond the limits of the source"] += 1
            continue
        room -= info.st_size
        stamp = f"{info.st_size}:{info.st_mtime_ns}"
        listing.files.append(FolderFile(key, Path(entry.path), info.st_size, stamp))
    return listing


def file_sha(path: Path, root: Path) -> str:
    """SHA-256 of a file's bytes. Raises OSError, also when it lies outside of `root` by now."""
    digest = hashlib.sha256()
    with os.fdopen(_open(path, root), "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


async def file_pieces(path: Path, root: Path) -> AsyncIterator[bytes]:
    """The bytes of a file; it is opened when the first are asked for. Raises OSError."""
    handle = await call(_open, path, root)
    file = os.fdopen(handle, "rb")
    try:
        while piece := await call(file.read, _PIECE):
            yield piece
    finally:
        file.close()


def _open(path: Path, root: Path) -> int:
    """Open a file that lies in `root`, whatever a link on the way has become since it was listed."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        opened, real = os.fstat(handle), os.path.realpath(path)
        inside = _within(Path(real), root) and os.path.samestat(opened, os.stat(real))
        if not inside or not stat.S_ISREG(opened.st_mode):
            raise OSError(0, "it is a link that leads out of the folder", str(path))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _walk(root: Path, listing: Listing, never: set[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files and links to files, in the order of their paths."""
    budget = _MAX_ENTRIES
    waiting: list[tuple[str, str]] = [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            if not prefix:
                raise
            # Its files may still be there: nothing may be taken for gone.
            listing.whole = False
            listing.left_out["folder that cannot be read"] += 1
            continue
        budget -= len(entries)
        if budget < 0:
            listing.whole = False
            listing.left_out["folder beyond the limits of the source"] += len(waiting) + 1
            return
        folders = []
        for entry in entries:
            key = prefix + entry.name
            if reason := _left_out(entry, key):
                listing.left_out[reason] += 1
            elif not entry.is_dir(follow_symlinks=False):
                yield key, entry
            elif entry.path not in never and key.count("/") < _MAX_DEPTH:
                folders.append((entry.path, key + "/"))
        waiting += reversed(folders)


def _left_out(entry: os.DirEntry[str], key: str) -> str:
    """Why neither a file nor a folder counts; empty where it does."""
    if len(key) > _MAX_KEY:
        return "with a path that is too long"
    if entry.name.startswith("."):
        return "hidden"
    return "link to a folder" if entry.is_symlink() and os.path.isdir(entry.path) else ""


def _look(entry: os.DirEntry[str], root: Path) -> os.stat_result | None:
    """The facts of a plain file; None for what is none, or lies elsewhere."""
    if entry.is_symlink() and not _within(Path(os.path.realpath(entry.path)), root):
        return None
    info = entry.stat()
    return info if stat.S_ISREG(info.st_mode) else None


def _within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def _compiled(pattern: str) -> re.Pattern[str]:
    # Each wildcard multiplies the ways in which a long path can fail to fit.
    problem = "it has too many wildcards" if len(re.findall(r"\*+", pattern)) > 6 else ""
    try:
        if not problem:
            return re.compile(_regex(pattern), re.DOTALL | re.IGNORECASE)
    except re.error:
        problem = "its brackets cannot be read"
    raise RagloomError(
        f"“{pattern[:100]}” is no pattern of file names: {problem}.",
        code="bad_pattern",
        fix="Write patterns such as *.pdf, guides/** or drafts/.",
    )


def _regex(pattern: str) -> str:
    if pattern.endswith("/"):
        pattern += "**"
    anywhere = "/" not in pattern
    pieces = []
    for piece in re.split(r"(\*\*/?|\*|\?|\[[^\]/]+\])", pattern.lstrip("/")):
        if piece == "**/":
            pieces.append("(?:.*/)?")
        elif piece == "**":
            pieces.append(".*")
        elif piece == "*":
            pieces.append("[^/]*")
        elif piece == "?":
            pieces.append("[^/]")
        elif piece.startswith("[") and piece.endswith("]"):
            inner = piece[1:-1].replace("\\", "\\\\")
            pieces.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            pieces.append(re.escape(piece))
    return ("(?:.*/)?" if anywhere else "") + "".join(pieces)
