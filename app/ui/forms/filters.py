"""A builder for filters: field, operator, value, from what the documents really hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nicegui import ui

from app.services.hints import ALWAYS, FieldHint, Fields, filter_problems
from app.ui import parts
from app.ui.expecting import Expecting
from app.ui.forms.base import Slot

OPERATORS = {
    "$eq": "is",
    "$ne": "is not",
    "$in": "one of",
    "$nin": "none of",
    "$gt": "more than",
    "$gte": "at least",
    "$lt": "less than",
    "$lte": "at most",
    "$contains": "contains",
}
_LISTED = ("$in", "$nin")
_Row = list[Any]


def literal(raw: str) -> Any:
    """Numbers and yes/no as such, all else as text."""
    try:
        value = json.loads(raw)
    except (json.JSONDecodeError, TypeError, RecursionError):
        return raw
    return value if isinstance(value, int | float | bool) else raw


def filter_rows(filters: Mapping[str, Any]) -> list[_Row]:
    """{"page": {"$gte": 3}} → [["page", "$gte", "3"]]."""
    rows: list[_Row] = []
    for name, wanted in filters.items():
        tests = wanted if isinstance(wanted, Mapping) else {"$eq": wanted}
        if isinstance(wanted, list):
            tests = {"$in": wanted}
        for operator, value in tests.items():
            shown = (
                ", ".join(_shown(v) for v in value) if isinstance(value, list) else _shown(value)
            )
            rows.append([name, operator, shown])
    return rows


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def filters_of(rows: list[_Row], known: Fields | None = None) -> dict[str, Any]:
    """The filters that rows of a form stand for; unfinished rows are left out.

    A field that is known to hold text takes what looks like a number as text, too.
    """
    filters: dict[str, Any] = {}
    for name, operator, raw in rows:
        if not str(name).strip() or str(raw).strip() == "":
            continue
        hint = known.get(name) if known else None
        read = str if hint is not None and hint.kind == "text" else literal
        value: Any = read(str(raw).strip())
        if operator in _LISTED:
            value = [read(part.strip()) for part in str(raw).split(",") if part.strip()]
        current = filters.get(name)
        if operator == "$eq" and current is None:
            filters[name] = value
        else:
            before = current if isinstance(current, dict) else {}
            if current is not None and not isinstance(current, dict):
                before = {"$eq": current}
            filters[name] = {**before, operator: value}
    return filters


def build(slot: Slot) -> ui.element:
    """The field of a setting that holds filters."""
    return FilterBuilder(slot).element


class FilterBuilder:
    """Rows of field, operator and value; warns of filters that nothing can match."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        given = slot.value if isinstance(slot.value, Mapping) else {}
        self.rows = filter_rows(given)
        self.known: Fields | None = None
        self._from = ""
        with parts.div("rl-col rl-gap-4") as self.element:
            self._room = parts.div("rl-col")
            self._warnings = parts.div("rl-col rl-gap-4")
            parts.tag("button", "Add a filter", "rl-more").on("click", self.add).mark("add-filter")
        self.draw()
        if slot.form.choices.fields is not None:
            with self.element:
                ui.timer(0.01, self.learn, once=True)
            slot.form.on_setting(self._changed)

    async def learn(self) -> None:
        """Read the fields of the knowledge base that is chosen by now."""
        values, read = self._slot.form.values(), self._slot.form.choices.fields
        kb, ref = values.get("knowledge_base"), values.get("ref") or "main"
        if read is None or not isinstance(kb, str) or not kb or not isinstance(ref, str):
            self.known = None
        else:
            with Expecting("not_found", "conflict") as met:
                self.known = await read(kb, ref)
            if met.error:
                self.known = None
        if not self.element.is_deleted:
            self.draw()

    async def _changed(self, setting: str) -> None:
        if setting in ("knowledge_base", "ref"):
            await self.learn()

    def add(self) -> None:
        """Another row."""
        self.rows.append(["", "$eq", ""])
        self.draw()

    def remove(self, index: int) -> None:
        """Take a row away."""
        del self.rows[index]
        self.draw()
        self._store()

    def change(self, index: int, column: int, value: Any) -> None:
        """Write a cell."""
        if index >= len(self.rows) or self.rows[index][column] == value:
            return
        self.rows[index][column] = value
        if column == 0:
            operators = self._operators(str(value))
            if self.rows[index][1] not in operators:
                self.rows[index][1] = next(iter(operators))
            self.draw()
        elif column == 1:
            self.draw()
        self._store()

    def _store(self) -> None:
        self._slot.put(filters_of(self.rows, self.known))
        self._warn()

    def _warn(self) -> None:
        self._warnings.clear()
        if self.known is None:
            return
        with self._warnings:
            for name, message in filter_problems(
                filters_of(self.rows, self.known), self.known
            ).items():
                label = parts.label(message, "rl-warn rl-small")
                label.mark(f"filter-warning-{name}")

    def _operators(self, name: str) -> dict[str, str]:
        hint = self.known.get(name) if self.known else None
        if hint is None:
            return OPERATORS
        fitting = {
            "text": ("$eq", "$ne", "$in", "$nin", "$contains"),
            "list": ("$eq", "$ne", "$in", "$nin", "$contains"),
            "bool": ("$eq", "$ne"),
            "number": ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin"),
        }[hint.kind]
        return {operator: OPERATORS[operator] for operator in fitting}

    def draw(self) -> None:
        """Draw all rows."""
        self._room.clear()
        with self._room:
            for index, (name, operator, value) in enumerate(self.rows):
                with parts.div("rl-filter-row"):
                    self._name(index, str(name))
                    operators = self._operators(str(name))
                    shown = operators if operator in operators else operators | {operator: operator}
                    choice = ui.select(
                        shown,
                        value=operator,
                        on_change=lambda e, i=index: self.change(i, 1, e.value),
                    )
                    choice.props["aria-label"] = "How to compare"
                    parts.icon_button("close", "Remove", lambda i=index: self.remove(i))
                    self._value(index, str(name), str(operator), str(value))
        self._warn()

    def _name(self, index: int, name: str) -> None:
        options = {field.name: field.name for field in self.known.fields} if self.known else {}
        options = options or {field: field for field in ALWAYS}
        if name and name not in options:
            options[name] = name
        element = ui.select(
            options, value=name or None, with_input=True, new_value_mode="add-unique",
            on_change=lambda e: self.change(index, 0, e.value or ""),
        ).classes("rl-filter-name")  # fmt: skip
        element.props["aria-label"] = "Field"
        if not name:
            element.props["placeholder"] = "field"

    def _value(self, index: int, name: str, operator: str, value: str) -> None:
        hint = self.known.get(name) if self.known else None
        options = {_shown(v): _shown(v) for v in hint.values} if hint else {}
        label = f"Value of {name}" if name else "Value"
        if options and operator in ("$eq", "$ne") and (hint is None or hint.kind != "number"):
            if value and value not in options:
                options[value] = value
            element: ui.element = ui.select(
                options, value=value or None, with_input=True, new_value_mode="add-unique",
                on_change=lambda e: self.change(index, 2, e.value or ""),
            ).classes("rl-filter-value")  # fmt: skip
        else:
            placeholder = "value, another value" if operator in _LISTED else _range(hint)
            element = ui.input(
                value=value, placeholder=placeholder,
                on_change=lambda e: self.change(index, 2, e.value or ""),
                autocomplete=list(options)[:30],
            ).classes("rl-filter-value").props("debounce=300")  # fmt: skip
        element.props["aria-label"] = label


def _range(hint: FieldHint | None) -> str:
    if hint is None or hint.low is None or hint.high is None:
        return "value"
    return f"{hint.low:g} to {hint.high:g}"
