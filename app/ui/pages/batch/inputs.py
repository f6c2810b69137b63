"""The table of inputs of a batch: pasted, from a file, or typed row by row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.services.threads import call
from app.ui import parts, text
from app.ui.batch_table import InputTable, read_table
from app.ui.pages.canvas.runbar import RunInput

#: Rows that are shown before a batch begins, and that can be typed by hand.
PREVIEW = 10
TYPED = 50
_MAX_FILE = 20_000_000


class InputsForm:
    """Takes a table and begins the batch: `begin(rows, concurrency)`."""

    def __init__(
        self,
        inputs: Sequence[RunInput],
        begin: Callable[[list[dict[str, Any]], int], Awaitable[None]],
    ) -> None:
        self._names = [one.name for one in inputs]
        self._titles = {one.name: one.title for one in inputs}
        self._begin = begin
        self._table = InputTable()
        self._typed: list[dict[str, Any]] = [{} for _ in range(3)]

    def build(self) -> None:
        """Draw the form."""
        with parts.div("rl-card"):
            with ui.tabs() as tabs:
                ui.tab("Paste")
                ui.tab("File")
                ui.tab("Type")
            with ui.tab_panels(tabs, value="Paste", animated=False):
                with ui.tab_panel("Paste"), parts.div("rl-col"):
                    self._paste()
                with ui.tab_panel("File"), parts.div("rl-col"):
                    self._file()
                with ui.tab_panel("Type"), parts.div("rl-col"):
                    self._grid = parts.div("rl-col rl-gap-4")
                    self._draw_grid()
            self._preview = parts.div("rl-col rl-gap-4")
            with parts.div("rl-row rl-wrap"):
                self._run = parts.primary("Run", self._start, icon="play_arrow").mark("run-batch")
                self._run.set_enabled(False)
                parts.label("Rows at a time", "rl-muted rl-small")
                self._concurrency = ui.number(value=4, min=1, max=16, step=1).style("width: 84px")
                self._concurrency.props["aria-label"] = "Rows at a time"

    def _paste(self) -> None:
        head = ",".join(self._names)
        area = ui.textarea(
            placeholder=f"{head}\nWhen is high tide?\nWho feeds the starter?",
            on_change=lambda e: self._read(e.value or ""),
        ).props("debounce=300 rows=6")
        area.props["aria-label"] = "Table of inputs"
        area.classes("rl-mono-field").mark("batch-paste")
        area.props('input-style="max-height: 40vh; overflow: auto"')
        parts.label(
            f"CSV that begins with a line of names ({', '.join(self._names)}), a list of "
            "questions with one on each line, or JSON. Other columns stay beside the results.",
            "rl-muted rl-small",
        )

    def _file(self) -> None:
        upload = ui.upload(auto_upload=True, max_file_size=_MAX_FILE)
        parts.drop_zone("Drop a table here", "CSV, tabs, JSON or JSON lines, up to 20 MB", upload)

        async def take(event: events.UploadEventArguments) -> None:
            data = await event.file.read()
            try:
                content = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                content = data.decode("latin-1")
            await self._read(content)

        upload.on_upload(take)
        upload.on("rejected", lambda: parts.toast("That file is larger than 20 MB.", tone="danger"))

    def _draw_grid(self) -> None:
        self._grid.clear()
        with self._grid:
            for number, row in enumerate(self._typed):
                with parts.div("rl-row"):
                    parts.label(str(number + 1), "rl-muted rl-small rl-num").style("width: 24px")
                    for name in self._names:
                        field = ui.input(
                            placeholder=self._titles[name],
                            value=str(row.get(name, "")),
                            on_change=lambda e, row=row, name=name: self._type(row, name, e.value),
                        ).classes("rl-grow")
                        field.props("debounce=200")
                        field.props["aria-label"] = f"{self._titles[name]}, row {number + 1}"
            if len(self._typed) < TYPED:
                parts.bare("Add a row", self._add_row, icon="add").style("align-self: flex-start")

    def _add_row(self) -> None:
        self._typed.append({})
        self._draw_grid()

    def _type(self, row: dict[str, Any], name: str, value: str | None) -> None:
        row[name] = value or ""
        kept = [{n: v for n, v in r.items() if v.strip()} for r in self._typed]
        self._show(InputTable(tuple(self._names), tuple(r for r in kept if r)))

    async def _read(self, content: str) -> None:
        if not content.strip():
            self._show(InputTable())
            return
        try:
            table = await call(read_table, content, self._names)
        except RagloomError as error:
            self._show(InputTable())
            with self._preview:
                parts.error_notice(error)
            return
        self._show(table)

    def _show(self, table: InputTable) -> None:
        self._table = table
        self._run.set_enabled(bool(table.rows))
        self._run.text = f"Run {text.count(len(table.rows), 'row')}" if table.rows else "Run"
        self._preview.clear()
        with self._preview:
            for note in table.notes:
                with parts.notice("warn", note):
                    pass
            if not table.rows:
                return
            with parts.div("rl-table-wrap"), parts.tag("table", "", "rl-table"):
                with parts.tag("thead"), parts.tag("tr"):
                    for name in table.columns:
                        parts.tag("th", name)
                with parts.tag("tbody"):
                    for row in table.rows[:PREVIEW]:
                        with parts.tag("tr"):
                            for name in table.columns:
                                parts.tag("td", str(row.get(name, ""))[:200])
            if len(table.rows) > PREVIEW:
                more = text.count(len(table.rows) - PREVIEW, "more row")
                parts.label(f"and {more}", "rl-muted rl-small")

    async def _start(self) -> None:
        self._run.set_enabled(False)
        try:
            await self._begin(
                [dict(row) for row in self._table.rows], int(self._concurrency.value or 4)
            )
        except RagloomError as error:
            parts.failed(error)
            self._run.set_enabled(True)
