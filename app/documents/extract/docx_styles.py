"""What Word's styles say about a paragraph: heading, list item, code."""

from __future__ import annotations

import re
from typing import Any

from app.documents.extract.docx_text import W, paragraph_text

_HEADING = re.compile(r"^(?:heading|überschrift|titre|título|titolo)\s*(\d)", re.IGNORECASE)
_CODE = re.compile(r"\bcode\b|preformatted|source|macro text", re.IGNORECASE)
_CAPTION = re.compile(r"^(?:caption|beschriftung|légende|didascalia)\b", re.IGNORECASE)
_LIST = re.compile(r"^list\b(?! table)", re.IGNORECASE)
#: A style may be based on another, that on a third, …
_MAX_BASES = 12


class Styles:
    """Looks styles up by id, through the styles they are based on."""

    def __init__(self, document: Any) -> None:
        self._styles: dict[str, Any] = {}
        self.title = ""
        for style in document.styles.element.iter(f"{W}style"):
            self._styles[style.get(f"{W}styleId") or ""] = style

    def heading_level(self, paragraph: Any) -> int | None:
        """Return 1..9 for a heading (a title is 1), None for other paragraphs."""
        own = paragraph.find(f"{W}pPr/{W}outlineLvl")
        for style in self._chain(paragraph):
            name = self._name(style)
            if name.lower() == "title":
                self.title = self.title or paragraph_text(paragraph).strip()
                return 1
            if match := _HEADING.match(name):
                return max(1, int(match[1]))
            if own is None:
                own = style.find(f"{W}pPr/{W}outlineLvl")
        value = own.get(f"{W}val", "9") if own is not None else "9"
        return int(value) + 1 if value.isdigit() and int(value) < 9 else None

    def list_item(self, paragraph: Any) -> tuple[str | None, int] | None:
        """Return (numbering id, depth from 0) of a list item, None for other paragraphs."""
        properties = [paragraph.find(f"{W}pPr/{W}numPr")]
        styles = self._chain(paragraph)
        properties += [style.find(f"{W}pPr/{W}numPr") for style in styles]
        number = depth = None
        for numbering in properties:
            if numbering is None:
                continue
            number = number or _value(numbering.find(f"{W}numId"))
            depth = depth or _value(numbering.find(f"{W}ilvl"))
        if number == "0":
            return None
        if number is None and not any(_LIST.match(self._name(style)) for style in styles):
            return None
        return number, min(int(depth), 8) if depth and depth.isdigit() else 0

    def is_code(self, paragraph: Any) -> bool:
        """Whether a paragraph is set in a style for program text."""
        return any(_CODE.search(self._name(style)) for style in self._chain(paragraph))

    def is_caption(self, paragraph: Any) -> bool:
        """Whether a paragraph is set in the style for captions."""
        return any(_CAPTION.match(self._name(style)) for style in self._chain(paragraph))

    def _chain(self, paragraph: Any) -> list[Any]:
        used = paragraph.find(f"{W}pPr/{W}pStyle")
        key = used.get(f"{W}val") if used is not None else None
        chain: list[Any] = []
        while key in self._styles and len(chain) < _MAX_BASES:
            style = self._styles[key]
            chain.append(style)
            base = style.find(f"{W}basedOn")
            key = base.get(f"{W}val") if base is not None else None
        return chain

    @staticmethod
    def _name(style: Any) -> str:
        name = style.find(f"{W}name")
        return (name.get(f"{W}val") or "") if name is not None else ""


def _value(element: Any) -> str | None:
    return element.get(f"{W}val") if element is not None else None
