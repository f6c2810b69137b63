"""Comma-, semicolon- or tab-separated values: one table."""

from __future__ import annotations

import csv
from pathlib import Path

from app.documents import media
from app.documents.encoding import decode
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import clean

#: Characters in which the separator is looked for.
_SAMPLE = 20_000


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the rows as one table whose first row is the head.

    Raises:
        DocumentError: damaged, too_large.
    """
    text, encoding = decode(path.read_bytes())
    lines = clean(text).split("\n")
    try:
        dialect = csv.Sniffer().sniff("\n".join(lines[:50])[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    blocks = Blocks(options.max_chars)
    try:
        blocks.table(list(csv.reader(lines, dialect)))
    except csv.Error as error:
        raise DocumentError(
            "damaged", f"The table cannot be read: {error}.", "Save it anew as CSV."
        ) from error
    return ExtractedDocument(
        media_type=media.CSV, metadata={"encoding": encoding}, blocks=tuple(blocks.items)
    )
