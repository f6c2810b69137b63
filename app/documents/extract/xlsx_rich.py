"""Pictures that are placed in cells of a workbook: the value of the cell, kept as “rich data”."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from app.documents.extract.pictures import MAX_PICTURES, Pictures
from app.documents.extract.xlsx_extras import part_xml, relations
from app.documents.extract.xml_parts import attribute, read_member
from app.documents.text import one_line

#: What programs that do not know such pictures show in the cell.
PLACEHOLDER = "#VALUE!"
#: Kinds of rich values that are pictures.
_PICTURES = ("_localImage", "_webimage")
_CELL = re.compile(rb'<(?:\w{1,20}:)?c\s(?:[^<>]{0,200}\s)?vm="(\d{1,7})"[^<>]{0,200}>')
_PLACE = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')
_FOLDER = "xl/richData/"


class CellPictures:
    """The pictures in the cells of one workbook."""

    def __init__(self, package: zipfile.ZipFile, reader: Pictures) -> None:
        self._package, self._reader = package, reader
        #: Number of a value -> what it is said to show, and the part it is in.
        self._values = _values(package)

    def on_sheet(self, part: str) -> Mapping[int, list[tuple[int, int]]]:
        """Return row -> (column, number of the value), from 1, of the cells with pictures."""
        from openpyxl.utils import column_index_from_string

        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        if not self._values or part not in self._package.namelist():
            return found
        seen: set[bytes] = set()
        with self._package.open(part) as xml:
            rest = b""
            while len(seen) < MAX_PICTURES and (data := xml.read(1 << 20)):
                text, rest = rest + data, data[-500:]
                for cell in _CELL.finditer(text):
                    place, value = _PLACE.search(cell[0]), int(cell[1])
                    if place is None or place[0] in seen or value not in self._values:
                        continue
                    seen.add(place[0])
                    column = column_index_from_string(place[1].decode())
                    found[int(place[2])].append((column, value))
        return found

    def text(self, value: int) -> str:
        """Return what a picture is said to show, and what stands in it."""
        said, path = self._values[value]
        read = ""
        if path and self._reader.on and (data := read_member(self._package, path)) is not None:
            read = self._reader.read(data)
        return "\n".join(dict.fromkeys(filter(None, (said, read))))


def _values(package: zipfile.ZipFile) -> dict[int, tuple[str, str]]:
    """Return the values of cells that are pictures, by the number that the cells name."""
    metadata, data = (
        part_xml(package, "xl/metadata.xml"),
        part_xml(package, f"{_FOLDER}rdrichvalue.xml"),
    )
    structures = part_xml(package, f"{_FOLDER}rdrichvaluestructure.xml")
    if metadata is None or data is None or structures is None:
        return {}
    keys = [
        [attribute(key, "n") for key in structure.iter("{*}k")]
        if attribute(structure, "t") in _PICTURES
        else []
        for structure in structures.iter("{*}s")
    ]
    paths = _paths(package)
    pictures: list[tuple[str, str] | None] = []
    for value in data.iter("{*}rv"):
        names = _at(keys, attribute(value, "s")) or []
        texts = [one_line(v.text or "") for v in value.iter("{*}v")]
        fields = dict(zip(names, texts, strict=False))
        path = _at(paths, fields.get("_rvRel:LocalImageIdentifier", "")) or ""
        pictures.append((fields.get("Text", ""), path) if names else None)
    return _numbered(metadata, pictures)


def _numbered(metadata: Any, pictures: list[tuple[str, str] | None]) -> dict[int, tuple[str, str]]:
    """Follow the numbers of the cells through the workbook's metadata to the values."""
    kinds = [attribute(kind, "name") for kind in metadata.iter("{*}metadataType")]
    indexes = [
        attribute(value, "i")
        for rich in metadata.iter("{*}futureMetadata")
        if attribute(rich, "name") == "XLRICHVALUE"
        for value in rich.iter("{*}rvb")
    ]
    found: dict[int, tuple[str, str]] = {}
    for values in metadata.iter("{*}valueMetadata"):
        for number, block in enumerate(values.iter("{*}bk"), 1):
            for record in block.iter("{*}rc"):
                kind = attribute(record, "t")
                if kind.isdecimal() and _at(kinds, str(int(kind) - 1)) == "XLRICHVALUE":
                    picture = _at(pictures, _at(indexes, attribute(record, "v")) or "")
                    if picture:
                        found[number] = picture
    return found


def _paths(package: zipfile.ZipFile) -> list[str]:
    """Return the parts of the pictures, in the order in which the values number them."""
    part = f"{_FOLDER}richValueRel.xml"
    root = part_xml(package, part)
    targets = {id_: path for id_, _, path in relations(package, part)}
    return (
        [targets.get(attribute(r, "id"), "") for r in root.iter("{*}rel")]
        if root is not None
        else []
    )


def _at(items: list[Any], index: str) -> Any:
    """Return an item by an index that a file gives, None where there is none."""
    ok = index.isdecimal() and len(index) < 9 and int(index) < len(items)
    return items[int(index)] if ok else None
