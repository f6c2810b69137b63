"""Reading the rows of a table: which row is the header of which, and how a row is said aloud.

Tables of real documents are not always one header and its rows. Forms put label and value side by
side from the first row on; reports put several small tables under each other in one, each under a
row that names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: A row under the name of a part of the table is a header from this many cells on; two may well be
#: a label and its value.
_HEADER_CELLS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """How one row is read."""

    #: Names of its cells; none where the row stands for itself.
    header: tuple[str, ...] = ()
    #: The row that names this part of the table.
    section: str = ""
    #: Whether it is the header of the rows below it rather than one of them.
    is_header: bool = False


def read_rows(rows: Sequence[tuple[str, ...]], *, ruled: bool) -> list[Row]:
    """How each row of a table is read; `ruled` says that a rule stands under the first."""
    found: list[Row] = []
    header: tuple[str, ...] = ()
    section, named = "", False
    for at, row in enumerate(rows):
        below = rows[at + 1] if at + 1 < len(rows) else ()
        if len(row) > 1 and _is_title(filled(row)):
            section, named = filled(row)[0], True
            found.append(Row())
            continue
        if at == 0 and not _is_form(row) and (ruled or not _numeric(row)):
            header = row
            found.append(Row(is_header=ruled))
        elif (named or not header) and _names(row, below):
            header = row
            found.append(Row(section=section, is_header=True))
        else:
            found.append(Row(header, section))
        named = False
    return found


def cells(row: str) -> tuple[str, ...]:
    """The cells of a table row, trimmed; outer pipes do not count."""
    parts = row.strip().strip("|").split("|") if "|" in row else re.split(r"\t+", row.strip())
    return tuple(re.sub(r"[*_`]{1,2}(\S.*?\S|\S)[*_`]{1,2}", r"\1", p.strip()) for p in parts)


def filled(row: Sequence[str]) -> list[str]:
    """The cells that say something; one that spans columns is given once for each of them."""
    said = [cell for cell in row if cell]
    return [cell for at, cell in enumerate(said) if at == 0 or cell != said[at - 1]]


def spoken(row: tuple[str, ...], header: tuple[str, ...]) -> str:
    """A row as a person would say it: “Food: Berries; Calories: 150”."""
    if len(header) != len(row):
        return _labelled(filled(row))
    pairs: list[str] = []
    last = ("", "")
    for name, cell in zip(header, row, strict=True):
        # One that spans columns is given once for each of them, under one name or none.
        if cell and (name or last[0], cell) != last:
            pairs.append(f"{name.rstrip(':')}: {cell}" if name and name != cell else cell)
        last = (name or last[0], cell)
    return "; ".join(pairs)


def _labelled(said: Sequence[str]) -> str:
    """Cells without a header: a label and its value, or several of them side by side."""
    if len(said) == 2 and not said[0].endswith(":"):
        return f"{said[0]}: {said[1]}"
    return re.sub(r": \| ", ": ", " | ".join(said))


def _is_title(said: Sequence[str]) -> bool:
    """Whether a row names what is below: one cell, neither a sentence nor an aside."""
    return len(said) == 1 and said[0][0].isupper() and said[0][-1] not in ".;,:"


def _is_form(row: Sequence[str]) -> bool:
    """Whether a row is a label and its value, as “Order type: | Premium”."""
    return any(
        cell.endswith(":") and value and not value.endswith(":") for cell, value in pairwise(row)
    )


def _names(row: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a row names the columns of the one below: words over numbers."""
    if len(filled(row)) < _HEADER_CELLS or len(row) != len(below):
        return False
    if any(cell.endswith(":") or any(c.isdigit() for c in cell) for cell in row):
        return False
    return any(name and _numeric((cell,)) for name, cell in zip(row, below, strict=True))


def _numeric(row: Sequence[str]) -> bool:
    """Whether some cell is mostly digits: a data row rather than a header (years excepted)."""
    for cell in row:
        digits = sum(c.isdigit() for c in cell)
        letters = sum(c.isalpha() for c in cell)
        if digits > letters and not re.fullmatch(r"(?:19|20)\d\d", cell):
            return True
    return False
