"""Lines of text of a PDF page, with their places and type sizes, by pdfium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Resolution of places on a page: pdfium maps them to whole pixels.
_PIXELS = 20_000
#: Text of one line, with what ends it: a line break, or pdfium's mark of a word cut by a hyphen.
_LINE = re.compile("([^\r\n\ufffe\x02]*)(\r\n|\n|\r|\ufffe|\x02|$)")
#: Objects of a page looked at for ruling lines and pictures; maps have many thousands.
_MAX_OBJECTS = 3_000
#: Pictures of a page that are kept; some are cut into hundreds of strips.
_MAX_PICTURES = 500
#: Rows of dots that lead to a page number.
_LEADERS = re.compile(r"(?:\s?[.·…_]){5,}\s?")
#: Names of bold faces, those of TeX among them.
_BOLD = re.compile(r"bold|black|heavy|(?:^|\+)(?:cmb|cmssbx|sfbx|sfsx|sfb)", re.IGNORECASE)


#: left, top, right, bottom
Rectangle = tuple[float, float, float, float]


@dataclass(slots=True)
class Line:
    """A line: places in points from the top left of the page as shown."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    #: Height of the type from descender to ascender, about 1.2 times its point size.
    size: float
    bold: bool
    #: Name of the typeface, "" where it changes along the line.
    face: str = ""
    #: The last word goes on in the next line.
    hyphen: bool = False
    #: Runs of text along the line with a wide gap between them: (x0, x1).
    runs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Height of the ink."""
        return self.y1 - self.y0


@dataclass(slots=True)
class PageLines:
    """The lines of one page and its size in points."""

    number: int
    width: float
    height: float
    lines: list[Line]
    #: Thin straight strokes and boxes: what tables are ruled with.
    rules: int
    #: Pictures: left, top, right, bottom in points from the top left.
    pictures: list[Rectangle] = field(default_factory=list)
    #: Quarter turns to the left after which the page as shown is as these places have it.
    turns: int = 0


def read_page(document: Any, index: int) -> PageLines:
    """Read page `index` (from 0)."""
    page = document[index]
    try:
        width, height = page.get_size()
        place = _Place(page, width, height)
        textpage = page.get_textpage()
        try:
            lines = list(_lines(textpage, place))
        finally:
            textpage.close()
        rules, pictures = _drawn(page, place)
        return PageLines(index + 1, width, height, lines, rules, pictures)
    finally:
        page.close()


class _Place:
    """Maps page space to points from the top left of the page as it is shown (rotated, cropped)."""

    def __init__(self, page: Any, width: float, height: float) -> None:
        from pypdfium2 import raw

        self._map = raw.FPDF_PageToDevice
        self._page = page
        self._x_unit, self._y_unit = width / _PIXELS, height / _PIXELS
        self._x, self._y = ctypes.c_int(), ctypes.c_int()

    def rectangle(
        self, left: float, bottom: float, right: float, top: float
    ) -> tuple[float, float, float, float]:
        xa, ya = self._point(left, top)
        xb, yb = self._point(right, bottom)
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        self._map(self._page, 0, 0, _PIXELS, _PIXELS, 0, x, y, self._x, self._y)
        return self._x.value * self._x_unit, self._y.value * self._y_unit


def _lines(textpage: Any, place: _Place) -> Iterator[Line]:
    from pypdfium2 import raw

    text = textpage.get_text_range()
    for match in _LINE.finditer(text):
        content = match[1]
        stripped = content.strip()
        if not stripped:
            continue
        begin = match.start() + len(content) - len(content.lstrip())
        first = raw.FPDFText_GetCharIndexFromTextIndex(textpage, begin)
        last = raw.FPDFText_GetCharIndexFromTextIndex(textpage, begin + len(stripped) - 1)
        if first < 0 or last < first:
            continue
        rectangles = [
            place.rectangle(*textpage.get_rect(i))
            for i in range(textpage.count_rects(first, last - first + 1))
        ]
        if not rectangles:
            continue
        size = _type_size(textpage, first, place)
        face, bold = _face(textpage, first)
        last_face, last_bold = _face(textpage, last)
        yield Line(
            text=_LEADERS.sub(" … ", stripped),
            x0=min(r[0] for r in rectangles),
            y0=min(r[1] for r in rectangles),
            x1=max(r[2] for r in rectangles),
            y1=max(r[3] for r in rectangles),
            size=size,
            bold=bold and last_bold,
            face=face if face == last_face else "",
            hyphen=match[2] in ("\ufffe", "\x02"),
            runs=_runs(rectangles, max(size, 4.0)),
        )


def _runs(
    rectangles: list[tuple[float, float, float, float]], size: float
) -> list[tuple[float, float]]:
    runs: list[tuple[float, float]] = []
    for x0, _, x1, _ in sorted(rectangles):
        if runs and x0 - runs[-1][1] < size * 0.9:
            runs[-1] = runs[-1][0], max(runs[-1][1], x1)
        else:
            runs.append((x0, x1))
    return runs


def _type_size(textpage: Any, index: int, place: _Place) -> float:
    box = textpage.get_charbox(index, loose=True)
    _, y0, _, y1 = place.rectangle(*box)
    return round(y1 - y0, 1)


def _face(textpage: Any, index: int) -> tuple[str, bool]:
    """Return the name of a character's typeface and whether it is bold."""
    from pypdfium2 import raw

    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    if raw.FPDFText_GetFontInfo(textpage, index, buffer, 128, flags) <= 0:
        return "", False
    name = buffer.value.decode("utf-8", "replace")
    return name, bool(_BOLD.search(name)) or raw.FPDFText_GetFontWeight(textpage, index) >= 600


def _drawn(page: Any, place: _Place) -> tuple[int, list[Rectangle]]:
    """Count thin straight paths, and find the pictures."""
    from pypdfium2 import raw

    box = [ctypes.c_float() for _ in range(4)]
    rules = 0
    pictures: list[Rectangle] = []
    for i in range(min(raw.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        item = raw.FPDFPage_GetObject(page, i)
        kind = raw.FPDFPageObj_GetType(item)
        if kind not in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE):
            continue
        if not raw.FPDFPageObj_GetBounds(item, *box):
            continue
        left, bottom, right, top = (value.value for value in box)
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            if len(pictures) < _MAX_PICTURES:
                pictures.append(place.rectangle(left, bottom, right, top))
            continue
        thin = min(right - left, top - bottom) < 2.5 and max(right - left, top - bottom) > 20
        rules += thin or (right - left > 20 and top - bottom > 8)
    return rules, pictures
