"""A span of days to filter documents by."""

from __future__ import annotations

from datetime import date
from typing import Any

from nicegui import ui

from app.ui import parts


class Days:
    """Two fields, either of which may be empty; `changed` is called when one is filled or cleared."""

    def __init__(self, changed: Any) -> None:
        with parts.div("rl-row rl-days"):
            parts.label("From", "rl-muted rl-small")
            self._since = _field("Changed, sent or made on this day or later")
            parts.label("to", "rl-muted rl-small")
            self._until = _field("Changed, sent or made on this day or earlier")
        self._fields = self._since, self._until
        for field in self._fields:
            field.on_value_change(changed)

    @property
    def span(self) -> tuple[date | None, date | None]:
        """First and last day; None where it is open."""
        return _day(self._since.value), _day(self._until.value)

    def clear(self) -> None:
        """Open both ends."""
        for field in self._fields:
            field.value = ""


def _field(what: str) -> ui.input:
    # A date that is being typed is no date yet; the browser gives it once it is whole.
    field = ui.input().props("type=date debounce=400")
    field.props["aria-label"] = what
    with field:
        ui.tooltip(what)
    return field


def _day(value: str | None) -> date | None:
    try:
        return date.fromisoformat(value or "")
    except ValueError:
        return None
