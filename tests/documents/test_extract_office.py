"""Office files written here: order, headings, pages, tables, lists and charts are kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]


def saved(file: Any) -> bytes:
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def outline(document: ExtractedDocument) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


def test_word(read: Read) -> None:
    import docx
    from docx.enum.text import WD_BREAK

    file = docx.Document()
    file.core_properties.title = "Handbook"
    file.core_properties.author = "A. Writer"
    file.add_heading("Guide", 0)
    file.add_heading("Install", 1)
    file.add_paragraph("Run the installer.\nThen restart.")
    for text in ("Download", "Unpack"):
        file.add_paragraph(text, style="List Number")
    file.add_paragraph("A choice", style="List Bullet")
    table = file.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Name", "Size", "a|b", "12 kg"), strict=True):
        cell.text = text
    paragraph = file.add_paragraph("Last of page one.")
    paragraph.add_run().add_break(WD_BREAK.PAGE)
    file.add_heading("Use", 2)
    document = read("a.docx", saved(file))
    assert document.media_type == media.DOCX
    assert document.title == "Handbook"
    assert document.metadata["author"] == "A. Writer"
    assert document.pages == 2
    assert outline(document) == [
        ("heading", "Guide"),
        ("heading", "Install"),
        ("paragraph", "Run the installer.\nThen restart."),
        ("list", "1. Download\n2. Unpack\n- A choice"),
        ("table", "| Name | Size |\n| --- | --- |\n| a\\|b | 12 kg |"),
        ("paragraph", "Last of page one."),
        ("heading", "Use"),
    ]
    assert [block.level for block in document.blocks if block.kind == "heading"] == [1, 1, 2]
    assert [block.page for block in document.blocks] == [1, 1, 1, 1, 1, 1, 2]


def test_word_keeps_merged_cells_and_drops_deletions(read: Read) -> None:
    import docx
    from docx.oxml import parse_xml

    file = docx.Document()
    table = file.add_table(rows=3, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Group", "Item"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "Birds"
    table.cell(1, 1).text, table.cell(2, 1).text = "Duck", "Goose"
    ns = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    file.element.body.insert(
        0,
        parse_xml(
            f'<w:p xmlns:w="{ns}"><w:r><w:t>kept</w:t></w:r><w:del w:id="1" w:author="x">'
            '<w:r><w:delText>gone</w:delText></w:r></w:del><w:ins w:id="2" w:author="x">'
            "<w:r><w:t> added</w:t></w:r></w:ins></w:p>"
        ),
    )
    assert outline(read("a.docx", saved(file))) == [
        ("paragraph", "kept added"),
        ("table", "| Group | Item |\n| --- | --- |\n| Birds | Duck |\n| Birds | Goose |"),
    ]


def test_powerpoint(read: Read) -> None:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    file = Presentation()
    slide = file.slides.add_slide(file.slide_layouts[1])
    slide.shapes.title.text = "Results"
    slide.placeholders[1].text = "First point\nSecond point"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    second = file.slides.add_slide(file.slide_layouts[5])
    second.shapes.title.text = "Sales"
    chart = CategoryChartData()
    chart.categories = ["2023", "2024"]
    chart.add_series("North", (1.5, 2))
    box = (Inches(1), Inches(2), Inches(5), Inches(3))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *box, chart)
    note = second.shapes.add_textbox(Inches(1), Inches(1.5), Inches(4), Inches(0.4))
    note.text_frame.text = "In millions"
    document = read("a.pptx", saved(file))
    assert document.pages == 2
    assert document.title == "Results"
    assert [(b.kind, b.page, b.text) for b in document.blocks] == [
        ("heading", 1, "Results"),
        ("list", 1, "- First point\n- Second point"),
        ("paragraph", 1, "Say it slowly."),
        ("heading", 2, "Sales"),
        ("paragraph", 2, "In millions"),
        ("table", 2, "|  | North |\n| --- | --- |\n| 2023 | 1.5 |\n| 2024 | 2 |"),
    ]
    (place,) = document.blocks[4].boxes
    assert (place.page, place.x0, place.y0) == (2, 0.1, 0.2)


def test_excel(read: Read) -> None:
    import datetime

    import openpyxl

    file = openpyxl.Workbook()
    sheet = file.active
    sheet.title = "Stock"
    sheet.append(["Stock on hand"])
    sheet.append(["Item", "Count", "Since", "Share"])
    sheet.append(["Bolt", 12, datetime.date(2024, 5, 1), 0.25])
    sheet["D3"].number_format = "0%"
    sheet.append([])
    sheet.append(["Checked by hand"])
    sheet["ZZ90000"] = "far away"
    hidden = file.create_sheet("Secret")
    hidden.append(["not", "shown"])
    hidden.sheet_state = "hidden"
    document = read("a.xlsx", saved(file))
    assert document.pages == 2
    assert document.metadata["hidden_sheets"] == ["Secret"]
    assert outline(document) == [
        ("heading", "Stock"),
        ("paragraph", "Stock on hand"),
        (
            "table",
            "| Item | Count | Since | Share |\n| --- | --- | --- | --- |\n"
            "| Bolt | 12 | 2024-05-01 | 25% |",
        ),
        ("paragraph", "Checked by hand"),
    ]
    assert {block.page for block in document.blocks} == {1}


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_properties_a_file_lacks_are_not_made_up(read: Read, name: str, shared_data: Path) -> None:
    sources = {
        "a.docx": "same-text-14-formats/eng_spa_mult.docx",
        "a.pptx": "same-text-14-formats/eng_spa_mult.pptx",
        "a.xlsx": "docling-docs/xlsx/xlsx_06_edge_cases_.xlsx",
    }
    content = (shared_data / sources[name]).read_bytes()
    assert read(name, content) == read(name, content)


def test_a_file_is_read_whatever_its_path_is_called(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "docling-docs"
    for source in ("docx/word_sample.docx", "pptx/pptx_chart.pptx", "xlsx/xlsx_01.xlsx"):
        blob = tmp_path / "c0ffee"
        blob.write_bytes((folder / source).read_bytes())
        document = extract(blob, Path(source).name)
        assert document == extract(folder / source)


def test_the_strict_variant(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/docx/Strict.docx")
    assert document.text == "Some text"


def test_limits(read: Read) -> None:
    import openpyxl
    from pptx import Presentation

    slides = Presentation()
    for _ in range(3):
        slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "x"
    with pytest.raises(DocumentError, match="3 slides; 2 are allowed") as caught:
        read("a.pptx", saved(slides), max_pages=2)
    assert caught.value.code == "too_many_pages"
    book = openpyxl.Workbook()
    book.active.append(["long " * 400])
    with pytest.raises(DocumentError, match="more than 1,000 characters") as caught:
        read("a.xlsx", saved(book), max_chars=1_000)
    assert caught.value.code == "too_large"
