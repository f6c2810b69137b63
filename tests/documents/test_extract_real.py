"""Real documents: no word lost, pages and headings kept, answers found in what was extracted."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from app.documents.chunk import chunk
from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.extract.options import ExtractOptions

#: Files whose independent text leaves out and adds nothing.
COMPARED = """
    docx/lorem_ipsum.docx docx/unit_test_headers.docx docx/unit_test_formatting.docx
    docx/textbox.docx docx/docx_code_blocks.docx html/example_01.html html/example_02.html
    html/hyperlink_01.html html/table_01.html html/html_code_snippets.html
    md/duck.md md/mixed.md md/nested.md md/blocks.md
    pptx/powerpoint_with_image.pptx pptx/powerpoint_issue_2663.pptx
    xlsx/xlsx_05_table_with_title.xlsx xlsx/xlsx_08_one_cell_anchor.xlsx csv/csv-comma.csv
"""


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def letters(text: str) -> str:
    return re.sub(r"[^\w]+", "", text.lower())


@pytest.mark.parametrize("extension", ["docx", "html", "md", "txt", "pptx"])
def test_one_text_in_many_formats(shared_data: Path, extension: str) -> None:
    folder = shared_data / "same-text-14-formats"
    truth = words((folder / "eng_spa_mult.txt").read_text())
    found = words(extract(folder / f"eng_spa_mult.{extension}").text)
    assert (truth & found).total() >= 0.99 * truth.total()


def test_a_word_document_named_doc_is_read(shared_data: Path) -> None:
    folder = shared_data / "same-text-14-formats"
    assert "nacen libres" in extract(folder / "eng_spa_mult.doc").text


def test_answers_to_the_questions_are_in_the_text(shared_data: Path) -> None:
    lines = (shared_data / "doc-qa/qa.jsonl").read_text().splitlines()
    questions = [q for q in map(json.loads, lines) if not q["unanswerable"]]
    texts = {}
    for file in {q["file"] for q in questions}:
        try:
            texts[file] = letters(extract(shared_data / file).text)
        except DocumentError as error:
            assert error.code == "no_text"  # noqa: PT017 (scans)
    digital = [q for q in questions if q["file"] in texts]
    assert len(digital) >= 28
    assert {q["kind"] for q in questions if q["file"] not in texts} == {
        "pdf-scanned",
        "pdf-scanned-rotated",
    }
    missing = [
        (q["_id"], answer)
        for q in digital
        for answer in q["answers"]
        if letters(answer) not in texts[q["file"]]
    ]
    assert not missing


def test_chunks_of_a_book_know_page_and_heading(shared_data: Path) -> None:
    path = shared_data / "py-pdf-samples/009-pdflatex-geotopo/GeoTopo-komprimiert.pdf"
    document = extract(path)
    assert document.pages == 117
    assert document.language == "de"
    assert document.title == "Geometrie und Topologie"
    pieces = chunk(document)
    assert all(piece.page and piece.boxes for piece in pieces)
    assert all({box.page for box in piece.boxes} == {piece.page} for piece in pieces)
    piece = next(p for p in pieces if "Wintersemester 2013/2014" in p.content)
    assert piece.page == 2
    assert piece.headings == ("Vorwort",)


def test_words_of_other_real_documents(shared_data: Path) -> None:
    """Against independent text of the same files; what differs on purpose is left out."""
    folder = shared_data / "docling-docs"
    markup = re.compile(r"<[^>]*>|!\[[^]]*\]\([^)]*\)|\]\([^)]*\)|&[a-z]+;")
    for name in COMPARED.split():
        expected = words(markup.sub(" ", (folder / f"{name}.expected.md").read_text()))
        found = words(extract(folder / name).text)
        assert (expected & found).total() >= 0.97 * expected.total(), (name, expected - found)


def test_each_format_of_one_text(shared_data: Path) -> None:

    folder = shared_data / "same-text-14-formats"

    def words(text: str) -> Counter[str]:
        return Counter(re.findall(r"\w+", text.lower()))

    truth = words((folder / "eng_spa_mult.txt").read_text())
    for extension in [
        "doc",
        "docx",
        "eml",
        "epub",
        "html",
        "md",
        "odt",
        "org",
        "pptx",
        "rst",
        "rtf",
        "txt",
        "xml",
    ]:
        document = extract(folder / f"eng_spa_mult.{extension}", options=ExtractOptions())
        found = (truth & words(document.text)).total() / truth.total()
        assert found >= 0.99, (extension, found)
