"""The timeline of a run in the browser: bars on a scale of real time, growing while nodes work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.ui import text
from app.ui.timeline import Row, Timeline


def hint(row: Row) -> str:
    """What is said of a row when it is pointed at."""
    said = [row.title + (", on the critical path" if row.critical else "")]
    if row.start - row.ready >= 1:
        said.append(f"Waited {text.duration(row.start - row.ready)} for its turn.")
    if row.status == "waiting":
        said.append("Waits for a person.")
    elif row.status == "running":
        said.append("Works now.")
    elif row.status != "skipped" and row.end is not None:
        said.append(f"Took {text.duration(row.end - row.start)}.")
    if row.attempts:
        said.append(f"{len(row.attempts) + 1} attempts.")
    if row.reason:
        said.append(row.reason[:1].upper() + row.reason[1:] + ".")
    return "\n".join(said)


class Gantt(ui.element, component="gantt.js"):
    """Shows a `Timeline`; only rows that changed are sent. `select(id)` gets the row clicked on."""

    def __init__(self, select: Callable[[str], Any]) -> None:
        super().__init__()
        self._select = select
        self._shown = False
        self._rows: dict[str, dict[str, Any]] = {}
        self._total = 0.0
        #: Where the run was, and when that was so; None once it has ended.
        self._clock: float | None = None
        self._at = 0.0
        self._run = ""
        # A tab that is not in front is not there: whoever comes back gets everything.
        self.on("ready", self._ready)
        self.on("gone", self._gone)
        self.on("pick", self._pick)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is shown, as JSON data."""
        return list(self._rows.values())

    def show(self, run_id: str, timeline: Timeline, clock_ms: float | None) -> None:
        """Show a run; `clock_ms` after its start it is now, or None once it has ended."""
        rows = {row.id: {**row.data(), "hint": hint(row)} for row in timeline.rows}
        fresh = run_id != self._run
        before = {} if fresh else self._rows
        changed = [row for id_, row in rows.items() if before.get(id_) != row]
        moved = fresh or list(before) != list(rows)
        ended = clock_ms is None and (self._clock is not None or self._total != timeline.total_ms)
        self._run, self._rows = run_id, rows
        self._total, self._clock, self._at = timeline.total_ms, clock_ms, time.monotonic()
        if self._shown and (changed or moved or ended):
            self._send(changed, moved=moved, fresh=fresh)

    def _send(self, rows: list[dict[str, Any]], *, moved: bool, fresh: bool) -> None:
        clock = self._clock
        if clock is not None:
            clock += (time.monotonic() - self._at) * 1000
        payload = {
            "rows": rows,
            "order": list(self._rows) if moved else None,
            "total": self._total,
            "clock": clock,
            "fresh": fresh,
        }
        self.run_method("load", payload)

    def _ready(self, _: GenericEventArguments) -> None:
        self._shown = True
        self._send(self.rows, moved=True, fresh=True)

    def _gone(self, _: GenericEventArguments) -> None:
        self._shown = False

    def _pick(self, event: GenericEventArguments) -> Any:
        return self._select(str(event.args["id"]))
