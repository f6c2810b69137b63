"""Files to text: one module a format, behind one function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath

from app.documents import media
from app.documents.detect import detect, register_extension
from app.documents.errors import DocumentError
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.plugins import Plugins

Extractor = Callable[[Path, ExtractOptions], ExtractedDocument]

#: Media type -> module of this package whose `extract` reads it.
_MODULES = {
    media.PDF: "pdf",
    media.DOCX: "docx",
    media.PPTX: "pptx",
    media.XLSX: "xlsx",
    media.XLS: "xls",
    media.HTML: "html",
    media.MARKDOWN: "markdown",
    media.TEXT: "plain",
    media.CSV: "csv_table",
    media.RST: "rst",
    media.NOTEBOOK: "notebook",
    media.JSON: "json_data",
    media.JSON_LINES: "json_data",
    media.EPUB: "epub",
    media.EMAIL: "email_message",
    media.RTF: "rtf",
    media.ODT: "odf",
    media.ODS: "odf",
    media.ODP: "odf",
    media.LATEX: "latex",
    media.VTT: "subtitles",
    media.SRT: "subtitles",
    **dict.fromkeys(media.IMAGES, "image"),
}

#: Titles that programs fill in.
_NO_TITLES = frozenset({"untitled", "untitled document", "title", "unknown"})

_extractors: Plugins[Extractor] = Plugins("ragloom.extractors")
#: "module:name" and extensions of each function registered by a call, for the worker processes.
_references: dict[str, tuple[str, tuple[str, ...]]] = {}


def register_extractor(
    media_type: str, extractor: Extractor, *, extensions: tuple[str, ...] = ()
) -> None:
    """Read files of `media_type` with `extractor`, also where a built-in one exists.

    Parsing runs in worker processes, which import the function by name; so it must be a function
    of a module, not a lambda or a closure. `extensions` (".rst") lead to the media type.

    Raises:
        ValueError: the function cannot be imported by name.
    """
    module, name = extractor.__module__, extractor.__qualname__
    if "<" in name or module == "__main__":
        raise ValueError(
            f"{module}.{name} cannot be imported by a worker process; "
            "define the extractor as a function of a module"
        )
    _extractors.register(media_type, extractor)
    _references[media_type] = f"{module}:{name}", extensions
    for extension in extensions:
        register_extension(extension, media_type)


@cache
def load_entry_points() -> None:
    """Learn which extensions the extractors of other packages read, once in a process.

    The function that an entry point names may have an attribute `extensions` (".rst", …).
    """
    for media_type, extractor in _extractors:
        if media_type not in _references:
            for extension in getattr(extractor, "extensions", ()):
                register_extension(extension, media_type)


def added_media_types() -> list[str]:
    """Return the media types that other packages read, sorted."""
    load_entry_points()
    return _extractors.names()


def failed_entry_points() -> dict[str, str]:
    """Return the entry points of extractors that could not be loaded, and why."""
    load_entry_points()
    return dict(_extractors.failed)


def registered_references() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return media type -> ("module:name", extensions) of the extractors registered by calls."""
    return dict(_references)


def register_reference(media_type: str, reference: str, extensions: tuple[str, ...]) -> None:
    """Register an extractor by "module:name" (in a worker process)."""
    if _references.get(media_type) != (reference, extensions):
        module, _, name = reference.partition(":")
        register_extractor(media_type, getattr(import_module(module), name), extensions=extensions)


def extract(
    path: Path, filename: str = "", options: ExtractOptions | None = None
) -> ExtractedDocument:
    """Read a file in this process, unguarded; servers go through `guard.WorkerPool`.

    Raises:
        DocumentError: with a code, what happened and what to do.
    """
    return with_language(read(path, filename, options))


def read(
    path: Path, filename: str = "", options: ExtractOptions | None = None
) -> ExtractedDocument:
    """Like `extract`, leaving the language to `with_language`, which needs no guard.

    Raises:
        DocumentError: with a code, what happened and what to do.
    """
    filename = filename or path.name
    options = options or ExtractOptions()
    load_entry_points()
    try:
        media_type = detect(path, filename)
    except DocumentError as error:
        if error.code != "encrypted" or options.password is None:
            raise
        from app.documents.extract.encrypted import decrypted

        with decrypted(path, options.password.get_secret_value()) as copy:
            return read(copy, filename, options.model_copy(update={"password": None}))
    document = _extractor(media_type)(path, options)
    if not any(block.text for block in document.blocks):
        raise DocumentError(
            "no_text",
            f"“{filename}” ({media.NAMES.get(media_type, media_type)}) holds no text.",
            "If it is a scan, turn on text recognition (OCR) and process it again.",
        )
    return _finish(document, filename)


def _extractor(media_type: str) -> Extractor:
    if (found := _extractors.get(media_type)) is not None:
        return found
    if (module := _MODULES.get(media_type)) is not None:
        extractor: Extractor = import_module(f"{__name__}.{module}").extract
        return extractor
    raise DocumentError(
        "unsupported_type",
        f"No extractor reads files of the type {media_type}.",
        f"Convert the file to one of {media.SUPPORTED}, or install a package that reads it.",
    )


def _finish(document: ExtractedDocument, filename: str) -> ExtractedDocument:
    title = document.title.strip()
    if title.lower() in _NO_TITLES:
        title = ""
    # Headings of a workbook are the names of its sheets.
    if not title and media.page_word(filename) != "sheet":
        title = next((b.text for b in document.blocks if b.kind == "heading" and b.level == 1), "")
    return document.model_copy(update={"title": title or PurePath(filename).stem})


def with_language(document: ExtractedDocument) -> ExtractedDocument:
    """Find out the language where the file does not say it."""
    if document.language:
        return document
    return document.model_copy(update={"language": _language(document)})


def _language(document: ExtractedDocument) -> str | None:
    """Decide by the longest paragraphs: menus, names and code are in no language."""
    from app.documents.language import SAMPLE, detect_language

    prose = [b.text for b in document.blocks if b.kind in ("paragraph", "list")]
    longest = sorted(prose or [b.text for b in document.blocks], key=len, reverse=True)[:8]
    return detect_language("\n".join(text[: SAMPLE // 4] for text in longest))
