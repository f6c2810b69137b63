"""Numbers of Word's list items and headings, which the file holds only as rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from app.documents.extract.docx_text import W

_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")


@dataclass(frozen=True, slots=True)
class _Level:
    """How one depth is numbered; `text` holds "%1" for the number of the first depth."""

    style: str = "bullet"
    start: int = 1
    text: str = ""


class Numbering:
    """Counts items as Word does when it lays the document out.

    Only decimal numbers are written; other formats, bullets among them, give "-".
    """

    def __init__(self, document: Any) -> None:
        self._formats: dict[str, list[_Level]] = {}
        self._counters: dict[str, list[int]] = {}
        #: numId -> abstractNumId: numberings of one definition go on counting together.
        self._definitions: dict[str, str] = {}
        self._restarted: set[str] = set()
        root = _numbering_root(document)
        if root is None:
            return
        abstract = {a.get(f"{W}abstractNumId"): a for a in root.iter(f"{W}abstractNum")}
        for number in root.iter(f"{W}num"):
            key, link = number.get(f"{W}numId"), number.find(f"{W}abstractNumId")
            definition = link.get(f"{W}val") if link is not None else None
            if key is None or definition is None or definition not in abstract:
                continue
            self._definitions[key] = definition
            self._formats[definition] = _levels(abstract[definition])
            if number.find(f"{W}lvlOverride/{W}startOverride") is not None:
                self._restarted.add(key)

    def marker(self, number_id: str | None, depth: int) -> str:
        """Count one item and return what stands in front of it: "2. ", "2.1. " or "- "."""
        definition = self._definitions.get(number_id or "")
        if definition is None or number_id is None:
            return "- "
        # An overridden start counts on its own.
        key = number_id if number_id in self._restarted else f"/{definition}"
        levels = self._formats[definition]
        counters = self._counters.setdefault(key, [0] * _LEVELS)
        level = levels[depth]
        for above in range(depth):
            # A depth that was passed over counts as begun.
            counters[above] = counters[above] or levels[above].start
        counters[depth] = counters[depth] + 1 if counters[depth] else level.start
        counters[depth + 1 :] = [0] * (_LEVELS - depth - 1)
        if level.style != "decimal":
            return "- "
        return _PLACE.sub(lambda m: str(counters[int(m[1]) - 1] or 1), level.text).strip() + " "


def _numbering_root(document: Any) -> Any:
    try:
        return document.part.numbering_part.element
    except (KeyError, NotImplementedError):  # a file without lists has no such part
        return None


def _levels(definition: Any) -> list[_Level]:
    levels = [_Level()] * _LEVELS
    for level in definition.iter(f"{W}lvl"):
        depth = level.get(f"{W}ilvl", "")
        if depth.isdigit() and int(depth) < _LEVELS:
            start = _value(level, "start", "1")
            levels[int(depth)] = _Level(
                style=_value(level, "numFmt", "decimal"),
                start=int(start) if start.isdigit() else 1,
                text=_value(level, "lvlText", ""),
            )
    return levels


def _value(element: Any, name: str, default: str) -> str:
    child = element.find(f"{W}{name}")
    return str(child.get(f"{W}val", default)) if child is not None else default
