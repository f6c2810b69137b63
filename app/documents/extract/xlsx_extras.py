"""What hangs on the sheets of a workbook: charts, pictures, comments, found through relations."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any

from app.documents.extract.ooxml_parts import authors_of, chart_table, comments, description
from app.documents.extract.pictures import MAX_PICTURES, Pictures, embedded
from app.documents.extract.xml_parts import attribute, parse, read_member

#: Charts of one sheet that are read.
MAX_CHARTS = 100


def sheet_charts(package: zipfile.ZipFile, part: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield title and data of the charts that are drawn on a sheet."""
    count = 0
    for drawing in _related(package, part, ("/drawing",)):
        for chart in _related(package, drawing, ("/chart",)):
            root = part_xml(package, chart)
            count += 1
            if root is not None and count <= MAX_CHARTS:
                yield chart_table(root)


def sheet_pictures(package: zipfile.ZipFile, part: str, reader: Pictures) -> Iterator[str]:
    """Yield what the pictures on a sheet are said to show, and what stands in them."""
    count = 0
    for drawing in _related(package, part, ("/drawing",)):
        root = part_xml(package, drawing)
        names = {
            id_: path for id_, kind, path in relations(package, drawing) if kind.endswith("/image")
        }
        for picture in root.iter("{*}pic") if root is not None else ():
            count += 1
            if count > MAX_PICTURES:
                return
            said = [description(properties) for properties in picture.iter("{*}cNvPr")]
            for name in embedded(picture) if reader.on else ():
                # One that is shown many times is unpacked once.
                path = names.pop(name, "")
                if path and (data := read_member(package, path)) is not None:
                    said.append(reader.read(data))
            yield "\n".join(dict.fromkeys(filter(None, said)))


def sheet_comments(package: zipfile.ZipFile, part: str) -> Iterator[str]:
    """Yield the comments on a sheet with their cells; threads once, with their authors."""
    authors: dict[str, str] = {}
    persons = part_xml(package, "xl/persons/person.xml")
    if persons is not None:
        authors = authors_of(persons)
    threads = [
        item
        for name in _related(package, part, ("/threadedComment",))
        if (root := part_xml(package, name)) is not None
        for item in comments(root, authors)
    ]
    placed = {place for place, _ in threads}
    for name in _related(package, part, ("/comments",)):
        root = part_xml(package, name)
        if root is not None:
            threads += [item for item in comments(root) if item[0] not in placed]
    for place, text in threads:
        yield f"{place}: {text}" if place else text


def _related(package: zipfile.ZipFile, part: str, kinds: tuple[str, ...]) -> list[str]:
    """Return the parts that a part refers to by relations whose types end so."""
    return [path for _, kind, path in relations(package, part) if kind.endswith(kinds)]


def relations(package: zipfile.ZipFile, part: str) -> list[tuple[str, str, str]]:
    """Return id, type and path of the parts that a part refers to."""
    folder, name = posixpath.split(part)
    root = part_xml(package, posixpath.join(folder, "_rels", f"{name}.rels"))
    found = []
    for relation in root.iter("{*}Relationship") if root is not None else ():
        target = attribute(relation, "Target")
        if "://" not in target:
            path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            kind = attribute(relation, "Type")
            found.append((attribute(relation, "Id"), kind, posixpath.normpath(path)))
    return found


def part_xml(package: zipfile.ZipFile, name: str) -> Any:
    """Return the root element of a part, None where it is missing or no XML."""
    data = read_member(package, name)
    return parse(data) if data is not None else None
