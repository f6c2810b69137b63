"""From the lines of a page to its blocks: paragraphs, headings, lists, code, tables, pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from app.documents.extract.builder import Blocks
from app.documents.extract.ocr import turned
from app.documents.extract.pdf_drawn import Rectangle
from app.documents.extract.pdf_layout import (
    NUMBERED,
    SENTENCE_END,
    Layout,
    TableArea,
    in_margin,
)
from app.documents.extract.pdf_lines import Figure, Line, PageLines
from app.documents.extract.pdf_rtl import is_rtl
from app.documents.model import Box

BULLET = re.compile(
    r"^(?:[•▪◦‣●○■□∙\uf0a7\uf0b7\uf06e]\s*|(?:[–·*-]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+)\S"
)
_CAPTION = re.compile(
    r"^(?:figure|fig\.|abbildung|abb\.|image|picture|figura)\s*[\dA-Z][\d.\-–]*", re.I
)
#: Points between a picture and its caption at most.
_CAPTION_GAP = 40.0
#: What stands for a row of dots.
_LEADS_TO = " … "


class PageWriter:
    """Adds the blocks of one page in reading order."""

    def __init__(self, blocks: Blocks, page: PageLines, layout: Layout) -> None:
        self._blocks = blocks
        self._page = page
        self._layout = layout
        self._group: list[Line] = []
        self._code: list[Line] = []
        #: Items of a list that may go on: (text, boxes).
        self._items: list[tuple[str, list[Box]]] = []
        self._figures = list(page.figures)
        self._rights = _right_edges(page.lines)

    def write(self, tables: Sequence[TableArea]) -> None:
        """Add everything; a table stands where its first line stood, a picture above what follows."""
        open_tables = list(tables)
        for line in self._page.lines:
            if in_margin(line, self._page) and self._layout.is_furniture(line):
                continue
            area = next((t for t in tables if t.holds(line)), None)
            if area is not None:
                self._flush()
                if area in open_tables:
                    open_tables.remove(area)
                    rows = [row[::-1] for row in area.rows] if is_rtl(area.rows) else area.rows
                    self._blocks.table(
                        rows, page=self._page.number, boxes=[box_of(self._page, area)]
                    )
                continue
            self._add(line)
        self._flush()
        for figure in self._figures:
            self._picture(figure)

    def _add(self, line: Line) -> None:
        if line.face in self._layout.code_faces:
            if self._group:
                self._flush()
            if self._code and not _same_listing(self._code[-1], line):
                self._flush()
            self._code.append(line)
            return
        if self._code:
            self._flush()
        if self._group and _breaks(self._group[-1], line, self._group):
            self._end_group()
        if not self._group:
            self._pictures_above(line)
        self._group.append(line)

    def _pictures_above(self, line: Line) -> None:
        """Add the pictures that end above a line; one that is a caption waits for its text."""
        if _CAPTION.match(line.text):
            return
        for figure in list(self._figures):
            x0, _, x1, y1 = figure.place
            if line.y0 >= y1 - 3 and line.x1 > x0 and line.x0 < x1:
                self._flush()
                self._figures.remove(figure)
                self._picture(figure)

    def _picture(self, figure: Figure, caption: str = "", lines: Sequence[Line] = ()) -> None:
        place = figure.place
        for line in lines:
            place = (
                min(place[0], line.x0),
                min(place[1], line.y0),
                max(place[2], line.x1),
                max(place[3], line.y1),
            )
        text = "\n".join(part for part in (caption, *figure.lines) if part)
        boxes = [_rectangle(self._page, place)]
        self._blocks.add("image", text, page=self._page.number, boxes=boxes)

    def _captioned(self, group: Sequence[Line]) -> Figure | None:
        """Return the picture that a paragraph is the caption of."""
        if not _CAPTION.match(group[0].text):
            return None
        top, bottom = group[0].y0, group[-1].y1
        left, right = min(line.x0 for line in group), max(line.x1 for line in group)
        near = [
            (max(top - figure.place[3], figure.place[1] - bottom), i)
            for i, figure in enumerate(self._figures)
            if figure.place[0] < right and figure.place[2] > left
        ]
        distance, index = min(near, default=(_CAPTION_GAP, -1))
        return self._figures.pop(index) if distance < _CAPTION_GAP else None

    def _flush(self) -> None:
        """End whatever is open."""
        self._end_group()
        self._end_list()
        if self._code:
            self._blocks.add(
                "code",
                code_text(self._code),
                page=self._page.number,
                boxes=[box_of(self._page, line) for line in self._code],
            )
            self._code = []

    def _end_list(self) -> None:
        if self._items:
            self._blocks.add(
                "list",
                "\n".join(text for text, _ in self._items),
                page=self._page.number,
                boxes=[box for _, boxes in self._items for box in boxes],
            )
            self._items = []

    def _end_group(self) -> None:
        group, self._group = self._group, []
        if not group:
            return
        boxes = [box_of(self._page, line) for line in group]
        level = self._heading_level(group)
        text = self._joined(group)
        if (figure := self._captioned(group)) is not None:
            self._end_list()
            self._picture(figure, text, group)
        elif level is not None:
            self._end_list()
            self._blocks.add("heading", text, page=self._page.number, level=level, boxes=boxes)
        elif BULLET.match(group[0].text) or all(_LEADS_TO in line.text for line in group):
            self._items.append((text, boxes))
        else:
            self._end_list()
            self._blocks.add("paragraph", text, page=self._page.number, boxes=boxes)

    def _heading_level(self, group: Sequence[Line]) -> int | None:
        if len(group) > 3:
            return None
        page, layout = self._page.number, self._layout
        levels = {layout.heading_level(line, page, alone=len(group) <= 2) for line in group}
        if len(levels) > 1 or None in levels:
            return None
        text = group[0].text
        if BULLET.match(text) and not NUMBERED.match(text) and group[0].size <= layout.body_size:
            return None
        return levels.pop()

    def _joined(self, lines: Sequence[Line]) -> str:
        """Join the lines of a paragraph: words cut by a hyphen become whole, meant breaks stay."""
        parts = [lines[0].text]
        for above, line in pairwise(lines):
            if not above.hyphen:
                parts.append("\n" if self._meant(above, line) else " ")
            parts.append(line.text)
        return "".join(parts)

    def _meant(self, above: Line, line: Line) -> bool:
        """Whether a line was ended on purpose: the next word would have fitted behind it."""
        if _LEADS_TO in above.text:
            return True
        if not line.words or line.text[0].islower() or _side_by_side(above, line):
            return False
        right = self._rights.get(round(above.x0 / 20), above.x1)
        first = line.words[0]
        return right - above.x1 > first.x1 - first.x0 + 1.5 * max(line.size, 4.0)


def _right_edges(lines: Sequence[Line]) -> dict[int, float]:
    """Return how far lines that begin at about the same place reach, by place (20 points wide)."""
    edges: dict[int, float] = {}
    for line in lines:
        for place in (-1, 0, 1):
            key = round(line.x0 / 20) + place
            edges[key] = max(edges.get(key, 0.0), line.x1)
    return edges


def code_text(lines: Sequence[Line]) -> str:
    """Return program text with its line breaks and its indentation."""
    left = min(line.x0 for line in lines)
    widths = [
        (word.x1 - word.x0) / (len(word.text) - 0.2)  # ink is narrower than letters
        for line in lines for word in line.words if len(word.text) > 2
    ]  # fmt: skip
    width = median(widths) if widths else lines[0].size / 2
    return "\n".join(" " * round((line.x0 - left) / max(width, 1.0)) + line.text for line in lines)


def _same_listing(last: Line, line: Line) -> bool:
    gap = line.y0 - last.y1
    return -last.height < gap < 2.5 * max(last.height, line.height, 4.0)


def _breaks(last: Line, line: Line, group: Sequence[Line]) -> bool:
    """Whether `line` begins a new paragraph after `last`."""
    size = max(last.size, line.size, 4.0)
    if last.hyphen:
        return False
    if _side_by_side(last, line):
        # Pieces of one line (formulas, tab stops) belong together.
        return False
    gap = line.y0 - last.y1
    if gap < -size and _goes_on(last, line):
        return False
    return (
        gap < -size
        or gap > 0.9 * size
        or BULLET.match(line.text) is not None
        or _CAPTION.match(line.text) is not None
        or _type_changes(last, line, size)
        or _paragraph_ends(last, line, group, size)
        or (line.wide and last.wide)
    )


def _goes_on(last: Line, line: Line) -> bool:
    """Whether a sentence runs on from the foot of one column to the head of the next."""
    same_type = last.face == line.face and abs(last.size - line.size) < 0.5
    return same_type and line.text[0].islower() and not SENTENCE_END.search(last.text)


def _type_changes(last: Line, line: Line, size: float) -> bool:
    """Whether the type changes from one line to the next, as around headings."""
    shorter = min(len(line.text), len(last.text))
    if abs(line.size - last.size) > 0.1 * size and shorter > 3:
        return True
    return bool(line.face and last.face and line.face != last.face and shorter < 60)


def _paragraph_ends(last: Line, line: Line, group: Sequence[Line], size: float) -> bool:
    """Whether a sentence ends in a short last line, or the next line is indented."""
    if not SENTENCE_END.search(last.text):
        return False
    indented = line.x0 - last.x0 > 0.8 * size and not BULLET.match(group[0].text)
    return indented or last.x1 < max(item.x1 for item in group) - 4 * size


def _side_by_side(last: Line, line: Line) -> bool:
    shared = min(last.y1, line.y1) - max(last.y0, line.y0)
    return shared > 0.4 * min(last.height, line.height) and line.x0 >= last.x1 - 1


def box_of(page: PageLines, area: Line | TableArea) -> Box:
    """Return the place of a line or a table in fractions of the page as shown."""
    return _rectangle(page, (area.x0, area.y0, area.x1, area.y1))


def _rectangle(page: PageLines, place: Rectangle) -> Box:
    def share(value: float, whole: float) -> float:
        return min(1.0, max(0.0, value / whole)) if whole else 0.0

    box = (
        share(place[0], page.width),
        share(place[1], page.height),
        share(place[2], page.width),
        share(place[3], page.height),
    )
    x0, y0, x1, y1 = (round(value, 4) for value in turned(box, -page.turns))
    return Box(page=page.number, x0=x0, y0=y0, x1=x1, y1=y1)
