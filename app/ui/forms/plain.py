"""Fields for texts, numbers, yes or no, and choices."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

from app.ui import parts, text
from app.ui.forms.base import Slot, default_words
from app.ui.schema import FieldSpec


def line(slot: Slot) -> ui.element:
    """One line of text."""
    empty = None if slot.spec.optional else ""
    element = ui.input(
        value=str(slot.value or ""),
        placeholder=default_words(slot.spec),
        on_change=lambda e: slot.put(e.value or empty),
    )
    return slot.named(element.props("debounce=250"))


def long(slot: Slot) -> ui.element:
    """Text of several lines."""
    empty = None if slot.spec.optional else ""
    element = ui.textarea(
        value=str(slot.value or ""), on_change=lambda e: slot.put(e.value or empty)
    )
    return slot.named(element.props("debounce=300"))


def code(slot: Slot) -> ui.element:
    """A setting that is an expression: with completion, and what it gives now."""
    from app.ui.forms.expressions import ExpressionField

    return ExpressionField(slot, computed=False).element


def number(slot: Slot) -> ui.element:
    """A number; with a slider where its range is one a hand can hit."""
    spec = slot.spec
    whole = spec.kind == "integer"

    def take(raw: Any) -> None:
        if raw in (None, ""):
            slot.put(None)
            return
        slot.put(int(raw) if whole and float(raw).is_integer() else float(raw))

    step = 1 if whole else _step(spec)
    value = slot.value if isinstance(slot.value, int | float) else None
    slider: ui.slider | None = None
    with parts.div("rl-row rl-gap-16") as room:
        if _slides(spec) and value is not None and not spec.optional:
            slider = ui.slider(
                min=spec.low or 0, max=spec.high or 1, step=step, value=value
            ).classes("rl-grow")
            slider.props["aria-label"] = spec.title
        # Without min and max, a number out of range stays as typed and gets its message.
        entry = ui.number(
            value=value,
            step=step,
            placeholder=default_words(spec),
            on_change=lambda e: take(e.value),
        ).props("debounce=250")
        if spec.unit:
            entry.props["suffix"] = spec.unit
        entry.style("width: 92px; flex: none") if slider else entry.classes("rl-grow")
    if slider is not None:
        slider.on_value_change(lambda e: entry.set_value(e.value))
        entry.on_value_change(lambda e: None if e.value is None else slider.set_value(e.value))
    slot.named(entry)
    return room


def _slides(spec: FieldSpec) -> bool:
    if spec.low is None or spec.high is None:
        return False
    return spec.high - spec.low <= (50 if spec.kind == "integer" else 2)


def _step(spec: FieldSpec) -> float:
    span = (spec.high or 1) - (spec.low or 0)
    return 0.05 if span <= 2 else 0.5


def flag(slot: Slot) -> ui.element:
    """Yes or no."""
    return slot.named(
        ui.switch(
            slot.spec.title, value=bool(slot.value), on_change=lambda e: slot.put(bool(e.value))
        )
    )


def _words(choice: Any) -> str:
    return text.words(choice) if isinstance(choice, str) and choice else str(choice)


def choice(slot: Slot) -> ui.element:
    """One of several words: side by side where they fit, else a list."""
    spec, value = slot.spec, slot.value
    options = {c: _words(c) for c in spec.choices}
    if isinstance(value, str | int | float) and value not in options:
        options[value] = f"{value} (not allowed)"
    if len(options) <= 4 and sum(len(o) for o in options.values()) <= 30 and not spec.optional:
        toggle = ui.toggle(options, value=value, on_change=lambda e: slot.put(e.value))
        return slot.named(toggle.props(parts.SEGMENTS + " spread").classes("rl-segments"))
    select = ui.select(
        options, value=value, clearable=spec.optional, on_change=lambda e: slot.put(e.value)
    )
    return slot.named(select)


def several(slot: Slot) -> ui.element:
    """Any of several words."""
    chosen = [c for c in slot.value or () if c in slot.spec.choices]
    select = ui.select(
        {c: _words(c) for c in slot.spec.choices},
        value=chosen,
        multiple=True,
        on_change=lambda e: slot.put(list(e.value or ())),
    )
    return slot.named(select.props("use-chips"))


def strings(slot: Slot) -> ui.element:
    """A list of texts, as chips."""
    given = slot.value if isinstance(slot.value, list | tuple) else ()
    chips = ui.input_chips(
        value=[str(v) for v in given],
        new_value_mode="add-unique",
        on_change=lambda e: slot.put(list(e.value or ())),
    )
    chips.props("outlined dense hide-dropdown-icon hide-bottom-space")
    if not given:
        chips.props["placeholder"] = "Type and press Enter"
    return slot.named(chips)


def scalar(slot: Slot) -> ui.element:
    """A text, a number, yes or no: read as what it looks like; quotes make a text of anything."""
    arms = slot.spec.extra.get("anyOf") or ()
    objects = any(isinstance(arm, dict) and arm.get("type") == "object" for arm in arms)
    element = ui.input(
        value=written(slot.value),
        placeholder="Text, number, true or false" + (", or JSON" if objects else ""),
        on_change=lambda e: slot.put(
            read_scalar(e.value or "", optional=slot.spec.optional, objects=objects)
        ),
    )
    return slot.named(element.props("debounce=300"))


def written(value: Any) -> str:
    """A value as one types it; a text that looks like something else is put into quotes."""
    if value is None:
        return ""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if read_scalar(value) != value else value
    return json.dumps(value, ensure_ascii=False)


def read_scalar(raw: str, *, optional: bool = True, objects: bool = False) -> Any:
    """`3` → 3, `true` → True, `"3"` → “3”, `[1, 2]` → a list; all else is text, but `objects`."""
    if not raw.strip():
        return None if optional else ""
    try:
        value = json.loads(raw)
    except (json.JSONDecodeError, RecursionError):
        return raw
    return raw if (isinstance(value, dict) and not objects) or value is None else value
