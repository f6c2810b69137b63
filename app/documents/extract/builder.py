"""Collects the blocks of a document while it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.documents.errors import DocumentError
from app.documents.model import Block, BlockKind, Box
from app.documents.text import clean_block, one_line


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
        self.items.append(Block(kind=kind, text=text, page=page, level=level, boxes=tuple(boxes)))

    def heading(self, text: str, level: int, *, page: int | None = None) -> None:
        """Add a heading."""
        self.add("heading", text, page=page, level=max(1, min(level, 9)))

    def table(
        self, rows: Iterable[Sequence[str]], *, page: int | None = None, boxes: Sequence[Box] = ()
    ) -> None:
        """Add a table as Markdown; its first row is the head."""
        self.add("table", markdown_table(rows), page=page, boxes=boxes)


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table; empty rows and columns are left out, the first row heads.

    A table of one column or one row is returned as lines.
    """
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(map(len, cells))
    cells = [row + [""] * (width - len(row)) for row in cells]
    used = [i for i in range(width) if any(row[i] for row in cells)]
    cells = [[row[i] for i in used] for row in cells]
    if len(used) == 1:
        return "\n".join(row[0].replace("\\|", "|") for row in cells)
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    if len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines)
