"""Text in images: read whichever way up they lie, with places; what cannot be read says so."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import docx
import docx.shared
import openpyxl
import openpyxl.drawing.image
import pptx
import pytest
import xlsxwriter
from PIL import Image, ImageDraw, ImageFont

from app.documents.errors import DocumentError
from app.documents.extract import extract, ocr, pictures
from app.documents.extract.options import ExtractOptions

WORDS = ["Invoice number 4711", "The total is 1,250 euros", "Payable within thirty days"]


def picture(mode: str = "RGB", paper: Any = "white", ink: Any = "black") -> Image.Image:
    image = Image.new(mode, (900, 600), paper)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(40)
    for i, words in enumerate(WORDS):
        draw.text((90, 60 + 80 * i), words, fill=ink, font=font)
    return image


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_lines_are_read_whichever_way_up(angle: int) -> None:
    lines = ocr.read_image(png(picture().rotate(angle, expand=True)))
    assert [line.text for line in lines] == WORDS
    assert all(line.confidence > 0.9 for line in lines)
    # Its place is that in the image as given: turned to the left by 90°, the top is at the left.
    place = ocr.turned((90 / 900, 60 / 600, 500 / 900, 108 / 600), angle // 90)
    found = lines[0].box
    shared = (min(place[2], found[2]) - max(place[0], found[0])) * (
        min(place[3], found[3]) - max(place[1], found[1])
    )
    assert shared > 0.6 * (place[2] - place[0]) * (place[3] - place[1])


def test_a_row_is_read_from_the_left() -> None:
    image = Image.new("L", (1000, 300), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(36)
    draw.text((600, 66), "right side", fill=0, font=font)
    draw.text((60, 60), "left side", fill=0, font=font)
    draw.text((60, 180), "second row", fill=0, font=font)
    assert [line.text for line in ocr.read_image(image)] == [
        "left side",
        "right side",
        "second row",
    ]


def lines_at(*places: tuple[float, float, float]) -> list[ocr.Line]:
    """Lines of 2 % of the page's height: (left, top, right)."""
    return [ocr.Line(f"{x0:.1f} {y0:.2f}", 1.0, (x0, y0, x1, y0 + 0.02)) for x0, y0, x1 in places]


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    ys = [0.2 + 0.03 * i for i in range(8)]
    left, right = lines_at(*((0.1, y, 0.48) for y in ys)), lines_at(*((0.52, y, 0.9) for y in ys))
    (title,) = lines_at((0.2, 0.1, 0.8))
    mixed = [line for pair in zip(right, left, strict=True) for line in pair]
    assert ocr.in_order([*mixed, title]) == [title, *left, *right]
    thirds = [lines_at(*((x, y, x + 0.28) for y in ys)) for x in (0.05, 0.36, 0.67)]
    mixed = [line for row in zip(*thirds, strict=True) for line in row]
    assert ocr.in_order(mixed) == [line for column in thirds for line in column]


def test_the_rows_of_a_table_stay_rows() -> None:
    cells = lines_at(*((x, 0.2 + 0.03 * i, x + 0.05 + 0.03 * (i % 3)) for i in range(8) for x in (0.1, 0.4, 0.7)))  # fmt: skip
    assert ocr.in_order(cells[::-1]) == cells


def test_a_transparent_ground_is_white_and_nothing_is_nothing() -> None:
    clear = picture("RGBA", (0, 0, 0, 0), (0, 0, 0, 255))
    assert [line.text for line in ocr.read_image(png(clear))] == WORDS
    assert ocr.read_image(Image.new("RGB", (300, 300), "white")) == []


def test_a_narrow_strip_keeps_its_places() -> None:
    image = Image.new("RGB", (1200, 60), "white")
    ImageDraw.Draw(image).text((30, 8), WORDS[0], fill="black", font=ImageFont.load_default(36))
    (line,) = ocr.read_image(image)
    assert line.text == WORDS[0]
    assert line.box[1] >= -0.01
    assert line.box[3] <= 1.01


def test_reading_stops_when_its_time_is_over() -> None:
    reading = ocr.recognise(ocr.to_array(picture()), seconds=0)
    assert not reading.complete
    assert reading.lines == []


def test_what_is_too_large_or_no_image() -> None:
    with pytest.raises(DocumentError, match="million are allowed") as caught:
        ocr.read_image(Image.new("1", (20_000, 20_000)))
    assert caught.value.code == "too_large"
    for data in (b"not an image", png(picture())[:200]):
        with pytest.raises(DocumentError, match="cannot be read") as caught:
            ocr.read_image(data)
        assert caught.value.code == "damaged"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ocr._engine.cache_clear()
    try:
        with pytest.raises(DocumentError, match="not installed") as caught:
            ocr.read_image(picture())
    finally:
        ocr._engine.cache_clear()
    assert caught.value.code == "ocr_missing"
    assert 'pip install "ragloom[ocr]"' in caught.value.fix


def test_models_are_never_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import rapidocr

    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    ocr._engine.cache_clear()
    try:
        with pytest.raises(DocumentError, match="lacks its models"):
            ocr.read_image(picture())
    finally:
        ocr._engine.cache_clear()


AUTO = ExtractOptions(ocr="auto")


