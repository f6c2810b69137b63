"""PDFs that pdfium does not open: pypdf rebuilds broken file structures."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

_PARAGRAPHS = re.compile(r"\n[ \t]*\n")


def extract_with_pypdf(
    path: Path, options: ExtractOptions, password: str | None
) -> ExtractedDocument:
    """Read the pages as plain paragraphs.

    Raises:
        DocumentError: encrypted, wrong_password, damaged, too_many_pages, no_text.
    """
    from pypdf import PdfReader

    from app.documents.extract.pdf import no_text

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    blocks = Blocks(options.max_chars)
    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(password or ""):
            raise DocumentError(
                "wrong_password" if password else "encrypted",
                "The PDF is encrypted and needs the right password.",
                "Give its password, or upload a copy without a password.",
            )
        count = len(reader.pages)
        options.check_pages(count, "document", "pages")
        for number, page in enumerate(reader.pages, 1):
            for paragraph in _PARAGRAPHS.split(page.extract_text()):
                blocks.add("paragraph", paragraph, page=number)
        title = one_line((reader.metadata and reader.metadata.title) or "")
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # broken files end in any class of error
        raise DocumentError(
            "damaged",
            "The PDF is cut off or damaged and cannot be read.",
            "Open it in a PDF viewer, save or print it to a new PDF and upload that.",
        ) from error
    if not blocks.items:
        raise no_text(count)
    return ExtractedDocument(
        media_type=media.PDF,
        title=title,
        pages=count,
        metadata={"read_with": "pypdf"},
        blocks=tuple(blocks.items),
    )
