"""PDF: pdfium for text and places, pdfplumber for ruled tables, pypdf where pdfium gives up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pdf_layout import Layout, TableArea, add_page, normalised, study
from app.documents.extract.pdf_lines import PageLines, read_page
from app.documents.extract.pdf_tables import find_tables, looks_tabular
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

#: pdfium's FPDF_ERR_PASSWORD.
_PASSWORD_NEEDED = 4
#: What programs write where nobody filled in a field.
_SAYS_NOTHING = frozenset({"", "anonymous", "unspecified", "untitled", "unknown"})
_DATE = re.compile(r"^D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")
#: Entries of an outline that are looked at.
_MAX_OUTLINE = 5_000


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a PDF page by page.

    Raises:
        DocumentError: encrypted, wrong_password, damaged, too_many_pages, too_large, no_text.
    """
    import pypdfium2

    password = options.password.get_secret_value() if options.password else None
    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_NEEDED:
            raise _locked(password) from error
        from app.documents.extract.pdf_fallback import extract_with_pypdf

        return extract_with_pypdf(path, options, password)
    try:
        return _read(document, path, options, password)
    finally:
        document.close()


def _locked(password: str | None) -> DocumentError:
    if password:
        return DocumentError(
            "wrong_password", "The password does not open this PDF.", "Give the right password."
        )
    return DocumentError(
        "encrypted",
        "The PDF is encrypted and needs a password.",
        "Save a copy without a password and upload that.",
    )


def _read(
    document: Any, path: Path, options: ExtractOptions, password: str | None
) -> ExtractedDocument:
    check_pages(len(document), options)
    pages, unreadable = _pages(document)
    info = {key: one_line(value) for key, value in document.get_metadata_dict().items()}
    metadata: dict[str, Any] = {
        name: info[key]
        for key, name in (("Author", "author"), ("Subject", "subject"), ("Keywords", "keywords"),
                          ("CreationDate", "created"), ("ModDate", "modified"))
        if info.get(key, "").strip("()") not in _SAYS_NOTHING
    }  # fmt: skip
    for name in ("created", "modified"):
        if name in metadata:
            metadata[name] = _iso_date(metadata[name])
    without_text = [page.number for page in pages if not page.lines]
    if len(without_text) == len(pages):
        raise no_text(len(document))
    if without_text:
        metadata["pages_without_text"] = without_text
    if unreadable:
        metadata["unreadable_pages"] = unreadable
    layout = study(pages, _outline(document))
    tables: dict[int, list[TableArea]] = {}
    if options.tables:
        tables, skipped = find_tables(
            path,
            [page for page in pages if looks_tabular(page)],
            password=password,
            seconds=options.table_seconds,
        )
        if skipped:
            metadata["pages_without_table_search"] = skipped
    blocks = Blocks(options.max_chars)
    for page in pages:
        add_page(blocks, page, layout, tables.get(page.number, ()))
    return ExtractedDocument(
        media_type=media.PDF,
        title=_title(info.get("Title", ""), layout, blocks),
        pages=len(document),
        metadata=metadata,
        blocks=tuple(blocks.items),
    )


def check_pages(count: int, options: ExtractOptions) -> None:
    """Refuse a document of too many pages.

    Raises:
        DocumentError: too_many_pages.
    """
    if count > options.max_pages:
        raise DocumentError(
            "too_many_pages",
            f"The document has {count:,} pages; {options.max_pages:,} are allowed.",
            "Split it, or raise the limit on pages.",
        )


def no_text(pages: int) -> DocumentError:
    """Return the error for a document of pictures."""
    return DocumentError(
        "no_text",
        f"None of the {pages:,} page(s) of this PDF holds text: it is probably a scan.",
        "Run it through text recognition (OCR) and upload the result.",
    )


def _pages(document: Any) -> tuple[list[PageLines], list[int]]:
    import pypdfium2

    pages, unreadable = [], []
    for index in range(len(document)):
        try:
            pages.append(read_page(document, index))
        except pypdfium2.PdfiumError:
            unreadable.append(index + 1)
    return pages, unreadable


def _outline(document: Any) -> dict[int, dict[str, int]]:
    """Return the levels of the outline's titles by page number; the page after counts too."""
    import pypdfium2

    found: dict[int, dict[str, int]] = {}
    try:
        for i, entry in enumerate(document.get_toc(max_depth=8)):
            if i >= _MAX_OUTLINE:
                break
            destination = entry.get_dest()
            index = destination.get_index() if destination else None
            title = normalised(entry.get_title())
            if index is None or len(title) < 3:
                continue
            for number in (index + 1, index + 2):
                found.setdefault(number, {}).setdefault(title, min(entry.level + 1, 6))
    except (pypdfium2.PdfiumError, ValueError):
        return found
    return found


def _iso_date(date: str) -> str:
    """Return a PDF date ("D:20240103093826+01'00'") as ISO 8601, others unchanged."""
    match = _DATE.match(date)
    if match is None:
        return date
    year, month, day, hour, minute, second = (part or "" for part in match.groups())
    return f"{year}-{month or '01'}-{day or '01'}" + (
        f"T{hour}:{minute or '00'}:{second or '00'}" if hour else ""
    )


def _title(declared: str, layout: Layout, blocks: Blocks) -> str:
    """Return the declared title unless a program made it up from a file name."""
    made_up = declared.lower().startswith(
        ("microsoft ", "untitled", "(anonymous")
    ) or declared.lower().endswith(
        (".doc", ".docx", ".dvi", ".tex", ".indd", ".pdf", ".ppt", ".pptx", ".xls", ".xlsx")
    )
    if declared and not made_up:
        return declared
    first = next((b for b in blocks.items if b.kind == "heading"), None)
    largest = first is not None and first.level == 1 and first.page == 1 and layout.heading_sizes
    return first.text if first is not None and largest else ""
