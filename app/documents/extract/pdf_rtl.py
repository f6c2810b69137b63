"""Arabic and Hebrew in PDFs: letters in the order in which they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: Left and right edge, bottom and top of a letter.
Edges = tuple[float, float, float, float]

_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_ANY = re.compile(f"[{_RTL}]")
#: A ligature of lam and alef, of which pdfium gives the letters in the order of the page.
_LIGATURE = re.compile("[\u0622\u0623\u0625\u0627\u0671]\u0644")
#: A mark above or below that is drawn on its own, before the letter that it belongs to.
_MARK = re.compile(f" ([\u064b-\u0652])([{_RTL}])")
#: Stands for a letter that is taken away, so that the others keep their places.
_NOTHING = "\u200b"
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_LETTER = "\u05d0-\u05ea\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f"
_MET = re.compile(f"(?<=[{_LETTER}])(?=[{_LATIN}])|(?<=[{_LATIN}])(?=[{_LETTER}])")


def mended(text: str, edges: Callable[[int], Edges]) -> str:
    """Return a line with the letters of ligatures and marks where they belong, of equal length.

    `edges` returns where the character at a place of the text stands.
    """
    if _ANY.search(text) is None:
        return text
    letters = list(text)
    for match in _LIGATURE.finditer(text):
        at = match.start()
        if edges(at) == edges(at + 1):  # one glyph
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    for match in _MARK.finditer(text):
        space, mark, letter = map(edges, range(match.start(), match.end()))
        over = letter[0] - 1 <= mark[0] and mark[1] <= letter[1] + 1
        if over and space[1] - space[0] < 1:
            letters[match.start() : match.end()] = match[2], match[1], _NOTHING
    return "".join(letters)


def spaced(text: str) -> str:
    """Return a text with spaces where letters of two directions meet, which are never one word."""
    if _ANY.search(text) is None:
        return text
    return _MET.sub(" ", text.replace(_NOTHING, ""))


def is_rtl(rows: Sequence[Sequence[str]]) -> bool:
    """Whether most letters of a table run from right to left."""
    text = "".join(cell for row in rows for cell in row)
    return 2 * len(_ANY.findall(text)) > sum(map(str.isalpha, text))
