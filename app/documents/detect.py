"""What a file is, by its content; the name only decides between kinds of text."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from app.documents import media
from app.documents.archive import open_zip
from app.documents.encoding import decode, looks_binary
from app.documents.errors import DocumentError

HEAD = 8192

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_START = re.compile(
    r"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_OOXML_PARTS = (("word/", media.DOCX), ("ppt/", media.PPTX), ("xl/", media.XLSX))

#: Extension -> media type, of extractors that other packages add.
_extra_extensions: dict[str, str] = {}


def register_extension(extension: str, media_type: str) -> None:
    """Let files named `extension` whose content is not recognised be `media_type`."""
    _extra_extensions[extension.lower()] = media_type


def supported_extensions() -> list[str]:
    """Return every extension that is read, sorted."""
    return sorted({*media.EXTENSIONS, *_extra_extensions})


def detect(path: Path, filename: str = "") -> str:
    """Return the media type of the file at `path`, called `filename` where it came from.

    Raises:
        DocumentError: empty, damaged, encrypted, unsupported_type, wrong_type.
    """
    name = filename or path.name
    extension = PurePath(name).suffix.lower()
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b"\x00\t\n\r "):
        raise DocumentError("empty", f"“{name}” is empty.", "Upload a file that has content.")
    if b"%PDF-" in head[:1024]:
        return media.PDF
    if head.startswith(b"PK"):
        return _zip_type(path, name, extension)
    if head.startswith(_OLE):
        raise _ole_error(path, name, extension)
    if extension in _extra_extensions:
        return _extra_extensions[extension]
    for magic, what in media.REFUSED_MAGIC:
        # Two letters are no proof: text may begin with them.
        if head.startswith(magic) and (len(magic) > 2 or looks_binary(head)):
            raise _unsupported(name, what)
    if looks_binary(head):
        if extension in media.EXTENSIONS:
            raise _wrong_type(name, extension, "something else (its content is not recognised)")
        raise _unsupported(name, "a kind of file that is not recognised")
    return _text_type(head, name, extension)


def _text_type(head: bytes, name: str, extension: str) -> str:
    named = media.EXTENSIONS.get(extension)
    text, _ = decode(head)
    html = _HTML_START.match(text.lstrip("\ufeff \t\r\n"))
    if named in media.BINARY:
        raise _wrong_type(name, extension, "an HTML page" if html else "plain text")
    if html and named != media.MARKDOWN:
        return media.HTML
    return named or media.TEXT


def _zip_type(path: Path, name: str, extension: str) -> str:
    with open_zip(path) as container:
        members = set(container.namelist())
        if "[Content_Types].xml" in members:
            for prefix, media_type in _OOXML_PARTS:
                if any(member.startswith(prefix) for member in members):
                    return media_type
        if extension in _extra_extensions:
            return _extra_extensions[extension]
        try:
            declared = container.read("mimetype")[:100].decode("ascii", "ignore")
        except (KeyError, RuntimeError, OSError, ValueError, NotImplementedError):
            declared = ""
    if "epub" in declared:
        raise _unsupported(name, "an EPUB book")
    if "opendocument" in declared:
        raise _unsupported(name, "an OpenDocument file")
    if media.EXTENSIONS.get(extension) in media.BINARY:
        raise _wrong_type(name, extension, "a zip archive without a document in it")
    raise _unsupported(name, "a zip archive")


def _ole_error(path: Path, name: str, extension: str) -> DocumentError:
    """Old Office files and encrypted new ones share a container."""
    data = path.read_bytes()
    if "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentError(
            "encrypted",
            f"“{name}” is encrypted with a password.",
            "Save a copy without a password and upload that.",
        )
    newer = {".doc": ".docx", ".xls": ".xlsx", ".ppt": ".pptx"}.get(extension[:4], ".docx")
    return _unsupported(
        name, "a file of Office 2003 or older", f"Open it, save it as {newer} and upload that."
    )


def _unsupported(name: str, what: str, fix: str = "") -> DocumentError:
    return DocumentError(
        "unsupported_type",
        f"“{name}” is {what}, which cannot be read here.",
        fix or f"Convert it to one of {media.SUPPORTED}.",
    )


def _wrong_type(name: str, extension: str, found: str) -> DocumentError:
    return DocumentError(
        "wrong_type",
        f"“{name}” is named {extension} but is {found}.",
        "Give it the extension of what it is, or upload the right file.",
    )
