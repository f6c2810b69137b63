"""PDF: paragraphs with places, headings, tables; what is broken, locked or a picture says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pdfs import line, page_of, simple_pdf

from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pdf_fallback import extract_with_pypdf
from app.documents.extract.pdf_metadata import about, iso_date
from app.documents.extract.pdf_rtl import mended, spaced
from app.documents.guard import ParseLimits, WorkerPool
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]


def test_headings_paragraphs_places_and_running_heads(read: Read) -> None:
    pages = [
        page_of(
            f"# Chapter {n}",
            "The first line of a paragraph that is\nlonger than the line it stands in.",
            "A second paragraph here.",
            head="The Annual Report 2024",
            number=str(n),
        )
        for n in range(1, 5)
    ]
    document = read("a.pdf", simple_pdf(*pages))
    assert document.pages == 4
    first = [block for block in document.blocks if block.page == 1]
    assert [(block.kind, block.text) for block in first] == [
        ("heading", "Chapter 1"),
        ("paragraph", "The first line of a paragraph that is longer than the line it stands in."),
        ("paragraph", "A second paragraph here."),
    ]
    assert document.title == "Chapter 1"
    upper, lower = first[1].boxes
    assert upper.page == 1
    assert upper.x0 == pytest.approx(0.1, abs=0.01)
    # Its base line is 720 - 14 - 14 of 800 from the bottom.
    assert upper.y1 == pytest.approx((800 - 692) / 800, abs=0.01)
    assert upper.y0 < upper.y1 < lower.y1


def test_ruled_table(read: Read) -> None:
    rows = [("Name", "Weight"), ("Duck", "1.2 kg"), ("Goose", "3.1 kg")]
    content = line(60, 740, "Weights of some birds that live near water.")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            content += line(70 + 150 * j, 706 - 20 * i, cell)
    for i in range(4):
        content += f"60 {720 - 20 * i} m 360 {720 - 20 * i} l S\n"
    for j in range(3):
        content += f"{60 + 150 * j} 720 m {60 + 150 * j} 660 l S\n"
    content += line(60, 630, "Text after the table goes on.")
    pdf = simple_pdf(content)
    document = read("a.pdf", pdf)
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("paragraph", "Weights of some birds that live near water."),
        ("table", "| Name | Weight |\n| --- | --- |\n| Duck | 1.2 kg |\n| Goose | 3.1 kg |"),
        ("paragraph", "Text after the table goes on."),
    ]
    (box,) = document.blocks[1].boxes
    assert (box.x0, box.y0) == pytest.approx((0.1, 0.1), abs=0.01)
    assert all(block.kind != "table" for block in read("a.pdf", pdf, tables=False).blocks)
    late = read("a.pdf", pdf, table_seconds=0)
    assert late.metadata["pages_without_table_search"] == [1]


def test_two_columns_are_read_one_after_the_other(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/pdf/amt_handbook_sample.pdf")
    whole = next(b.text for b in document.blocks if "Boots self-locking nuts are made" in b.text)
    # The sentence runs from the foot of the left column to the head of the right one.
    assert "The wing type that is the most common ranges in size" in whole


def test_words_cut_at_line_ends_are_whole(shared_data: Path) -> None:
    text = extract(shared_data / "py-pdf-samples/026-latex-multicolumn/multicolumn.pdf").text
    assert "consectetuer adipiscing elit" in text
    assert "Morbi tristique".lower() in text.lower()


def test_rotated_pages_have_places_as_shown(shared_data: Path) -> None:
    document = extract(shared_data / "py-pdf-samples/015-arabic/habibi-rotated.pdf")
    for block in document.blocks:
        for box in block.boxes:
            assert 0 <= box.x0 < box.x1 <= 1
            assert 0 <= box.y0 < box.y1 <= 1


def test_a_scan_says_so(shared_data: Path) -> None:
    with pytest.raises(DocumentError, match="scan") as caught:
        extract(shared_data / "docling-docs/ocr/ocr_test.pdf")
    assert caught.value.code == "no_text"
    assert "OCR" in caught.value.fix


@pytest.mark.timeout(400)
async def test_scans_are_read_whichever_way_up(shared_data: Path) -> None:
    # In a worker with the usual limit on memory.
    pool = WorkerPool(1, ParseLimits(timeout_s=90))
    folder = shared_data / "docling-docs/ocr"
    try:
        documents = {
            turn: await pool.extract(folder / f"ocr_test{turn}.pdf", options={"ocr": "auto"})
            for turn in ("", "_rotated_90", "_rotated_180", "_rotated_270")
        }
    finally:
        pool.close()
    for turn, document in documents.items():
        assert " ".join(document.text.split()) == (
            "Docling bundles PDF document conversion to JSON and Markdown in an easy self "
            "contained package"
        ), turn
        assert document.metadata["pages_read_by_ocr"] == [1]
        boxes = document.blocks[0].boxes
        assert len(boxes) == 3
        # Places are those on the page as it is shown: near the edge that was its top.
        sides = {
            "": max(box.y1 for box in boxes) < 0.25,
            "_rotated_90": max(box.x1 for box in boxes) < 0.25,
            "_rotated_180": min(box.y0 for box in boxes) > 0.75,
            "_rotated_270": min(box.x0 for box in boxes) > 0.75,
        }
        assert sides[turn], (turn, boxes)


def test_only_scanned_pages_are_recognised_and_within_their_time(
    read: Read, shared_data: Path
) -> None:
    pdf = simple_pdf(page_of("Some words here."), "", page_of("And more."))
    document = read("a.pdf", pdf, ocr="auto")
    assert "pages_read_by_ocr" not in document.metadata
    assert document.metadata["pages_without_text"] == [2]
    forced = read("a.pdf", pdf, ocr="force")
    assert forced.metadata["pages_read_by_ocr"] == [1, 3]
    assert forced.text == "Some words here.\n\nAnd more."
    late = read("a.pdf", pdf, ocr="force", ocr_seconds=0)
    assert late.metadata["pages_without_time_for_ocr"] == [1, 2, 3]
    with pytest.raises(DocumentError, match="reads as text") as caught:
        read("b.pdf", simple_pdf(""), ocr="auto")
    assert caught.value.code == "no_text"


def test_a_page_of_absurd_size_is_recognised_at_a_bounded_one(read: Read) -> None:
    content = "BT /F1 900 Tf 2000 9000 Td (Huge words) Tj ET\n"
    pdf = simple_pdf(content).replace(b"[0 0 600 800]", b"[0 0 14400 14400]")
    assert read("a.pdf", pdf, ocr="force").text == "Huge words"


def test_what_a_file_says_about_itself() -> None:
    assert about(
        {
            "Author": "A. Writer ",
            "Subject": "unspecified",
            "Keywords": "birds; ponds,  ducks",
            "CreationDate": "D:20240103093826+01'00'",
            "ModDate": "D:20241399",
        }
    ) == {
        "author": "A. Writer",
        "keywords": ["birds", "ponds", "ducks"],
        "created": "2024-01-03T09:38:26+01:00",
    }
    assert iso_date("D:20080201104500Z") == "2008-02-01T10:45:00+00:00"
    assert iso_date("D:2008") == "2008-01-01"
    assert iso_date("yesterday") == ""


def test_a_locked_file_asks_for_its_password(shared_data: Path) -> None:
    path = shared_data / "py-pdf-samples/005-libreoffice-writer-password"
    path /= "libreoffice-writer-password.pdf"
    with pytest.raises(DocumentError, match="password") as caught:
        extract(path)
    assert caught.value.code == "encrypted"
    assert "without a password" in caught.value.fix
    with pytest.raises(DocumentError) as caught:
        extract(path, options=ExtractOptions(password="wrong"))
    assert caught.value.code == "wrong_password"
    document = extract(path, options=ExtractOptions(password="openpassword"))
    assert document.text.startswith("Lorem ipsum")
    assert "openpassword" not in repr(ExtractOptions(password="openpassword"))


def test_a_cut_off_file_is_read_as_far_as_it_goes_or_refused(read: Read, shared_data: Path) -> None:
    whole = (shared_data / "py-pdf-samples/004-pdflatex-4-pages/pdflatex-4-pages.pdf").read_bytes()
    try:
        assert read("a.pdf", whole[: len(whole) // 2]).text
    except DocumentError as error:
        assert error.code == "damaged"  # noqa: PT017
    with pytest.raises(DocumentError) as caught:
        read("a.pdf", whole[:200])
    assert caught.value.code == "damaged"


def test_too_many_pages(read: Read) -> None:
    with pytest.raises(DocumentError, match="3 pages; 2 are allowed") as caught:
        read("a.pdf", simple_pdf(*["x"] * 3), max_pages=2)
    assert caught.value.code == "too_many_pages"


def test_the_fallback_reads_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(simple_pdf(page_of("Some words here."), page_of("And more.")))
    document = extract_with_pypdf(path, ExtractOptions(), None)
    assert [(b.page, b.text) for b in document.blocks] == [
        (1, "Some words here."),
        (2, "And more."),
    ]


def test_letters_of_arabic_are_in_their_order() -> None:
    text = "اإل أي ًضا الم"
    glyphs = {offset: (100.0 - offset, 100.5 - offset, 0.0, 8.0) for offset in range(len(text))}
    glyphs[2] = glyphs[1]  # lam and alef are one glyph, the last two are not
    mark = text.index("ً")
    glyphs[mark - 1] = (60.0, 60.0, 0.0, 0.0)
    glyphs[mark] = (52.0, 54.0, 6.0, 8.0)
    glyphs[mark + 1] = (50.0, 58.0, 0.0, 6.0)
    assert spaced(mended(text, glyphs.__getitem__)) == "الإ أيضًا الم"
    apart = {offset: (5.0 * offset, 5.0 * offset + 4, 0.0, 8.0) for offset in range(len(text))}
    assert mended(text, apart.__getitem__) == text


def test_letters_of_two_directions_are_two_words() -> None:
    assert spaced("وPythonمن, R2 وב-C") == "و Python من, R2 وב-C"
    assert spaced("naïve x2 日本Python") == "naïve x2 日本Python"


def test_a_real_text_from_right_to_left(shared_data: Path) -> None:
    first = extract(shared_data / "docling-docs/pdf/right_to_left_01.pdf")
    assert first.blocks[0].text == "تحسين الإنتاجية وحل المشكلات من خلال البرمجة بلغة R و Python"
    assert "أيضًا" in first.text
    table = extract(shared_data / "docling-docs/pdf/right_to_left_03.pdf").blocks[-1]
    assert table.cells[0] == ("تاريخ ارائه مدارک", "1403/09/19")
