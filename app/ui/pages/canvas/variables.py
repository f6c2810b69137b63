"""The variables of a workflow: a small table of names and values in the inspector."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from app.ui import parts
from app.ui.canvas.ops import VARIABLE_NAME, RemoveVariable, SetVariable
from app.ui.canvas.variables import LONGEST, MOST, variables_of
from app.ui.forms.checks import NO_KEYS_HERE, secret_in, short_value
from app.ui.forms.entry import CodeEntry
from app.ui.forms.jsons import read_json
from app.ui.pages.canvas.bench import Bench
from app.ui.typed import redraw

KINDS = {"text": "Text", "number": "Number", "flag": "Yes or no", "json": "JSON"}


def kind_of(value: Any) -> str:
    """Key of `KINDS` for a value."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "json"


def as_kind(value: Any, kind: str) -> Any:
    """A value as another kind, as far as it can be read as one."""
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind == "text":
        return written
    if kind == "flag":
        return written.strip().lower() in ("true", "yes", "1")
    if kind == "number":
        try:
            number = float(written)
        except ValueError:
            return 0
        return int(number) if number.is_integer() else number if abs(number) < 1e300 else 0
    found, wrong = read_json(written)
    return value if wrong else found


@dataclass
class _Line:
    """A variable as it is typed; `name` is empty until it has one in the workflow."""

    name: str
    typed: str
    value: Any
    kind: str


class VariableList:
    """The table; what is typed goes into the workflow as soon as it is right."""

    def __init__(self, bench: Bench) -> None:
        """Draw it where the page is at."""
        self._bench = bench
        self._known = variables_of(bench.editor.graph)
        self._lines = self._read()
        self._busy = False
        with parts.div("rl-col") as element:
            element.mark("variables")
            parts.label("Variables", "rl-strong rl-small")
            parts.label(
                "Values that every node may read: with the Variable node, or as variables.name "
                "in an expression or a template.",
                "rl-field-help",
            )
            self._room = parts.div("rl-col")
            if not bench.read_only:
                self._more = parts.tag("button", "Add a variable", "rl-more")
                self._more.on("click", self._add).mark("add-variable")
        self._draw()

    def update(self) -> None:
        """Show what was changed elsewhere, or taken back."""
        now = variables_of(self._bench.editor.graph)
        if now != self._known and not self._busy:
            self._known = now
            redraw(self._room, self._draw_again)

    def _draw_again(self) -> None:
        """Draw what the workflow holds by now, and lines that are no variables of it yet."""
        begun = {line.name: line.typed for line in self._lines if line.typed != line.name}
        new = [line for line in self._lines if not line.name]
        self._lines = [*self._read(), *new]
        for line in self._lines:
            line.typed = begun.get(line.name, line.typed) if line.name else line.typed
        self._draw()

    def _read(self) -> list[_Line]:
        return [_Line(name, name, value, kind_of(value)) for name, value in self._known.items()]

    def _add(self) -> None:
        self._lines.append(_Line("", "", "", "text"))
        self._draw()
        ui.run_javascript(
            "setTimeout(() => [...document.querySelectorAll('.rl-variable-name input')].at(-1)?.focus(), 60)"
        )

    def remove(self, line: _Line) -> None:
        """Take a line away."""
        self._lines.remove(line)
        if line.name:
            self._apply(RemoveVariable(name=line.name))
        self._draw()

    def _draw(self) -> None:
        self._room.clear()
        with self._room:
            for number, line in enumerate(self._lines[:MOST], 1):
                if self._bench.read_only:
                    with parts.div("rl-row"):
                        parts.label(line.name, "rl-mono rl-small rl-ellipsis")
                        parts.label(short_value(line.value, 200), "rl-small rl-grow rl-ellipsis")
                else:
                    _Row(self, line, number)
            if not self._lines and self._bench.read_only:
                parts.label("None.", "rl-muted rl-small")

    def wrong(self, line: _Line) -> str:
        """What keeps a line from being a variable, in words; empty where nothing does."""
        name = line.typed
        if not name:
            return "Give it a name." if line.value not in ("", None) or line.name else ""
        if not re.match(VARIABLE_NAME, name):
            return "Letters, digits and _ only, and no digit first."
        if name != line.name and any(o is not line and o.name == name for o in self._lines):
            return f"There is a variable “{name}” already."
        if secret_in(name, line.value):
            return NO_KEYS_HERE
        if isinstance(line.value, str) and len(line.value) > LONGEST // 2:
            return f"At most {LONGEST // 2:,} characters; keep longer texts in a file."
        return ""

    def store(self, line: _Line) -> None:
        """Put a line into the workflow."""
        before = self._known.get(line.name, self)
        if line.name == line.typed and before == line.value and kind_of(before) == line.kind:
            return
        was, line.name = line.name, line.typed
        if not self._apply(SetVariable(name=line.typed, value=line.value, was=was)):
            line.name = was

    def _apply(self, op: SetVariable | RemoveVariable) -> bool:
        """Edit the workflow; what is typed stays as it is meanwhile."""
        self._busy = True
        try:
            return self._bench.apply(op)
        finally:
            self._busy = False
            self._known = variables_of(self._bench.editor.graph)


