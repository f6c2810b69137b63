"""OpenDocument texts, spreadsheets and presentations, from their content.xml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip, damaged, open_zip
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.odf_parts import SKIPPED, paragraph_text, table_rows
from app.documents.extract.options import ExtractOptions
from app.documents.extract.sheet import add_sheet
from app.documents.extract.xml_parts import all_text, attribute, local, read_xml, walk
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

_MAX_LIST_DEPTH = 30
_NAMES = {
    "title": "title", "creator": "changed_by", "initial-creator": "author", "subject": "subject",
    "description": "description", "creation-date": "created", "date": "modified",
    "language": "declared_language",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read an odt in order, an ods sheet by sheet, an odp slide by slide with its notes.

    Raises:
        DocumentError: damaged, unsupported_encryption, unsafe, too_large, too_many_pages.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_zip(path) as container:
        manifest = read_xml(container, "META-INF/manifest.xml")
        if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
            raise DocumentError(
                # Not “encrypted”, which asks for a password: none would help.
                "unsupported_encryption",
                "The file is encrypted with a password, which cannot be opened here.",
                "Save a copy without a password and upload that.",
            )
        content = read_xml(container, "content.xml")
        if content is None:
            raise damaged("The file has no content.")
        styles = read_xml(container, "styles.xml")
        title, found = _about(read_xml(container, "meta.xml"))
    body = next(content.iter("{*}body"), None)
    main = (
        next((child for child in body if local(child) in _READERS), None)
        if body is not None
        else None
    )
    if main is None:
        raise damaged("The file has no content that is a text, a spreadsheet or a presentation.")
    reader = _Reader(Blocks(options.max_chars), options, _numbered((content, styles)))
    media_type, read = _READERS[local(main)]
    pages = read(reader, main)
    reader.end()
    return ExtractedDocument(
        media_type=media_type,
        title=title,
        pages=pages,
        metadata=found,
        blocks=tuple(reader.blocks.items),
    )


class _Reader:
    """Adds the elements of a body as blocks; notes follow at the end."""

    def __init__(
        self, blocks: Blocks, options: ExtractOptions, numbered: set[tuple[str, int]]
    ) -> None:
        self.blocks = blocks
        self._options = options
        self._numbered = numbered
        self._page: int | None = None
        self._notes: list[str] = []
        #: Paragraphs of a slide's frame whose class says that it is the title.
        self._as_heading = False

    def end(self) -> None:
        """Add the notes that were met."""
        for note in self._notes:
            self.blocks.add("paragraph", note)
        self._notes.clear()

    def text(self, root: Any) -> None:
        """Add everything below an element."""
        for name, child in walk(root, _goes_on_inside):
            if name == "h":
                level = attribute(child, "outline-level")
                self.blocks.heading(
                    self._line(child), int(level) if level.isdigit() else 1, page=self._page
                )
                self._frames(child)
            elif name == "p":
                self._paragraph(child)
            elif name == "list":
                self._list(child)
            elif name == "table":
                self.blocks.table(table_rows(child), page=self._page)
            elif name == "frame":
                self._frame(child)

    def sheets(self, root: Any) -> int:
        """Add every sheet under its name."""
        tables = [child for child in root if local(child) == "table"]
        self._options.check_pages(len(tables), "file", "sheets")
        for number, table in enumerate(tables, 1):
            self.blocks.heading(attribute(table, "name"), 1, page=number)
            add_sheet(self.blocks, table_rows(table), number, self._options)
        return len(tables)

    def slides(self, root: Any) -> int:
        """Add every slide, its notes after it."""
        pages = [child for child in root if local(child) == "page"]
        self._options.check_pages(len(pages), "file", "slides")
        for number, page in enumerate(pages, 1):
            self._page = number
            self.text([child for child in page if local(child) != "notes"])
            for notes in page:
                if local(notes) == "notes":
                    self.text([f for f in notes if attribute(f, "class") == "notes"])
        return len(pages)

    def _paragraph(self, element: Any) -> None:
        text = self._line(element)
        if self._as_heading:
            self.blocks.heading(text, 1, page=self._page)
        else:
            code = "Preformatted" in attribute(element, "style-name")
            self.blocks.add("code" if code else "paragraph", text, page=self._page)
        self._frames(element)

    def _frames(self, element: Any) -> None:
        for frame in element.iter("{*}frame"):
            if not any(local(a) == "frame" for a in frame.iterancestors()):
                self._frame(frame)

    def _frame(self, frame: Any) -> None:
        """Add a text box's content, or a picture by its title and description."""
        self._as_heading = attribute(frame, "class") in ("title", "subtitle") and bool(self._page)
        inner = [child for child in frame if local(child) in ("text-box", "table")]
        self.text(inner)
        self._as_heading = False
        if not inner:
            lines = [one_line(all_text(c)) for c in frame if local(c) in ("title", "desc")]
            self.blocks.add("image", "\n".join(dict.fromkeys(lines)), page=self._page)

    def _list(self, element: Any) -> None:
        style = attribute(element, "style-name")
        self.blocks.add("list", "\n".join(self._items(element, style, 1)), page=self._page)

    def _items(self, element: Any, style: str, depth: int) -> Iterator[str]:
        style = attribute(element, "style-name") or style
        number = 1
        for item in element:
            if local(item) not in ("list-item", "list-header"):
                continue
            start = attribute(item, "start-value")
            number = int(start) if start.isdigit() and len(start) < 9 else number
            marker = f"{number}. " if (style, depth) in self._numbered else "- "
            for child in item:
                if local(child) == "list" and depth < _MAX_LIST_DEPTH:
                    yield from self._items(child, style, depth + 1)
                elif local(child) in ("p", "h") and (text := one_line(self._line(child))):
                    yield "  " * (depth - 1) + marker + text
                    marker = "  "
            if marker == "  ":
                number += 1

    def _line(self, element: Any) -> str:
        """Return a paragraph's text; its notes are kept for the end."""
        for note in element.iter("{*}note"):
            body = next((part for part in note if local(part) == "note-body"), None)
            if body is not None:
                self._notes.append("\n".join(paragraph_text(p) for p in body.iter("{*}p")))
        return paragraph_text(element)


def _goes_on_inside(name: str) -> bool:
    return name not in ("h", "p", "list", "table", "frame") and name not in SKIPPED


#: Kind of body -> its media type and what reads it.
_READERS: dict[str, tuple[str, Any]] = {
    "text": (media.ODT, _Reader.text),
    "spreadsheet": (media.ODS, _Reader.sheets),
    "presentation": (media.ODP, _Reader.slides),
}


def _numbered(roots: tuple[Any, ...]) -> set[tuple[str, int]]:
    """Return (name of a list style, depth from 1) of the lists that count."""
    found = set()
    for root in roots:
        for style in root.iter("{*}list-style") if root is not None else ():
            for level in style:
                depth = attribute(level, "level")
                if (
                    local(level) == "list-level-style-number"
                    and attribute(level, "num-format")
                    and depth.isdigit()
                ):
                    found.add((attribute(style, "name"), int(depth)))
    return found


def _about(root: Any) -> tuple[str, dict[str, Any]]:
    found: dict[str, Any] = {}
    words: list[str] = []
    for element in root.iter() if root is not None else ():
        name, text = local(element), one_line(element.text or "")
        if name == "keyword":
            words.append(text)
        elif name in _NAMES and text:
            found.setdefault(_NAMES[name], text)
    found.setdefault("author", found.pop("changed_by", ""))
    found.pop("changed_by", None)
    found["keywords"] = words
    return str(found.pop("title", "")), metadata(found)
