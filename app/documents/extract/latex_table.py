"""Tables of LaTeX source as rows of cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from app.documents.extract.builder import Across
from app.documents.extract.latex_cursor import TOKEN, Cursor
from app.documents.extract.latex_source import Source

#: Columns and rows that one cell may reach over.
_MAX_SPAN = 50
_RULES = re.compile(
    r"(?:\s|\\(?:hline|(?:top|mid|bottom)rule|endhead|endfirsthead|endfoot|endlastfoot)(?![A-Za-z])"
    r"|\\(?:cline|cmidrule|addlinespace)(?:\[[^\[\]]{0,99}\])?(?:\([a-z]{0,9}\))?(?:\{[\d -]{0,99}\})?)*"
)


def table_rows(
    source: Source, start: int, end: int, words: Callable[[int, int], str]
) -> list[list[str]]:
    """Return the rows of a table whose body is between two places.

    `words` returns the words between two places. A cell that reaches over others stands in each.
    """
    rows: list[list[str]] = [[]]
    tall: list[tuple[int, int, int]] = []
    for kind, first, last in _cells(source, start, end):
        at, columns, count = _spans(source, first, last)
        if count > 1:
            tall.append((len(rows) - 1, len(rows[-1]), count))
        text = words(at, last)
        rows[-1] += [text, *(Across(text) for _ in range(columns - 1))]
        if kind == "row":
            rows.append([])
    for top, column, count in tall:
        for row in rows[top + 1 : top + count]:
            if len(row) > column and not row[column]:
                row[column] = rows[top][column]
    return rows


def _cells(source: Source, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield what ends each cell, and where it is; groups and inner tables are passed over."""
    at = start
    while at < end and (token := TOKEN.search(source.text, at, end)):
        at = token.end()
        if token["mark"] == "{":
            at = source.braces.get(token.start(), at)
        elif token["name"] == "begin":
            at = source.ends.get(token.start(), (0, at))[1]
        elif token["mark"] == "&":
            yield "cell", start, token.start()
            start = at
        elif token["sign"] == "\\" or token["name"] == "tabularnewline":
            cursor = Cursor(source, at, end)
            cursor.option()  # how far below the next row begins
            yield "row", start, token.start()
            start = at = cursor.at
    yield "cell", start, end


def _spans(source: Source, start: int, end: int) -> tuple[int, int, int]:
    """Return where a cell's content begins, and the columns and rows it reaches over."""
    rules = _RULES.match(source.text, start, end)
    cursor = Cursor(source, rules.end() if rules else start, end)
    spans = {"multicolumn": 1, "multirow": 1}
    for name in spans:
        token = TOKEN.match(source.text, cursor.at, end)
        if token is None or token["name"] != name:
            continue
        cursor.at = token.end()
        cursor.option()
        count = cursor.raw_argument()
        if count.isdecimal() and len(count) < 4:
            spans[name] = max(1, min(int(count), _MAX_SPAN))
        cursor.option()
        cursor.raw_argument()
        cursor.option()
        cursor.at = cursor.blank(cursor.at) + 1  # into the group
    return min(cursor.at, end), spans["multicolumn"], spans["multirow"]
