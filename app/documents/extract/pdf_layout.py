"""From the lines of PDF pages to headings, paragraphs, lists and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.documents.extract.builder import Blocks
from app.documents.extract.ocr import turned
from app.documents.extract.pdf_lines import Line, PageLines
from app.documents.model import Box

#: Type this much larger than the text's is a heading's.
HEADING_RATIO = 1.12
#: A longer line is text, however large.
MAX_HEADING_CHARS = 160
#: Share of the page's height at top and bottom in which repeated lines are running heads.
MARGIN = 0.09

_BULLET = re.compile(r"^(?:[•▪◦‣●○■□∙]\s*|(?:[–·*-]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+)\S")
_DIGITS = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
_PAGE_NUMBER = re.compile(r"^[-–—\s]*(?:\d{1,4}|[ivxlc]{1,7})[-–—\s]*$")
_NUMBERED = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[IVX]+\.|[A-Z]\.)\s+\S")


@dataclass(slots=True)
class TableArea:
    """A table found on a page: where (points from the top left) and its rows."""

    x0: float
    y0: float
    x1: float
    y1: float
    rows: list[list[str]]

    def holds(self, line: Line) -> bool:
        """Whether the middle of a line lies in the table."""
        x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
        return self.x0 - 2 <= x <= self.x1 + 2 and self.y0 - 2 <= y <= self.y1 + 2


@dataclass(slots=True)
class Layout:
    """What holds for the whole document."""

    body_size: float
    #: Larger type sizes, largest first: the levels of headings.
    heading_sizes: list[float]
    #: page number -> {normalised title: level} of the document's outline
    outline: dict[int, dict[str, int]] = field(default_factory=dict)
    #: Running heads and feet, normalised.
    running: frozenset[str] = frozenset()

    def is_furniture(self, line: Line) -> bool:
        """Whether a line in the margin is a running head or a page number."""
        return _running_key(line) in self.running or _PAGE_NUMBER.match(line.text) is not None

    def heading_level(self, line: Line, page: int, *, alone: bool) -> int | None:
        """Return the level of the heading that `line` is; `alone`: a paragraph of its own."""
        if len(line.text) > MAX_HEADING_CHARS or not any(c.isalpha() for c in line.text):
            return None
        level = self.outline.get(page, {}).get(normalised(line.text))
        if level is not None:
            return level
        if line.wide:
            return None
        if line.size >= self.body_size * HEADING_RATIO and not _SENTENCE_END.search(line.text):
            for i, size in enumerate(self.heading_sizes):
                if line.size >= size * 0.97:
                    return min(i + 1, 6)
        short = len(line.text) <= 90 and not line.text.endswith((".", ",", ";", ":"))
        if alone and line.bold and short:
            return min(len(self.heading_sizes) + 1, 6)
        return None


def normalised(text: str) -> str:
    """Return the letters of a title, for comparing an outline with the page."""
    return "".join(c for c in text.casefold() if c.isalnum()).lstrip("0123456789")


def study(pages: Sequence[PageLines], outline: dict[int, dict[str, int]]) -> Layout:
    """Find the size of the running text, those of headings, and the running heads."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    body = _body_size(sizes)
    large = sorted((s for s in sizes if s >= body * HEADING_RATIO), reverse=True)
    distinct: list[float] = []
    for size in large:
        if not distinct or size < distinct[-1] * 0.93:
            distinct.append(size)
    return Layout(body, distinct[:6], outline, _running_lines(pages))


def _body_size(sizes: Counter[float]) -> float:
    """The commonest size, or a larger one where most of the text is larger (forms, small print)."""
    if not sizes:
        return 10.0
    common = sizes.most_common(1)[0][0]
    larger = {s: n for s, n in sizes.items() if s >= common * HEADING_RATIO}
    if sum(larger.values()) > 0.5 * sizes.total():
        return max(larger, key=lambda s: larger[s])
    return common


