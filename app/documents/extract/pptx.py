"""PowerPoint: a slide is a page; titles, text, lists, tables, charts and speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip
from app.documents.extract.builder import Across, Blocks
from app.documents.extract.ooxml import core_properties, open_package
from app.documents.extract.ooxml_parts import (
    authors_of,
    chart_table,
    comments,
    description,
)
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pictures import Pictures
from app.documents.extract.xml_parts import parse
from app.documents.model import Box, ExtractedDocument

#: Groups nested deeper than this are left out.
_MAX_GROUPS = 20
#: Shapes whose tops differ less than this share of the slide stand in one row.
_ROW = 0.02
#: Placeholders of layouts whose text has bullets: BODY, OBJECT, VERTICAL_BODY, VERTICAL_OBJECT.
_BULLETED = frozenset({2, 7, 6, 17})
#: What happens in a shape that cannot be read; the rest of the slide can.
_BROKEN = (KeyError, ValueError, AttributeError, TypeError, IndexError, NotImplementedError)


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read every slide in order, its shapes from top to bottom.

    Raises:
        DocumentError: damaged, encrypted, unsafe, too_large, too_many_pages.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_package(path, "pptx") as source:
        from pptx import Presentation

        presentation = Presentation(str(source))
        slides = list(presentation.slides)
        options.check_pages(len(slides), "presentation", "slides")
        reader = _Reader(
            Blocks(options.max_chars),
            Pictures(options),
            presentation.slide_width,
            presentation.slide_height,
        )
        hidden = []
        for number, slide in enumerate(slides, 1):
            if slide._element.get("show") == "0":
                hidden.append(number)
            reader.slide(slide, number)
        title, metadata = core_properties(source)
        metadata |= reader.scans.report()
        if hidden:
            metadata["hidden_slides"] = hidden
        return ExtractedDocument(
            media_type=media.PPTX,
            title=title,
            pages=len(slides),
            metadata=metadata,
            blocks=tuple(reader.blocks.items),
        )


class _Reader:
    """Adds the shapes of slides as blocks, with their places."""

    def __init__(
        self, blocks: Blocks, scans: Pictures, width: int | None, height: int | None
    ) -> None:
        self.blocks = blocks
        self.scans = scans
        self._width, self._height = width or 1, height or 1

    def slide(self, slide: Any, page: int) -> None:
        """Add a slide: its title, its shapes in reading order, its notes."""
        title = slide.shapes.title
        if title is not None:
            self.blocks.add(
                "heading", title.text_frame.text, page=page, level=1, boxes=self._boxes(title, page)
            )
        shapes = [
            shape
            for shape in _flat(slide.shapes)
            if title is None or shape.shape_id != title.shape_id
        ]
        for shape in sorted(shapes, key=self._reading_order):
            try:
                self._shape(shape, page)
            except _BROKEN:
                continue
        if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
            self.blocks.add("paragraph", frame.text, page=page)
        for text in _comments(slide):
            self.blocks.add("paragraph", text, page=page)

    def _shape(self, shape: Any, page: int) -> None:
        boxes = self._boxes(shape, page)
        if getattr(shape, "has_table", False) and shape.has_table:
            self.blocks.table(table_rows(shape.table), page=page, boxes=boxes)
        elif getattr(shape, "has_chart", False) and shape.has_chart:
            self._chart(shape.chart, page, boxes)
        elif shape._element.tag.endswith("}pic"):
            said = description(shape._element._nvXxPr.cNvPr)
            written = self.scans.text(shape.part, shape._element)
            text = "\n".join(filter(None, (said, written)))
            self.blocks.add("image", text, page=page, boxes=boxes)
        elif shape.has_text_frame:
            self._text(shape, page, boxes)

    def _text(self, shape: Any, page: int, boxes: list[Box]) -> None:
        """Add a shape's paragraphs; runs of those with a bullet or a number are lists."""
        items: list[str] = []
        lines: list[str] = []
        numbers: dict[int, int] = {}
        bulleted = _has_bullets(shape)
        for paragraph in shape.text_frame.paragraphs:
            text = " ".join(paragraph.text.split())
            if not text:
                continue
            marker = _marker(paragraph, numbers, bulleted=bulleted)
            if marker is None:
                self._flush(items, lines, page, boxes)
                lines.append(paragraph.text)
                numbers.clear()
            else:
                self._flush([], lines, page, boxes)
                items.append("  " * paragraph.level + marker + text)
        self._flush(items, lines, page, boxes)

    def _flush(self, items: list[str], lines: list[str], page: int, boxes: list[Box]) -> None:
        # A single bullet is no list.
        if len(items) == 1 and items[0].startswith("- "):
            lines.insert(0, items.pop()[2:])
        self.blocks.add("list", "\n".join(items), page=page, boxes=boxes)
        self.blocks.add("paragraph", "\n".join(lines), page=page, boxes=boxes)
        items.clear()
        lines.clear()

    def _chart(self, chart: Any, page: int, boxes: list[Box]) -> None:
        title, rows = chart_table(chart._chartSpace)
        self.blocks.add("paragraph", title, page=page, boxes=boxes)
        self.blocks.table(rows, page=page, boxes=boxes)

    def _boxes(self, shape: Any, page: int) -> list[Box]:
        left, top, width, height = _place(shape)
        if not width or not height:
            return []
        x0, y0 = left / self._width, top / self._height
        x1, y1 = (left + width) / self._width, (top + height) / self._height
        x0, y0, x1, y1 = (round(min(1.0, max(0.0, v)), 4) for v in (x0, y0, x1, y1))
        return [Box(page=page, x0=x0, y0=y0, x1=x1, y1=y1)] if x1 > x0 and y1 > y0 else []

    def _reading_order(self, shape: Any) -> tuple[int, int]:
        left, top, _, _ = _place(shape)
        return round(top / self._height / _ROW), left


