"""Text out of WordprocessingML elements, without what was deleted or is stored twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from app.documents.extract.builder import Across
from app.documents.extract.docx_math import latex
from app.documents.extract.xml_parts import local, walk

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

#: Paragraph -> what the pictures in it say, None where there are none.
Said = Callable[[Any], str | None]

#: Containers around paragraphs: content controls, smart tags, insertions.
_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "smartTag", "moveTo"})
#: Elements whose text is not part of the paragraph: deletions, copies for older programs, boxes.
_SKIPPED = frozenset(
    {"del", "moveFrom", "Fallback", "txbxContent", "instrText", "delText", "pPr", "rPr", "binData"}
)
_SPACES = re.compile(r" {2,}")
#: What stands for a character.
_MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


def iter_content(element: Any) -> Iterator[Any]:
    """Yield the paragraphs and tables of a body, cell or note, in order."""
    for name, child in walk(element, _WRAPPERS.__contains__):
        if name in ("p", "tbl"):
            yield child


def paragraph_text(paragraph: Any) -> str:
    """Return the text of a paragraph, formulas as LaTeX."""
    return _SPACES.sub(" ", "".join(_texts(paragraph)))


def _texts(paragraph: Any) -> Iterator[str]:
    for name, child in walk(paragraph, _goes_on_inside):
        if name == "t":
            yield child.text or ""
        elif name in _MARKS:
            if not (name == "br" and child.get(f"{W}type") == "page"):
                yield _MARKS[name]
        elif name == "oMath":
            # Formulas side by side, and words beside them, stay apart.
            yield f" {latex(child).strip()} "


def _goes_on_inside(name: str) -> bool:
    return name not in ("t", "oMath") and name not in _MARKS and name not in _SKIPPED


def text_boxes(paragraph: Any) -> Iterator[str]:
    """Yield the texts of the boxes anchored in a paragraph, each once."""
    for box in paragraph.iter(f"{W}txbxContent"):
        if any(local(ancestor) == "Fallback" for ancestor in box.iterancestors()):
            continue
        yield "\n".join(_flat(box))


def table_rows(table: Any, said: Said | None = None) -> list[list[str]]:
    """Return the cells' texts; one that spans several is in each, along a row as `Across`.

    `said` returns what the pictures in a paragraph say; its words follow the paragraph's.
    """
    rows: list[list[str]] = []
    for row in table.iter(f"{W}tr"):
        if next(row.iterancestors(f"{W}tbl")) is not table:
            continue  # a row of a nested table, which is part of its cell's text
        cells: list[str] = []
        for cell in _cells(row):
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            goes_on = merge is not None and merge.get(f"{W}val") != "restart"
            if goes_on and rows and len(cells) < len(rows[-1]):
                cells.append(rows[-1][len(cells)])
            else:
                cells.append(" ".join(filter(None, _flat(cell, said))))
            span = cell.find(f"{W}tcPr/{W}gridSpan")
            value = span.get(f"{W}val", "1") if span is not None else "1"
            copies = min(int(value), 64) - 1 if value.isdigit() else 0
            cells += [Across(cells[-1])] * copies
        rows.append(cells)
    return rows


def _cells(row: Any) -> Iterator[Any]:
    for child in row:
        if local(child) == "tc":
            yield child
        elif local(child) in _WRAPPERS:
            yield from _cells(child)


def _flat(container: Any, said: Said | None = None) -> Iterator[str]:
    """Yield the texts of a cell's paragraphs, those of tables inside it too."""
    for element in iter_content(container):
        if local(element) == "p":
            yield paragraph_text(element)
            yield from text_boxes(element)
            if said is not None:
                yield said(element) or ""
        else:
            yield from (" ".join(filter(None, row)) for row in table_rows(element, said))
