"""Cutting a passage into what an answer can quote: sentences, list items and table rows.

Every unit is a verbatim span of the passage. A table row alone says little ("Berries | 150"), so
it also carries its header cells, which make sense of its numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from app.retrieval.rows import cells, read_rows, spoken
from app.retrieval.words import word_set

UnitKind = Literal["sentence", "item", "row", "heading"]

#: Words before a full stop that does not end a sentence.
_ABBREVIATIONS = word_set(
    """al approx art bzw ca cf ch co corp dept dr ed eq eqs esp est etc fig figs gen inc jr ltd max
    min mr mrs ms no nos nr p pp prof rev sec sr st tab tel u.s usw vol vs z.b d.h e.g i.e"""
)
#: A full stop, question or exclamation mark, closing quotes and a space; or a CJK mark.
_BOUNDARY = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*(?=\s)|(?<=[。！？])[」』”）]*")
_BULLET = re.compile(r"^\s*(?:[-*•–▪◦●‣]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_RULE = re.compile(r"^[\s|:+=\-–—_*]+$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
#: Two cells at least: a pipe table, or columns set apart by tabs.
_PIPE_ROW = re.compile(r"^\s*\|?[^|\n]*\|[^\n]*$")
_TAB_ROW = re.compile(r"^[^\t\n]*\S[^\t\n]*\t+[^\n]*\S")
_WORD = re.compile(r"\w")

#: Text is hardly ever set in lines shorter than this; a line that ends sooner was meant to.
_MEASURE = 60
#: Lines of forms are not longer, and the next begins with a capital, a number or a sum.
_LONGEST_LINE = 90
_BEGINS = re.compile(r"[^a-zà-ÿ\W]|[#$€£+(\[\"“„-]")

#: Longer units are cut at the next space: nobody reads a 900-letter quote.
MAX_UNIT = 600


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable span of a passage: ``passage[start:end] == text``."""

    text: str
    start: int
    end: int
    kind: UnitKind = "sentence"
    #: Header cells of the table a row stands in.
    header: tuple[str, ...] = ()
    #: What the part of the table is called where a row above names it.
    section: str = ""

    @property
    def readable(self) -> str:
        """The unit as a person would say it: a row as “header: cell” pairs, no list marks."""
        if self.kind == "row":
            return spoken(cells(self.text), self.header)
        text = _HEADING.sub("", self.text) if self.kind == "heading" else self.text
        text = _BULLET.sub("", text) if self.kind == "item" else text
        return re.sub(r"\s+", " ", text).strip()


def units(passage: str) -> list[Unit]:
    """Cut `passage` into quotable spans, in reading order."""
    found: list[Unit] = []
    table: list[tuple[int, int]] = []
    for kind, start, end in [*_blocks(passage), ("sentence", len(passage), len(passage))]:
        # A blank line ends a table: what follows is another one.
        if table and (kind != "row" or passage.count("\n", table[-1][1], start) > 1):
            found.extend(_rows(passage, table))
            table = []
        if kind == "row":
            table.append((start, end))
        elif kind == "sentence":
            found.extend(_sentences(passage, start, end))
        else:
            found.extend(_pieces(passage, start, end, kind))
    return [u for u in found if _WORD.search(u.text)]


def split_sentences(text: str) -> list[str]:
    """The sentences of running text, without its tables' and lists' structure."""
    return [u.text for u in _sentences(text, 0, len(text)) if _WORD.search(u.text)]


def _blocks(passage: str) -> list[tuple[UnitKind, int, int]]:
    """Cut into lines that are rows, items or headings, and runs of lines that are prose."""
    blocks: list[tuple[UnitKind, int, int]] = []
    prose: tuple[int, int] | None = None
    at = 0
    for line in passage.splitlines(keepends=True):
        start, at = at, at + len(line)
        body = line.rstrip("\r\n")
        kind = _line_kind(body)
        end = start + len(body)
        if kind == "sentence":
            prose = (prose[0], end) if prose else (start, end)
            continue
        if kind == "more" and not prose and blocks and blocks[-1][0] == "item":
            blocks[-1] = ("item", blocks[-1][1], end)
            continue
        if prose:
            blocks.append(("sentence", *prose))
            prose = None
        if kind in ("row", "item", "heading"):
            blocks.append((kind, start, end))
    if prose:
        blocks.append(("sentence", *prose))
    return blocks


