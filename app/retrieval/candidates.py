"""What an extractive answer can be made of: quotable spans of passages, and how to read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.retrieval.lexical import terms
from app.retrieval.sentences import MAX_UNIT, Unit, units
from app.retrieval.words import word_set

#: Lines of forms and receipts: shorter than this and without a full stop.
_SHORT_LINE = 90
_SHORT_WORDS = 14
#: How many of them are read together.
_WINDOW = 3
_ENDS = re.compile(r"[.!?。！？…][\"'”’»)\]]*$")
_WORD = re.compile(r"\w+")
#: Words that stand for what was named before.
_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|this|these|those|both)\b", re.IGNORECASE
)
_SECTION = re.compile(r"^\s*\d+(?:\.\d+)*\.?\s+")
_EMPTY = word_set("""a an and are as at by for from in is of on or the to was were with s""")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the answerer sees it."""

    text: str
    headings: tuple[str, ...] = ()
    title: str = ""
    #: Relevance to the question, 0..1, where a cross-encoder has judged the whole already.
    relevance: float | None = None

    @property
    def heading(self) -> str:
        """The innermost headings, for reading."""
        return ": ".join(self.headings[-2:])

    @property
    def reading(self) -> str:
        """The passage under its headings."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quotable span of a passage: ``passage.text[start:end] == quote``."""

    passage: int
    start: int
    end: int
    quote: str
    #: As a person reads it, alone.
    text: str
    heading: str = ""
    #: The sentence before it, and where that begins.
    before: str = ""
    before_start: int = -1
    #: A row of a table or a line of a form.
    tabular: bool = False
    #: Words without the marks of a sentence: a title, a menu, a cut-off line.
    rough: bool = False

    @property
    def under_heading(self) -> str:
        """The text after its heading."""
        return f"{self.heading}. {self.text}" if self.heading else self.text

    @property
    def in_context(self) -> str:
        """The text after the sentence before it."""
        return f"{self.before} {self.text}" if self.before else self.text

    @property
    def loose(self) -> bool:
        """A row, an item or a line of its own: what stands above may be about something else."""
        return self.tabular or not (_ENDS.search(self.quote) or len(self.quote) >= _SHORT_LINE)

    @property
    def points_back(self) -> bool:
        """Whether it may need the sentence before it to be understood: “it has two sections”."""
        return self.before_start >= 0 and bool(_POINTER.search(self.text))

    @property
    def full_text(self) -> str:
        """Everything it is read with."""
        return f"{self.heading} {self.before} {self.text}"

    def adds_to(self, words: set[str]) -> bool:
        """Whether it says anything beyond `words` (of a question): headings often do not."""
        own = _WORD.findall(_SECTION.sub("", self.text).lower())
        return any(word not in words and word not in _EMPTY for word in own)


def propose(passages: Sequence[Passage]) -> list[Candidate]:
    """Candidates of all passages, passage by passage in reading order."""
    return [c for index, passage in enumerate(passages) for c in _of_passage(index, passage)]


def _of_passage(index: int, passage: Passage) -> Iterator[Candidate]:
    found = units(passage.text)
    heading, before, lead = passage.heading, "", ""
    before_start = -1
    for unit in found:
        text = unit.readable
        if unit.kind == "heading":
            heading, before, lead, before_start = text, "", "", -1
            continue
        if unit.kind != "item":
            lead = text if text.endswith(":") else ""
        if unit.kind == "row" or len(terms(text)) >= 2:
            under = ": ".join(filter(None, (heading, unit.section)))
            made = _candidate(index, unit, text, under, lead if unit.kind == "item" else before)
            follows = (
                unit.kind == "sentence"
                and bool(_ENDS.search(before))
                and unit.end - before_start <= MAX_UNIT
            )
            yield replace(made, before_start=before_start) if follows else made
        # Rows follow what stands above their table; items follow what introduces their list.
        if unit.kind != "row" and not (unit.kind == "item" and lead):
            before, before_start = text, unit.start
    yield from _lists(index, passage, found)
    yield from _lines(index, passage, found)


def _candidate(index: int, unit: Unit, text: str, heading: str, before: str) -> Candidate:
    return Candidate(
        passage=index,
        start=unit.start,
        end=unit.end,
        quote=unit.text,
        text=text,
        heading=heading,
        before=before,
        tabular=unit.kind == "row",
        rough=unit.kind == "sentence" and _is_rough(unit.text),
    )


def _lists(index: int, passage: Passage, found: Sequence[Unit]) -> Iterator[Candidate]:
    """Each list, or table, together with the sentence that introduces it."""
    for at, unit in enumerate(found):
        if unit.kind in ("item", "row") or not unit.readable.endswith(":"):
            continue
        last = at
        while (
            last + 1 < len(found)
            and found[last + 1].kind in ("item", "row")
            and found[last + 1].end - unit.start <= MAX_UNIT
        ):
            last += 1
        if last > at:
            items = "; ".join(u.readable.rstrip(".;,") for u in found[at + 1 : last + 1])
            yield _span(index, passage, unit, found[last], f"{unit.readable} {items}")


def _lines(index: int, passage: Passage, found: Sequence[Unit]) -> Iterator[Candidate]:
    """Short lines in a row, a few at a time: the label on one, the value on the next."""
    run: list[Unit] = []
    for unit in [*found, None]:
        if unit is not None and _is_line(unit) and (not run or _adjacent(passage, run[-1], unit)):
            run.append(unit)
            continue
        for start in range(0, max(0, len(run) - 1), _WINDOW - 1):
            window = run[start : start + _WINDOW]
            # A label at the end belongs to the lines that follow.
            if window[-1].text.endswith(":"):
                window.pop()
            if len(window) > 1:
                text = "; ".join(u.readable.rstrip(";,") for u in window).replace(":; ", ": ")
                yield _span(index, passage, window[0], window[-1], text)
        run = [unit] if unit is not None and _is_line(unit) else []


def _is_rough(text: str) -> bool:
    if _ENDS.search(text):
        return False
    # What it promises comes after it.
    if text.endswith(":"):
        return True
    return len(text.split()) > _SHORT_WORDS or not re.search(r"[\d:=]", text)


def _is_line(unit: Unit) -> bool:
    return unit.kind == "sentence" and len(unit.text) < _SHORT_LINE and not _ENDS.search(unit.text)


def _adjacent(passage: Passage, a: Unit, b: Unit) -> bool:
    return not passage.text[a.end : b.start].strip()


def _span(index: int, passage: Passage, first: Unit, last: Unit, text: str) -> Candidate:
    return Candidate(
        passage=index,
        start=first.start,
        end=last.end,
        quote=passage.text[first.start : last.end],
        text=text,
        heading=passage.heading,
        tabular=True,
    )
