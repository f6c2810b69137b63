"""Texts of a picture: how wide they are, where lines break, and what XML can carry."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

#: Advance of the characters from space to tilde in the typeface of the pages, per mille of its
#: size, by weight.
_ADVANCE = {
    400: (
        281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407,
        610, 618, 646, 593, 620, 566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730,
        722, 601, 590, 746, 743, 269, 571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744,
        690, 985, 682, 679, 629, 365, 360, 365, 471, 456, 323, 562, 612, 571, 612, 583, 370, 613,
        591, 242, 242, 549, 242, 876, 591, 600, 612, 612, 376, 528, 327, 591, 562, 818, 546, 562,
        552, 426, 333, 426, 662,
    ),
    600: (
        252, 321, 523, 644, 650, 1004, 663, 326, 373, 373, 540, 673, 319, 465, 319, 379, 660, 423,
        623, 636, 666, 612, 640, 576, 640, 640, 319, 329, 673, 673, 673, 543, 999, 728, 659, 737,
        722, 605, 588, 749, 746, 277, 580, 703, 565, 922, 759, 769, 645, 773, 652, 650, 660, 736,
        728, 1020, 720, 713, 652, 373, 379, 373, 481, 469, 351, 574, 624, 583, 624, 591, 389, 625,
        612, 262, 262, 569, 262, 900, 612, 609, 624, 624, 397, 549, 353, 612, 587, 839, 569, 588,
        566, 455, 359, 455, 673,
    ),
}  # fmt: skip
#: Characters that XML 1.0 cannot carry, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


#: Size of a note's text and of its lines, and what its edges take of it, in pixels.
NOTE_SIZE, NOTE_LINE, NOTE_SIDES, NOTE_ENDS = 13.0, 18.0, 24.0, 20.0
_HEADING = re.compile(r"#{1,6}\s+(.*)$")
_BOLD = re.compile(r"\*\*[^*]+\*\*:?")
_ITEM = re.compile(r"^\s*[-*]\s+")
_PLAIN_LINK = re.compile(r"\[([^\]\n]+)\]\(https?://[^\s)]+\)")
_MARKS = re.compile(r"\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|`([^`\n]+)`")
#: What the typeface of the pages lacks. One such character would have others drawn by whichever
#: typeface of the machine has it, slanted or not.
_FOREIGN = re.compile(
    "([^\u0020-\u02d7\u02da-\u0304\u0370-\u0491\u1e00-\u1eff\u2009\u2013\u2014\u2018-\u201e\u2020\u2022"
    "\u2026\u2032\u2033\u2039\u203a\u2044\u20a0-\u20bf\u2113\u2116\u2122\u2191\u2193\u2212]+)"
)
_OTHER_FACES = (
    "Noto Sans CJK SC, PingFang SC, Microsoft YaHei, DejaVu Sans, Noto Sans, Segoe UI, sans-serif"
)


def xml(text: str) -> str:
    """Text for between two tags."""
    return escape(_NOT_XML.sub("\ufffd", text))


def spans(text: str, x: float, size: float, weight: int) -> str:
    """The content of a text that begins at `x`: other scripts stand in spans of their own.

    Each with its place: renderers choose the typeface of all that is not placed by itself at once.
    """
    if not _FOREIGN.search(text):
        return xml(text)
    parts = []
    for part in _FOREIGN.split(text):
        if part:
            face = f' font-family="{_OTHER_FACES}"' if _FOREIGN.fullmatch(part) else ""
            parts.append(f'<tspan x="{x:.1f}"{face}>{xml(part)}</tspan>')
            x += width(part, size, weight)
    return "".join(parts)


def attribute(text: str) -> str:
    """Text for an attribute, with its quotes."""
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def width(text: str, size: float, weight: int = 400) -> float:
    """How wide a line is, in pixels; exact for plain Latin, a good guess for the rest."""
    advance = _ADVANCE[weight]
    return size / 1000 * sum(_advance(char, advance) for char in text)


def fit(text: str, room: float, size: float, weight: int = 400) -> str:
    """The text on one line, cut with an ellipsis where it is wider than `room`."""
    line = " ".join(text.split())[:1_000]
    if width(line, size, weight) <= room:
        return line
    kept = _fitting(line, room - width("…", size, weight), size, weight)
    return line[:kept].rstrip() + "…"


def note_lines(text: str, room: float) -> list[tuple[str, int]]:
    """Lines of a note with their weight; the marks of Markdown that notes know are taken away."""
    found: list[tuple[str, int]] = []
    for paragraph in text[:10_000].splitlines():
        heading = _HEADING.match(paragraph)
        weight = 600 if heading or _BOLD.fullmatch(paragraph.strip()) else 400
        words = _PLAIN_LINK.sub(r"\1", heading[1] if heading else paragraph)
        words = _MARKS.sub(lambda mark: mark[1] or mark[2] or mark[3], words)
        words = _ITEM.sub("• ", words)
        found += [(line, weight) for line in _broken(words, room, weight)]
    return found


def note_height(text: str, width: float) -> float:
    """Height in pixels that shows all of a note's text on the canvas, where lines stand wider."""
    return 1.15 * NOTE_LINE * (len(note_lines(text, width - NOTE_SIDES)) + 2) + NOTE_ENDS


def _broken(text: str, room: float, weight: int) -> list[str]:
    """A paragraph in lines that fit; what has no spaces is broken anywhere."""
    found: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width(longer, NOTE_SIZE, weight) <= room:
            line = longer
            continue
        if line:
            found.append(line)
        line = word
        while (kept := max(1, _fitting(line, room, NOTE_SIZE, weight))) < len(line):
            found.append(line[:kept])
            line = line[kept:]
    return [*found, line]


def _fitting(line: str, room: float, size: float, weight: int) -> int:
    """How many of its characters fit."""
    used = 0.0
    for place, char in enumerate(line):
        used += width(char, size, weight)
        if used > room:
            return place
    return len(line)


def _advance(char: str, advance: tuple[int, ...]) -> int:
    place = ord(char) - 32
    if 0 <= place < len(advance):
        return advance[place]
    # Wide scripts take a square, everything else about as much as a letter.
    return 1000 if place >= 0x1100 - 32 else 610
