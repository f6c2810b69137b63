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


def xml(text: str) -> str:
    """Text for between two tags."""
    return escape(_NOT_XML.sub("\ufffd", text))


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
    room -= width("…", size, weight)
    used, kept = 0.0, 0
    for char in line:
        used += width(char, size, weight)
        if used > room:
            break
        kept += 1
    return line[:kept].rstrip() + "…"


def wrap(text: str, room: float, size: float, lines: int) -> list[str]:
    """The text in at most `lines` lines that fit `room`; the last one ends in an ellipsis if cut."""
    found: list[str] = []
    for paragraph in text[:10_000].splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and width(longer, size) > room:
                found.append(line)
                line = word
            else:
                line = longer
        found.append(line)
        if len(found) > lines:
            break
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1] + " …"] if lines else []
    return [fit(line, room, size) for line in found]


def _advance(char: str, advance: tuple[int, ...]) -> int:
    place = ord(char) - 32
    if 0 <= place < len(advance):
        return advance[place]
    # Wide scripts take a square, everything else about as much as a letter.
    return 1000 if place >= 0x1100 - 32 else 610
