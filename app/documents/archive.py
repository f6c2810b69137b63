"""Checks of zip containers (docx, pptx, xlsx) before any parser touches them."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from app.documents.errors import DocumentError

#: Zip members a document may have.
MAX_MEMBERS = 20_000
#: Members smaller than this (unpacked) may be packed as tightly as they like.
SMALL_MEMBER = 8 * 1024 * 1024
#: Unpacked to packed size beyond which a large member is a bomb. XML of real sheets reaches 60.
MAX_RATIO = 200
#: The start of an XML member in which its root element must begin.
PROLOG = 256 * 1024

_ROOT = re.compile(r"<[A-Za-z_]")
_DOCTYPE = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip container.

    Raises:
        DocumentError: damaged.
    """
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise damaged(
            "The file is cut off or damaged: its zip directory cannot be read."
        ) from error


def check_zip(path: Path, *, max_unpacked: int) -> None:
    """Refuse zip bombs, encrypted members and XML with a document type or entities.

    Sizes come from the directory; zipfile never unpacks a member beyond them.

    Raises:
        DocumentError: damaged, unsupported_encryption, too_large, unsafe.
    """
    with open_zip(path) as container:
        members = container.infolist()
        if len(members) > MAX_MEMBERS:
            raise DocumentError(
                "unsafe", f"The file holds {len(members):,} parts; {MAX_MEMBERS:,} are allowed.",
                "Check where it comes from; no office program writes such files.",
            )  # fmt: skip
        total = 0
        for member in members:
            _check_member(member)
            total += member.file_size
            if total > max_unpacked:
                raise DocumentError(
                    "too_large",
                    f"The file unpacks to more than {max_unpacked // 2**20:,} MB.",
                    "Split the document, or raise the limit on unpacked size.",
                )
        for member in members:
            if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                _check_xml(container, member)


def _check_member(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 0x1:
        raise DocumentError(
            "unsupported_encryption",
            "The file is encrypted in a way that cannot be opened here.",
            "Remove the password and upload it again.",
        )
    packed = max(1, member.compress_size)
    if member.file_size > SMALL_MEMBER and member.file_size / packed > MAX_RATIO:
        raise DocumentError(
            "unsafe",
            f"A part of the file unpacks to {member.file_size / packed:,.0f} times its size "
            f"({member.file_size // 2**20:,} MB): this is how zip bombs look.",
            "Check where the file comes from; if it is sound, save it anew and upload that.",
        )


def _check_xml(container: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Document types bring entities: expansion bombs and reads of other files."""
    try:
        with container.open(member) as part:
            head = part.read(4096)
            prolog = _decode(head)
            while not _ROOT.search(prolog) and len(head) < PROLOG:
                more = part.read(PROLOG - len(head))
                if not more:
                    break
                head += more
                prolog = _decode(head)
    except _DAMAGED as error:
        raise damaged(f"The part {member.filename!r} of the file is damaged.") from error
    root = _ROOT.search(prolog)
    if _DOCTYPE.search(prolog[: root.start()] if root else prolog):
        raise DocumentError(
            "unsafe",
            f"The part {member.filename!r} declares XML entities, which office files never need.",
            "Open the document in an office program, save it anew and upload that.",
        )


def _decode(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "ignore")
    # UTF-16 without a mark and UTF-8 alike, as far as "<!DOCTYPE" goes.
    return head.replace(b"\x00", b"").decode("latin-1")


def damaged(message: str) -> DocumentError:
    """Return the error for a container that cannot be read."""
    return DocumentError(
        "damaged", message, "Open it in the program that made it, save it anew and upload that."
    )