def _rows(passage: str, spans: list[tuple[int, int]]) -> list[Unit]:
    """The rows of one table, each with its header; rules and headers are no rows."""
    ruled = len(spans) > 1 and bool(_RULE.match(passage[slice(*spans[1])]))
    kept = [
        _unit(passage, *span, "row") for span in spans if not _RULE.match(passage[slice(*span)])
    ]
    readings = read_rows([cells(unit.text) for unit in kept], ruled=ruled)
    return [
        replace(unit, header=row.header, section=row.section)
        for unit, row in zip(kept, readings, strict=True)
        if not row.is_header
    ]


def _line_kind(line: str) -> Literal["sentence", "item", "row", "heading", "more", "blank"]:
    if not line.strip() or _FENCE.match(line):
        return "blank"
    if _HEADING.match(line):
        return "heading"
    if _is_row(line):
        return "row"
    if _BULLET.match(line):
        return "item"
    if line[:2].isspace() and line.strip():
        return "more"
    return "sentence"


def _is_row(line: str) -> bool:
    if _TAB_ROW.match(line):
        return True
    if not _PIPE_ROW.match(line):
        return False
    # A lone pipe inside prose or code is no table.
    return line.strip().startswith("|") or line.count(" | ") >= 1


def _sentences(passage: str, start: int, end: int) -> list[Unit]:
    found: list[Unit] = []
    at = start
    stops = {m.end(): m.start() for m in _BOUNDARY.finditer(passage, start, end)}
    lines = _line_ends(passage, start, end)
    for stop in sorted({*stops, *lines}):
        if stop not in lines and (
            _goes_on(passage, stop) or _is_abbreviation(passage, at, stops[stop])
        ):
            continue
        found.extend(_pieces(passage, at, stop, "sentence"))
        at = stop
    if at < end:
        found.extend(_pieces(passage, at, end, "sentence"))
    return found


def _line_ends(passage: str, start: int, end: int) -> set[int]:
    """Where lines of a form, address or receipt end, as against lines of wrapped text.

    Wrapped text goes on in a small letter, or breaks where the next word had no room.
    """
    lines = [
        (start + m.start(), start + m.end()) for m in re.finditer(r"[^\n]+", passage[start:end])
    ]
    measure = max([_MEASURE, *(stop - begin for begin, stop in lines)])
    ends: set[int] = set()
    for (begin, stop), (after, last) in pairwise(lines):
        following = passage[after:last].split(maxsplit=1)
        if stop - begin > _LONGEST_LINE or not following or not _BEGINS.match(following[0]):
            continue
        if stop - begin + 1 + len(following[0]) < measure:
            ends.add(stop)
    return ends


def _goes_on(passage: str, stop: int) -> bool:
    """“Really?” asked Jane: a small letter after the mark belongs to the same sentence."""
    return passage[stop : stop + 3].lstrip()[:1].islower()


def _is_abbreviation(passage: str, start: int, stop: int) -> bool:
    if passage[stop - 1] != ".":
        return False
    word = passage[start : stop - 1].rsplit(None, 1)[-1:] or [""]
    bare = word[0].lstrip("([\"'“‘").lower()
    # "J. Smith" and "e.g. this"; but a sentence may well end in "… plan B."
    if bare in _ABBREVIATIONS:
        return True
    following = passage[stop : stop + 3].strip()
    if len(bare) == 1 and bare.isalpha() and following[:1].isupper():
        return True
    return bare.isdigit() and len(bare) <= 3 and start + len(word[0]) + 1 >= stop


def _pieces(passage: str, start: int, end: int, kind: UnitKind) -> list[Unit]:
    """One unit, or several where the span is too long to quote."""
    found: list[Unit] = []
    while end - start > MAX_UNIT:
        cut = max(
            passage.rfind("\n", start, start + MAX_UNIT),
            passage.rfind("; ", start, start + MAX_UNIT),
        )
        if cut <= start + MAX_UNIT // 3:
            cut = passage.rfind(" ", start, start + MAX_UNIT)
        cut = cut if cut > start else start + MAX_UNIT
        found.append(_unit(passage, start, cut, kind))
        start = cut
    found.append(_unit(passage, start, end, kind))
    return [u for u in found if u.text]


def _unit(passage: str, start: int, end: int, kind: UnitKind) -> Unit:
    text = passage[start:end]
    stripped = text.strip()
    lead = len(text) - len(text.lstrip())
    return Unit(stripped, start + lead, start + lead + len(stripped), kind)
