"""How alike two texts and two tables are: the measures of `benchmarks.documents`."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

#: A word: a run of letters and digits; of scripts without spaces, each character.
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]|[^\W_぀-ヿ㐀-鿿豈-﫿]+")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
#: The address of a Markdown link or image: `[text](address)`.
_ADDRESS = re.compile(r"(?<=\])\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)")
_WHITE = re.compile(r"\s+")

#: What stands next to what: (cell, neighbour, to the right or below).
Relation = tuple[str, str, str]
#: A cell: its text, and the first and last row and column it covers.
Cell = tuple[str, int, int, int, int]


def words(text: str) -> list[str]:
    """Return the words of a text or of Markdown, in order: no mark-up, no addresses, no case."""
    text = _TAG.sub(" ", _ADDRESS.sub(" ", _COMMENT.sub(" ", text)))
    text = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
    return _WORD.findall(text)


def f1(found: Counter[Any], true: Counter[Any]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of a bag of things, 0..1."""
    both = (found & true).total()
    precision = both / found.total() if found else float(not true)
    recall = both / true.total() if true else 1.0
    return precision, recall, _harmonic(precision, recall)


def word_f1(found: str, true: str) -> float:
    """Return the F1 of a text's words, whatever their order."""
    return f1(Counter(words(found)), Counter(words(true)))[2]


def order_f1(found: str, true: str) -> float:
    """Return the F1 of the pairs of words that follow each other: the reading order counts."""
    return f1(Counter(_pairs(words(found))), Counter(_pairs(words(true))))[2]


def _pairs(items: Sequence[str]) -> Iterable[str]:
    return (f"{a} {b}" for a, b in pairwise(items))


def similarity(a: str, b: str) -> float:
    """Return 2·LCS / (len(a) + len(b)), what `Levenshtein.ratio` returns, 0..1.

    The length of the longest common subsequence is found bit-parallel (Hyyrö 2004): a few seconds
    for two texts of 200,000 characters.
    """
    if not a or not b:
        return float(a == b)
    places: dict[str, int] = {}
    for i, character in enumerate(a):
        places[character] = places.get(character, 0) | (1 << i)
    full = (1 << len(a)) - 1
    row = full
    for character in b:
        matched = row & places.get(character, 0)
        row = ((row + matched) | (row - matched)) & full
    common = len(a) - row.bit_count()
    return 2 * common / (len(a) + len(b))


def flowing(text: str) -> str:
    """Return a text with single spaces, ligatures as letters and words cut at line ends whole."""
    text = re.sub(r"[\ufffe\x02]\s*|\u00ad\s*|(?<=[a-zäöüß])-\s*\n\s*(?=[a-zäöüß])", "", text)
    return _WHITE.sub(" ", unicodedata.normalize("NFKC", text)).strip()


def grid(
    rows: Sequence[Sequence[str | None]], parts: Collection[tuple[int, int]] = ()
) -> list[Cell]:
    """Return the cells of a table given as rows.

    `parts` are the places (row, column) that belong to the cell to the left of or above them, whose
    text stands in them too.
    """
    cells: list[Cell] = []
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            if not text or (r, c) in parts:
                continue
            wide, tall = c, r
            while (r, wide + 1) in parts and row[wide + 1] == text:
                wide += 1
            while (tall + 1, c) in parts and rows[tall + 1][c] == text:
                tall += 1
            cells.append((text, r, tall, c, wide))
    return cells


def relations(cells: Iterable[Cell]) -> Counter[Relation]:
    """Return the adjacency relations of a table's cells.

    As the ICDAR 2013 table competition compares structures (Göbel et al. 2012): each cell with
    content and its nearest neighbour with content to the right and below, over every row and
    column that it covers; white space and case do not count.
    """
    places: dict[tuple[int, int], int] = {}
    texts: list[str] = []
    bottom = right = 0
    for text, y0, y1, x0, x1 in cells:
        plain = _WHITE.sub("", unicodedata.normalize("NFKC", text)).casefold()
        if not plain:
            continue
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                places.setdefault((y, x), len(texts))
        texts.append(plain)
        bottom, right = max(bottom, y1), max(right, x1)
    pairs = {(a, b, "right") for a, b in _neighbours(places, bottom, right)}
    turned = {(x, y): cell for (y, x), cell in places.items()}
    pairs |= {(a, b, "below") for a, b in _neighbours(turned, right, bottom)}
    return Counter((texts[a], texts[b], direction) for a, b, direction in pairs)


def _neighbours(
    places: dict[tuple[int, int], int], lines: int, length: int
) -> Iterable[tuple[int, int]]:
    for line in range(lines + 1):
        last = -1
        for at in range(length + 1):
            cell = places.get((line, at), -1)
            if cell >= 0:
                if last >= 0 and cell != last:
                    yield last, cell
                last = cell


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
