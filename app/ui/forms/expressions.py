"""Settings that are computed: the expression, what it gives now, and what may be written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from app.engine import expressions as engine
from app.engine.problems import RagloomError
from app.services.threads import call
from app.ui import parts
from app.ui.forms.base import Names, Slot
from app.ui.forms.checks import EXPRESSION, is_expression, short_value
from app.ui.forms.entry import CodeEntry, Offer


def literal(value: Any) -> str:
    """The expression that gives a fixed value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return ""


def offers(source: str, at: int, names: Names) -> Sequence[Offer]:
    """What may stand at a place of an expression, with the value it has now."""
    return [
        {
            "text": str(offer.get("text", "")),
            "help": str(offer.get("help", "") or ""),
            "value": "" if offer.get("value") is None else short_value(offer["value"], 60),
        }
        for offer in engine.complete(source, at, names)
    ]


def problem(source: str, names: Names) -> str:
    """What is wrong with an expression, in words; empty where nothing is."""
    if not source.strip():
        return "Write an expression, or press ƒ for a fixed value."
    found = engine.check(source, set(names))
    return " ".join(part for p in found[:1] for part in (p.message, p.fix) if part)


def preview(source: str, names: Names) -> tuple[str, bool]:
    """What an expression gives with the values of the last run, in one line; and whether it did."""
    try:
        return short_value(engine.evaluate(source, names), 300), True
    except RagloomError as error:
        return " ".join(part for part in (error.message, error.fix) if part), False


def field(slot: Slot) -> ui.element:
    """The field of a setting that is computed."""
    return ExpressionField(slot).element


class ExpressionField:
    """An entry with completion; below it what is wrong, or what it gives."""

    def __init__(self, slot: Slot, *, computed: bool = True) -> None:
        """`computed`: the setting holds an expression in place of a value; else it is one."""
        self._slot, self._computed = slot, computed
        self._names = slot.form.names if computed else slot.form.code_names
        value = slot.value
        source = (
            str(value[EXPRESSION]) if is_expression(value) else "" if computed else str(value or "")
        )
        self._turn = 0
        with parts.div("rl-col rl-gap-4") as self.element:
            with parts.div("rl-fx-entry"):
                self.entry = CodeEntry(
                    source, f"{slot.spec.title}: expression", lambda e: self._typed(e.value or ""),
                    offer=lambda text, at: offers(text, at, self._names()),
                    placeholder=self._example(), read_only=slot.form.read_only,
                )  # fmt: skip
            self._line = parts.label("", "rl-small rl-fx-preview")
            self._line.props["role"] = "status"
            self._line.mark(f"preview-{slot.spec.name}")
            # What stands there by then: somebody may have typed already.
            ui.timer(0.01, lambda: self._try(self.entry.value or ""), once=True)

    def _example(self) -> str:
        """Something one could write here."""
        names = [name for name in self._names() if name not in ("input", "variables")]
        if not names:
            return "input.question | length"
        value = self._names()[names[0]]
        parts_of = list(value) if isinstance(value, dict) else []
        return f"{names[0]}.{parts_of[0]}" if parts_of else names[0]

    async def _typed(self, source: str) -> None:
        self._slot.put({EXPRESSION: source} if self._computed else source)
        await self._try(source)

    async def _try(self, source: str) -> None:
        self._turn += 1
        turn = self._turn
        names = self._names()
        empty = not self._computed and not source.strip()
        wrong = "" if empty else problem(source, names)
        found, good = ("", False) if wrong or empty else await call(preview, source, names)
        if turn != self._turn or self.element.is_deleted:
            return
        self.entry.invalid(bool(wrong))
        self._line.text = wrong or (f"= {found}" if good else found)
        self._line.set_visibility(bool(self._line.text))
        self._line.classes(remove="rl-danger rl-warn rl-muted")
        self._line.classes("rl-danger" if wrong else "rl-muted" if good else "rl-warn")