def _running_lines(pages: Sequence[PageLines]) -> frozenset[str]:
    """Lines that stand in the margin of many pages, page numbers aside."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_running_key(line) for line in page.lines if in_margin(line, page)})
    least = max(3, len(pages) * 0.2)
    return frozenset(key for key, count in seen.items() if count >= least)


def in_margin(line: Line, page: PageLines) -> bool:
    """Whether a line stands at the very top or bottom of its page."""
    return line.y1 < page.height * MARGIN or line.y0 > page.height * (1 - MARGIN)


def _running_key(line: Line) -> str:
    return _DIGITS.sub("#", line.text.casefold())


def add_page(
    blocks: Blocks, page: PageLines, layout: Layout, tables: Sequence[TableArea] = ()
) -> None:
    """Add a page's blocks in reading order; a table stands where its first line stood."""
    open_tables = list(tables)
    group: list[Line] = []
    for line in page.lines:
        if in_margin(line, page) and layout.is_furniture(line):
            continue
        area = next((t for t in tables if t.holds(line)), None)
        if area is not None:
            _add_group(blocks, page, layout, group)
            group = []
            if area in open_tables:
                open_tables.remove(area)
                blocks.table(area.rows, page=page.number, boxes=[_box(page, area)])
            continue
        if group and _breaks(group[-1], line, group, layout):
            _add_group(blocks, page, layout, group)
            group = []
        group.append(line)
    _add_group(blocks, page, layout, group)


def _breaks(last: Line, line: Line, group: Sequence[Line], layout: Layout) -> bool:
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
        or _BULLET.match(line.text) is not None
        or _type_changes(last, line, size)
        or _paragraph_ends(last, line, group, size)
        or (line.wide and last.wide)
    )


def _goes_on(last: Line, line: Line) -> bool:
    """Whether a sentence runs on from the foot of one column to the head of the next."""
    same_type = last.face == line.face and abs(last.size - line.size) < 0.5
    return same_type and line.text[0].islower() and not _SENTENCE_END.search(last.text)


def _type_changes(last: Line, line: Line, size: float) -> bool:
    """Whether the type changes from one line to the next, as around headings."""
    shorter = min(len(line.text), len(last.text))
    if abs(line.size - last.size) > 0.1 * size and shorter > 3:
        return True
    return bool(line.face and last.face and line.face != last.face and shorter < 60)


def _paragraph_ends(last: Line, line: Line, group: Sequence[Line], size: float) -> bool:
    """Whether a sentence ends in a short last line, or the next line is indented."""
    if not _SENTENCE_END.search(last.text):
        return False
    indented = line.x0 - last.x0 > 0.8 * size and not _BULLET.match(group[0].text)
    return indented or last.x1 < max(item.x1 for item in group) - 4 * size


def _side_by_side(last: Line, line: Line) -> bool:
    shared = min(last.y1, line.y1) - max(last.y0, line.y0)
    return shared > 0.4 * min(last.height, line.height) and line.x0 >= last.x1 - 1


def _add_group(blocks: Blocks, page: PageLines, layout: Layout, group: Sequence[Line]) -> None:
    if not group:
        return
    alone = len(group) <= 2
    levels = [layout.heading_level(line, page.number, alone=alone) for line in group]
    if len(group) <= 3 and levels[0] is not None and len(set(levels)) == 1:
        text = join_lines(group)
        if not _BULLET.match(text) or _NUMBERED.match(text) or group[0].size > layout.body_size:
            blocks.add(
                "heading", text, page=page.number, level=levels[0],
                boxes=[_box(page, line) for line in group],
            )  # fmt: skip
            return
    kind = "list" if _BULLET.match(group[0].text) else "paragraph"
    blocks.add(
        "list" if kind == "list" else "paragraph",
        join_lines(group),
        page=page.number,
        boxes=[_box(page, line) for line in group],
    )


def join_lines(lines: Sequence[Line]) -> str:
    """Join the lines of a paragraph; a word cut by a hyphen becomes whole."""
    parts: list[str] = []
    for i, line in enumerate(lines):
        parts.append(line.text)
        if i + 1 < len(lines) and not line.hyphen:
            parts.append(" ")
    return "".join(parts)


def _box(page: PageLines, area: Line | TableArea) -> Box:
    def share(value: float, whole: float) -> float:
        return min(1.0, max(0.0, value / whole)) if whole else 0.0

    box = (
        share(area.x0, page.width),
        share(area.y0, page.height),
        share(area.x1, page.width),
        share(area.y1, page.height),
    )
    x0, y0, x1, y1 = (round(value, 4) for value in turned(box, -page.turns))
    return Box(page=page.number, x0=x0, y0=y0, x1=x1, y1=y1)
