"""Cutting a passage into what an answer can quote: sentences, list items and table rows.

Every unit is a verbatim span of the passage. A table row alone says little ("Berries | 150"), so
it also carries its header cells, which make sense of its numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

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

    @property
    def readable(self) -> str:
        """The unit as a person would say it: a row as “header: cell” pairs, no list marks."""
        if self.kind == "row":
            return _spoken(cells(self.text), self.header)
        text = _HEADING.sub("", self.text) if self.kind == "heading" else self.text
        text = _BULLET.sub("", text) if self.kind == "item" else text
        return re.sub(r"\s+", " ", text).strip()


def units(passage: str) -> list[Unit]:
    """Cut `passage` into quotable spans, in reading order."""
    found: list[Unit] = []
    header: tuple[str, ...] = ()
    rows: list[int] = []
    for kind, start, end in _blocks(passage):
        text = passage[start:end]
        if kind == "row":
            if _RULE.match(text):
                # A rule under the first row of a table says that this row is the header.
                if len(rows) == 1:
                    header = cells(found[rows[0]].text)
                    del found[rows[0]]
                continue
            if not header and not rows and not _numeric(cells(text)):
                header = cells(text)
                rows.append(len(found))
                found.append(_unit(passage, start, end, "row"))
                continue
            rows.append(len(found))
            found.append(replace(_unit(passage, start, end, "row"), header=header))
            continue
        header, rows = (), []
        if kind == "sentence":
            found.extend(_sentences(passage, start, end))
        else:
            found.extend(_pieces(passage, start, end, kind))
    return [u for u in found if _WORD.search(u.text)]


def split_sentences(text: str) -> list[str]:
    """The sentences of running text, without its tables' and lists' structure."""
    return [u.text for u in _sentences(text, 0, len(text)) if _WORD.search(u.text)]


def cells(row: str) -> tuple[str, ...]:
    """The cells of a table row, trimmed; outer pipes do not count."""
    parts = row.strip().strip("|").split("|") if "|" in row else re.split(r"\t+", row.strip())
    return tuple(re.sub(r"[*_`]{1,2}(\S.*?\S|\S)[*_`]{1,2}", r"\1", p.strip()) for p in parts)


def _spoken(row: tuple[str, ...], header: tuple[str, ...]) -> str:
    """Pair each cell with its header: “Food: Berries; Calories: 150”."""
    if len(header) != len(row):
        return " | ".join(cell for cell in row if cell)
    pairs = []
    for name, cell in zip(header, row, strict=True):
        if cell:
            pairs.append(f"{name}: {cell}" if name and name != cell else cell)
    return "; ".join(pairs)


def _numeric(row: tuple[str, ...]) -> bool:
    """Whether some cell is mostly digits: a data row rather than a header (years excepted)."""
    for cell in row:
        digits = sum(c.isdigit() for c in cell)
        letters = sum(c.isalpha() for c in cell)
        if digits > letters and not re.fullmatch(r"(?:19|20)\d\d", cell):
            return True
    return False


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
    for match in _BOUNDARY.finditer(passage, start, end):
        if _goes_on(passage, match.end()) or _is_abbreviation(passage, at, match.start()):
            continue
        found.extend(_pieces(passage, at, match.end(), "sentence"))
        at = match.end()
    if at < end:
        found.extend(_pieces(passage, at, end, "sentence"))
    return found


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
