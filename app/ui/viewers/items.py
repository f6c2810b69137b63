"""A list of values, shown one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.ui import parts
from app.ui.viewers.view import View


class Stepper:
    """“Item 3 of 120” with a way back, forth, and to a number."""

    def __init__(self, total: int, on_change: Callable[[int], Any], *, word: str = "Item") -> None:
        self._total, self._on_change = total, on_change
        self.at = 0
        with parts.div("rl-row rl-gap-4"):
            parts.label(word, "rl-small rl-muted")
            self._back = parts.icon_button(
                "chevron_left", f"{word} before", lambda: self.go(self.at - 1)
            )
            self._entry = ui.number(
                value=1, min=1, max=max(1, total), step=1, on_change=lambda e: self._typed(e.value)
            ).props("debounce=300")
            self._entry.style("width: 72px")
            self._entry.props["aria-label"] = f"{word}, from 1 to {total}"
            self._next = parts.icon_button(
                "chevron_right", f"{word} after", lambda: self.go(self.at + 1)
            )
            parts.label(f"of {total:,}", "rl-small rl-muted")
        self._enable()

    def _typed(self, value: Any) -> None:
        if isinstance(value, int | float) and 1 <= value <= self._total:
            self.go(int(value) - 1)

    def go(self, at: int) -> None:
        """Show the item at a place, from 0."""
        if not 0 <= at < self._total or at == self.at:
            return
        self.at = at
        self._entry.set_value(at + 1)
        self._enable()
        self._on_change(at)

    def _enable(self) -> None:
        self._back.set_enabled(self.at > 0)
        self._next.set_enabled(self.at + 1 < self._total)


class ItemView:
    """Items of a list, each with the viewer of its type."""

    def __init__(self, values: Sequence[Any], view: View) -> None:
        self._values, self._view = values, view
        if len(values) > 1:
            Stepper(len(values), self.show)
        self._room = parts.div("rl-col")
        self.show(0)

    def show(self, at: int) -> None:
        """Show one item."""
        from app.ui.viewers.values import show

        item = self._values[at]
        tagged = isinstance(item, dict) and set(item) == {"type", "value"}
        self._room.clear()
        with self._room:
            path = f"{self._view.path}.items[{at}]" if self._view.path else f"items[{at}]"
            inner = View(
                found_by=self._view.found_by, texts=self._view.texts, on_node=self._view.on_node,
                path=path,
            )  # fmt: skip
            if tagged:
                parts.label(str(item["type"]), "rl-muted rl-small")
                if not isinstance(item["type"], str):
                    tagged = False
            show(item["value"] if tagged else item, view=inner)
