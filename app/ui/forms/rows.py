"""Fields made of fields: lists of objects, one object, names with values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nicegui import ui

from app.ui import parts
from app.ui.forms import templates
from app.ui.forms.base import Slot
from app.ui.forms.entry import CodeEntry
from app.ui.schema import FieldSpec, blank

#: A form with more rows than this would not help anybody; the JSON editor takes them.
MAX_ROWS = 60


def objects(slot: Slot) -> ui.element:
    """A list of objects: rows to add, remove and put into order."""
    return ObjectRows(slot).element


class ObjectRows:
    """One card per object, with the fields of the object in it."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        given = slot.value if isinstance(slot.value, list | tuple) else []
        self.rows = [dict(row) if isinstance(row, Mapping) else {} for row in given]
        word = str(slot.spec.extra.get("row", "")) or _singular(slot.spec.title)
        with parts.div("rl-col") as self.element:
            self._room = parts.div("rl-col")
            add = parts.tag("button", f"Add {_article(word)}", "rl-more")
            add.on("click", self.add).mark(f"add-{slot.spec.name}")
        self._word = word
        self.draw()

    def _store(self) -> None:
        self._slot.put([dict(row) for row in self.rows])

    def add(self) -> None:
        """Another row, filled with what its fields start with."""
        if len(self.rows) >= MAX_ROWS:
            parts.toast(f"At most {MAX_ROWS} rows fit in here.")
            return
        self.rows.append({part.name: blank(part) for part in self._slot.spec.parts})
        self.draw()
        self._store()

    def remove(self, index: int) -> None:
        """Take a row away."""
        del self.rows[index]
        self.draw()
        self._store()

    def move(self, index: int, by: int) -> None:
        """Put a row one place up or down."""
        target = index + by
        if 0 <= target < len(self.rows):
            self.rows[index], self.rows[target] = self.rows[target], self.rows[index]
            self.draw()
            self._store()

    def _change(self, index: int, name: str, value: Any) -> None:
        self.rows[index][name] = value
        self._store()

    def draw(self) -> None:
        """Draw all rows."""
        self._room.clear()
        last = len(self.rows) - 1
        with self._room:
            for index, row in enumerate(self.rows[:MAX_ROWS]):
                with parts.div("rl-form-card").props('role="group"') as card:
                    card.props["aria-label"] = f"{self._word} {index + 1}"
                    with parts.div("rl-row rl-gap-4"):
                        parts.label(f"{self._word} {index + 1}", "rl-muted rl-small rl-grow")
                        up = parts.icon_button(
                            "arrow_upward", "Move up", lambda i=index: self.move(i, -1)
                        )
                        down = parts.icon_button(
                            "arrow_downward", "Move down", lambda i=index: self.move(i, 1)
                        )
                        up.set_enabled(index > 0)
                        down.set_enabled(index < last)
                        parts.icon_button("close", "Remove", lambda i=index: self.remove(i))
                    for part in self._slot.spec.parts:
                        inner(
                            self._slot,
                            part,
                            row.get(part.name, part.default),
                            partial(self._change, index, part.name),
                            told=index == 0,
                        )
            if len(self.rows) > MAX_ROWS:
                parts.label(f"and {len(self.rows) - MAX_ROWS} more", "rl-muted rl-small")


def one(slot: Slot) -> ui.element:
    """One object: its fields in a card."""
    value = dict(slot.value) if isinstance(slot.value, Mapping) else {}

    def change(name: str, new: Any) -> None:
        value[name] = new
        slot.put(dict(value))

    with parts.div("rl-form-card") as element:
        for part in slot.spec.parts:
            inner(slot, part, value.get(part.name, part.default), partial(change, part.name))
    return element


def inner(
    slot: Slot, part: FieldSpec, value: Any, put: Callable[[Any], None], *, told: bool = True
) -> None:
    """A field inside a field; `told` shows what it means."""
    from app.ui.forms.kinds import builder_of

    with parts.div("rl-field"):
        if part.kind != "flag":
            parts.label(part.title, "rl-field-title rl-small")
        builder_of(part, value)(Slot(part, value, put, slot.form))
        if part.description and told:
            parts.label(part.description, "rl-field-help")


def mapping(slot: Slot) -> ui.element:
    """Names with values: headers, aliases."""
    return Pairs(slot).element


class Pairs:
    """Two columns of text; values may be templates where the setting says so."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        given = slot.value if isinstance(slot.value, Mapping) else {}
        self.rows: list[list[Any]] = [[name, value] for name, value in given.items()]
        with parts.div("rl-col rl-gap-4") as self.element:
            self._room = parts.div("rl-col rl-gap-4")
            parts.tag("button", "Add a line", "rl-more").on("click", self.add)
        self.draw()

    def add(self) -> None:
        """Another line."""
        self.rows.append(["", ""])
        self.draw()

    def remove(self, index: int) -> None:
        """Take a line away."""
        del self.rows[index]
        self.draw()
        self._store()

    def change(self, index: int, column: int, value: str) -> None:
        """Write a cell."""
        self.rows[index][column] = value
        self._store()

    def _store(self) -> None:
        plain = bool((self._slot.spec.extra.get("additionalProperties") or {}).get("type"))
        self._slot.put(
            {
                str(name).strip(): str(value) if plain or not isinstance(value, dict) else value
                for name, value in self.rows
                if str(name).strip()
            }
        )

    def draw(self) -> None:
        """Draw all lines."""
        self._room.clear()
        with self._room:
            for index, (name, value) in enumerate(self.rows[:MAX_ROWS]):
                with parts.div("rl-row rl-gap-4"):
                    entry = ui.input(
                        value=str(name), placeholder="name",
                        on_change=lambda e, i=index: self.change(i, 0, e.value or ""),
                    ).classes("rl-grow").props("debounce=300")  # fmt: skip
                    entry.props["aria-label"] = f"Name {index + 1}"
                    self._value(index, str(value))
                    parts.icon_button("close", "Remove", lambda i=index: self.remove(i))

    def _value(self, index: int, value: str) -> None:
        label, form = f"Value {index + 1}", self._slot.form
        if self._slot.spec.extra.get("widget") in _TEMPLATES:
            CodeEntry(
                value, label, lambda e: self.change(index, 1, e.value or ""),
                offer=lambda source, at: templates.offers(source, at, form.template_names()),
                placeholder="value", read_only=form.read_only,
            ).classes("rl-grow")  # fmt: skip
            return
        entry = ui.input(
            value=value, placeholder="value",
            on_change=lambda e: self.change(index, 1, e.value or ""),
        ).classes("rl-grow").props("debounce=300")  # fmt: skip
        entry.props["aria-label"] = label


#: Widgets of mappings whose values are templates.
_TEMPLATES = ("headers", "key_value")


def _singular(title: str) -> str:
    word = title.partition(" (")[0]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _article(word: str) -> str:
    lower = word[:1].lower() + word[1:]
    return f"{'an' if lower[:1] in 'aeiou' else 'a'} {lower}"
