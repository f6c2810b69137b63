"""Excel 2003 and older: a sheet is a page; each run of filled rows is a table."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.archive import damaged
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.extract.sheet import (
    MAX_COLUMNS,
    MAX_MERGED_ROWS,
    MAX_MERGES,
    Merge,
    add_sheet,
    filled,
    value_text,
)
from app.documents.model import ExtractedDocument

#: Code pages that Python calls otherwise.
_CODE_PAGES = {10000: "mac_roman", 65001: "utf-8", 1200: "utf-16-le"}
#: Properties of the file -> what they are called here.
_PROPERTIES = {
    "title": "title", "author": "author", "subject": "subject", "keywords": "keywords",
    "comments": "description", "create_time": "created", "last_saved_time": "modified",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the values of every visible sheet; formulas as the results they had when saved.

    Raises:
        DocumentError: damaged, unsupported_encryption, too_large, too_many_pages.
    """
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    book = _open(path)
    try:
        sheets = book.sheets_metadata
        options.check_pages(len(sheets), "workbook", "sheets")
        blocks = Blocks(options.max_chars)
        hidden = []
        for number, sheet in enumerate(sheets, 1):
            if sheet.visible != SheetVisibleEnum.Visible:
                hidden.append(sheet.name)
            elif sheet.typ == SheetTypeEnum.WorkSheet:
                blocks.heading(sheet.name, 1, page=number)
                _sheet(blocks, _guarded(book.get_sheet_by_index, number - 1), number, options)
    finally:
        book.close()
    facts = _properties(path)
    return ExtractedDocument(
        media_type=media.XLS,
        title=facts.pop("title", ""),
        pages=len(sheets),
        metadata=facts | ({"hidden_sheets": hidden} if hidden else {}),
        blocks=tuple(blocks.items) if any(b.kind != "heading" for b in blocks.items) else (),
    )


def _open(path: Path) -> Any:
    from python_calamine import CalamineWorkbook, PasswordError

    # By its content: originals are named by their hash.
    with path.open("rb") as file:
        _check_counts(file.read(512), path.stat().st_size)
        file.seek(0)
        try:
            return _guarded(CalamineWorkbook.from_filelike, file)
        except PasswordError as error:
            raise DocumentError(
                "unsupported_encryption",
                "The workbook is encrypted in the way of Excel 2003 or older.",
                "Open it, save it as .xlsx (with or without a password) and upload that.",
            ) from error


def _check_counts(header: bytes, size: int) -> None:
    """Refuse a container that says it has more tables than it has sectors: room is made for them."""
    counts = (int.from_bytes(header[at : at + 4], "little") for at in (44, 64, 72))
    if len(header) < 512 or any(count > size // 512 for count in counts):
        raise damaged("The xls file is damaged: its header does not fit its size.")


def _guarded(call: Any, *arguments: Any) -> Any:
    """Call the reader; what it trips over is a damaged file."""
    from python_calamine import CalamineError, PasswordError

    try:
        return call(*arguments)
    except PasswordError:
        raise
    except (CalamineError, OSError, ValueError) as error:
        raise damaged(f"The xls file is damaged: {str(error)[:160].rstrip('.')}.") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of a reader in another language
            raise
        raise damaged("The xls file is damaged: its records do not fit together.") from error


def _sheet(blocks: Blocks, sheet: Any, page: int, options: ExtractOptions) -> None:
    if sheet.start is None:  # empty
        return
    merges = [
        Merge(top + 1, left + 1, bottom + 1, right + 1)
        for (top, left), (bottom, right) in sheet.merged_cell_ranges or ()
        if bottom - top < MAX_MERGED_ROWS
    ]
    add_sheet(blocks, filled(_rows(sheet), merges[:MAX_MERGES]), page, options)


def _rows(sheet: Any) -> Iterator[list[str]]:
    # The reader counts rows from the sheet's first, but columns from the first that is filled.
    left = [""] * min(sheet.start[1], MAX_COLUMNS)
    rows = sheet.iter_rows()
    while (row := _guarded(next, rows, None)) is not None:
        yield left + [value_text(value) for value in row[: MAX_COLUMNS - len(left)]]


def _properties(path: Path) -> dict[str, Any]:
    """Return what the file says about itself."""
    import olefile

    try:
        with olefile.OleFileIO(path) as container:
            found = container.get_metadata()
    except Exception:  # its parts are of no use for more than this
        return {}
    page = found.codepage or 1252
    values = {ours: getattr(found, theirs, None) for theirs, ours in _PROPERTIES.items()}
    return metadata(
        {name: _decoded(v, page) if isinstance(v, bytes) else v for name, v in values.items()}
    )


def _decoded(value: bytes, page: int) -> str:
    name = _CODE_PAGES.get(page, f"cp{page}")
    try:
        codecs.lookup(name)
    except LookupError:
        name = "cp1252"
    return value.rstrip(b"\0").decode(name, "replace")
