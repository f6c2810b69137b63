"""Pages of a PDF that are pictures: their lines by text recognition, within a time."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from statistics import median
from typing import Any

from app.documents.alive import alive
from app.documents.extract import ocr
from app.documents.extract.options import ExtractOptions
from app.documents.extract.pdf_lines import Line, PageLines, Word

#: A word cut at the end of a line.
_CUT = re.compile(r"[^\W\d_]{2}-$")
_WORD = re.compile(r"\S+")
#: Pixels a point of the page becomes: 144 dpi, enough for type of 6 points.
_SCALE = 2.0
#: A page whose text is shorter than this may still be a scan with a stamp or a page number on it.
FEW_CHARS = 100
#: Share of the page that a picture of the whole page covers at least.
_WHOLE_PAGE = 0.5
#: Pixels of a picture's shorter side that text may be in.
_MIN_PIXELS = 24
#: Lines this much higher than most are larger type, others are the same: boxes vary with letters.
_LARGER = 1.4
#: Share of a box's height above and below the letters.
_SLACK = 0.12


class Scans:
    """Reads the scanned pages of one document until its time is over."""

    def __init__(self, options: ExtractOptions) -> None:
        self._mode = options.ocr
        self._deadline = time.monotonic() + options.ocr_seconds
        #: Page numbers: read from their pictures, and left for want of time.
        self.read: list[int] = []
        self.left: list[int] = []

    def page(self, document: Any, page: PageLines) -> PageLines:
        """Return the lines of a page, read from its picture where it is one.

        Of other pages the pictures are read.

        Raises:
            DocumentError: ocr_missing.
        """
        if self._mode == "off":
            return page
        if self._mode == "auto" and not _is_scan(page):
            if page.figures:
                self._read_figures(document, page)
            return page
        reading = self._recognised(page, _picture(document, page))
        if reading is None or not reading.lines:
            return page
        self.read.append(page.number)
        return as_lines(page, reading)

    def _recognised(self, page: PageLines, image: Any) -> ocr.Reading | None:
        seconds = self._deadline - time.monotonic()
        reading = ocr.recognise(image, seconds=seconds) if seconds > 0 else None
        alive()
        if (reading is None or not reading.complete) and page.number not in self.left:
            self.left.append(page.number)
        return reading

    def _read_figures(self, document: Any, page: PageLines) -> None:
        drawn = _picture(document, page)
        height, width = drawn.shape[:2]
        for figure in page.figures:
            x0, y0, x1, y1 = figure.place
            part = drawn[
                int(y0 / page.height * height) : int(y1 / page.height * height) + 1,
                int(x0 / page.width * width) : int(x1 / page.width * width) + 1,
            ]
            if min(part.shape[:2]) < _MIN_PIXELS:
                continue
            reading = self._recognised(page, part)
            if reading is not None:
                figure.lines += [line.text for line in reading.lines]

    def report(self) -> dict[str, Any]:
        """Return what the document's metadata say of it."""
        found = {"pages_read_by_ocr": self.read, "pages_without_time_for_ocr": self.left}
        return {name: pages for name, pages in found.items() if pages}


def _is_scan(page: PageLines) -> bool:
    if not page.lines:
        return True
    if sum(len(line.text) for line in page.lines) >= FEW_CHARS:
        return False
    covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in page.drawn.pictures)
    return covered >= _WHOLE_PAGE * page.width * page.height


def _picture(document: Any, page: PageLines) -> Any:
    """Draw a page; however large it is, it becomes no more pixels than are read."""
    scale = min(_SCALE, ocr.MAX_SIDE / max(page.width, page.height, 1.0))
    drawn = document[page.number - 1]
    try:
        bitmap = drawn.render(scale=scale)
        try:
            return ocr.to_array(bitmap.to_numpy())
        finally:
            bitmap.close()
    finally:
        drawn.close()


def as_lines(page: PageLines, reading: ocr.Reading) -> PageLines:
    """Return what was read as the lines of a page that stands upright."""
    width, height = page.width, page.height
    if reading.turns % 2:
        width, height = height, width
    usual = median(line.box[3] - line.box[1] for line in reading.lines) * height
    lines = []
    for line in reading.lines:
        x0, y0, x1, y1 = line.box
        tall = (y1 - y0) * height
        slack = tall * _SLACK
        lines.append(
            Line(
                text=line.text,
                x0=x0 * width,
                y0=y0 * height + slack,
                x1=x1 * width,
                y1=y1 * height - slack,
                size=round(tall if tall > usual * _LARGER else usual, 1),
                bold=False,
                words=_words(line.text, x0 * width, x1 * width),
            )
        )
    for above, below in pairwise(lines):
        if _CUT.search(above.text) and below.text[0].islower():
            above.text, above.hyphen = above.text[:-1], True
    return PageLines(page.number, width, height, lines, turns=reading.turns)


def _words(text: str, x0: float, x1: float) -> list[Word]:
    """Spread the words of a line over its width."""
    step = (x1 - x0) / len(text)
    return [Word(m[0], x0 + m.start() * step, x0 + m.end() * step) for m in _WORD.finditer(text)]
