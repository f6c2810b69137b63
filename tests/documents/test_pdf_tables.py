"""Tables of PDFs: with and without ruling lines, heads over columns; no table where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pdfs import line, simple_pdf

from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.guard import WorkerPool
from app.documents.model import Block, ExtractedDocument

Read = Callable[..., ExtractedDocument]

BIRDS = [
    ("Bird", "Weight", "Eggs", "Country"),
    ("Mute swan", "11.8", "6", "Austria"),
    ("Goose", "3.1", "5", "Czech Republic"),
    ("Mallard duck", "1.2", "12", "France"),
    ("Coot", "0.8", "8", "Spain"),
]


def grid(rows: Sequence[Sequence[str]], xs: Sequence[int], top: int, pitch: int = 14) -> str:
    return "".join(
        line(x, top - pitch * i, text)
        for i, row in enumerate(rows)
        for x, text in zip(xs, row, strict=True)
        if text
    )


def rule(x0: int, y0: int, x1: int, y1: int) -> str:
    return f"{x0} {y0} m {x1} {y1} l S\n"


def tables(document: ExtractedDocument) -> list[Block]:
    return [block for block in document.blocks if block.kind == "table"]


def test_a_table_without_lines_is_told_by_its_columns(read: Read) -> None:
    content = line(
        60, 760, "Some birds live near water, and they are heavier than they look there."
    )
    content += grid(BIRDS, (60, 180, 250, 320), 720)
    content += line(
        60, 630, "The text goes on after the table, with words that reach across it all."
    )
    document = read("a.pdf", simple_pdf(content))
    assert [block.kind for block in document.blocks] == ["paragraph", "table", "paragraph"]
    (table,) = tables(document)
    assert table.cells == tuple(BIRDS)
    assert "| Goose | 3.1 | 5 | Czech Republic |" in table.text
    # No word of it stands in the paragraphs too.
    assert document.text.count("Mallard") == 1
    (box,) = table.boxes
    assert box.x0 == pytest.approx(0.1, abs=0.01)
    assert box.y0 == pytest.approx((800 - 727) / 800, abs=0.01)
    assert all(block.kind == "paragraph" for block in read("a.pdf", simple_pdf(content), tables=False).blocks)  # fmt: skip


def test_rows_of_figures_set_wide_with_empty_cells_are_one_table(read: Read) -> None:
    stock = [
        ("CODE", "PLACE", "DUE", "FOUND", "STATE"),
        ("AB-88", "A-12", "450", "", ""),
        ("", "B-07", "", "289", ""),
        ("AB-92", "", "780", "778", "OK"),
        ("", "C-15", "", "", ""),
        ("AB-45", "D-22", "", "156", "BAD"),
        ("", "", "180", "", "OK"),
        ("AB-77", "A-08", "920", "", ""),
        ("", "", "", "935", "OK"),
    ]
    content = line(60, 760, "What is in the store was counted again, and this is what was found:")
    content += grid(stock, (60, 140, 220, 300, 380), 720, pitch=24)
    (table,) = tables(read("a.pdf", simple_pdf(content)))
    assert table.cells == tuple(stock)


def test_heads_of_two_lines_and_over_several_columns(read: Read) -> None:
    content = rule(60, 735, 500, 735)
    content += line(265, 722, "Males and hens of one year")
    content += rule(200, 718, 480, 718)
    content += grid(
        [("", "Body", "Wing", "Body", "Wing"), ("Species", "weight", "length", "weight", "length")],
        (60, 200, 270, 340, 410),
        706,
        pitch=11,
    )
    content += rule(60, 690, 500, 690)
    content += grid(
        [(name, f"{i}.5", f"{i}2", f"{i}.9", f"{i}6") for i, name in enumerate(("Swan", "Goose", "Duck"), 1)],
        (60, 200, 270, 340, 410),
        678,
    )  # fmt: skip
    content += rule(60, 640, 500, 640)
    (table,) = tables(read("a.pdf", simple_pdf(content)))
    head, second, *body = table.cells
    assert head[2:4] == ("Males and hens of one year",) * 2
    assert second == ("Species", "Body weight", "Wing length", "Body weight", "Wing length")
    assert body[0] == ("Swan", "1.5", "12", "1.9", "16")


def test_a_cell_of_several_lines_is_one(read: Read) -> None:
    content = line(60, 722, "Item") + line(200, 722, "What it is for") + line(400, 722, "Price")
    rows = [
        (["Lamp"], ["Light on dark evenings in", "the garden and the house"], "12.50"),
        (["Rake"], ["Leaves"], "8.00"),
        (["Spade"], ["Holes for trees and for", "bulbs of tulips"], "17.20"),
    ]
    y = 706
    for name, texts, price in rows:
        content += line(60, y, name[0]) + line(400, y, price)
        for text in texts:
            content += line(200, y, text)
            y -= 11
        y -= 4
    (table,) = tables(read("a.pdf", simple_pdf(content)))
    assert table.cells[1] == (
        "Lamp", "Light on dark evenings in the garden and the house", "12.50",
    )  # fmt: skip
    assert [row[0] for row in table.cells] == ["Item", "Lamp", "Rake", "Spade"]


def test_merged_cells_of_a_ruled_table(read: Read) -> None:
    # Two columns, of which the first row's are one.
    content = "".join(rule(60, y, 360, y) for y in (720, 700, 680, 660))
    content += rule(60, 720, 60, 660) + rule(360, 720, 360, 660) + rule(210, 700, 210, 660)
    content += rule(135, 680, 135, 660)
    content += grid([("Left half", "Right half")], (70, 220), 686)
    content += grid([("one", "two", "three")], (70, 140, 220), 666)
    content += line(70, 706, "Both halves")
    (table,) = tables(read("a.pdf", simple_pdf(content)))
    assert table.cells == (("Left half", "Left half", "Right half"), ("one", "two", "three"))
    # The title in the frame is text of its own.
    assert "Both halves" not in table.text


def test_marks_far_apart_are_in_their_own_cells(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/pdf/redp5110_sampled.pdf")
    table = next(t for t in tables(document) if t.cells[0][0] == "User action")
    assert table.cells[0][1:] == (
        "*JOBCTL", "QIBM_DB_SECADM", "QIBM_DB_SQLADM", "QIBM_DB_SYSMON", "No Authority",
    )  # fmt: skip
    assert table.cells[1][1:] == ("X", "", "X", "", "")


@pytest.mark.parametrize(
    "content",
    [
        # Two columns of prose, drawn line by line.
        "".join(
            line(60, 700 - 12 * i, "these are words of the left column and")
            + line(320, 700 - 12 * i, "those on the right go on with another")
            for i in range(12)
        ),
        # A list of contents.
        "".join(line(60, 700 - 14 * i, f"Chapter {i}") + line(500, 700 - 14 * i, str(3 + 9 * i)) for i in range(6)),
        # A formula, labels of a plot.
        "".join(line(60 + 60 * j, 700 - 14 * i, "x") for i in range(5) for j in range(4)),
        # Program text.
        "".join(f"BT /F3 9 Tf 60 {700 - 12 * i} Td (a{i}    = b{i}     + c{i} * 22) Tj ET\n" for i in range(6)),
    ],
    ids=["columns", "contents", "formula", "code"],
)  # fmt: skip
def test_no_table_where_there_is_none(read: Read, content: str) -> None:
    pdf = simple_pdf(line(60, 740, "A line of text above all of it.") + content)
    assert not tables(read("a.pdf", pdf))


def test_tables_of_us_offices_are_read_cell_by_cell(shared_data: Path) -> None:
    from benchmarks.accuracy import f1, relations
    from benchmarks.documents import our_tables, true_tables

    folder = shared_data / "icdar2013-tables-us"
    for name in ("us-003", "us-005", "us-018", "us-034", "us-039"):
        found = sum(map(relations, our_tables(folder / f"{name}.pdf")), start=relations([]))
        true = sum(map(relations, true_tables(folder / f"{name}-str.xml")), start=relations([]))
        assert f1(found, true)[2] > 0.95, name


def test_a_page_of_thousands_of_words_is_read_within_bounds(read: Read) -> None:
    words = "".join(line(5 + 30 * (i % 19), 790 - 4 * (i // 19), f"w{i}", 4) for i in range(3_700))
    net = "".join(rule(2, 4 * i, 590, 4 * i) for i in range(199))
    net += "".join(rule(30 * i, 2, 30 * i, 790) for i in range(20))
    document = read("a.pdf", simple_pdf(net + words))
    assert document.text.count("w") >= 3_700


def test_forms_that_hold_themselves_end(read: Read) -> None:
    form = "/Fm 8 0 R"
    pdf = simple_pdf(line(60, 740, "Before the form.") + "q /Fm Do Q\n")
    body, trailer = pdf.rsplit(b"xref", 1)[0], b"trailer\n<< /Size 9 /Root 1 0 R >>\n%%EOF"
    body = body.replace(b"/Resources <<", f"/Resources << /XObject << {form} >>".encode())
    content = "q /Fm Do Q 10 10 m 500 10 l S"
    body += (
        f"8 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 600 800] /Length {len(content)} "
        f"/Resources << /XObject << {form} >> >> >>\nstream\n{content}\nendstream\nendobj\n"
    ).encode()
    assert "Before the form" in read("a.pdf", body + trailer, ocr="force", ocr_seconds=60).text


async def test_trees_of_pages_in_a_circle_and_absurd_sizes(
    pool: WorkerPool, tmp_path: Path
) -> None:
    good = simple_pdf(line(60, 740, "A page that can be read."))
    path = tmp_path / "a.pdf"
    hostile = {
        "circle": good.replace(b"/Kids [6 0 R]", b"/Kids [2 0 R]"),
        "huge": good.replace(b"[0 0 600 800]", b"[0 0 9999999 9999999]"),
        "flat": good.replace(b"[0 0 600 800]", b"[0 0 600 0]"),
        "negative": good.replace(b"[0 0 600 800]", b"[600 800 -9e30 9e30]"),
    }
    for name, data in hostile.items():
        path.write_bytes(data)
        for mode in ("off", "force") if name in ("huge", "flat") else ("off",):
            try:
                document = await pool.extract(path, options={"ocr": mode})
            except DocumentError as error:
                refused = error
            else:
                refused = None
                boxes = [box for block in document.blocks for box in block.boxes]
                assert "can be read" in document.text, name
                assert all(0 <= box.x0 <= box.x1 <= 1 for box in boxes)
                assert all(0 <= box.y0 <= box.y1 <= 1 for box in boxes)
            if refused is not None:
                assert refused.code in {"damaged", "no_text"}, (name, refused)
                assert refused.fix


def test_many_lines_do_not_hold_it_up(read: Read) -> None:
    drawing = "".join(rule(10 + i % 550, 20, 10 + i % 550, 780) for i in range(4_000))
    drawing += "".join(rule(10, 20 + i % 700, 580, 20 + i % 700) for i in range(4_000))
    content = drawing + grid(BIRDS, (60, 180, 250, 320), 720)
    document = read("a.pdf", simple_pdf(content))
    assert "Mallard" in document.text
