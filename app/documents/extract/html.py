"""HTML: headings, paragraphs, lists, tables and code, without scripts and navigation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.html_parts import (
    BLOCKS,
    HEADINGS,
    TEXT,
    children,
    code_language,
    dropped,
    figure_text,
    flat_text,
    is_data_table,
    list_lines,
    table_rows,
)
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

#: Names and properties of `<meta>` -> what they are called here; earlier ones win.
_META = {
    "author": "author", "article:author": "author", "dc.creator": "author",
    "dcterms.creator": "author", "citation_author": "author",
    "article:published_time": "created", "dcterms.created": "created", "dc.date": "created",
    "citation_publication_date": "created", "date": "created", "pubdate": "created",
    "article:modified_time": "modified", "dcterms.modified": "modified",
    "last-modified": "modified", "og:updated_time": "modified",
    "keywords": "keywords", "news_keywords": "keywords",
    "description": "description", "og:description": "description",
    "dc.subject": "subject", "og:site_name": "site",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a page; its `<title>`, language and what `<meta>` says of it are kept."""
    text, _ = decode(path.read_bytes(), html=True)
    blocks = Blocks(options.max_chars)
    tree = add_html(blocks, text)
    title = tree.css_first("title")
    return ExtractedDocument(
        media_type=media.HTML,
        title=one_line(title.text()) if title is not None else "",
        metadata=metadata(_meta(tree)),
        blocks=tuple(blocks.items),
    )


def _meta(tree: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("meta"):
        attributes = node.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        if name in _META:
            found.setdefault(name, attributes.get("content") or "")
    values: dict[str, str] = {}
    for name, key in _META.items():
        # Some name an author by the address of a profile.
        if found.get(name) and not (key == "author" and "://" in found[name]):
            values.setdefault(key, found[name])
    return values


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
        #: Whether all of the text so far describes images.
        self._images = True

    def flush(self) -> None:
        """End the paragraph that is being collected."""
        text = "\n".join(" ".join(line.split()) for line in "".join(self._text).split("\n"))
        self._blocks.add("image" if self._images else "paragraph", text)
        self._text.clear()
        self._images = True

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
            if node.tag in BLOCKS:
                self.flush()
                stack.append((node, True))
            stack += [(child, False) for child in reversed(list(children(node)))]

    def _whole(self, node: Any) -> bool:
        """Deal with a node that is taken, or left out, as a whole; False: go into it."""
        tag = node.tag
        if tag == TEXT:
            text = node.text_content or ""
            self._images &= not text.strip()
            self._text.append(" ".join(text.split("\n")))
        elif tag == "br":
            self._text.append("\n")
        elif dropped(node):
            pass
        elif tag in HEADINGS:
            self.flush()
            self._blocks.heading(flat_text(node), HEADINGS[tag])
        elif tag == "img":
            self._text.append(f" {node.attributes.get('alt') or ''} ")
        else:
            return self._special(node)
        return True

    def _special(self, node: Any) -> bool:
        """Add a block that is no paragraph; False: the node is none."""
        tag = node.tag
        if tag == "pre":
            self.flush()
            self._blocks.add("code", node.text(), info=code_language(node))
        elif tag in ("ul", "ol"):
            self.flush()
            self._blocks.add("list", "\n".join(list_lines(node)))
        elif tag == "table" and is_data_table(node):
            self.flush()
            caption = node.css_first("caption")
            if caption is not None:
                self._blocks.add("paragraph", flat_text(caption))
            self._blocks.table(table_rows(node))
        elif tag == "figure" and (text := figure_text(node)):
            self.flush()
            self._blocks.add("image", text)
        else:
            return False
        return True
