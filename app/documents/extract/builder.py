"""Collects the blocks of a document while it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.documents.errors import DocumentError
from app.documents.model import Block, BlockKind, Box
from app.documents.text import clean_block, one_line

Cells = tuple[tuple[str, ...], ...]


class Across(str):
    """The text of a table's cell that reaches here from the column before.

    In a row that is one wide cell (a title, a part's name) the Markdown has it once.
    """

    __slots__ = ()


class Blocks:
    """Blocks in reading order; empty ones are left out, text is cleaned, its size bounded."""

    def __init__(self, max_chars: int) -> None:
        self.items: list[Block] = []
        self._room = self._max_chars = max_chars

    def add(
        self,
        kind: BlockKind,
        text: str,
        *,
        page: int | None = None,
        level: int | None = None,
        boxes: Sequence[Box] = (),
        cells: Cells = (),
        info: str = "",
    ) -> None:
        """Add a block.

        Raises:
            DocumentError: too_large, when the document's text grows past its bound.
        """
        text = one_line(text) if kind == "heading" else clean_block(text)
        if not text:
            return
        self._room -= len(text)
        if self._room < 0:
            raise DocumentError(
                "too_large",
                f"The document holds more than {self._max_chars:,} characters of text.",
                "Split it into several files, or raise the limit on text.",
            )
        block = Block(
            kind=kind,
            text=text,
            page=page,
            level=level,
            boxes=tuple(boxes),
            cells=cells,
            info=one_line(info)[:40],
        )
        self.items.append(block)

    def heading(self, text: str, level: int, *, page: int | None = None) -> None:
        """Add a heading."""
        self.add("heading", text, page=page, level=max(1, min(level, 9)))

    def table(
        self, rows: Iterable[Sequence[str]], *, page: int | None = None, boxes: Sequence[Box] = ()
    ) -> None:
        """Add a table, as Markdown and as cells; its first row is the head."""
        text, cells = table_text(rows)
        self.add("table", text, page=page, boxes=boxes, cells=cells)


def table_text(rows: Iterable[Sequence[str]]) -> tuple[str, Cells]:
    """Return rows as (Markdown, cells); empty rows and columns are left out, the first row heads.

    Line n of the Markdown is row n of the cells, but for the line of dashes under the head. The
    Markdown of a table of one column is lines.
    """
    grid = [[_cell(cell) for cell in row] for row in rows]
    grid = [row for row in grid if any(map(_own, row))]
    if not grid:
        return "", ()
    width = max(map(len, grid))
    grid = [row + [""] * (width - len(row)) for row in grid]
    used = [i for i in range(width) if any(_own(row[i]) for row in grid)]
    grid = [[row[i] for i in used] for row in grid]
    cells = tuple(tuple(map(str, row)) for row in grid)
    if len(used) == 1:
        return "\n".join(row[0] for row in cells), cells
    lines = [_line(row) for row in grid]
    if len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines), cells


def _line(row: Sequence[str]) -> str:
    if sum(bool(_own(cell)) for cell in row) == 1:
        row = [_own(cell) for cell in row]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _cell(text: str) -> str:
    line = one_line(text)
    return Across(line) if isinstance(text, Across) else line


def _own(cell: str) -> str:
    return "" if isinstance(cell, Across) else cell
