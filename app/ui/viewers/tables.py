"""Tables: sorted by a click on a column, one page at a time, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from app.services.threads import call
from app.ui import parts, text

PAGE = 50
MAX_COLUMNS = 60
_CELL = 300
#: More rows than this are sorted away from the event loop.
_MANY = 5_000


def table(columns: Sequence[Any], rows: Sequence[Sequence[Any]], *, name: str = "table") -> None:
    """Rows under named columns."""
    if not rows:
        parts.label("No rows.", "rl-muted rl-small")
        return
    TableView(columns, rows, name)


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers first, by size; then texts, upper and lower case alike; nothing comes last."""
    if value is None or value == "":
        return (2, 0.0, "")
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value).casefold())


def ordered(rows: Sequence[Sequence[Any]], column: int, *, down: bool) -> list[Sequence[Any]]:
    """Rows in the order of a column; empty cells stay at the end."""
    full = [r for r in rows if len(r) > column and r[column] not in (None, "")]
    empty = [r for r in rows if not (len(r) > column and r[column] not in (None, ""))]
    return sorted(full, key=lambda row: sort_key(row[column]), reverse=down) + empty


def as_csv(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> bytes:
    """CSV with a byte-order mark for spreadsheets; texts that one would compute are quoted."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow([_cell(c) for c in columns])
    writer.writerows([[_cell(c) for c in row] for row in rows])
    return b"\xef\xbb\xbf" + sink.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        # A spreadsheet would run it as a formula.
        return f"'{value}"
    return value


class TableView:
    """One page of a table with its controls."""

    def __init__(
        self, columns: Sequence[Any], rows: Sequence[Sequence[Any]], name: str = "table"
    ) -> None:
        self._columns, self._rows, self._name = list(columns), rows, name
        self._shown: Sequence[Sequence[Any]] = rows
        self._at = 0
        self._sorted: tuple[int, bool] | None = None
        with parts.div("rl-col rl-gap-4"):
            self._room = parts.div("rl-table-wrap").props("tabindex=0 role=region")
            self._room.props["aria-label"] = "Table"
            with parts.div("rl-row"):
                self._where = parts.label("", "rl-muted rl-small rl-grow")
                self._back = parts.icon_button("chevron_left", "Earlier rows", lambda: self._go(-1))
                self._next = parts.icon_button("chevron_right", "Later rows", lambda: self._go(1))
                parts.icon_button("download", "Download as CSV", self._download)
        self.draw()

    def draw(self) -> None:
        """Draw the page that is shown."""
        shown = self._shown[self._at : self._at + PAGE]
        columns = self._columns[:MAX_COLUMNS]
        self._room.clear()
        with self._room, parts.tag("table", "", "rl-table"):
            with parts.tag("thead"), parts.tag("tr"):
                for position, column in enumerate(columns):
                    self._head(position, str(column))
            with parts.tag("tbody"):
                for row in shown:
                    with parts.tag("tr"):
                        for cell in list(row)[:MAX_COLUMNS]:
                            number = isinstance(cell, int | float) and not isinstance(cell, bool)
                            parts.tag("td", _shown(cell), "rl-num" if number else "")
        total = len(self._shown)
        words = f"{text.count(total, 'row')}"
        if total > PAGE:
            words = f"{self._at + 1:,} to {min(total, self._at + PAGE):,} of {total:,} rows"
        if len(self._columns) > MAX_COLUMNS:
            words += f", {MAX_COLUMNS} of {len(self._columns)} columns"
        self._where.text = words
        for button in (self._back, self._next):
            button.set_visibility(total > PAGE)
        self._back.set_enabled(self._at > 0)
        self._next.set_enabled(self._at + PAGE < total)

    def _head(self, position: int, column: str) -> None:
        here = self._sorted is not None and self._sorted[0] == position
        down = bool(here and self._sorted and self._sorted[1])
        with parts.tag("th") as cell:
            if here:
                cell.props["aria-sort"] = "descending" if down else "ascending"
            mark = (" ▼" if down else " ▲") if here else ""
            button = parts.tag("button", f"{column}{mark}", "rl-th")
            button.on("click", lambda: self.sort(position))
            button.mark(f"sort-{position}")

    async def sort(self, column: int) -> None:
        """Sort by a column; again, the other way round; once more, as it came."""
        if self._sorted == (column, True):
            self._sorted, self._shown = None, self._rows
        else:
            down = self._sorted == (column, False)
            self._sorted = (column, down)
            if len(self._rows) > _MANY:
                self._shown = await call(ordered, self._rows, column, down=down)
            else:
                self._shown = ordered(self._rows, column, down=down)
        self._at = 0
        self.draw()

    def _go(self, by: int) -> None:
        self._at = max(0, min(self._at + by * PAGE, max(0, len(self._shown) - 1)))
        self.draw()

    async def _download(self) -> None:
        data = await call(as_csv, self._columns, self._shown)
        ui.download.content(data, f"{self._name or 'table'}.csv", "text/csv")


def _shown(cell: Any) -> str:
    words = "" if cell is None else str(cell)
    return words if len(words) <= _CELL else words[:_CELL] + "…"
