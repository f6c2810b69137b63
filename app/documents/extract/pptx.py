"""PowerPoint: a slide is a page; titles, text, lists, tables, charts and speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip
from app.documents.errors import DocumentError
from app.documents.extract.builder import Across, Blocks
from app.documents.extract.ooxml import core_properties, open_package
from app.documents.extract.ooxml_parts import (
    authors_of,
    chart_table,
    comments,
    description,
    parse,
)
from app.documents.extract.options import ExtractOptions
from app.documents.model import Box, ExtractedDocument

#: Groups nested deeper than this are left out.
_MAX_GROUPS = 20
#: Shapes whose tops differ less than this share of the slide stand in one row.
_ROW = 0.02
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
        if len(slides) > options.max_pages:
            raise DocumentError(
                "too_many_pages",
                f"The presentation has {len(slides):,} slides; {options.max_pages:,} are allowed.",
                "Split it, or raise the limit on pages.",
            )
        reader = _Reader(
            Blocks(options.max_chars), presentation.slide_width, presentation.slide_height
        )
        hidden = []
        for number, slide in enumerate(slides, 1):
            if slide._element.get("show") == "0":
                hidden.append(number)
            reader.slide(slide, number)
        title, metadata = core_properties(source)
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

    def __init__(self, blocks: Blocks, width: int | None, height: int | None) -> None:
        self.blocks = blocks
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
            self.blocks.add("image", said, page=page, boxes=boxes)
        elif shape.has_text_frame:
            paragraphs = [p for p in shape.text_frame.paragraphs if p.text.strip()]
            if len(paragraphs) > 1 or any(p.level for p in paragraphs):
                lines = ["  " * p.level + "- " + " ".join(p.text.split()) for p in paragraphs]
                self.blocks.add("list", "\n".join(lines), page=page, boxes=boxes)
            else:
                self.blocks.add("paragraph", shape.text_frame.text, page=page, boxes=boxes)

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
