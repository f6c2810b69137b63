"""Tables of PDF pages: told by ruling lines that cross, or by the alignment of their words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from app.documents.extract.pdf_cells import is_number
from app.documents.extract.pdf_grid import find_grids, overlap
from app.documents.extract.pdf_lattice import find_ruled
from app.documents.extract.pdf_layout import Layout, TableArea, in_margin
from app.documents.extract.pdf_lines import PageLines


def find_tables(
    pages: Iterable[PageLines], layout: Layout, *, seconds: float
) -> tuple[dict[int, list[TableArea]], list[int]]:
    """Return the tables of `pages` by page number, and the pages there was no time for."""
    deadline = time.monotonic() + seconds
    found: dict[int, list[TableArea]] = {}
    left: list[int] = []
    for page in pages:
        if time.monotonic() > deadline:
            left.append(page.number)
            continue
        lines = [
            line for line in page.lines if not (in_margin(line, page) and layout.is_furniture(line))
        ]
        text = [line for line in lines if line.face not in layout.code_faces]
        if areas := _best(find_ruled(lines, page.drawn), find_grids(text, page.drawn)):
            found[page.number] = areas
    return found, left


def _best(ruled: Iterable[TableArea], aligned: Sequence[TableArea]) -> list[TableArea]:
    """Choose between what the lines and what the words say of the same part of a page."""
    chosen = list(aligned)
    for area in ruled:
        rivals = [other for other in chosen if overlap(area, other)]
        if rivals and _too_coarse(area, rivals):
            continue
        chosen = [other for other in chosen if other not in rivals]
        chosen.append(area)
    return sorted(chosen, key=lambda area: (area.y0, area.x0))


def _too_coarse(area: TableArea, rivals: Sequence[TableArea]) -> bool:
    """Whether ruling lines part groups of rows or columns only: cells hold stacks of figures."""
    stacked = [cell.splitlines() for row in area.rows for cell in row if cell.strip()]
    figures = sum(len(lines) > 1 and sum(map(is_number, lines)) > 1 for lines in stacked)
    if figures > 0.15 * len(stacked):
        return True
    several = sum(
        len(cell.split()) > 1 and all(map(is_number, cell.split()))
        for row in area.rows for cell in row
    )  # fmt: skip
    return several > 0.15 * len(stacked) and bool(rivals)