def test_pictures_in_a_word_document_are_read_where_that_is_on(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("As billed:")
    document.add_picture(io.BytesIO(png(picture())), width=docx.shared.Inches(3))
    document.add_picture(io.BytesIO(png(picture("L", 255, 0))))
    damaged = document.part.rels[
        document.inline_shapes[1]._inline.graphic.graphicData.pic.blipFill.blip.embed
    ]
    damaged.target_part._blob = b"\x89PNG\r\n\x1a\n broken"
    document.add_paragraph("Paid.")
    document.save(path := tmp_path / "bill.docx")
    assert extract(path).text == "As billed:\n\nPaid."
    found = extract(path, options=AUTO)
    assert found.text == "\n\n".join(["As billed:", "\n".join(WORDS), "Paid."])
    assert found.metadata["pictures_read_by_ocr"] == 1


def test_pictures_in_cells_of_a_word_table_are_read(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text, table.cell(1, 0).text = "Bill", "Note", "Scan:"
    for cell in (table.cell(1, 0), table.cell(1, 1).add_table(rows=1, cols=1).cell(0, 0)):
        run = cell.paragraphs[0].add_run()
        run.add_picture(io.BytesIO(png(picture(paper="yellow" if cell.text else "white"))))
    document.save(path := tmp_path / "bills.docx")
    assert [block.cells[1:] for block in extract(path).blocks] == [(("Scan:", ""),)]
    (found,) = extract(path, options=AUTO).blocks
    assert found.cells[1] == (" ".join(["Scan:", *WORDS]), " ".join(WORDS))


def test_pictures_on_a_sheet_are_read_within_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["As", "billed"])
    # The second is the first one again, on another sheet too.
    for sheet in (book.active, book.active, book.create_sheet("More")):
        sheet.add_image(openpyxl.drawing.image.Image(io.BytesIO(png(picture()))), "B3")
    last = book.create_sheet("Last")
    last.add_image(openpyxl.drawing.image.Image(io.BytesIO(png(picture(paper="yellow")))), "A1")
    book.save(path := tmp_path / "bills.xlsx")

    def images(**options: Any) -> list[tuple[int | None, str]]:
        found = extract(path, options=ExtractOptions(**options))
        return [(block.page, block.text) for block in found.blocks if block.kind == "image"]

    assert images() == []
    assert images(ocr="auto") == [(1, "\n".join(WORDS)), (3, "\n".join(WORDS))]
    monkeypatch.setattr(pictures, "MAX_PICTURES", 1)
    found = extract(path, options=AUTO)
    assert [block.page for block in found.blocks if block.kind == "image"] == [1]
    assert found.metadata["pictures_left_by_ocr"] == 1
    monkeypatch.setattr(pictures, "MAX_PIXELS", 900 * 600 - 1)
    assert images(ocr="auto") == []


def test_pictures_placed_in_cells_of_a_workbook_are_read(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(path := tmp_path / "bills.xlsx")
    sheet = book.add_worksheet("Bills")
    sheet.write_row("A1", ["Bill", "Scan"])
    sheet.write_row("A2", ["first"])
    sheet.embed_image("B2", "a.png", {"image_data": io.BytesIO(png(picture()))})
    yellow = io.BytesIO(png(picture(paper="yellow")))
    said = {"image_data": yellow, "description": "A yellow bill"}
    book.add_worksheet("More").embed_image("C300", "b.png", said)
    sheet.write_formula("B3", "=1/0", value="#VALUE!")  # no picture
    book.close()
    read = " ".join(WORDS)
    for options, first, second in (
        (ExtractOptions(), "", "A yellow bill"),
        (AUTO, read, "\n".join(["A yellow bill", *WORDS])),
    ):
        _, table, _, last = extract(path, options=options).blocks
        assert table.cells == (("Bill", "Scan"), ("first", first), ("", "#VALUE!"))
        assert (last.page, last.text) == (2, second)
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    for name, old, new in (
        ("xl/metadata.xml", b'i="0"', b'i="99999999999"'),
        ("xl/metadata.xml", b'<rc t="1"', b'<rc t="0"'),
        ("xl/richData/rdrichvalue.xml", b"<rv s=", b"<rv x="),
        ("xl/richData/richValueRel.xml", b"rel ", b"rem "),
        ("xl/richData/_rels/richValueRel.xml.rels", b"../media/", b"../../../etc/"),
        ("xl/richData/rdrichvaluestructure.xml", b"<rvStructures", b"<"),
    ):
        with zipfile.ZipFile(path, "w") as package:
            for part, data in parts.items():
                package.writestr(part, data.replace(old, new) if part == name else data)
        found = extract(path, options=AUTO)
        assert found.blocks[1].cells[0] == ("Bill", "Scan"), name
        assert WORDS[0] not in found.blocks[1].text, name


def test_a_picture_on_every_slide_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presentation = pptx.Presentation()
    for image in (picture(), picture(), picture(paper="yellow")):
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        slide.shapes.add_picture(io.BytesIO(png(image)), 0, 0)
    presentation.save(path := tmp_path / "slides.pptx")
    first, last = extract(path, options=AUTO).blocks
    assert [(b.kind, b.page, b.text) for b in (first, last)] == [
        ("image", 1, "\n".join(WORDS)),
        ("image", 3, "\n".join(WORDS)),
    ]
    assert first.boxes
    said = slide.shapes.add_picture(io.BytesIO(png(picture())), 0, 0)._element
    said.nvPicPr.cNvPr.set("descr", "An empty frame")
    said.remove(said.blipFill)
    presentation.save(path)
    assert [block.text for block in extract(path).blocks] == ["An empty frame"]
    monkeypatch.setattr(pictures, "MAX_PICTURES", 1)
    found = extract(path, options=AUTO)
    assert [block.page for block in found.blocks] == [1, 3]
    assert found.metadata["pictures_left_by_ocr"] == 1
    monkeypatch.setattr(pictures, "MAX_PIXELS", 900 * 600 - 1)
    assert [block.page for block in extract(path, options=AUTO).blocks] == [3]
