"""Lines of text of a PDF page, with their places and type sizes, by pdfium."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from app.documents.extract.pdf_drawn import Drawn, Place, Rectangle, drawn
from app.documents.extract.pdf_rtl import mended, spaced

#: Text of one line, with what ends it: a line break, or pdfium's mark of a word cut by a hyphen.
_LINE = re.compile("([^\r\n\ufffe\x02]*)(\r\n|\n|\r|\ufffe|\x02|$)")
#: Rows of dots that lead to a page number.
_LEADERS = re.compile(r"(?:\s?[.·…_]){5,}\s?")
#: Names of bold faces, those of TeX among them.
_BOLD = re.compile(r"bold|black|heavy|(?:^|\+)(?:cmb|cmssbx|sfbx|sfsx|sfb)", re.IGNORECASE)


#: A run of letters between spaces, or dots that lead to a number.
_PIECE = re.compile(r"(?P<dots>[.·…_]{3,})|(?:(?![.·…_]{3})\S)+")
#: Pictures of a page that are put together, shares of the page that a figure covers at least and
#: at most, and lines of text over a picture that is a ground.
_MAX_FIGURES = 100
_FIGURE, _GROUND = 0.01, 0.9
_OVER = 4
#: Gap between words, in sizes of the type, that is no space: a tab stop or a column of a table.
WIDE_GAP = 0.9


class Word(NamedTuple):
    """A word of a line: its text and where it begins and ends, in points from the left."""

    text: str
    x0: float
    x1: float


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
    #: Its words; empty where the text does not run along the line (turned pages of figures).
    words: list[Word] = field(default_factory=list)
    #: Its words with wide gaps between them.
    wide: bool = False

    @property
    def height(self) -> float:
        """Height of the ink."""
        return self.y1 - self.y0


@dataclass(slots=True)
class Figure:
    """A picture on a page: where it is, and the lines that were read in it."""

    place: Rectangle
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PageLines:
    """The lines of one page and its size in points."""

    number: int
    width: float
    height: float
    lines: list[Line]
    drawn: Drawn = field(default_factory=Drawn)
    #: Pictures that are not the page's ground.
    figures: list[Figure] = field(default_factory=list)
    #: Quarter turns to the left after which the page as shown is as these places have it.
    turns: int = 0


def read_page(document: Any, index: int) -> PageLines:
    """Read page `index` (from 0)."""
    page = document[index]
    try:
        width, height = page.get_size()
        place = Place(page, width, height)
        textpage = page.get_textpage()
        try:
            lines = list(_lines(textpage, place))
        finally:
            textpage.close()
        found = drawn(page, place)
        figures = _figures(found.pictures, lines, width, height)
        return PageLines(index + 1, width, height, lines, found, figures)
    finally:
        page.close()


def _figures(
    pictures: Sequence[Rectangle], lines: Sequence[Line], width: float, height: float
) -> list[Figure]:
    """Put the strips of pictures together, and leave out grounds, ornaments and lines."""
    whole: list[Rectangle] = []
    for picture in pictures[:_MAX_FIGURES]:
        x0, y0, x1, y1 = picture
        for other in [o for o in whole if _touch(o, picture)]:
            whole.remove(other)
            x0, y0 = min(x0, other[0]), min(y0, other[1])
            x1, y1 = max(x1, other[2]), max(y1, other[3])
        whole.append((max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)))
    return [
        Figure(place)
        for place in whole
        if _FIGURE <= _area(place) / max(width * height, 1.0) <= _GROUND
        and sum(
            place[0] <= line.x0 <= place[2] and place[1] <= line.y0 <= place[3] for line in lines
        )
        < _OVER
    ]


def _touch(a: Rectangle, b: Rectangle) -> bool:
    return a[0] <= b[2] + 1 and b[0] <= a[2] + 1 and a[1] <= b[3] + 1 and b[1] <= a[3] + 1


def _area(place: Rectangle) -> float:
    return max(0.0, place[2] - place[0]) * max(0.0, place[3] - place[1])


def _lines(textpage: Any, place: Place) -> Iterator[Line]:
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
        y0, y1 = min(r[1] for r in rectangles), max(r[3] for r in rectangles)
        size = _type_size(textpage, first, place, y1 - y0)
        face, bold = _face(textpage, first)
        last_face, last_bold = _face(textpage, last)
        stripped = mended(stripped, partial(_edges, textpage, begin))
        words = [
            word._replace(text=spaced(word.text))
            for word in _words(textpage, place, stripped, begin, first, last, max(size, 4.0))
        ]
        yield Line(
            text=_LEADERS.sub(" … ", spaced(stripped)),
            x0=min(r[0] for r in rectangles),
            y0=y0,
            x1=max(r[2] for r in rectangles),
            y1=y1,
            size=size,
            bold=bold and last_bold,
            face=face if face == last_face else "",
            hyphen=match[2] in ("\ufffe", "\x02"),
            words=words,
            wide=has_wide_gap(words, size),
        )


def _edges(textpage: Any, begin: int, offset: int) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of a character of a line that begins at `begin`."""
    from pypdfium2 import raw

    box = [ctypes.c_double() for _ in range(4)]
    index = raw.FPDFText_GetCharIndexFromTextIndex(textpage, begin + offset)
    raw.FPDFText_GetCharBox(textpage, index, *box)
    left, right, bottom, top = (value.value for value in box)
    return left, right, bottom, top


