"""Tables without ruling lines: rows of words whose gaps stand at the same places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from app.documents.extract.pdf_cells import (
    Cell,
    Columns,
    Row,
    cells_of,
    place,
    says_something,
    straddles,
)
from app.documents.extract.pdf_drawn import Drawn, Rectangle
from app.documents.extract.pdf_layout import TableArea
from app.documents.extract.pdf_lines import Line

#: Rows further apart than this many of their heights belong to different tables.
ROW_GAP = 2.2
#: Height of a line with letters that go up and down, in sizes of its type.
TYPE_HEIGHT = 0.75
#: Rows a table has at least; two are enough where they have many cells.
MIN_ROWS, MANY_CELLS = 3, 4
#: Share of the rows that may reach across a gap between columns: heads over several of them.
ACROSS = 0.1
#: Rows of one cell (titles of sections, long names) that may follow each other in a table.
MAX_SINGLE = 3
#: Words a cell has on average at most: more are prose set side by side.
MAX_WORDS = 6.0
#: And characters, for scripts without spaces.
MAX_CHARS = 60.0
#: Lines of a page among which tables are looked for, and areas between ruling lines.
MAX_LINES, MAX_REGIONS = 3_000, 40
#: Rows of a head that are looked for above the first row that is surely one of the table.
MAX_HEAD = 8

#: Rows back that a line may belong to. (Two columns of prose are drawn further apart.)
_LOOK_BACK = 5

_CAPTION = re.compile(r"^(?:table|tab\.|tabelle|figure|fig\.|abbildung|exhibit)\s*[\dA-Z]", re.I)


@dataclass(slots=True)
class _Core:
    """Rows that are surely of one table, and its columns."""

    rows: list[Row]
    columns: Columns

    @property
    def x0(self) -> float:
        return min(row.segments[0].x0 for row in self.rows)

    @property
    def x1(self) -> float:
        return max(row.segments[-1].x1 for row in self.rows)

    @property
    def y0(self) -> float:
        return min(row.y0 for row in self.rows)

    @property
    def y1(self) -> float:
        return max(row.y1 for row in self.rows)


def find_grids(page_lines: Sequence[Line], drawn: Drawn) -> list[TableArea]:
    """Return the tables of a page that are told by the alignment of their words."""
    lines = [line for line in page_lines if line.words and line.height <= 4 * max(line.size, 4.0)]
    if len(lines) > MAX_LINES:
        return []
    cores = [core for run in _runs(_rows(lines)) if (core := _core(run)) is not None]
    for region in _ruled_regions(drawn.across)[:MAX_REGIONS]:
        if not any(_within(core, region) for core in cores):
            inside = [line for line in lines if _holds(region, line)]
            cores += [c for run in _runs(_by_height(inside)) if (c := _core(run)) is not None]
    found: list[TableArea] = []
    for core in _joined(cores, lines):
        area = _table(core, lines, drawn)
        if area is not None and not any(overlap(area, other) for other in found):
            found.append(area)
    return found


def _ruled_regions(rules: Sequence[Rectangle]) -> list[Rectangle]:
    """Return areas with a ruling line at top and bottom, and nothing but such in between."""
    spans: list[list[float]] = []  # x0, x1, y of lines, their pieces put together
    for x0, y0, x1, y1 in sorted(rules, key=lambda r: (round((r[1] + r[3]) / 2), r[0])):
        y = (y0 + y1) / 2
        if spans and abs(spans[-1][2] - y) < 2 and x0 - spans[-1][1] < 6:
            spans[-1][1] = max(spans[-1][1], x1)
        else:
            spans.append([x0, x1, y])
    regions: list[list[float]] = []
    for x0, x1, y in spans:
        if x1 - x0 < 100:
            continue
        same = next((r for r in regions if abs(r[0] - x0) < 8 and abs(r[2] - x1) < 8), None)
        if same is None:
            regions.append([x0, y, x1, y])
        else:
            same[3] = y
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in regions if y1 - y0 > 20]


def _holds(region: Rectangle, line: Line) -> bool:
    x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
    return region[0] <= x <= region[2] and region[1] <= y <= region[3]


def _within(core: _Core, region: Rectangle) -> bool:
    return min(core.y1, region[3]) > max(core.y0, region[1]) and min(core.x1, region[2]) > max(
        core.x0, region[0]
    )


def _rows(lines: Iterable[Line]) -> list[Row]:
    """Join lines of one height that are drawn one after the other, or nearly so."""
    rows: list[Row] = []
    for line in lines:
        row = next((r for r in reversed(rows[-_LOOK_BACK:]) if _same_height(r, line)), None)
        if row is not None:
            row.add(line)
        else:
            rows.append(Row(line.y0, line.y1, max(line.size, 4.0), [], [line]))
    return [row.finish() for row in rows]


def _same_height(row: Row, line: Line) -> bool:
    shared = min(row.y1, line.y1) - max(row.y0, line.y0)
    return shared > 0.5 * min(row.height, max(line.height, 1.0)) and all(
        line.x0 >= other.x1 - 1 or line.x1 <= other.x0 + 1 for other in row.lines
    )


def _runs(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield runs of rows, one below the other, in which most are parted by sure gaps."""
    run: list[Row] = []
    single = 0
    for row in rows:
        follows = bool(run) and -0.5 * row.height < row.y0 - run[-1].y1 < _reach(run, row)
        if run and (not follows or single > MAX_SINGLE):
            yield run
            run = []
        if not run:
            single = 0
        if row.sure:
            run.append(row)
            single = 0
        elif run:
            run.append(row)
            single += 1
    if run:
        yield run


