"""From the rows of a table without ruling lines to its cells: heads, spans, cells of many lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from app.documents.extract.builder import Across
from app.documents.extract.pdf_drawn import Rectangle
from app.documents.extract.pdf_lines import Line, Word

#: Gaps between words, in sizes of the type (1.2 times the points): one that parts cells where the
#: columns are known, and one that no justified line of prose has.
CELL_GAP, SURE_GAP = 0.45, 0.9
#: One that parts cells where a gap between columns lies in it: wider than any usual space.
SPLIT_GAP = 0.42

_NUMBER = re.compile(
    r"^[-+−–—~<>*±($€£¥]*\d[\d.,:/%–−-]*[)%*†‡a-z]{0,3}$|^[-–—−.…*†‡✓#]+$|^\([xXzZ]\)$|^(?:N/?A|n/?a)$"
)
#: What formulas hold and tables hardly do: operators, brackets made of pieces, private characters.
_FORMULA = re.compile("[=∂∑∏∫√∈∉⊂⊆∀∃→↦⇒⇔∪∩≤≥∞≅∼∧∨{}|\u239b-\u23b3\ue000-\uf8ff]")
#: What a cell holds that tells something: a word or a number of some digits.
_TELLING = re.compile(r"[^\W\d_]{3}|\d.?\d|[぀-ヿ㐀-鿿가-힯]")
_BULLETS = frozenset("•▪◦‣●○■□∙·-–*")
_GOES_ON = re.compile(r"(?:[,;&(/–-]|\b(?:and|or|of|the|in|for|to|with|by|per|a|von|und|der))$")

#: First and last column of a cell, and its text.
Cell = tuple[int, int, str]
Columns = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Segment:
    """Words of a row that stand close to each other."""

    words: list[Word]
    x0: float
    x1: float

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join(word.text for word in self.words)


@dataclass(slots=True)
class Row:
    """What stands at one height of a page."""

    y0: float
    y1: float
    size: float
    segments: list[Segment] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Height of the ink, in points."""
        return max(self.y1 - self.y0, 1.0)

    @property
    def sure(self) -> bool:
        """Whether gaps part it that no prose has."""
        gap = self.size * SURE_GAP
        return any(b.x0 - a.x1 > gap for a, b in pairwise(self.segments))

    def add(self, line: Line) -> None:
        """Add a line of this height; `finish` when all are there."""
        self.lines.append(line)
        self.y0, self.y1 = min(self.y0, line.y0), max(self.y1, line.y1)

    def finish(self) -> Row:
        """Part the words of its lines into segments."""
        self.size = median(max(line.size, 4.0) for line in self.lines)
        words = _without_leaders(
            sorted((w for line in self.lines for w in line.words), key=lambda word: word.x0)
        )
        gap = self.size * CELL_GAP
        self.segments = []
        for word in words:
            if self.segments and word.x0 - self.segments[-1].x1 <= gap:
                self.segments[-1].words.append(word)
                self.segments[-1].x1 = max(self.segments[-1].x1, word.x1)
            else:
                self.segments.append(Segment([word], word.x0, word.x1))
        return self


def _without_leaders(words: list[Word]) -> list[Word]:
    """Leave out dots with spaces between them that lead to a figure."""
    dots = [word.text == "." for word in words]
    return [
        word
        for i, word in enumerate(words)
        if not (dots[i] and sum(dots[max(0, i - 1) : i + 2]) > 1)
    ]


def is_number(text: str) -> bool:
    """Whether a cell holds figures, or a mark that there are none."""
    return bool(text) and all(_NUMBER.match(part) for part in text.split())


def says_something(texts: Sequence[str]) -> bool:
    """Whether cells hold words and numbers rather than formulas or the labels of a plot."""
    formulas = sum(_FORMULA.search(text) is not None for text in texts)
    telling = sum(_TELLING.search(text) is not None for text in texts)
    return formulas <= 0.1 * len(texts) and telling >= 0.3 * len(texts)


def straddles(row: Row, columns: Columns) -> int:
    """Return how many gaps between columns a word of the row stands in."""
    gaps = [(a[1], b[0]) for a, b in pairwise(columns)]
    words = [word for segment in row.segments for word in segment.words]
    return sum(
        any(word.x0 < (x0 + x1) / 2 < word.x1 for word in words) for x0, x1 in gaps if x1 > x0
    )


def place(row: Row, columns: Columns) -> list[Cell]:
    """Return the cells of a row."""
    placed: list[Cell] = []
    for segment in row.segments:
        for part in _split(segment, columns, row.size):
            held = [i for i, (x0, x1) in enumerate(columns) if part.x0 < x1 and part.x1 > x0]
            if not held:
                middle = (part.x0 + part.x1) / 2
                held = [
                    min(
                        range(len(columns)),
                        key=lambda i: abs((columns[i][0] + columns[i][1]) / 2 - middle),
                    )
                ]
            if placed and placed[-1][1] >= held[0]:
                first, last, text = placed.pop()
                placed.append((first, max(last, held[-1]), f"{text} {part.text}"))
            else:
                placed.append((held[0], held[-1], part.text))
    return placed


