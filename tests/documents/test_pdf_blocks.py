"""What the lines of a PDF's pages are: program text, lists, contents, headings, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pdfs import line, page_of, simple_pdf

from app.documents.extract import extract
from app.documents.extract.pdf_lines import Word, pitched
from app.documents.model import Block, ExtractedDocument

Read = Callable[..., ExtractedDocument]

PROSE = "Enough words to fill a line of the text that stands around what is tested here."


def kinds(document: ExtractedDocument) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


def blocks(document: ExtractedDocument, kind: str) -> list[Block]:
    return [block for block in document.blocks if block.kind == kind]


def test_program_text_keeps_its_lines_and_its_indentation(read: Read) -> None:
    content = line(60, 740, PROSE) + line(60, 726, PROSE)
    program = ["def add(a, b):", "    if a > 0:", "        return a + b", "    return b"]
    for i, text in enumerate(program):
        indent = len(text) - len(text.lstrip())
        content += line(60 + 6 * indent, 700 - 12 * i, text.strip().replace("(", r"\(").replace(")", r"\)"), 10, "F3")  # fmt: skip
    content += line(60, 630, PROSE)
    (code,) = blocks(read("a.pdf", simple_pdf(content)), "code")
    assert code.text.splitlines() == program
    assert len(code.boxes) == 4


def test_a_document_in_a_typewriters_face_is_no_program(read: Read) -> None:
    content = "".join(line(60, 740 - 14 * i, PROSE, 10, "F3") for i in range(4))
    assert not blocks(read("a.pdf", simple_pdf(content)), "code")


def test_a_typewriters_face_is_known_by_its_letters() -> None:
    def words(text: str, width: Callable[[str], float]) -> list[Word]:
        found, x = [], 0.0
        for part in text.split():
            w = sum(map(width, part))
            found.append(Word(part, x + 0.5, x + w - 0.5))
            x += w + width(" ")
        return found

    text = "while numbers remain take million steps"
    assert pitched(words(text, lambda c: 6.0)) is True
    assert (
        pitched(words(text, lambda c: 3.0 if c in "ilt " else 8.0 if c in "mw" else 5.5)) is False
    )
    assert pitched(words("a b c", lambda c: 6.0)) is None


def test_code_of_a_face_that_does_not_say_so(shared_data: Path) -> None:
    document = extract(shared_data / "docling-docs/pdf/redp5110_sampled.pdf")
    query = next(b.text for b in blocks(document, "code") if b.text.startswith("SELECT"))
    assert query.splitlines()[0] == "SELECT function_id,"
    assert query.splitlines()[1].startswith("      ")
    assert query.splitlines()[-1] == "ORDER BY user_name;"


def test_items_are_the_lines_of_one_list(read: Read) -> None:
    content = line(60, 740, PROSE)
    content += line(70, 720, "1. The first item is longer than the line and so it goes on")
    content += line(82, 708, "in the next one.") + line(70, 694, "2. The second item.")
    content += line(60, 660, PROSE)
    document = read("a.pdf", simple_pdf(content))
    assert kinds(document) == [
        ("paragraph", PROSE),
        ("list", "1. The first item is longer than the line and so it goes on in the next one.\n2. The second item."),
        ("paragraph", PROSE),
    ]  # fmt: skip
    assert len(document.blocks[1].boxes) == 3


def test_lines_that_were_ended_on_purpose_stay_lines(read: Read) -> None:
    content = line(60, 740, PROSE)
    for i, text in enumerate(("Ms A. Writer", "12 Long Street", "Oldtown")):
        content += line(60, 700 - 12 * i, text)
    document = read("a.pdf", simple_pdf(content))
    assert document.blocks[1].text == "Ms A. Writer\n12 Long Street\nOldtown"


def test_a_list_of_contents_has_a_line_an_entry(read: Read) -> None:
    content = line(60, 740, PROSE)
    for i, title in enumerate(("Birds of the pond", "Birds of the wood", "Frogs")):
        content += line(60, 700 - 12 * i, f"{title} {'.' * 60} {3 + i}")
    (entries,) = blocks(read("a.pdf", simple_pdf(content)), "list")
    assert entries.text == "Birds of the pond … 3\nBirds of the wood … 4\nFrogs … 5"


def test_running_feet_with_roman_numbers_go(read: Read) -> None:
    numbers = ["i", "ii", "iii", "iv"]
    pages = [page_of(f"# Part {n}\n{PROSE}") + line(60, 30, f"All rights reserved. {n}", 8) for n in numbers]  # fmt: skip
    document = read("a.pdf", simple_pdf(*pages))
    assert "rights" not in document.text
    assert document.text.count("Enough words") == 4


def test_what_stands_once_in_the_margin_stays(read: Read) -> None:
    pages = [page_of(PROSE) + line(60, 30, f"A note about {word}", 8) for word in ("ponds", "woods", "moors")]  # fmt: skip
    document = read("a.pdf", simple_pdf(*pages))
    assert [word in document.text for word in ("ponds", "woods", "moors")] == [True] * 3


def pdf_with_picture(content: str) -> bytes:
    """Return a page with a grey picture, 300 by 150 points, at 60, 500."""
    image = (
        "q 300 0 0 150 60 500 cm BI /W 100 /H 50 /CS /G /BPC 8 /F /AHx ID "
        + (bytes(range(100)) * 50).hex()
        + "> EI Q\n"
    )
    return simple_pdf(image + content)


def test_a_picture_has_its_caption(read: Read) -> None:
    content = line(60, 740, PROSE) + line(60, 485, "Figure 3. A pond from above,")
    content += line(60, 473, "as seen in spring.") + line(60, 440, PROSE)
    document = read("a.pdf", pdf_with_picture(content))
    assert kinds(document) == [
        ("paragraph", PROSE),
        ("image", "Figure 3. A pond from above, as seen in spring."),
        ("paragraph", PROSE),
    ]
    (box,) = document.blocks[1].boxes
    assert (box.x0, box.y0) == pytest.approx((0.1, 150 / 800), abs=0.01)
    assert box.y1 == pytest.approx((800 - 470) / 800, abs=0.01)


def test_text_in_a_picture_is_read_where_recognition_is_on(shared_data: Path) -> None:
    from app.documents.extract.options import ExtractOptions

    path = shared_data / "markitdown-docs/ocr/pdf_image_middle.pdf"
    assert not blocks(extract(path), "image")
    document = extract(path, options=ExtractOptions(ocr="auto"))
    (picture,) = blocks(document, "image")
    assert "Product Code: ABC-12345" in picture.text
    before, after = document.text.split("ABC-12345")
    assert "introductory text" in before
    assert "AFTER the image" in after
