"""Images: refused with what to do, or read by text recognition."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.documents import media
from app.documents.detect import detect
from app.documents.errors import DocumentError
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]


def picture(kind: str, text: str, **options: Any) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    def page(words: str) -> Image.Image:
        image = Image.new("RGB", (700, 120), "white")
        ImageDraw.Draw(image).text((30, 30), words, fill="black", font=ImageFont.load_default(42))
        return image

    first, *rest = map(page, text.split("|"))
    buffer = io.BytesIO()
    if rest:
        options |= {"save_all": True, "append_images": rest}
    first.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", media.PNG), ("JPEG", media.JPEG), ("TIFF", media.TIFF), ("WEBP", media.WEBP),
        ("BMP", media.BMP), ("GIF", media.GIF),
    ],
)  # fmt: skip
def test_images_ask_for_text_recognition(
    read: Read, tmp_path: Path, kind: str, media_type: str
) -> None:
    content = picture(kind, "Hello")
    with pytest.raises(DocumentError, match="OCR") as caught:
        read("picture", content)
    assert caught.value.code == "ocr_off"
    assert caught.value.fix
    assert detect(tmp_path / "picture") == media_type
    with pytest.raises(DocumentError, match="image") as caught:
        read("cut.png", content[: len(content) // 3], ocr="auto")
    assert caught.value.code == "damaged"


def test_images_are_read_page_by_page(read: Read) -> None:
    pytest.importorskip("rapidocr")
    document = read("a.tif", picture("TIFF", "Invoice number 4711|Second page"), ocr="auto")
    assert (document.media_type, document.pages) == (media.TIFF, 2)
    assert [(b.kind, b.page) for b in document.blocks] == [("paragraph", 1), ("paragraph", 2)]
    assert "4711" in document.blocks[0].text
    (box,) = document.blocks[0].boxes
    assert 0 <= box.x0 < 0.1 < box.x1 < 0.9
    with pytest.raises(DocumentError, match="2 pages"):
        read("b.tif", picture("TIFF", "a|b"), ocr="auto", max_pages=1)
