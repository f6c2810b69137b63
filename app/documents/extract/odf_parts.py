"""Paragraphs and tables of OpenDocument files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.documents.errors import DocumentError
from app.documents.extract.builder import Across
from app.documents.extract.xml_parts import all_text, attribute, local
from app.documents.text import one_line

#: Times that one cell or row may be repeated: spreadsheets fill up to their last row so.
_MAX_REPEATED = 1_000
_MAX_COLUMNS = 1_000
#: Cells of one table, repeated ones counted as often as they stand there.
MAX_CELLS = 5_000_000
#: Elements whose text is not part of what a person reads there.
SKIPPED = frozenset(
    {"tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "note",
     "ruby-text", "title", "desc", "event-listeners", "variable-decls", "table-of-content"}
)  # fmt: skip


def paragraph_text(paragraph: Any) -> str:
    """Return the text of a paragraph without what hangs on it: frames, notes, comments."""
    parts = [paragraph.text or ""]
    stack = [iter(paragraph)]
    tails: list[str] = [""]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            parts.append(tails.pop())
            continue
        name, tail = local(child), child.tail or ""
        if name == "s":
            count = attribute(child, "c")
            parts.append(" " * (min(int(count), 100) if count.isdigit() else 1) + tail)
        elif name in ("tab", "line-break"):
            parts.append(("\t" if name == "tab" else "\n") + tail)
        elif not name or name in SKIPPED or name in ("frame", "custom-shape"):
            parts.append(tail)
        else:
            parts.append(child.text or "")
            stack.append(iter(child))
            tails.append(tail)
    return "".join(parts)


def table_rows(table: Any) -> list[list[str]]:
    """Return the cells' texts; one that spans several is in each, along a row as `Across`.

    Raises:
        DocumentError: too_large.
    """
    rows: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column -> text and rows to go
    room = MAX_CELLS
    for row in _own_rows(table):
        cells: list[str] = []
        for cell in row:
            if local(cell) == "table-cell":
                _add_cells(cells, cell, hanging)
            elif local(cell) == "covered-table-cell":
                for _ in range(_repeated(cell, "columns")):
                    _cover(cells, hanging)
        while cells and not cells[-1]:
            cells.pop()
        again = _repeated(row, "rows") if cells else 1
        room -= again * len(cells)
        if room < 0:
            raise DocumentError(
                "too_large",
                f"A table has more than {MAX_CELLS:,} cells.",
                "Split it, or save the part that matters.",
            )
        rows += [cells] * again
    return rows


def _add_cells(cells: list[str], cell: Any, hanging: dict[int, tuple[str, int]]) -> None:
    text = _cell_text(cell)
    wide, down = _span(cell, "columns"), _span(cell, "rows")
    for _ in range(_repeated(cell, "columns")):
        if len(cells) >= _MAX_COLUMNS:
            return
        start = len(cells)
        cells.append(text)
        for column in range(start, start + wide):
            # Of this row the covered cells are yet to come, of those below all of them.
            left = down if column > start else down - 1
            if left:
                hanging[column] = Across(text) if column > start else text, left


def _cover(cells: list[str], hanging: dict[int, tuple[str, int]]) -> None:
    """Add a cell that another one covers, from the left or from above."""
    column = len(cells)
    if column >= _MAX_COLUMNS:
        return
    text, left = hanging.pop(column, ("", 0))
    if left > 1:
        hanging[column] = text, left - 1
    cells.append(text)


def _own_rows(table: Any) -> Iterator[Any]:
    """Yield a table's rows, those in groups of rows too, not those of tables in its cells."""
    for child in table:
        if local(child) == "table-row":
            yield child
        elif local(child) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _own_rows(child)


def _cell_text(cell: Any) -> str:
    """Return what a cell shows: its paragraphs, those of lists and tables inside it too."""
    texts = []
    for paragraph in cell.iter("{*}p", "{*}h", "{*}title", "{*}desc"):
        if any(local(a) in ("annotation", "note") for a in paragraph.iterancestors()):
            continue
        is_text = local(paragraph) in ("p", "h")
        texts.append(paragraph_text(paragraph) if is_text else all_text(paragraph))
    if not texts:
        return attribute(cell, "value") if attribute(cell, "value-type") == "float" else ""
    return " ".join(filter(None, map(one_line, texts)))


def _repeated(element: Any, what: str) -> int:
    value = attribute(element, f"number-{what}-repeated")
    return min(int(value), _MAX_REPEATED) if value.isdigit() and len(value) < 9 else 1


def _span(element: Any, what: str) -> int:
    value = attribute(element, f"number-{what}-spanned")
    return min(max(int(value), 1), 64) if value.isdigit() and len(value) < 6 else 1
