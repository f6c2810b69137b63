"""Markdown: headings, paragraphs, lists, tables and code, by markdown-it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import clean

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z][\w -]{0,40}):[ \t]*(.*)((?:\n[ \t]*-[ \t]+\S.*)*)$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*-[ \t]+(.*)$", re.MULTILINE)
#: markdown-it leaves out what is nested deeper than this, so that many markers in a row …
_MAX_NESTING = 100
#: … are cut back to one.
_MANY_MARKERS = re.compile(r"^[ \t]*(?:(?:[>*+-]|\d{1,3}[.)])[ \t]*){21,}(?=\S)", re.MULTILINE)


#: Fields of a front matter -> what they are called here.
_NAMES = {
    "authors": "author", "creator": "author", "date": "created", "published": "created",
    "updated": "modified", "lastmod": "modified", "last_modified_at": "modified",
    "tags": "keywords", "summary": "description",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read Markdown; a front matter's `title` and fields become the title and metadata."""
    text, _ = decode(path.read_bytes())
    text = clean(text)
    fields: dict[str, Any] = {}
    if match := _FRONT_MATTER.match(text):
        fields = _fields(match[1])
        text = text[match.end() :]
    blocks = Blocks(options.max_chars)
    add_markdown(blocks, text)
    return ExtractedDocument(
        media_type=media.MARKDOWN,
        title=str(fields.pop("title", "")),
        metadata=metadata(fields),
        blocks=tuple(blocks.items),
    )


def add_markdown(blocks: Blocks, text: str) -> None:
    """Add the blocks of a Markdown text."""
    _Reader(blocks).read(_MANY_MARKERS.sub("> ", text))


def _fields(front: str) -> dict[str, Any]:
    """Return the fields of a front matter, lists ("- item" lines too) among them."""
    fields: dict[str, Any] = {}
    for match in _FIELD.finditer(front):
        name = match[1].strip().lower()
        items = [item.strip(" \"'") for item in _ITEM.findall(match[3])]
        value: Any = items or match[2].strip(" \"'")
        if value:
            fields.setdefault(_NAMES.get(name, name), value)
    return fields


class _Reader:
    """Walks the flat token list of markdown-it."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._items: list[str] = []
        self._lists: list[int | None] = []
        self._marker = ""
        self._rows: list[list[str]] = []
        self._heading: int | None = None

    def read(self, text: str) -> None:
        """Add the blocks of `text`."""
        from markdown_it import MarkdownIt

        parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(
            ["table", "strikethrough"]
        )
        for token in parser.parse(text):
            handler = getattr(self, f"_on_{token.type}", None)
            if handler is not None:
                handler(token)

    def _on_heading_open(self, token: Any) -> None:
        self._heading = int(token.tag[1:])

    def _on_heading_close(self, token: Any) -> None:
        self._heading = None

    def _on_bullet_list_open(self, token: Any) -> None:
        self._lists.append(None)

    def _on_ordered_list_open(self, token: Any) -> None:
        self._lists.append(int(token.attrs.get("start", 1)))

    def _on_bullet_list_close(self, token: Any) -> None:
        self._lists.pop()
        if not self._lists:
            self._blocks.add("list", "\n".join(self._items))
            self._items = []

    _on_ordered_list_close = _on_bullet_list_close

    def _on_list_item_open(self, token: Any) -> None:
        number = self._lists[-1]
        self._marker = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _on_tr_open(self, token: Any) -> None:
        self._rows.append([])

    def _on_table_close(self, token: Any) -> None:
        self._blocks.table(self._rows)
        self._rows = []

    def _on_inline(self, token: Any) -> None:
        text = inline_text(token.children or [])
        if self._rows:
            self._rows[-1].append(text)
        elif self._heading is not None:
            self._blocks.heading(text, self._heading)
        elif self._lists:
            indent = "  " * (len(self._lists) - 1)
            self._items.append(indent + (self._marker or "  ") + " ".join(text.split()))
            self._marker = ""
        else:
            images = all(t.type == "image" or not t.content.strip() for t in token.children or [])
            self._blocks.add("image" if images else "paragraph", text)

    def _on_fence(self, token: Any) -> None:
        if self._lists:
            self._items.append(token.content.rstrip("\n"))
        else:
            info = token.info.split()[0].strip("{}.") if token.info.strip() else ""
            self._blocks.add("code", token.content, info=info)

    _on_code_block = _on_fence

    def _on_html_block(self, token: Any) -> None:
        from app.documents.extract.html import add_html

        if not token.content.lstrip().startswith("<!--"):
            add_html(self._blocks, token.content)


def inline_text(tokens: Sequence[Any]) -> str:
    """Return the words of inline tokens: links by their text, images by their description."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(inline_text(token.children or []))
        elif token.type == "html_inline" and token.content.lower().startswith("<br"):
            parts.append("\n")
    return "".join(parts)
