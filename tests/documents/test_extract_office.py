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
from app.documents.extract.xlsx import MAX_COLUMNS
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


def test_word_pictures_charts_formulas_comments_and_page_headers(read: Read) -> None:
    import docx
    from docx.oxml import parse_xml
    from PIL import Image

    file = docx.Document()
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    file.add_picture(picture)
    file.paragraphs[0]._p.find(".//{*}docPr").set("descr", "A pond")
    file.add_paragraph("Figure 1: Ducks", style="Caption")
    file.add_paragraph("Between.")
    file.add_picture(picture)
    file.paragraphs[-1]._p.find(".//{*}docPr").set("descr", "x.png")
    m = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    formula = (
        f'<m:oMath xmlns:m="{m}"><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:rad><m:deg/>'
        "<m:e><m:sSup><m:e><m:r><m:t>b</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup>"
        "</m:sSup></m:e></m:rad></m:den></m:f></m:oMath>"
    )
    paragraph = file.add_paragraph("So")
    paragraph._p.append(parse_xml(formula))
    file.add_comment(paragraph.runs, text="Really?", author="B. Other")
    file.sections[0].header.paragraphs[0].text = "Secret report"
    file.sections[0].footer.paragraphs[0].text = "- 3 -"
    table = file.add_table(rows=2, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Wide"
    for column, text in enumerate("abc"):
        table.cell(1, column).text = text
    table.cell(0, 2).text = "n"
    document = read("a.docx", saved(file))
    assert outline(document) == [
        ("image", "Figure 1: Ducks\nA pond"),
        ("paragraph", "Between."),
        ("paragraph", "So \\frac{a}{\\sqrt{b^{2}}}"),
        ("table", "| Wide | Wide | n |\n| --- | --- | --- |\n| a | b | c |"),
        ("paragraph", "Comment by B. Other: Really?"),
    ]
    assert document.blocks[3].cells[0] == ("Wide", "Wide", "n")
    assert document.metadata["page_headers"] == ["Secret report"]


def test_word_numbers_of_depths_that_are_passed_over(shared_data: Path) -> None:
    folder = shared_data / "docling-docs/docx"
    texts = [b.text for b in extract(folder / "unit_test_headers_numbered.docx").blocks]
    assert "2.1.1. Section 2.1.1" in texts
    assert "2.2. Section 2.1" in texts
    assert "    2.3.1. Hardware Constraints" in next(t for t in texts if "Hardware" in t)


def test_powerpoint_bullets_and_numbers(read: Read) -> None:
    from lxml import etree
    from pptx import Presentation
    from pptx.util import Inches

    file = Presentation()
    slide = file.slides.add_slide(file.slide_layouts[6])
    frame = slide.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(4)).text_frame
    frame.text = "Two things:\nfirst\nsecond\nThen\na bullet\nanother"
    main = "http://schemas.openxmlformats.org/drawingml/2006/main"
    for index, tag in ((1, "buAutoNum"), (2, "buAutoNum"), (4, "buChar"), (5, "buChar")):
        properties = frame.paragraphs[index]._p.get_or_add_pPr()
        etree.SubElement(properties, f"{{{main}}}{tag}").set("type", "arabicPeriod")
    assert outline(read("a.pptx", saved(file))) == [
        ("paragraph", "Two things:"),
        ("list", "1. first\n2. second"),
        ("paragraph", "Then"),
        ("list", "- a bullet\n- another"),
    ]


def test_word_charts(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/docx/drawingml.docx")
    table = next(block for block in document.blocks if block.kind == "table")
    assert table.cells[0] == ("", "Series 1", "Series 2", "Series 3")
    assert table.cells[1] == ("Category 1", "4.3", "2.4", "2")


def test_powerpoint_pictures_comments_and_merged_cells(read: Read, shared_data: Path) -> None:
    from PIL import Image
    from pptx import Presentation
    from pptx.util import Inches

    file = Presentation()
    slide = file.slides.add_slide(file.slide_layouts[6])
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    shape = slide.shapes.add_picture(picture, Inches(1), Inches(1))
    shape._element.nvPicPr.cNvPr.set("descr", "A pond")
    box = (Inches(1), Inches(3), Inches(5), Inches(3))
    table = slide.shapes.add_table(2, 3, *box).table
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 0).text, table.cell(0, 2).text = "Wide", "n"
    for column, text in enumerate("abc"):
        table.cell(1, column).text = text
    document = read("a.pptx", saved(file))
    assert outline(document) == [
        ("image", "A pond"),
        ("table", "| Wide | Wide | n |\n| --- | --- | --- |\n| a | b | c |"),
    ]
    assert document.blocks[0].boxes
    document = extract(shared_data / "docling-docs/pptx/powerpoint_comments.pptx")
    comments = [(b.page, b.text) for b in document.blocks if b.text.startswith("Comment")]
    assert comments[0] == (1, "Comment by John Reviewer: This is a sample reviewer comment")
    assert len(comments) == 4


def test_excel_merged_cells_and_tables_beside_each_other(read: Read) -> None:
    import openpyxl

    file = openpyxl.Workbook()
    sheet = file.active
    rows = (
        ("Title", None, None, None, None, None),
        ("Both", None, None, None, "x", "y"),
        ("a", "b", "c", None, 1, 2),
        ("d", "e", None, None, 3, 4),
        ("f", "g", "h", None, None, None),
    )
    for row in rows:
        sheet.append(row)
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("A2:C2")
    sheet.merge_cells("B4:B5")
    sheet["A3"].comment = openpyxl.comments.Comment("Check", "A. Writer")
    document = read("a.xlsx", saved(file))
    assert outline(document)[1:] == [
        ("paragraph", "Title"),
        ("paragraph", "Both"),
        ("table", "| a | b | c |\n| --- | --- | --- |\n| d | e |  |\n| f | e | h |"),
        ("table", "| x | y |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"),
        ("paragraph", "A3: Comment by A. Writer: Check"),
    ]
    # An empty column alone does not part labels from values.
    book = openpyxl.Workbook()
    for row in (("a", None, 1, 2), ("b", None, 3, 4)):
        book.active.append(row)
    assert [b.kind for b in read("b.xlsx", saved(book)).blocks] == ["heading", "table"]


def test_cells_at_the_far_end_of_a_sheet_are_not_read(read: Read) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (("a", "b"), (1, 2)):
        book.active.append(row)
    book.active.cell(1, MAX_COLUMNS + 1, "far")
    book.active.cell(3, 16_384, "away")
    (_, table) = read("a.xlsx", saved(book)).blocks
    assert table.text == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_excel_charts_without_their_data_beside_them(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/xlsx/xlsx_03_chartsheet.xlsx")
    chart = [block for block in document.blocks if block.page == 2]
    assert [block.text for block in chart[:2]] == ["Duck Chart", "Wild Duck Observations by Year"]
    assert chart[2].cells[:2] == (
        ("", "Freshwater Ducks", "Saltwater Ducks"),
        ("2019", "120", "80"),
    )


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
