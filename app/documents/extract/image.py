"""Images: what is written in them, by text recognition, where that is turned on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import Box, ExtractedDocument

#: Pillow's name of a format -> media type.
_TYPES = {
    "PNG": media.PNG, "JPEG": media.JPEG, "MPO": media.JPEG, "TIFF": media.TIFF,
    "WEBP": media.WEBP, "BMP": media.BMP, "GIF": media.GIF,
}  # fmt: skip
#: Share of a line's height that the gap to the next line of a paragraph stays below.
_GAP = 0.8
_EXIF = {"description": 270, "modified": 306, "author": 315}
_EXIF_CREATED = 36867


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the text of an image; the pictures of a TIFF are pages.

    Raises:
        DocumentError: ocr_off, ocr_missing, damaged, too_large, too_many_pages.
    """
    if options.ocr == "off":
        raise DocumentError(
            "ocr_off",
            "The file is an image: reading it takes text recognition (OCR), which is off.",
            "Process it again with text recognition on.",
        )
    from app.documents.extract.ocr import read_image

    blocks = Blocks(options.max_chars)
    with _opened(path) as image:
        media_type = _TYPES.get(image.format or "", media.PNG)
        pages = getattr(image, "n_frames", 1) if media_type == media.TIFF else 1
        options.check_pages(pages, "image", "pages")
        found = _about(image)
        blocks.add("image", found.get("description", ""), page=1)
        for number, frame in enumerate(_frames(image, pages), 1):
            for paragraph in _paragraphs(read_image(frame)):
                blocks.add(
                    "paragraph",
                    "\n".join(line.text for line in paragraph),
                    page=number,
                    boxes=[_box(line, number) for line in paragraph],
                )
    return ExtractedDocument(
        media_type=media_type, pages=pages, metadata=found, blocks=tuple(blocks.items)
    )


def _opened(path: Path) -> Any:
    from PIL import Image

    try:
        return Image.open(path)
    except Image.DecompressionBombError as error:
        raise DocumentError(
            "too_large", "The image has too many pixels to be read.", "Save it smaller."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise _damaged() from error


def _frames(image: Any, pages: int) -> Iterator[Any]:
    if pages == 1:
        yield image
        return
    for number in range(pages):
        try:
            image.seek(number)
            frame = image.copy()
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise _damaged() from error
        yield frame


def _paragraphs(lines: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield runs of lines, given from top to bottom, that stand close together."""
    group: list[Any] = []
    for line in lines:
        if group:
            last = group[-1].box
            height = max(last[3] - last[1], line.box[3] - line.box[1])
            if line.box[1] - last[3] > _GAP * height:
                yield group
                group = []
        group.append(line)
    if group:
        yield group


def _box(line: Any, page: int) -> Box:
    x0, y0, x1, y1 = (round(min(1.0, max(0.0, float(v))), 4) for v in line.box)
    return Box(page=page, x0=x0, y0=y0, x1=x1, y1=y1)


def _about(image: Any) -> dict[str, Any]:
    """Return what the image's EXIF says: description, author, dates."""
    try:
        exif = image.getexif()
        found = {name: exif.get(tag) for name, tag in _EXIF.items()}
        found["created"] = exif.get_ifd(0x8769).get(_EXIF_CREATED)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return {}
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    for name in ("created", "modified"):  # "2024:05:01 10:00:00"
        texts[name] = texts.get(name, "").strip("\x00 ").replace(":", "-", 2)
    return metadata(texts)


def _damaged() -> DocumentError:
    return DocumentError(
        "damaged",
        "The image is damaged and cannot be read.",
        "Open it in an image viewer, save it anew and upload that.",
    )
