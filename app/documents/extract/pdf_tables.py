"""Ruled tables of PDF pages, by pdfplumber: exact but slow, so only where a page looks like it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.documents.extract.pdf_layout import TableArea, table_runs
from app.documents.extract.pdf_lines import PageLines

#: Thin strokes a page with a ruled table has at least.
MIN_RULES = 3


def looks_tabular(page: PageLines) -> bool:
    """Whether a page has ruling lines and rows of text with gaps at one height."""
    return page.rules >= MIN_RULES and any(True for _ in table_runs(page.lines))


def find_tables(
    path: Path, pages: Iterable[PageLines], *, password: str | None, seconds: float
) -> tuple[dict[int, list[TableArea]], list[int]]:
    """Return the tables of `pages` by page number, and the pages there was no time for.

    A page that pdfplumber cannot read keeps its plain text.
    """
    import pdfplumber

    wanted = [page.number for page in pages]
    found: dict[int, list[TableArea]] = {}
    if not wanted:
        return found, []
    deadline = time.monotonic() + seconds
    try:
        with pdfplumber.open(path, pages=wanted, password=password) as document:
            for done, page in enumerate(document.pages):
                if time.monotonic() > deadline:
                    return found, wanted[done:]
                if areas := _page_tables(page):
                    found[page.page_number] = areas
                page.close()
    except Exception:  # pdfminer raises anything on odd files; their text is there already
        return found, [number for number in wanted if number not in found]
    return found, []


def _page_tables(page: Any) -> list[TableArea]:
    left, top = page.bbox[0], page.bbox[1]
    areas = []
    for table in page.find_tables():
        rows = [[cell or "" for cell in row] for row in table.extract()]
        if not _is_table(rows):
            continue
        x0, y0, x1, y1 = table.bbox
        areas.append(TableArea(x0 - left, y0 - top, x1 - left, y1 - top, rows))
    return areas


def _is_table(rows: list[list[str]]) -> bool:
    """Boxes around text and plots are ruled too: ask for two rows and columns, mostly filled."""
    filled = [[bool(cell.strip()) for cell in row] for row in rows]
    cells = sum(map(len, filled))
    columns = sum(any(column) for column in zip(*filled, strict=False))
    return (
        sum(map(any, filled)) >= 2 and columns >= 2 and sum(map(sum, filled)) >= max(4, cells * 0.3)
    )
