"""Excel: a sheet is a page; each run of filled rows is a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.ooxml import core_properties, open_package
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument

#: Columns that are read; a stray cell at the far end of a sheet costs nothing then.
MAX_COLUMNS = 1_000
#: Empty rows after which a sheet is over.
MAX_EMPTY_ROWS = 20_000


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the values of every visible sheet; formulas as the results they had when saved.

    Raises:
        DocumentError: damaged, encrypted, unsafe, too_large, too_many_pages.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_package(path, "xlsx") as source:
        from openpyxl import load_workbook

        book = load_workbook(source, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = book.worksheets
            if len(sheets) > options.max_pages:
                raise DocumentError(
                    "too_many_pages",
                    f"The workbook has {len(sheets):,} sheets; {options.max_pages:,} are allowed.",
                    "Split it, or raise the limit on pages.",
                )
            blocks = Blocks(options.max_chars)
            hidden = []
            for number, sheet in enumerate(sheets, 1):
                if sheet.sheet_state != "visible":
                    hidden.append(sheet.title)
                    continue
                _sheet(blocks, sheet, number, options)
            title, metadata = core_properties(source)
        finally:
            book.close()
    if hidden:
        metadata["hidden_sheets"] = hidden
    return ExtractedDocument(
        media_type=media.XLSX,
        title=title,
        pages=len(sheets),
        metadata=metadata,
        blocks=tuple(blocks.items) if any(b.kind != "heading" for b in blocks.items) else (),
    )


def _sheet(blocks: Blocks, sheet: Any, page: int, options: ExtractOptions) -> None:
    blocks.heading(sheet.title, 1, page=page)
    # What the file says about its size may be wrong by millions of rows.
    sheet.reset_dimensions()
    for rows in _tables(sheet, options.max_chars):
        if len(rows) == 1 or max(sum(map(bool, row)) for row in rows) == 1:
            for row in rows:
                blocks.add("paragraph", " ".join(filter(None, row)), page=page)
            continue
        # A title above the table: one filled cell before the first row of several.
        titles = next(i for i, row in enumerate(rows) if sum(map(bool, row)) > 1)
        for row in rows[:titles]:
            blocks.add("paragraph", " ".join(filter(None, row)), page=page)
        blocks.table(rows[titles:], page=page)


def _tables(sheet: Any, max_chars: int) -> Iterator[list[list[str]]]:
    """Yield runs of rows between empty ones."""
    rows: list[list[str]] = []
    empty = held = 0
    for row in sheet.iter_rows(max_col=MAX_COLUMNS):
        cells = [_text(cell) for cell in row]
        if any(cells):
            while not cells[-1]:
                cells.pop()
            rows.append(cells)
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
        if rows:
            yield rows
            rows = []
        if empty > MAX_EMPTY_ROWS:
            break
    if rows:
        yield rows


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        return _number(value, getattr(cell, "number_format", "") or "")
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