class _Row:
    """A name, what kind of value it is, the value, and what is wrong."""

    def __init__(self, owner: VariableList, line: _Line, number: int) -> None:
        self._owner, self._line = owner, line
        with parts.div("rl-variable"):
            name = ui.input(value=line.typed, placeholder="name", on_change=self._name)
            name.props("debounce=300").classes("rl-variable-name rl-mono-field")
            name.props["aria-label"] = f"Name of variable {number}"
            name.mark(f"variable-name-{number}")
            kind = ui.select(KINDS, value=line.kind, on_change=self._kind)
            kind.props["aria-label"] = f"Kind of variable {number}"
            kind.mark(f"variable-kind-{number}")
            parts.icon_button(
                "close", f"Remove {line.typed or 'it'}", lambda: owner.remove(line)
            ).mark(f"variable-remove-{number}")
            self._place = parts.div("rl-variable-value")
            self._label = f"Value of variable {number}"
            self._message = parts.label("", "rl-danger rl-small rl-hidden rl-variable-value")
            self._message.props["role"] = "status"
        self._value()

    def _value(self) -> None:
        line, label = self._line, self._label
        self._place.clear()
        with self._place:
            if line.kind == "number":
                entry = ui.number(value=line.value, on_change=lambda e: self._put(e.value))
                entry.props("debounce=300").props["aria-label"] = label
            elif line.kind == "flag":
                ui.checkbox(
                    "Yes", value=line.value, on_change=lambda e: self._put(bool(e.value))
                ).props["aria-label"] = label
            else:
                written = line.value
                if line.kind == "json":
                    written = json.dumps(line.value, indent=2, ensure_ascii=False)
                CodeEntry(
                    written, label, lambda e: self._typed(e.value or ""),
                    placeholder="JSON" if line.kind == "json" else "value",
                )  # fmt: skip

    def _name(self, event: Any) -> None:
        self._line.typed = (event.value or "").strip()
        self._take()

    def _kind(self, event: Any) -> None:
        line = self._line
        line.kind, line.value = str(event.value), as_kind(line.value, str(event.value))
        self._value()
        self._take()

    def _typed(self, written: str) -> None:
        if self._line.kind == "text":
            self._put(written)
            return
        value, wrong = read_json(written)
        if wrong:
            self._say(wrong)
        else:
            self._put(value)

    def _put(self, value: Any) -> None:
        if value is None and self._line.kind == "number":
            self._say("Write a number.")
            return
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        self._line.value = value
        self._take()

    def _take(self) -> None:
        wrong = self._owner.wrong(self._line)
        self._say(wrong)
        if not wrong and self._line.typed:
            self._owner.store(self._line)

    def _say(self, words: str) -> None:
        self._message.text = words
        self._message.classes(remove="rl-hidden") if words else self._message.classes("rl-hidden")
