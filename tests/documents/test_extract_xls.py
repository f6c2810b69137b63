"""Excel 2003 and older, and what shares its container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workbooks import Cell, container, xls

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.guard import WorkerPool
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]

DUCKS = xls(
    {
        "Ducks": {
            (4, 1): "Year",
            (4, 2): "Größe",
            (5, 2): "min",
            (5, 3): "max",
            (6, 1): 2019.0,
            (6, 2): 1.5,
            (6, 3): True,
            (30, 0): "alone",
        },
        "Secret": {(0, 0): "not shown"},
        "Empty": {},
        "Last": {(0, 0): "a | b", (0, 1): "c", (1, 0): "d", (1, 1): 1e-7},
    },
    hidden=["Secret"],
    merged=[(4, 4, 2, 3), (4, 5, 1, 1)],
)


@pytest.mark.parametrize("name", ["a.xls", "without a name", "a.xlsx"])
def test_an_old_workbook(read: Read, name: str) -> None:
    document = read(name, DUCKS)
    assert (document.media_type, document.pages) == (media.XLS, 4)
    assert document.metadata == {"hidden_sheets": ["Secret"]}
    assert [(b.kind, b.page, b.text) for b in document.blocks] == [
        ("heading", 1, "Ducks"),
        (
            "table",
            1,
            "| Year | Größe | Größe |\n| --- | --- | --- |\n| Year | min | max |\n"
            "| 2019 | 1.5 | TRUE |",
        ),
        ("paragraph", 1, "alone"),
        ("heading", 3, "Empty"),
        ("heading", 4, "Last"),
        ("table", 4, "| a \\| b | c |\n| --- | --- |\n| d | 1e-07 |"),
    ]


def test_merged_cells_beside_empty_columns_keep_what_is_beside_them(read: Read) -> None:
    cells: dict[tuple[int, int], Cell] = {(2, 1): "Year", (2, 2): "n", (3, 1): 2019.0}
    cells |= {(3, 2): 10.0, (4, 2): 20.0, (5, 2): 30.0, (2, 1_200): "far away"}
    # The second one begins, empty, before the first filled column.
    document = read("a.xls", xls({"S": cells}, merged=[(3, 5, 1, 1), (4, 4, 0, 0)]))
    assert document.blocks[1].cells == (
        ("Year", "n"),
        ("2019", "10"),
        ("2019", "20"),
        ("2019", "30"),
    )


def test_an_old_workbook_that_excel_saved(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/xls/legacy_sample.xls")
    assert document.title == "Wild Duck Observations"
    assert document.metadata["created"] == "2025-10-10T08:42:42"
    assert document.blocks[-1].cells[:2] == (("Year", "Freshwater Ducks"), ("2019", "120"))


def test_what_programs_export_as_xls(read: Read) -> None:
    assert read("a.xls", "name\tn\nducks\t3\n").blocks[0].cells == (("name", "n"), ("ducks", "3"))
    page = read("a.xls", "<html><body><table><tr><td>a<td>b</tr><tr><td>1<td>2</tr></table>")
    assert (page.media_type, page.blocks[0].kind) == (media.HTML, "table")


@pytest.mark.parametrize(
    ("parts", "words", "fix"),
    [
        (["WordDocument", "1Table"], "a Word document of Office 2003", "save it as .docx"),
        (["PowerPoint Document"], "a PowerPoint presentation of Office 2003", "save it as .pptx"),
        (["__properties_version1.0"], "a message of Outlook", "save it as .eml"),
        (["Contents"], "a file of Office 2003", "save it as .xlsx"),
    ],
)
def test_other_old_files_say_what_to_do(read: Read, parts: list[str], words: str, fix: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read("a.xls", container(dict.fromkeys(parts, b"x")))
    assert caught.value.code == "unsupported_type"
    assert words in caught.value.message
    assert fix in caught.value.fix


def _changed(places: dict[int, bytes]) -> bytes:
    data = bytearray(DUCKS)
    for at, value in places.items():
        data[at : at + len(value)] = value
    return bytes(data)


LABEL = DUCKS.index("alone".encode("utf-16-le")) - 13

HOSTILE = {
    "cut off": (DUCKS[:2_000], {"damaged", "unsupported_type"}),
    "a table of four billion sectors": (_changed({44: b"\xff\xff\xff\x7f"}), {"damaged"}),
    "sectors in a circle": (
        _changed({512 + 4 * at: (at if at > 2 else 2).to_bytes(4, "little") for at in range(1, 9)}),
        {"crashed", "damaged", "unsupported_type"},
    ),
    "a cell at the far end": (_changed({LABEL + 4: b"\xff\xff\x0f\x00"}), {"text"}),
    "a cell beyond the end": (
        _changed({LABEL + 4: b"\xff\xff\xff\xff"}),
        {"crashed", "damaged", "too_much_memory"},
    ),
    "a record longer than the file": (_changed({LABEL + 2: b"\xff\x1f"}), {"damaged", "text"}),
    "a text longer than its record": (_changed({LABEL + 10: b"\xff\x7f"}), {"damaged", "text"}),
    "encrypted": (
        xls({"S": {(0, 0): "x"}}).replace(b"\x85\x00\x09\x00", b"\x2f\x00\x09\x00", 1),
        {"unsupported_encryption", "damaged"},
    ),
}


async def outcome(pool: WorkerPool, path: Path) -> ExtractedDocument | DocumentError:
    try:
        return await pool.extract(path)
    except DocumentError as error:
        return error


async def test_hostile_old_workbooks(pool: WorkerPool, tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    for name, (data, expected) in HOSTILE.items():
        path.write_bytes(data)
        found = await outcome(pool, path)
        if isinstance(found, DocumentError):
            assert found.code in expected, (name, found)
            assert found.message
            assert found.fix
        else:
            assert "text" in expected, name
            assert "Ducks" in found.text
    path.write_bytes(DUCKS)
    assert "alone" in (await pool.extract(path)).text


def test_limits_of_an_old_workbook(read: Read) -> None:
    with pytest.raises(DocumentError) as caught:
        read("a.xls", DUCKS, max_pages=3)
    assert caught.value.code == "too_many_pages"