def _reach(run: Sequence[Row], row: Row) -> float:
    """Return how far below a run of rows the next row of its table may stand."""
    height = max(row.height, run[-1].height)
    # Figures and capitals alone have less ink than their type is high. (One text alone may as well
    # be the title of what comes next.)
    return ROW_GAP * (max(height, TYPE_HEIGHT * row.size) if row.sure else height)


def _core(run: Sequence[Row]) -> _Core | None:
    rows = list(run)
    while rows and not rows[-1].sure:
        rows.pop()
    sure = [row for row in rows if row.sure]
    cells = median(len(row.segments) for row in sure) if sure else 0
    if len(sure) < (2 if cells >= MANY_CELLS else MIN_ROWS) or len(sure) < 0.5 * len(rows):
        return None
    columns = _columns(sure)
    return _Core(rows, columns) if len(columns) >= 2 else None


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the columns' extents: what is between gaps that (nearly) no row reaches across."""
    usual = median(len(row.segments) for row in rows)
    body = [row for row in rows if len(row.segments) >= 0.7 * usual]
    allowed = int(len(body) * ACROSS)
    edges = sorted(
        [(s.x0, 1) for row in body for s in row.segments]
        + [(s.x1, -1) for row in body for s in row.segments],
        key=lambda edge: (edge[0], -edge[1]),
    )
    columns: list[tuple[float, float]] = []
    depth, start = 0, 0.0
    for x, step in edges:
        if depth <= allowed < depth + step:
            start = x
        elif depth > allowed >= depth + step:
            columns.append((start, x))
        depth += step
    # Not columns: a letter or two that hardly any row has, footnote marks say.
    return [
        (x0, x1)
        for x0, x1 in columns
        if sum(any(s.x0 < x1 and s.x1 > x0 for s in row.segments) for row in body)
        >= max(2, 0.15 * len(body))
    ]


def _joined(cores: Sequence[_Core], lines: Sequence[Line]) -> list[_Core]:
    """Join parts of one table that are drawn in another order than they stand."""
    joined: list[_Core] = []
    for core in sorted(cores, key=lambda core: core.y0):
        last = next((c for c in reversed(joined) if _same_table(c, core, lines)), None)
        if last is None:
            joined.append(core)
            continue
        last.rows += core.rows
        columns = _columns([row for row in last.rows if row.sure])
        if len(columns) >= 2:
            last.columns = columns
    return joined


def _same_table(upper: _Core, lower: _Core, lines: Sequence[Line]) -> bool:
    gap = lower.y0 - upper.y1
    height = median(row.height for row in upper.rows + lower.rows)
    if not -height < gap < 5 * ROW_GAP * height:
        return False
    if abs(len(upper.columns) - len(lower.columns)) > 1:
        return False
    shared = sum(
        any(min(a[1], b[1]) - max(a[0], b[0]) > 0 for b in lower.columns) for a in upper.columns
    )
    if shared < min(len(upper.columns), len(lower.columns)):
        return False
    # Nothing between them but titles of sections and rows that were too narrow to be sure.
    between = [
        line
        for line in lines
        if upper.y1 < (line.y0 + line.y1) / 2 < lower.y0
        and line.x0 < max(upper.x1, lower.x1)
        and line.x1 > min(upper.x0, lower.x0)
    ]
    width = max(upper.x1, lower.x1) - min(upper.x0, lower.x0)
    return all(line.x1 - line.x0 < 0.6 * width or line.wide for line in between) and (
        gap < ROW_GAP * height or bool(between)
    )


