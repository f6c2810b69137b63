"""A passage as it reads: its tables, code and headings told apart from its words.

Only what is shown changes: every part knows where it stands, and nothing of the text is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")
_CELL_END = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"[-+−(]?\s?[$€£¥]?\s?\d[\d.,'  ]*\s?(?:%|[$€£¥])?\)?")

#: Start and end in the passage, what it is, and what else is known of it.
_Found = tuple[int, int, str, dict[str, Any]]


def parts_of(
    content: str,
    metadata: Mapping[str, Any],
    headings: Sequence[str] = (),
    start: int | None = None,
) -> list[dict[str, Any]]:
    """The parts of a passage, in order; `at` is where one begins in `content`, in characters.

    `start` is where the passage begins in its document, if it is the document's text: only then
    it is known where its code and headings are. A table has `rows` of `cells` (each row with its
    own `at`), `head` if the first of them is one, and the columns that hold `numbers`.
    """
    kinds = set(metadata.get("kinds") or ())
    if kinds == {"code"}:
        return [{"kind": "code", "at": 0, "text": content}]
    found: list[_Found] = []
    if start is not None:
        for name, kind in (("code", "code"), ("titles", "heading")):
            for span in metadata.get(name) or ():
                a, b = max(0, span["start"] - start), min(len(content), span["end"] - start)
                if a < b:
                    found.append((a, b, kind, {"level": span.get("level") or 1}))
    parts: list[dict[str, Any]] = []
    at = 0
    for a, b, kind, more in [*sorted(found, key=lambda one: one[:2]), (len(content), 0, "", {})]:
        if a < at:
            continue
        parts += _words(content, at, a, kinds, set(headings))
        if kind:
            parts.append({"kind": kind, "at": a, "text": content[a:b], **more})
        at = b
    return parts


def markup(parts: Sequence[Mapping[str, Any]]) -> str:
    """Parts as HTML; every text is escaped, whatever it holds."""
    found = []
    for part in parts:
        if part["kind"] == "table":
            rows = [row["cells"] for row in part["rows"]]
            head = _rows(rows[:1], "th", part["numbers"]) if part["head"] else ""
            body = _rows(rows[1:] if part["head"] else rows, "td", part["numbers"])
            found.append(
                f'<div class="rl-table-wrap"><table class="rl-table"><thead>{head}</thead>'
                f"<tbody>{body}</tbody></table></div>"
            )
        elif part["kind"] == "code":
            style = "rl-mono rl-small rl-reading-code"
            found.append(f'<pre class="{style}"><code>{escape(part["text"])}</code></pre>')
        else:
            style = "rl-doc-title" if part["kind"] == "heading" else "rl-doc-words"
            found.append(f'<div class="{style}">{escape(part["text"])}</div>')
    return "".join(found)


def _rows(rows: Sequence[Sequence[str]], tag: str, numbers: Sequence[int]) -> str:
    def cell(column: int, text: str) -> str:
        style = ' class="rl-num"' if column in numbers else ""
        return f"<{tag}{style}>{escape(text)}</{tag}>"

    cells = ("".join(cell(n, text) for n, text in enumerate(row)) for row in rows)
    return "".join(f"<tr>{row}</tr>" for row in cells)


def _words(
    content: str, start: int, end: int, kinds: set[str], headings: set[str]
) -> Iterator[dict[str, Any]]:
    """What is between code and headings: tables, and paragraphs that are a known heading."""
    lines = list(_lines(content, start, end))
    held = start
    n = 0
    while n < len(lines):
        at, line = lines[n]
        last = n
        while last < len(lines) and lines[last][1].startswith("|"):
            last += 1
        ruled = n + 1 < last and _RULE.fullmatch(lines[n + 1][1].strip()) is not None
        alone = (n == 0 or not lines[n - 1][1]) and (n + 1 == len(lines) or not lines[n + 1][1])
        if last > n and (ruled or "table" in kinds):
            yield from _text(content, held, at)
            yield _table(lines[n:last], ruled)
        elif line in headings and alone:
            yield from _text(content, held, at)
            yield {"kind": "heading", "at": at, "text": line, "level": 2}
            last = n + 1
        else:
            n += 1
            continue
        n = last
        held = lines[n - 1][0] + len(lines[n - 1][1])
    yield from _text(content, held, end)


def _lines(content: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    for line in content[start:end].split("\n"):
        yield start, line
        start += len(line) + 1


def _text(content: str, start: int, end: int) -> Iterator[dict[str, Any]]:
    words = content[start:end]
    if words.strip():
        start += len(words) - len(words.lstrip("\n"))
        yield {"kind": "text", "at": start, "text": words.strip("\n")}


def _table(lines: Sequence[tuple[int, str]], ruled: bool) -> dict[str, Any]:
    rows = [(at, _cells(line)) for n, (at, line) in enumerate(lines) if not (ruled and n == 1)]
    body = [cells for _, cells in (rows[1:] if ruled else rows)]
    numbers = [
        column
        for column in range(max(len(cells) for _, cells in rows))
        if _numeric([cells[column] for cells in body if column < len(cells)])
    ]
    shown = [{"at": at, "cells": cells} for at, cells in rows]
    return {"kind": "table", "at": lines[0][0], "head": ruled, "rows": shown, "numbers": numbers}


def _cells(line: str) -> list[str]:
    cells = _CELL_END.split(line.strip()[1:])
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(map(_NUMBER.fullmatch, filled))