def _has_bullets(shape: Any) -> bool:
    """Whether a shape's paragraphs have bullets unless they say otherwise: texts of layouts do."""
    if not shape.is_placeholder:
        return False
    return shape.placeholder_format.type in _BULLETED


def _marker(paragraph: Any, numbers: dict[int, int], *, bulleted: bool) -> str | None:
    """Return what stands in front of a paragraph, None where nothing does."""
    properties = paragraph._p.pPr
    kinds = {child.tag.rpartition("}")[2] for child in (() if properties is None else properties)}
    if "buAutoNum" in kinds:
        start = properties.find("{*}buAutoNum").get("startAt", "1")
        first = int(start) if start.isdigit() else 1
        number = numbers[paragraph.level] = numbers.get(paragraph.level, first - 1) + 1
        for deeper in [level for level in numbers if level > paragraph.level]:
            del numbers[deeper]
        return f"{number}. "
    if "buNone" in kinds or not (bulleted or paragraph.level or kinds & {"buChar", "buBlip"}):
        return None
    return "- "


def table_rows(table: Any) -> list[list[str]]:
    """Return the cells' texts; one that spans several is in each, along a row as `Across`."""
    rows: list[list[str]] = []
    for row in table.rows:
        cells: list[str] = []
        for column, cell in enumerate(row.cells):
            if not cell.is_spanned:
                cells.append(cell.text)
            elif cell._tc.get("vMerge") in ("1", "true") and rows:
                cells.append(rows[-1][column])
            else:
                cells.append(Across(cells[-1]) if cells else "")
        rows.append(cells)
    return rows


def _comments(slide: Any) -> Iterator[str]:
    """Yield the comments on a slide, as either way of PowerPoint stores them."""
    authors: dict[str, str] = {}
    for relation in slide.part.package.presentation_part.rels.values():
        if not relation.is_external and relation.reltype.endswith(("/commentAuthors", "/authors")):
            root = parse(relation.target_part.blob)
            if root is not None:
                authors |= authors_of(root)
    for relation in slide.part.rels.values():
        if not relation.is_external and relation.reltype.endswith("/comments"):
            root = parse(relation.target_part.blob)
            if root is not None:
                yield from (text for _, text in comments(root, authors))


def _place(shape: Any) -> tuple[int, int, int, int]:
    try:
        return shape.left or 0, shape.top or 0, shape.width or 0, shape.height or 0
    except _BROKEN:
        return 0, 0, 0, 0


def _flat(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """Yield shapes, those inside groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < _MAX_GROUPS:
            yield from _flat(shape.shapes, depth + 1)
        else:
            yield shape
