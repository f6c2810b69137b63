"""Word documents: paragraphs, headings, lists and tables in the order of the body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip
from app.documents.extract.builder import Blocks
from app.documents.extract.docx_extras import charts, extras, page_headers, pictures
from app.documents.extract.docx_numbering import Numbering
from app.documents.extract.docx_styles import Styles
from app.documents.extract.docx_text import (
    W,
    iter_content,
    paragraph_text,
    table_rows,
    text_boxes,
)
from app.documents.extract.ooxml import core_properties, open_package
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pictures import Pictures
from app.documents.extract.xml_parts import local
from app.documents.model import BlockKind, ExtractedDocument


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the body in order, then foot- and endnotes and comments; headers of pages are metadata.

    Pages are counted by the page breaks Word recorded at its last layout; a file without any has no
    page numbers.

    Raises:
        DocumentError: damaged, encrypted, unsafe, too_large.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_package(path, "docx") as source:
        return _read(source, options)


def _read(source: Path, options: ExtractOptions) -> ExtractedDocument:
    import docx

    document = docx.Document(str(source))
    reader = _Reader(document, Blocks(options.max_chars), Pictures(options))
    blocks = reader.read()
    title, metadata = core_properties(source)
    if headers := page_headers(document):
        metadata["page_headers"] = headers
    return ExtractedDocument(
        media_type=media.DOCX,
        title=title or reader.styles.title,
        pages=reader.pages.total,
        metadata=metadata | reader.scans.report(),
        blocks=tuple(blocks.items),
    )


class _Reader:
    """Walks the body; consecutive list items become one block."""

    def __init__(self, document: Any, blocks: Blocks, scans: Pictures) -> None:
        self._document = document
        self.scans = scans
        self._blocks = blocks
        self.styles = Styles(document)
        self._numbering = Numbering(document)
        self.pages = _Pages(document.element.body)
        self._items: list[str] = []
        self._list_page: int | None = None
        #: What a picture says that a caption may follow.
        self._picture: str | None = None
        self._picture_page: int | None = None

    def read(self) -> Blocks:
        """Add every block of the body, then notes and comments."""
        for element in iter_content(self._document.element.body):
            if local(element) == "tbl":
                self._end_list()
                self._end_picture()
                self._blocks.table(table_rows(element, self._said), page=self.pages.current)
                self.pages.pass_over(element)
            else:
                self._paragraph(element)
        self._end_list()
        self._end_picture()
        for text in extras(self._document):
            self._blocks.add("paragraph", text)
        return self._blocks

    def _paragraph(self, element: Any) -> None:
        text = paragraph_text(element)
        page = self.pages.current
        begins_page = self.pages.starts_with_break(element)
        self.pages.pass_over(element)
        if begins_page:
            page = self.pages.current
        level, item = self.styles.heading_level(element), self.styles.list_item(element)
        marker = self._numbering.marker(*item) if item is not None and text.strip() else ""
        if level is None and item is not None and marker:
            if not self._items:
                self._list_page = page
            self._items.append("  " * item[1] + marker + " ".join(text.split()))
            return
        if text.strip():
            self._end_list()
        if self._picture is not None and text.strip() and self.styles.is_caption(element):
            self._picture = f"{text.strip()}\n{self._picture}"
            text = ""
        if text.strip():
            self._end_picture()
        if level is not None:
            number = marker if marker != "- " else ""
            self._blocks.heading(number + text, level, page=page)
        else:
            kind: BlockKind = "code" if self.styles.is_code(element) else "paragraph"
            self._blocks.add(kind, text, page=page)
        self._drawings(element, page)

    def _drawings(self, element: Any, page: int | None) -> None:
        """Add what is anchored in a paragraph: text boxes, charts, pictures."""
        for box in text_boxes(element):
            self._blocks.add("paragraph", box, page=page)
        for title, rows in charts(element, self._document.part):
            self._blocks.add("paragraph", title, page=page)
            self._blocks.table(rows, page=page)
        said = self._said(element)
        if said is not None:
            self._end_picture()
            self._picture, self._picture_page = said, page

    def _said(self, element: Any) -> str | None:
        return pictures(element, self._document.part, self.scans)

    def _end_picture(self) -> None:
        if self._picture is not None:
            self._blocks.add("image", self._picture, page=self._picture_page)
            self._picture = None

    def _end_list(self) -> None:
        self._blocks.add("list", "\n".join(self._items), page=self._list_page)
        self._items.clear()


class _Pages:
    """Page numbers from the breaks in the body."""

    def __init__(self, body: Any) -> None:
        rendered = body.iter(f"{W}lastRenderedPageBreak")
        self._tag = "rendered" if next(rendered, None) is not None else "break"
        count = sum(self._breaks(element) for element in body)
        self.total: int | None = count + 1 if count else None
        self._number = 1

    @property
    def current(self) -> int | None:
        """The page of what comes next, None where the file does not say."""
        return self._number if self.total else None

    def pass_over(self, element: Any) -> None:
        """Count the breaks in an element."""
        self._number += self._breaks(element)

    def starts_with_break(self, element: Any) -> bool:
        """Whether all of a paragraph's text comes after its break."""
        for node in element.iter():
            if self._is_break(node):
                return True
            if local(node) == "t" and (node.text or "").strip():
                return False
        return False

    def _breaks(self, element: Any) -> int:
        return sum(map(self._is_break, element.iter()))

    def _is_break(self, node: Any) -> bool:
        if self._tag == "rendered":
            return bool(node.tag == f"{W}lastRenderedPageBreak")
        return bool(node.tag == f"{W}br" and node.get(f"{W}type") == "page")
