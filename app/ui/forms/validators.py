"""The field for checks of chunks: each one off, or with what happens to what it finds."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from app.ui import parts, text
from app.ui.forms.base import Slot

OFF = "off"
_WORDS = {OFF: "Off", "flag": "Flag", "drop": "Leave out", "repair": "Repair"}


def build(slot: Slot) -> ui.element:
    """A list for each check there is; one that is set and no longer there stays to be seen."""
    offered = slot.form.choices.validators
    given = slot.value if isinstance(slot.value, Mapping) else slot.spec.default or {}
    chosen = {str(name): str(action) for name, action in given.items()}

    def put(name: str, action: str) -> None:
        if action == OFF:
            chosen.pop(name, None)
        else:
            chosen[name] = action
        slot.put(dict(chosen))

    with parts.div("rl-checks") as element:
        for name in [*offered, *(n for n in chosen if n not in offered)]:
            options = {key: _WORDS.get(key, key) for key in (OFF, *offered.get(name, ()))}
            value = chosen.get(name, OFF)
            if value not in options:
                options[value] = f"{_WORDS.get(value, value)} (not possible)"
            parts.label(text.words(name))
            select = ui.select(
                options, value=value, on_change=lambda e, name=name: put(name, e.value)
            )
            select.props["aria-label"] = text.words(name)
            select.mark(f"check-{name}")
    return element
