"""Template fields: text with {{ names }} in it, which complete as those of expressions do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from app.ui.forms import expressions
from app.ui.forms.base import Names, Slot
from app.ui.forms.entry import CodeEntry, Offer

_LOOP = re.compile(r"\{%-?\s*for\s+(\w+)\s+in\s+([\w.]+)[^%]*%\}")
_WORDS = {
    "for": "{% for … in … %} repeats", "endfor": "ends a repetition", "if": "{% if … %}",
    "elif": "another condition", "else": "otherwise", "endif": "ends a condition",
    "set": "{% set name = … %}",
}  # fmt: skip


def template(slot: Slot) -> ui.element:
    """A template in a mono font."""
    return CodeEntry(
        str(slot.value or ""),
        slot.spec.title,
        lambda e: slot.put(e.value or ""),
        offer=lambda source, at: offers(source, at, slot.form.template_names()),
        rows=4,
        read_only=slot.form.read_only,
    )


def inside(source: str, at: int) -> tuple[str, str] | None:
    """The kind of the tag around a place (“{{” or “{%”) and what stands in it before the place."""
    before = source[:at]
    start = max(before.rfind("{{"), before.rfind("{%"))
    if start < 0:
        return None
    inner = before[start + 2 :]
    if "}}" in inner or "%}" in inner:
        return None
    return before[start : start + 2], inner.removeprefix("-")


def offers(source: str, at: int, names: Names) -> Sequence[Offer]:
    """What may stand at a place of a template: nothing outside of its tags."""
    place = inside(source, at)
    if place is None:
        return []
    kind, inner = place
    known = {**names, **_loop_names(source[:at], names)}
    if kind == "{{":
        return expressions.offers(inner, len(inner), known)
    word = inner.strip()
    if re.fullmatch(r"\w*", word):
        return [
            {"text": w, "help": help, "value": ""}
            for w, help in _WORDS.items()
            if w.startswith(word)
        ]
    tail = re.sub(r"^\s*(?:if|elif|for\s+\w+\s+in|set\s+\w+\s*=)\s+", "", inner)
    return [] if tail == inner else expressions.offers(tail, len(tail), known)


def _loop_names(before: str, names: Names) -> dict[str, Any]:
    """Names of the loops around a place, each with the first thing its loop goes through."""
    found: dict[str, Any] = {}
    depth: list[str] = []
    for match in re.finditer(r"\{%-?\s*(for|endfor)\b", before):
        if match[1] == "endfor":
            if depth:
                found.pop(depth.pop(), None)
            continue
        loop = _LOOP.match(before, match.start())
        if loop:
            depth.append(loop[1])
            found[loop[1]] = _first(loop[2], {**names, **found})
    if depth:
        found["loop"] = {"index": 1, "first": True, "last": False, "length": 1}
    return found


def _first(path: str, names: Mapping[str, Any]) -> Any:
    value: Any = names
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value[0] if isinstance(value, list | tuple) and value else None