def pitched(words: Sequence[Word]) -> bool | None:
    """Whether letters are all of one width, and words begin at whole numbers of it.

    None where there are too few words to tell.
    """
    whole = [
        word for word in words
        if len(word.text) > 2 and word.text.isascii() and word.text[0].isalnum()
        and word.text[-1].isalnum()
    ]  # fmt: skip
    if len(whole) < 3 or sum(any(map(str.isalpha, word.text)) for word in whole) < 3:
        return None
    # The ink of a word is a fifth of a letter narrower than its letters.
    widths = sorted((word.x1 - word.x0) / (len(word.text) - 0.2) for word in whole)
    pitch = widths[len(widths) // 2]
    if pitch <= 0 or widths[0] < 0.9 * pitch or widths[-1] > 1.1 * pitch:
        return False
    steps = [(word.x0 - whole[0].x0) / pitch for word in whole[1:]]
    return all(abs(step - round(step)) < 0.25 for step in steps)


def has_wide_gap(words: Sequence[Word], size: float) -> bool:
    """Whether there is more than a space between two words."""
    gap = max(size, 4.0) * WIDE_GAP
    return any(b.x0 - a.x1 > gap for a, b in pairwise(words))


def _words(
    textpage: Any, place: Place, text: str, begin: int, first: int, last: int, size: float
) -> Iterator[Word]:
    """Yield the words of a line that begins at index `begin` of the page's text."""
    from pypdfium2 import raw

    box = [ctypes.c_double() for _ in range(4)]
    # Indices of characters run along with those of the text unless some have no place in it.
    steady = last - first == len(text) - 1

    def edges(offset: int) -> tuple[float, float]:
        index = first + offset
        if not steady:
            index = raw.FPDFText_GetCharIndexFromTextIndex(textpage, begin + offset)
        raw.FPDFText_GetCharBox(textpage, index, *box)
        left, right, bottom, top = (value.value for value in box)
        x0, _, x1, _ = place.rectangle(left, bottom, right, top)
        return x0, x1

    for piece in _PIECE.finditer(text):
        if piece["dots"]:
            continue
        x0, x1 = edges(piece.start())
        if len(piece[0]) > 1:
            xa, xb = edges(piece.end() - 1)
            x0, x1 = min(x0, xa), max(x1, xb)
        if x1 - x0 > len(piece[0]) * size and len(piece[0]) > 1:
            yield from _apart(
                [(c, *edges(piece.start() + i)) for i, c in enumerate(piece[0])], size
            )
        else:
            yield Word(piece[0], x0, x1)


def _apart(letters: Sequence[tuple[str, float, float]], size: float) -> Iterator[Word]:
    """Part letters that stand too far from each other to be a word: marks in columns."""
    word: Word | None = None
    for letter, x0, x1 in letters:
        if word is not None and x0 - word.x1 <= 0.5 * size:
            word = Word(word.text + letter, word.x0, max(word.x1, x1))
            continue
        if word is not None:
            yield word
        word = Word(letter, x0, x1)
    if word is not None:
        yield word


def _type_size(textpage: Any, index: int, place: Place, height: float) -> float:
    """Return the height of the type, 1.2 times its point size."""
    from pypdfium2 import raw

    matrix = raw.FS_MATRIX()
    if raw.FPDFText_GetMatrix(textpage, index, matrix):
        size: float = (
            raw.FPDFText_GetFontSize(textpage, index) * math.hypot(matrix.c, matrix.d) * 1.2
        )
        if size / 4 < height < size * 2.5:
            return round(size, 1)
    # Fonts that are drawn by programs have sizes of their own.
    _, y0, _, y1 = place.rectangle(*textpage.get_charbox(index, loose=True))
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
