"""Rows of a spreadsheet as tables: where the filled areas are, titles above them, single cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from app.documents.errors import DocumentError
from app.documents.extract.builder import Across, Blocks
from app.documents.extract.options import ExtractOptions

#: Empty rows after which a sheet is over.
MAX_EMPTY_ROWS = 20_000

#: Columns that are read; a stray cell at the far end of a sheet costs nothing then.
MAX_COLUMNS = 1_000
#: Merged cells of a sheet that are looked at, and rows one of them may reach over.
MAX_MERGES = 5_000
MAX_MERGED_ROWS = 200

Rows = list[list[str]]


class Merge(NamedTuple):
    """A range of merged cells, rows and columns from 1."""

    top: int
    left: int
    bottom: int
    right: int


def add_sheet(
    blocks: Blocks, rows: Iterable[Sequence[str]], page: int, options: ExtractOptions
) -> None:
    """Add the tables of a sheet: areas between empty rows, and between empty columns.

    Areas beside each other are tables of their own where each has two rows and two columns at
    least; else an empty column is only a wide line.

    Raises:
        DocumentError: too_large.
    """
    for run in _runs(rows, options.max_chars):
        for area in _beside(run):
            _add_area(blocks, area, page)


def _add_area(blocks: Blocks, rows: Rows, page: int) -> None:
    if len(rows) == 1 or max(sum(map(bool, row)) for row in rows) == 1:
        for row in rows:
            blocks.add("paragraph", " ".join(filter(None, row)), page=page)
        return
    # A title above the table: one filled cell before the first row of several.
    titles = next(i for i, row in enumerate(rows) if _own(row) > 1)
    for row in rows[:titles]:
        blocks.add("paragraph", next(filter(None, row)), page=page)
    blocks.table(rows[titles:], page=page)


def _own(row: Sequence[str]) -> int:
    """Return how many cells of a row are filled, a merged one counted once."""
    return sum(bool(cell) and type(cell) is str for cell in row)


def _runs(rows: Iterable[Sequence[str]], max_chars: int) -> Iterator[Rows]:
    """Yield runs of rows between empty ones."""
    run: Rows = []
    empty = held = 0
    for row in rows:
        cells = list(row)
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            run.append(cells)
            empty = 0
            held += sum(map(len, cells))
            if held > max_chars:
                raise DocumentError(
                    "too_large",
                    f"A sheet holds more than {max_chars:,} characters.",
                    "Split the workbook, or raise the limit on text.",
                )
            continue
        empty += 1
        if run:
            yield run
            run = []
        if empty > MAX_EMPTY_ROWS:
            break
    if run:
        yield run


def _beside(run: Rows) -> Iterator[Rows]:
    """Yield the areas of a run of rows that empty columns separate, from the left."""
    used: set[int] = set()
    for row in run:
        used.update(i for i, cell in enumerate(row) if cell)
    spans: list[tuple[int, int]] = []
    for column in sorted(used):
        if spans and spans[-1][1] == column:
            spans[-1] = spans[-1][0], column + 1
        else:
            spans.append((column, column + 1))
    areas = [[row[start:end] for row in run] for start, end in spans]
    if len(areas) < 2 or not all(map(_is_table, areas)):
        yield run
        return
    for area in areas:
        # Beside a longer table there may be two short ones.
        yield from _runs(area, max_chars=sum(len(cell) for row in area for cell in row))


def _is_table(area: Rows) -> bool:
    return sum(any(row) for row in area) > 1 and max(map(len, area)) > 1


def filled(rows: Iterable[list[str]], merges: Sequence[Merge]) -> Iterator[list[str]]:
    """Yield rows with merged cells filled: along a row as `Across`, below as the text again."""
    waiting = sorted(merges, reverse=True)
    open_: list[tuple[Merge, str]] = []
    for number, row in enumerate(rows, 1):
        open_ = [(merge, text) for merge, text in open_ if merge.bottom >= number]
        while waiting and waiting[-1].top <= number:
            merge = waiting.pop()
            if merge.top == number and merge.left <= len(row) and row[merge.left - 1]:
                open_.append((merge, row[merge.left - 1]))
        for merge, text in open_:
            last = min(merge.right, MAX_COLUMNS)
            row.extend([""] * (last - len(row)))
            for column in range(merge.left, last + 1):
                row[column - 1] = text if column == merge.left else Across(text)
        yield row


def value_text(value: Any, style: str = "") -> str:
    """Return a cell's value as people see it; `style` is its number format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        return _number(value, style)
    if isinstance(value, datetime):
        midnight = value.time() == time(0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, date | time | timedelta):
        return str(value)
    return str(value).strip()


def _number(value: float, style: str) -> str:
    if style.rstrip('"').endswith("%"):
        return f"{value * 100:.10g}%"
    return str(value) if isinstance(value, int) else f"{value:.12g}"
