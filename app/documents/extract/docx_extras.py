"""What hangs on a Word document's text: pictures, charts, notes, comments, page headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.documents.extract.docx_text import W, paragraph_text
from app.documents.extract.ooxml_parts import chart_table, comments, description
from app.documents.extract.pictures import Pictures, images
from app.documents.extract.xml_parts import attribute, local, parse
from app.documents.text import one_line

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
#: Page headers that hold no words: numbers, dashes.
_WORDLESS = re.compile(r"[\W\d_]*(?:page|seite)?[\W\d_]*(?:of|von)?[\W\d_]*", re.IGNORECASE)


def pictures(paragraph: Any, part: Any, reader: Pictures) -> str | None:
    """Return what the pictures in a paragraph are said to show, and what stands in them.

    None: there are no pictures.
    """
    found: list[str] = []
    seen = False
    for drawing in paragraph.iter(f"{W}drawing", f"{W}pict", f"{W}object"):
        if any(local(above) in ("Fallback", "txbxContent") for above in drawing.iterancestors()):
            continue
        if not images(drawing):
            continue
        seen = True
        found += [description(properties) for properties in drawing.iter("{*}docPr", "{*}cNvPr")]
        found += [one_line(attribute(shape, "alt")) for shape in drawing.iter("{*}shape")]
        found.append(reader.text(part, drawing))
    return "\n".join(dict.fromkeys(filter(None, found))) if seen else None


def charts(paragraph: Any, part: Any) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield title and data of the charts in a paragraph."""
    for chart in paragraph.iter("{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"):
        relation = part.rels.get(chart.get(_RELATION) or "")
        if relation is None or relation.is_external:
            continue
        root = parse(relation.target_part.blob)
        if root is not None:
            yield chart_table(root)


def extras(document: Any) -> Iterator[str]:
    """Yield foot- and endnotes, then comments."""
    for kind, reader in _READERS.items():
        for root in _parts(document, kind):
            yield from reader(root)


def page_headers(document: Any) -> list[str]:
    """Return what stands above and below the pages, each text once."""
    found: list[str] = []
    for kind in ("header", "footer"):
        for root in _parts(document, kind):
            lines = (one_line(paragraph_text(p)) for p in root.iter(f"{W}p"))
            found.append(" | ".join(line for line in lines if not _WORDLESS.fullmatch(line)))
    return list(dict.fromkeys(text[:500] for text in found if text))[:50]


def _parts(document: Any, kind: str) -> Iterator[Any]:
    for relation in document.part.rels.values():
        if relation.is_external or relation.reltype.rpartition("/")[2] != kind:
            continue
        root = parse(relation.target_part.blob)
        if root is not None:
            yield root


def _notes(root: Any) -> Iterator[str]:
    for note in root:
        if note.get(f"{W}type") is None:
            yield "\n".join(paragraph_text(p) for p in note.iter(f"{W}p"))


def _comments(root: Any) -> Iterator[str]:
    return (text for _, text in comments(root))


_READERS = {"footnotes": _notes, "endnotes": _notes, "comments": _comments}
