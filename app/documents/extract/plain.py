"""Plain text: paragraphs between empty lines, pages between form feeds."""

from __future__ import annotations

import re
from pathlib import Path

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import clean

_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_LIST_LINE = re.compile(r"[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+\S")


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a text file in whatever encoding it is."""
    text, encoding = decode(path.read_bytes())
    pages = text.split("\f") if "\f" in text else [text]
    blocks = Blocks(options.max_chars)
    for number, page in enumerate(pages, 1):
        add_plain(blocks, page, page=number if len(pages) > 1 else None)
    return ExtractedDocument(
        media_type=media.TEXT,
        pages=len(pages) if len(pages) > 1 else None,
        metadata={"encoding": encoding},
        blocks=tuple(blocks.items),
    )


def add_plain(blocks: Blocks, text: str, *, page: int | None = None) -> None:
    """Add the paragraphs and lists of a plain text."""
    for paragraph in _PARAGRAPHS.split(clean(text)):
        listed = all(_LIST_LINE.match(line) for line in paragraph.strip("\n").split("\n"))
        blocks.add("list" if listed else "paragraph", paragraph, page=page)
