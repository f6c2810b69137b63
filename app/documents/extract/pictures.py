"""Text in the pictures of office files, by text recognition, where that is turned on."""

from __future__ import annotations

import io
import time
from hashlib import sha256
from typing import Any

from app.documents.alive import alive
from app.documents.errors import DocumentError
from app.documents.extract import ocr
from app.documents.extract.options import ExtractOptions

#: Pictures of one file that are read.
MAX_PICTURES = 500
#: Pixels of the shorter side that text may be in, and of all that are decoded: unlike a file that
#: is one image, a document is worth reading without them.
_MIN_SIDE, MAX_PIXELS = 24, 40_000_000
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
#: What is looked at: Pillow reads others, some of them by starting other programs.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


class Pictures:
    """Reads the pictures of one file, each once, until their number or the time is used up."""

    def __init__(self, options: ExtractOptions) -> None:
        #: Whether pictures are read at all: what else the file holds is worth having where
        #: recognition is not installed.
        self.on = options.ocr != "off" and ocr.available()
        self._deadline = time.monotonic() + options.ocr_seconds
        self._seen: set[bytes] = set()
        self._read = 0
        self._left = 0

    def text(self, part: Any, drawing: Any) -> str:
        """Return the lines in the pictures of an XML element, which lie in the package of its part.

        "" where there are none, where recognition is off, and for a picture that is damaged, too
        large, kept outside the file, or the same as one before, such as a logo on every slide.

        Raises:
            DocumentError: ocr_missing.
        """
        if not self.on:
            return ""
        return "\n".join(filter(None, (self._text(part, name) for name in embedded(drawing))))

    def _text(self, part: Any, name: str) -> str:
        target = part.rels.get(name)
        if target is None or target.is_external:
            return ""
        return self.read(target.target_part.blob)

    def read(self, data: bytes) -> str:
        """Return the lines in one picture, "" as `text` does."""
        if not self.on:
            return ""
        digest = sha256(data).digest()
        if digest in self._seen:
            return ""
        self._seen.add(digest)
        seconds = self._deadline - time.monotonic()
        if self._read >= MAX_PICTURES or seconds <= 0:
            self._left += 1
            return ""
        image = _image(data)
        if image is None:
            return ""
        reading = ocr.recognise(image, seconds=seconds)
        alive()
        self._read += 1
        self._left += not reading.complete
        return "\n".join(line.text for line in reading.lines)

    def report(self) -> dict[str, Any]:
        """Return what the document's metadata say of it."""
        found = {"pictures_read_by_ocr": self._read, "pictures_left_by_ocr": self._left}
        return {name: count for name, count in found.items() if count}


def images(drawing: Any) -> list[Any]:
    """Return the elements that stand for a picture in an element, whichever way they are drawn."""
    return list(drawing.iter("{*}blip", "{*}imagedata"))


def embedded(drawing: Any) -> list[str]:
    """Return the relations by which an element's pictures are found in its package."""
    names = (image.get(f"{_R}embed") or image.get(f"{_R}id") for image in images(drawing))
    return [name for name in names if name]


def _image(data: bytes) -> Any:
    """Return a picture as `ocr.to_array` does, None where it is damaged, tiny or huge."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
        if min(width, height) < _MIN_SIDE or width * height > MAX_PIXELS:
            return None
        return ocr.to_array(image)
    except (
        OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError, DocumentError,
    ):  # fmt: skip
        return None
