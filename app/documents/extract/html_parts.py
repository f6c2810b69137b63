"""Parts of a page that are taken as a whole: tables, lists, figures, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.documents.extract.builder import Across
from app.documents.text import one_line

_DROPPED_LIST = """
    script style noscript template nav svg iframe object embed head button select dialog textarea
    canvas audio video map
"""
_DROPPED = frozenset(_DROPPED_LIST.split())
HEADINGS = {f"h{i}": i for i in range(1, 7)}
_BLOCK_LIST = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure
    footer form header hr html main p section summary legend table tbody tr td th caption
"""
BLOCKS = frozenset(_BLOCK_LIST.split())
_DROPPED_ROLES = frozenset({"navigation", "search", "menu", "menubar", "toolbar"})
TEXT, _COMMENT = "-text", "-comment"
#: Deeper nesting than this is read as flat text.
_MAX_DEPTH = 400


_CODE_CLASS = re.compile(
    r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:)-?\s*([\w+#-]+)"
)


def figure_text(figure: Any) -> str:
    """Return caption and descriptions of a figure of images; "" where it holds something else."""
    if figure.css_first("img") is None or figure.css_first("table, pre, ul, ol") is not None:
        return ""
    lines = [flat_text(caption) for caption in figure.css("figcaption")]
    lines += [one_line(image.attributes.get("alt") or "") for image in figure.css("img")]
    return "\n".join(dict.fromkeys(filter(None, lines)))


def code_language(pre: Any) -> str:
    """Return the language that the classes of a `<pre>`, or what is around it, name."""
    for node in (pre.css_first("code"), pre, pre.parent, pre.parent and pre.parent.parent):
        if node is None:
            continue
        if found := _CODE_CLASS.search(node.attributes.get("class") or ""):
            return str(found[1])
        if named := node.attributes.get("data-lang") or node.attributes.get("data-language"):
            return str(named)
    return ""


def children(node: Any) -> Iterator[Any]:
    """Yield a node's children, text included."""
    child = node.child
    while child is not None:
        yield child
        child = child.next


def dropped(node: Any) -> bool:
    """Whether a node is no content: scripts, navigation, hidden parts, comments."""
    if node.tag in _DROPPED or node.tag == _COMMENT or node.tag.startswith(("!", "_")):
        return True
    if node.tag == TEXT:
        return False
    attributes = node.attributes
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (attributes.get("role") or "") in _DROPPED_ROLES
    )


def flat_text(node: Any, *, skip: frozenset[str] = frozenset()) -> str:
    """Return the text below a node on one line, without the parts in `skip`."""
    parts: list[str] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if item.tag == TEXT:
            parts.append(item.text_content or "")
        elif item.tag == "img":
            parts.append(item.attributes.get("alt") or "")
        elif item is node or not (dropped(item) or item.tag in skip):
            if item.tag in BLOCKS or item.tag in ("br", "li", "td", "th", "tr", *HEADINGS):
                parts.append(" ")
            stack += reversed(list(children(item)))
    return one_line("".join(parts))


_LISTS = frozenset({"ul", "ol"})


def list_lines(root: Any) -> Iterator[str]:
    """Yield the items of a list and of the lists inside it, one a line."""
    stack: list[tuple[Any, int, str]] = [(root, 0, "")]
    while stack:
        node, depth, marker = stack.pop()
        if node.tag == "li":
            text = flat_text(node, skip=_LISTS)
            if text:
                yield "  " * (depth - 1) + marker + text
        elif node.tag == TEXT:
            if depth and (text := one_line(node.text_content or "")):
                yield "  " * (depth - 1) + "- " + text
            continue
        if depth > _MAX_DEPTH:
            continue
        stack += reversed(list(_parts_of_list(node, depth)))


def _parts_of_list(node: Any, depth: int) -> Iterator[tuple[Any, int, str]]:
    """Yield items of a list, or the lists inside an item."""
    if node.tag in _LISTS:
        start = node.attributes.get("start") or "1"
        number = int(start) if start.isdigit() else 1
        for child in children(node):
            if child.tag == "li":
                yield child, depth + 1, f"{number}. " if node.tag == "ol" else "- "
                number += 1
            elif not dropped(child):
                yield child, depth + 1, "- "
    elif node.tag == "li":
        for inner in node.css("ul, ol"):
            if _nearest(inner, node):
                yield inner, depth, ""


def _nearest(inner: Any, item: Any) -> bool:
    """Whether no list stands between a list and the item it is looked for in."""
    parent = inner.parent
    while parent is not None and parent.tag not in ("ul", "ol", "li"):
        parent = parent.parent
    return parent is not None and parent.mem_id == item.mem_id


def is_data_table(table: Any) -> bool:
    """Tables that hold other tables, or one cell a row, are layout."""
    if table.css_first("table table") is not None or table.css("td table"):
        return False
    return any(len(list(_cells(row))) > 1 for row in table.css("tr"))


def table_rows(table: Any) -> list[list[str]]:
    """Return the cells' texts; one that spans several is in each, along a row as `Across`."""
    rows: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column -> text and rows to go of a cell from above
    for row in table.css("tr"):
        cells: list[str] = []
        for cell in _cells(row):
            _hang(cells, hanging)
            text, down = flat_text(cell), _span(cell, "rowspan")
            for column in range(_span(cell, "colspan")):
                own = Across(text) if column else text
                if down > 1:
                    hanging[len(cells)] = (own, down - 1)
                cells.append(own)
        _hang(cells, hanging)
        rows.append(cells)
    return rows


def _hang(cells: list[str], hanging: dict[int, tuple[str, int]]) -> None:
    """Continue the cells of rows above that reach into the next columns of this row."""
    while (column := len(cells)) in hanging:
        text, left = hanging.pop(column)
        cells.append(text)
        if left > 1:
            # Under the same column in the next row; this row is past it.
            hanging[column] = (text, left - 1)


def _span(cell: Any, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return min(max(int(value), 1), 64) if value.isdigit() and len(value) < 6 else 1


def _cells(row: Any) -> Iterator[Any]:
    return (child for child in children(row) if child.tag in ("td", "th"))
