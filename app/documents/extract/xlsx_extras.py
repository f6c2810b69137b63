"""What hangs on the sheets of a workbook: charts and comments, found through relations."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any

from app.documents.extract.ooxml_parts import authors_of, chart_table, comments
from app.documents.extract.xml_parts import attribute, parse, read_member

#: Charts of one sheet that are read.
MAX_CHARTS = 100


def sheet_charts(package: zipfile.ZipFile, part: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield title and data of the charts that are drawn on a sheet."""
    count = 0
    for drawing in _related(package, part, ("/drawing",)):
        for chart in _related(package, drawing, ("/chart",)):
            root = _xml(package, chart)
            count += 1
            if root is not None and count <= MAX_CHARTS:
                yield chart_table(root)


def sheet_comments(package: zipfile.ZipFile, part: str) -> Iterator[str]:
    """Yield the comments on a sheet with their cells; threads once, with their authors."""
    authors: dict[str, str] = {}
    persons = _xml(package, "xl/persons/person.xml")
    if persons is not None:
        authors = authors_of(persons)
    threads = [
        item
        for name in _related(package, part, ("/threadedComment",))
        if (root := _xml(package, name)) is not None
        for item in comments(root, authors)
    ]
    placed = {place for place, _ in threads}
    for name in _related(package, part, ("/comments",)):
        root = _xml(package, name)
        if root is not None:
            threads += [item for item in comments(root) if item[0] not in placed]
    for place, text in threads:
        yield f"{place}: {text}" if place else text


def _related(package: zipfile.ZipFile, part: str, kinds: tuple[str, ...]) -> list[str]:
    """Return the parts that a part refers to by relations whose types end so."""
    folder, name = posixpath.split(part)
    root = _xml(package, posixpath.join(folder, "_rels", f"{name}.rels"))
    found = []
    for relation in root.iter("{*}Relationship") if root is not None else ():
        target = attribute(relation, "Target")
        if attribute(relation, "Type").endswith(kinds) and "://" not in target:
            path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            found.append(posixpath.normpath(path))
    return found


def _xml(package: zipfile.ZipFile, name: str) -> Any:
    data = read_member(package, name)
    return parse(data) if data is not None else None