def _split(segment: Segment, columns: Columns, size: float) -> list[Segment]:
    """Part a segment where one of its spaces lies between two columns."""
    gaps = [(a[1], b[0]) for a, b in pairwise(columns)]
    parts: list[list[Word]] = [[segment.words[0]]]
    for a, b in pairwise(segment.words):
        middle = (a.x1 + b.x0) / 2
        wide = b.x0 - a.x1 > SPLIT_GAP * size
        if wide and any(x0 - 1 <= middle <= x1 + 1 for x0, x1 in gaps):
            parts.append([b])
        else:
            parts[-1].append(b)
    return [Segment(words, words[0].x0, words[-1].x1) for words in parts]


def cells_of(rows: Sequence[Row], columns: Columns, rules: Sequence[Rectangle]) -> list[list[str]]:
    """Return the table that rows make, a list of cells each.

    `rules` are the ruling lines that run across it.
    """
    grid = [place(row, columns) for row in rows]
    head = _head_rows(grid, len(columns))
    table = _head(rows[:head], grid[:head], columns, rules)
    body = _body(rows[head:], grid[head:], rules)
    return _without_bullet_columns(
        table + [_spread(cells, len(columns), indented=True) for cells in body]
    )


def _head_rows(grid: Sequence[Sequence[Cell]], width: int) -> int:
    """Return how many rows stand above the first row of figures, 0 where there is none."""
    for i, row in enumerate(grid):
        figures = sum(is_number(text) for first, _, text in row if first)
        if figures * 2 >= len(row) and figures and len(row) > 1:
            if len(row) <= width / 2 and i + 1 < len(grid) and i < 4:
                continue  # years over a part of the columns
            return i if i < 9 else 0
    return 0


def _head(
    rows: Sequence[Row],
    grid: Sequence[Sequence[Cell]],
    columns: Columns,
    rules: Sequence[Rectangle],
) -> list[list[str]]:
    """Stack the lines of each column's head; heads over several columns are rows of their own."""
    table: list[list[str]] = []
    open_row: list[str] | None = None
    last: Row | None = None
    for row, cells in zip(rows, grid, strict=True):
        spans = any(end > start > 0 for start, end, _ in cells)
        apart = last is not None and row.y0 - last.y1 > 1.2 * row.height
        ruled = last is not None and _ruled(last, row, rules)
        if open_row is None or spans or apart or ruled:
            open_row = _spread(cells, len(columns), indented=False)
            table.append(open_row)
            if spans:
                open_row = None
        else:
            for start, _, text in cells:
                open_row[start] = f"{open_row[start]} {text}".strip()
        last = row
    return table


def _ruled(above: Row, below: Row, rules: Sequence[Rectangle]) -> bool:
    """Whether a ruling line runs between two rows over a part of what they hold."""
    x0, x1 = below.segments[0].x0, below.segments[-1].x1
    top, bottom = (above.y0 + above.y1) / 2, (below.y0 + below.y1) / 2
    return any(
        top < (rule[1] + rule[3]) / 2 < bottom and rule[0] < x1 and rule[2] > x0 for rule in rules
    )


def _body(
    rows: Sequence[Row], grid: Sequence[Sequence[Cell]], rules: Sequence[Rectangle]
) -> list[list[Cell]]:
    """Join the rows that go on with the cells of the row above."""
    body: list[list[Cell]] = []
    for i, (row, cells) in enumerate(zip(rows, grid, strict=True)):
        if (
            i
            and _continues(rows[i - 1], row, body[-1], cells)
            and not _ruled(rows[i - 1], row, rules)
        ):
            joined = {first: (first, last, text) for first, last, text in body[-1]}
            for first, last, text in cells:
                start, end, before = joined.get(first, (first, last, ""))
                joined[first] = start, max(end, last), f"{before} {text}".strip()
            body[-1] = [joined[first] for first in sorted(joined)]
        else:
            body.append(list(cells))
    return body


def _continues(above: Row, row: Row, before: Sequence[Cell], cells: Sequence[Cell]) -> bool:
    """Whether a row holds the rest of texts that began in the row above."""
    if row.y0 - above.y1 > 0.7 * row.height or any(is_number(text) for _, _, text in cells):
        return False
    begun = {first: text for first, _, text in before}
    if not all(first in begun and not is_number(begun[first]) for first, _, _ in cells):
        return False
    if any(text[0] in _BULLETS for _, _, text in cells):
        return False
    if cells[0][0] > 0:  # nothing in the first column
        return True
    first = cells[0][2]
    return len(cells) < max(2, len(before)) and (
        first[0].islower() or _GOES_ON.search(begun[0]) is not None
    )


def _spread(cells: Sequence[Cell], width: int, *, indented: bool) -> list[str]:
    """Return a row of all columns; titles in the first column do not span what is beside them."""
    row = [""] * width
    for first, last, text in cells:
        row[first] = text
        if last > first and not (indented and first == 0):
            row[first + 1 : last + 1] = [Across(text)] * (last - first)
    return row


def _without_bullet_columns(table: list[list[str]]) -> list[list[str]]:
    """Put bullets that stand in a column of their own in front of their texts."""
    width = len(table[0]) if table else 0
    for column in range(width - 2, -1, -1):
        texts = [row[column] for row in table if row[column]]
        if texts and all(text in _BULLETS for text in texts):
            for row in table:
                row[column : column + 2] = [f"{row[column]} {row[column + 1]}".strip()]
    return table
