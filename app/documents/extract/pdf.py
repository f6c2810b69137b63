"""PDF: pdfium for text, places and lines, pypdf where pdfium gives up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pdf_blocks import PageWriter
from app.documents.extract.pdf_layout import Layout, TableArea, normalised, study
from app.documents.extract.pdf_lines import PageLines, read_page
from app.documents.extract.pdf_metadata import about
from app.documents.extract.pdf_scan import Scans
from app.documents.extract.pdf_tables import find_tables
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

#: pdfium's FPDF_ERR_PASSWORD.
_PASSWORD_NEEDED = 4
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
        "Give its password, or upload a copy without a password.",
    )


def _read(
    document: Any, path: Path, options: ExtractOptions, password: str | None
) -> ExtractedDocument:
    options.check_pages(len(document), "document", "pages")
    scans = Scans(options)
    pages, unreadable = _pages(document, scans)
    info = document.get_metadata_dict()
    metadata = about(info)
    without_text = [page.number for page in pages if not page.lines]
    if len(without_text) == len(pages):
        raise no_text(len(document), tried=options.ocr != "off")
    if without_text:
        metadata["pages_without_text"] = without_text
    if unreadable:
        metadata["unreadable_pages"] = unreadable
    metadata |= scans.report()
    layout = study(pages, _outline(document))
    tables: dict[int, list[TableArea]] = {}
    if options.tables:
        tables, skipped = find_tables(pages, layout, seconds=options.table_seconds)
        if skipped:
            metadata["pages_without_table_search"] = skipped
    blocks = Blocks(options.max_chars)
    for page in pages:
        PageWriter(blocks, page, layout).write(tables.get(page.number, ()))
    return ExtractedDocument(
        media_type=media.PDF,
        title=_title(one_line(info.get("Title", "")), layout, blocks),
        pages=len(document),
        metadata=metadata,
        blocks=tuple(blocks.items),
    )


def _pages_words(pages: int) -> str:
    return "the only page" if pages == 1 else f"any of the {pages:,} pages"


def no_text(pages: int, *, tried: bool = False) -> DocumentError:
    """Return the error for a document of pictures; `tried`: text recognition found none."""
    if tried:
        return DocumentError(
            "no_text",
            f"Neither text nor anything that reads as text is on {_pages_words(pages)} of this PDF.",
            "Upload a better scan, or a document that holds text.",
        )
    return DocumentError(
        "no_text",
        f"There is no text on {_pages_words(pages)} of this PDF: it is probably a scan.",
        "Process it again with text recognition (OCR) on.",
    )


def _pages(document: Any, scans: Scans) -> tuple[list[PageLines], list[int]]:
    import pypdfium2

    pages, unreadable = [], []
    for index in range(len(document)):
        try:
            pages.append(scans.page(document, read_page(document, index)))
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
