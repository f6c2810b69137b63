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
_JSON_START = re.compile(r"\{\s*\"[^\"\n]*\"\s*:|\[\s*[\[{\"]")
_NOTEBOOK = re.compile(r"\"(?:cell_type|nbformat_minor)\"\s*:")
#: How subtitles begin: the signature of WebVTT, the first cue of SubRip.
_SUBTITLES = re.compile(
    r"(?P<vtt>WEBVTT(?:\s|$))|\d{1,6}[ \t]*\r?\n\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->"
)
_LATEX_START = re.compile(r"(?:%.*\n\s*)*\\document(?:class|style)\b")
_MAIL_FIELD = re.compile(r"([A-Za-z][A-Za-z-]{1,40}):[ \t]")
#: Header fields that letters in plain text do not have.
_MAIL_ONLY = frozenset({"message-id", "mime-version", "received", "return-path", "content-type"})
_OOXML_PARTS = (("word/", media.DOCX), ("ppt/", media.PPTX), ("xl/", media.XLSX))

#: Part of an old container -> what the file is, and what to save it as.
_OLD_FILES = (
    ("worddocument", "a Word document of Office 2003 or older", ".docx"),
    ("powerpoint document", "a PowerPoint presentation of Office 2003 or older", ".pptx"),
    ("__properties_version1.0", "a message of Outlook", ".eml or .html"),
    ("visiodocument", "a drawing of Visio", ".pdf"),
)

#: Extension -> media type, of extractors that other packages add.
_extra_extensions: dict[str, str] = {}


def register_extension(extension: str, media_type: str) -> None:
    """Let files named `extension` whose content is not recognised be `media_type`."""
    _extra_extensions[extension.lower()] = media_type


def supported_extensions() -> list[str]:
    """Return every extension that is read, sorted."""
    return sorted({*media.EXTENSIONS, *_extra_extensions})


def extensions_of(media_type: str) -> list[str]:
    """Return the extensions that lead to a media type, sorted."""
    known = {**media.EXTENSIONS, **_extra_extensions}
    return sorted(extension for extension, found in known.items() if found == media_type)


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
        return _ole_type(path, name, extension)
    if extension in _extra_extensions:
        return _extra_extensions[extension]
    if (found := _by_magic(head)) is not None:
        return found
    _refuse_binary(head, name, extension)
    return _text_type(head, name, extension)


def _refuse_binary(head: bytes, name: str, extension: str) -> None:
    for magic, what in media.REFUSED_MAGIC:
        # Two letters are no proof: text may begin with them.
        if head.startswith(magic) and (len(magic) > 2 or looks_binary(head)):
            raise _unsupported(name, what)
    if looks_binary(head):
        if extension in media.EXTENSIONS:
            raise _wrong_type(name, extension, "something else (its content is not recognised)")
        raise _unsupported(name, "a kind of file that is not recognised")


def _by_magic(head: bytes) -> str | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return media.WEBP
    if head.startswith(b"BM") and head[6:10] == bytes(4):  # two letters are no proof
        return media.BMP
    return next((kind for magic, kind in media.MAGIC if head.startswith(magic)), None)


def _text_type(head: bytes, name: str, extension: str) -> str:
    named = media.EXTENSIONS.get(extension)
    text = decode(head)[0].lstrip("\ufeff \t\r\n")
    html = _HTML_START.match(text)
    if named in media.BINARY:
        raise _wrong_type(name, extension, "an HTML page" if html else "plain text")
    if html and named not in (media.MARKDOWN, media.RST):
        return media.HTML
    if named == media.XLS:  # what programs export under this name
        return media.TEXT if text.startswith("<") else media.CSV
    return _by_start(text, named) or named or media.TEXT


def _by_start(text: str, named: str | None) -> str | None:
    """What a text's beginning says that it is, where its name leaves that open."""
    unnamed = named in (None, media.TEXT)
    if unnamed and _is_mail(text):
        return media.EMAIL
    if (unnamed or named in (media.SRT, media.VTT)) and (found := _SUBTITLES.match(text)):
        return media.VTT if found["vtt"] else media.SRT
    if unnamed and _LATEX_START.match(text):
        return media.LATEX
    if named in (None, media.JSON) and text.startswith("{") and _NOTEBOOK.search(text):
        return media.NOTEBOOK
    return media.JSON if named is None and _JSON_START.match(text) else None


def _is_mail(text: str) -> bool:
    """Whether a text begins with the header of a mail that a program has sent."""
    names = set()
    for line in text.split("\n")[:60]:
        if match := _MAIL_FIELD.match(line):
            names.add(match[1].lower())
        elif not line.startswith((" ", "\t")):
            break
    return "from" in names and bool(names & _MAIL_ONLY)


def is_json_lines(text: str) -> bool:
    """Whether a text is a JSON value a line, rather than one value."""
    lines = (line.strip() for line in text.split("\n", 50)[:50])
    first, second = [*(line for line in lines if line), "", ""][:2]
    return first[:1] in ("{", "[") and second[:1] == first[:1] and first[-1:] in ("}", "]")


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
    if declared.strip() in media.MIMETYPES:
        return media.MIMETYPES[declared.strip()]
    if "META-INF/container.xml" in members:
        return media.EPUB
    if "opendocument" in declared:
        raise _unsupported(name, "a kind of OpenDocument file")
    if media.EXTENSIONS.get(extension) in media.BINARY:
        raise _wrong_type(name, extension, "a zip archive without a document in it")
    raise _unsupported(
        name, "a zip archive", "Upload it to a knowledge base, which reads the files inside."
    )


def _ole_type(path: Path, name: str, extension: str) -> str:
    """Old Office files and encrypted new ones share a container."""
    parts = _ole_parts(path)
    if parts & {"workbook", "book"}:
        return media.XLS
    if "encryptedpackage" in parts:
        raise DocumentError(
            "encrypted",
            f"“{name}” is encrypted with a password.",
            "Give its password, or upload a copy without a password.",
        )
    for part, what, newer in _OLD_FILES:
        if part in parts:
            raise _unsupported(name, what, f"Open it, save it as {newer} and upload that.")
    newer = {".doc": ".docx", ".xls": ".xlsx", ".ppt": ".pptx"}.get(extension[:4], ".docx")
    raise _unsupported(
        name, "a file of Office 2003 or older", f"Open it, save it as {newer} and upload that."
    )


def _ole_parts(path: Path) -> set[str]:
    """Return the names at the top of such a container, lower case; none where it is damaged."""
    import olefile

    try:
        with olefile.OleFileIO(path) as container:
            return {entry[0].lower() for entry in container.listdir() if entry}
    except Exception:  # hostile ones end in any class of error
        return set()


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
