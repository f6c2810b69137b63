"""Paragraphs, lists and tables of docutils' trees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.documents.extract.builder import Across
from app.documents.text import one_line

_ROLE = re.compile(r":[\w:.+-]+:`(.*?)(?:\s*<[^<>]*>)?`|`(.*?)`:[\w:.+-]+:", re.DOTALL)
#: Nodes without text of their own, and those dealt with where they belong.
PASSED_OVER = frozenset(
    {"comment", "substitution_definition", "target", "raw", "pending", "decoration", "meta",
     "transition", "classifier", "label", "Text", "generated"}
)  # fmt: skip


def inline(node: Any) -> str:
    """Return the text of a paragraph; roles that docutils does not know are read as their text."""
    parts: list[str] = []
    stack = [iter(node.children)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            continue
        name = type(child).__name__
        if name == "Text":
            parts.append(child.astext())
        elif name == "problematic":
            parts.append(_ROLE.sub(lambda m: m[1] or m[2] or "", child.astext()))
        elif name == "image":
            parts.append(child.get("alt", ""))
        elif name == "footnote_reference":
            parts.append(f"[{child.astext()}]")
        elif name not in ("system_message", "raw", "comment"):
            stack.append(iter(child.children))
    return "".join(parts)


def list_lines(node: Any, depth: int) -> Iterator[str]:
    """Yield the items of a list and of the lists inside it, one a line."""
    number = int(node.get("start", 1)) if type(node).__name__ == "enumerated_list" else None
    for item in node.children:
        marker = "- " if number is None else f"{number}. "
        number = None if number is None else number + 1
        for part in item.children:
            name = type(part).__name__
            if name in ("bullet_list", "enumerated_list"):
                if depth < 50:
                    yield from list_lines(part, depth + 1)
                continue
            if name in PASSED_OVER or name == "system_message":
                continue
            text = part.astext() if name == "literal_block" else one_line(inline(part))
            text = text or one_line(part.astext())
            if text:
                yield "  " * depth + marker + text
                marker = "  "


def pairs(node: Any, first: str, second: str) -> Iterator[str]:
    """Yield the items of a list of fields or options, one a line."""
    for item in node.children:
        texts = {type(child).__name__: one_line(child.astext()) for child in item.children}
        yield f"- {texts.get(first, '')}: {texts.get(second, '')}"


def table_rows(table: Any) -> list[list[str]]:
    """Return a table's cells; one that spans several is in each."""
    rows: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column -> text and rows to go
    for row in (node for node in table.findall() if type(node).__name__ == "row"):
        cells: list[str] = []
        for entry in row.children:
            while len(cells) in hanging:
                _continue(cells, hanging)
            text, down = one_line(inline(entry) or entry.astext()), entry.get("morerows", 0)
            for column in range(entry.get("morecols", 0) + 1):
                own = Across(text) if column else text
                if down:
                    hanging[len(cells)] = own, down
                cells.append(own)
        while len(cells) in hanging:
            _continue(cells, hanging)
        rows.append(cells)
    return rows


def _continue(cells: list[str], hanging: dict[int, tuple[str, int]]) -> None:
    text, left = hanging.pop(len(cells))
    if left > 1:
        hanging[len(cells)] = text, left - 1
    cells.append(text)