def _table(core: _Core, lines: Sequence[Line], drawn: Drawn) -> TableArea | None:
    x0, x1 = core.x0 - 2, core.x1 + 2
    top = _top(core, lines, drawn)
    inside = [
        line
        for line in lines
        if x0 - 3 <= (line.x0 + line.x1) / 2 <= x1 + 3
        and top <= (line.y0 + line.y1) / 2 <= core.y1 + 1
    ]
    rows = _by_height(inside)
    while rows and _is_prose(rows[-1], core.columns):
        rows.pop()
    while rows and _is_prose(rows[0], core.columns):
        rows.pop(0)
    if len(rows) < 2 or not _convincing(rows, core.columns):
        return None
    kept = [line for row in rows for line in row.lines]
    left, right = min(line.x0 for line in kept), max(line.x1 for line in kept)
    rules = [r for r in drawn.across if r[0] < right and r[2] > left]
    return TableArea(left, rows[0].y0, right, rows[-1].y1, cells_of(rows, core.columns, rules))


def _by_height(lines: Sequence[Line]) -> list[Row]:
    rows: list[Row] = []
    for line in sorted(lines, key=lambda line: line.y0 + line.y1):
        if rows and _same_height(rows[-1], line):
            rows[-1].add(line)
        else:
            rows.append(Row(line.y0, line.y1, max(line.size, 4.0), [], [line]))
    return [row.finish() for row in rows]


def _top(core: _Core, lines: Sequence[Line], drawn: Drawn) -> float:
    """Return where the table's head begins: at a ruling line above it, or with its rows."""
    width = core.x1 - core.x0
    above = [
        line
        for line in lines
        if (line.y0 + line.y1) / 2 < core.y0 and line.x1 > core.x0 and line.x0 < core.x1
    ]
    rows = _by_height(above)[::-1][:MAX_HEAD]
    rules = [
        (r[1] + r[3]) / 2
        for r in drawn.across
        if min(r[2], core.x1) - max(r[0], core.x0) > 0.7 * width
    ]
    top = core.y0
    height = median(row.height for row in core.rows)
    for row in rows:
        if top - row.y1 > ROW_GAP * height or _is_prose(row, core.columns):
            break
        if _CAPTION.match(row.segments[0].text):
            break
        lone = len(row.segments) == 1
        ruled = any(row.y1 - 2 <= y <= top + 2 for y in rules)
        over = any(y < row.y0 + 2 and row.y0 - y < 6 * height for y in rules)
        if lone and (not over or (ruled and not over)):
            seg = row.segments[0]
            # A single text over the columns is a head, one at the left a caption.
            if seg.x0 < core.columns[0][1] or not rules:
                break
        if ruled and not over and not row.sure:
            break
        top = row.y0
    return top - 1


def _is_prose(row: Row, columns: Columns) -> bool:
    """Whether a row runs across the columns as a sentence does."""
    words = sum(len(segment.words) for segment in row.segments)
    return words >= 5 and straddles(row, columns) >= max(1, 0.34 * (len(columns) - 1))


def _convincing(rows: Sequence[Row], columns: Columns) -> bool:
    """Whether it is a table: short cells, several a row; no prose set side by side, no contents."""
    grid = [place(row, columns) for row in rows]
    texts = [text for row in grid for _, _, text in row]
    count = max(1, len(texts))
    words = sum(len(text.split()) for text in texts) / count
    return (
        sum(len(row) > 1 for row in grid) >= 0.4 * len(grid)
        and words <= MAX_WORDS
        and sum(map(len, texts)) <= MAX_CHARS * count
        and says_something(texts)
        and not _is_contents(grid)
        and not (words >= 2.5 and _runs_on(grid))
    )


def _runs_on(grid: Sequence[Sequence[Cell]]) -> bool:
    """Whether most texts go on below in lower case, as in columns of prose."""
    below = pairs = 0
    for upper, lower in pairwise(grid):
        above = {first: text for first, _, text in upper}
        for first, _, text in lower:
            if first in above and text[0].isalpha() and above[first][-1].isalpha():
                pairs += 1
                below += text[0].islower()
    return pairs >= 3 and below > 0.5 * pairs


def _is_contents(grid: Sequence[Sequence[Cell]]) -> bool:
    """Whether the last column counts pages: nothing but whole numbers that never fall."""
    last = max(end for row in grid for _, end, _ in row)
    if last > 2:
        return False
    pages = [row[-1][2] for row in grid if row[-1][1] == last]
    numbers = [int(page) for page in pages if page.isdecimal() and len(page) < 5]
    return (
        len(numbers) >= 3
        and len(numbers) >= 0.8 * len(grid)
        and numbers == sorted(numbers)
        and not any(row[0][2].isdecimal() and len(row[0][2]) == 4 for row in grid)
    )


def overlap(a: TableArea, b: TableArea) -> bool:
    """Whether two areas share a part of the page."""
    return min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)
