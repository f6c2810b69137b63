"""HTML: headings, paragraphs, lists, tables and code, without scripts and navigation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

_DROPPED_LIST = """
    script style noscript template nav svg iframe object embed head button select dialog textarea
    canvas audio video map
"""
_DROPPED = frozenset(_DROPPED_LIST.split())
_HEADINGS = {f"h{i}": i for i in range(1, 7)}
_BLOCK_LIST = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure
    footer form header hr html main p section summary legend table tbody tr td th caption
"""
_BLOCKS = frozenset(_BLOCK_LIST.split())
_DROPPED_ROLES = frozenset({"navigation", "search", "menu", "menubar", "toolbar"})
_TEXT, _COMMENT = "-text", "-comment"
#: Deeper nesting than this is read as flat text.
_MAX_DEPTH = 400


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a page; its `<title>`, language and description are kept."""
    text, _ = decode(path.read_bytes(), html=True)
    blocks = Blocks(options.max_chars)
    tree = add_html(blocks, text)
    title = tree.css_first("title")
    metadata = {}
    for name in ("description", "author", "keywords"):
        node = tree.css_first(f'meta[name="{name}"]')
        if node is not None and node.attributes.get("content"):
            metadata[name] = one_line(node.attributes["content"] or "")
    return ExtractedDocument(
        media_type=media.HTML,
        title=one_line(title.text()) if title is not None else "",
        metadata=metadata,
        blocks=tuple(blocks.items),
    )


def add_html(blocks: Blocks, html: str) -> Any:
    """Add the blocks of an HTML text; return the parsed tree."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    if tree.body is not None:
        walker = _Walker(blocks)
        walker.walk(tree.body)
        walker.flush()
    return tree


class _Walker:
    """Goes through the tree without recursion: pages nest thousands deep."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._text: list[str] = []

    def flush(self) -> None:
        """End the paragraph that is being collected."""
        text = "\n".join(" ".join(line.split()) for line in "".join(self._text).split("\n"))
        self._text.clear()
        self._blocks.add("paragraph", text)

    def walk(self, root: Any) -> None:
        """Add everything below `root`."""
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self.flush()
                continue
            if self._whole(node):
                continue
            if node.tag in _BLOCKS:
                self.flush()
                stack.append((node, True))
            stack += [(child, False) for child in reversed(list(children(node)))]

    def _whole(self, node: Any) -> bool:
        """Deal with a node that is taken, or left out, as a whole; False: go into it."""
        tag = node.tag
        if tag == _TEXT:
            self._text.append(" ".join((node.text_content or "").split("\n")))
        elif tag == "br":
            self._text.append("\n")
        elif dropped(node):
            pass
        elif tag in _HEADINGS:
            self.flush()
            self._blocks.heading(flat_text(node), _HEADINGS[tag])
        elif tag == "pre":
            self.flush()
            self._blocks.add("code", node.text())
        elif tag in ("ul", "ol"):
            self.flush()
            self._blocks.add("list", "\n".join(list_lines(node)))
        elif tag == "table" and is_data_table(node):
            self.flush()
            caption = node.css_first("caption")
            if caption is not None:
                self._blocks.add("paragraph", flat_text(caption))
            self._blocks.table(table_rows(node))
        elif tag == "img":
            self._text.append(node.attributes.get("alt") or "")
        else:
            return False
        return True


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
    if node.tag == _TEXT:
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
        if item.tag == _TEXT:
            parts.append(item.text_content or "")
        elif item.tag == "img":
            parts.append(item.attributes.get("alt") or "")
        elif item is node or not (dropped(item) or item.tag in skip):
            if item.tag in _BLOCKS or item.tag in ("br", "li", "td", "th", "tr", *_HEADINGS):
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
        elif node.tag == _TEXT:
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
    """Return the cells' texts; one that spans rows is in each, one that spans columns in the first."""
    rows: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column -> text and rows to go of a cell from above
    for row in table.css("tr"):
        cells: list[str] = []
        for cell in _cells(row):
            _hang(cells, hanging)
            text, down = flat_text(cell), _span(cell, "rowspan")
            for column in range(_span(cell, "colspan")):
                if down > 1:
                    hanging[len(cells)] = (text if column == 0 else "", down - 1)
                cells.append(text if column == 0 else "")
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
