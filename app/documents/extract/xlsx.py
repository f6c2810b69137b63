"""Excel: a sheet is a page; each run of filled rows is a table."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import check_zip
from app.documents.extract.builder import Blocks
from app.documents.extract.ooxml import core_properties, open_package
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pictures import Pictures
from app.documents.extract.sheet import (
    MAX_COLUMNS,
    MAX_MERGED_ROWS,
    MAX_MERGES,
    Merge,
    add_sheet,
    filled,
    value_text,
)
from app.documents.extract.xlsx_extras import sheet_charts, sheet_comments, sheet_pictures
from app.documents.extract.xlsx_rich import PLACEHOLDER, CellPictures
from app.documents.model import ExtractedDocument

_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the values of every visible sheet; formulas as the results they had when saved.

    Raises:
        DocumentError: damaged, encrypted, unsafe, too_large, too_many_pages.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_package(path, "xlsx") as source, zipfile.ZipFile(source) as package:
        from openpyxl import load_workbook

        book = load_workbook(source, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = book.worksheets
            options.check_pages(len(sheets), "workbook", "sheets")
            blocks, scans = Blocks(options.max_chars), Pictures(options)
            in_cells = CellPictures(package, scans)
            hidden = []
            for number, sheet in enumerate(sheets, 1):
                if sheet.sheet_state != "visible":
                    hidden.append(sheet.title)
                    continue
                _sheet(blocks, scans, in_cells, sheet, package, number, options)
            title, metadata = core_properties(source)
        finally:
            book.close()
    if hidden:
        metadata["hidden_sheets"] = hidden
    return ExtractedDocument(
        media_type=media.XLSX,
        title=title,
        pages=len(sheets),
        metadata=metadata | scans.report(),
        blocks=tuple(blocks.items) if any(b.kind != "heading" for b in blocks.items) else (),
    )


def _sheet(
    blocks: Blocks, scans: Pictures, in_cells: CellPictures, sheet: Any,
    package: zipfile.ZipFile, page: int, options: ExtractOptions,
) -> None:  # fmt: skip
    blocks.heading(sheet.title, 1, page=page)
    part = getattr(sheet, "_worksheet_path", "")
    # What the file says about its size may be wrong by millions of rows.
    sheet.reset_dimensions()
    before = len(blocks.items)
    # Rows that are not read to the end hold the file open.
    with closing(_rows(sheet, in_cells, part)) as rows:
        add_sheet(blocks, filled(rows, _merges(package, part)), page, options)
    has_cells = len(blocks.items) > before
    for title, data in sheet_charts(package, part):
        blocks.add("paragraph", title, page=page)
        if not has_cells:  # a chart beside its data only repeats it
            blocks.table(data, page=page)
    for text in sheet_pictures(package, part, scans):
        blocks.add("image", text, page=page)
    for text in sheet_comments(package, part):
        blocks.add("paragraph", text, page=page)


def _merges(package: zipfile.ZipFile, part: str) -> list[Merge]:
    """Return a sheet's merged ranges, which openpyxl leaves out when it reads row by row."""
    from openpyxl.utils import column_index_from_string as number

    found: list[Merge] = []
    if part not in package.namelist():
        return []
    with package.open(part) as xml:
        rest = b""
        while data := xml.read(1 << 20):
            text, rest = rest + data, data[-80:]
            for left, top, right, bottom in _MERGE.findall(text):
                merge = Merge(int(top), number(left.decode()), int(bottom), number(right.decode()))
                if merge.bottom - merge.top < MAX_MERGED_ROWS:
                    found.append(merge)
            if len(found) > MAX_MERGES:
                break
    return sorted(set(found))[:MAX_MERGES]


def _rows(sheet: Any, in_cells: CellPictures, part: str) -> Generator[list[str]]:
    pictures = in_cells.on_sheet(part)
    # Asked for so many columns, openpyxl would fill each row up to them.
    with closing(sheet.iter_rows()) as rows:
        for number, row in enumerate(rows, 1):
            texts = [_text(cell) for cell in row[:MAX_COLUMNS]]
            for column, value in pictures.get(number, ()):
                if column <= len(texts) and texts[column - 1] == PLACEHOLDER:
                    texts[column - 1] = in_cells.text(value)
            yield texts


def _text(cell: Any) -> str:
    return value_text(cell.value, getattr(cell, "number_format", "") or "")
