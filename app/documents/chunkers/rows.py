"""Chunks of table rows, and of questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.documents.chunkers.packed import pack
from app.documents.chunkers.units import Unit, block_units, split_words, units
from app.documents.tokens import Span

if TYPE_CHECKING:
    from app.documents.chunk import ChunkInput, Cut

#: Block -> its columns of questions and of answers.
Columns = dict[int, tuple[int, int]]

_RULE = re.compile(r"[\s|:+=-]+")
_QUESTION = re.compile(
    r"\W{0,4}(?:q(?:uestion|n)?|frage|pregunta|domanda|问|問)\W{0,2}\d{0,4}\W{0,2}[:.：)]\W{0,4}\w",
    re.I,
)
_ANSWER = re.compile(
    r"\W{0,4}(?:a(?:ns(?:wer)?)?|antwort|réponse|respuesta|risposta|答)\W{0,2}\d{0,4}\W{0,2}[:.：)]",
    re.I,
)
_ASKS = ("?", "？", "؟")
#: Headers of tables whose rows ask and answer.
_ASKING = re.compile(
    r"\W*(?:q|questions?|faq|frage|pregunta|question asked|problem|问题|質問)\W*", re.I
)
_ANSWERING = re.compile(
    r"\W*(?:a|answers?|responses?|reply|solution|antwort|réponse|respuesta|答案|回答)\W*", re.I
)


def table_rows(source: ChunkInput) -> Iterator[Span]:
    """Yield one chunk for each row of a table; everything else is cut as by "recursive".

    The header is part of the first row's chunk, and is put in front of the others' when they are
    embedded.
    """
    held: list[Unit] = []
    for index, block in enumerate(source.blocks):
        if block.kind != "table":
            held += block_units(source, index, whole_blocks=True)
            continue
        yield from pack(source, held)
        held = []
        for start, end in rows_of(source, index):
            yield from split_words(
                source.text, source.tokens, (start, end), source.config.chunk_size
            )
    yield from pack(source, held)


def rows_of(source: ChunkInput, index: int) -> list[Span]:
    """Return the spans of a table's rows, in order; the header goes with the first of them."""
    block, at = source.blocks[index], source.starts[index]
    lines: list[Span] = []
    for line in block.text.split("\n"):
        if line.strip():
            lines.append((at, at + len(line)))
        at += len(line) + 1
    head = 0
    if len(lines) > 1 and _RULE.fullmatch(source.text[lines[1][0] : lines[1][1]]):
        head = 2
    elif len(lines) > 1:
        head = 1
    if not lines or len(lines) == head:
        return [(lines[0][0], lines[-1][1])] if lines else []
    return [(lines[0][0], lines[head][1]), *lines[head + 1 :]]


def question_answer(source: ChunkInput) -> Iterator[Span | Cut]:
    """Yield one chunk for each question with its answer; what is neither is cut as "recursive".

    Questions are headings that end with a question mark, lines that begin with “Q:” or
    “Question 3.”, and rows of tables with a column of questions and one of answers. An answer
    that does not fit is cut; the question is embedded with each part, and is in
    `metadata["question"]`.
    """
    columns = {
        index: found
        for index, block in enumerate(source.blocks)
        if block.kind == "table" and (found := _columns(source, index)) is not None
    }
    parts = units(source, whole_blocks=True)
    for group, question in _pairs(source, _lines_apart(source, parts, columns), columns):
        if question is None:
            yield from pack(source, group)
        else:
            yield from _asked(source, group, question)


def _asked(source: ChunkInput, group: list[Unit], question: str) -> Iterator[Cut]:
    from app.documents.chunk import Cut

    start, end = group[0].start, group[-1].end
    first = True
    whole = source.tokens.count(start, end) <= source.config.chunk_size
    for a, b in [(start, end)] if whole else pack(source, group):
        yield Cut(a, b, {"question": question}, "" if first else question)
        first = False


def _pairs(
    source: ChunkInput, parts: list[Unit], columns: Columns
) -> Iterator[tuple[list[Unit], str | None]]:
    """Groups of units with the question they answer, None where they answer none."""
    held: list[Unit] = []
    question: str | None = None
    level = 0
    for unit in parts:
        block = source.blocks[unit.block]
        text = source.text[unit.start : unit.end]
        begins, ends = _asks(source, unit, text), False
        if unit.heading and question is not None:
            # The answer to a heading goes on below smaller headings; any heading ends a “Q:”.
            ends = level == 0 or (block.level or 1) <= level
        row = _row_question(source, unit, columns.get(unit.block))
        if (begins or ends or row is not None) and held:
            yield held, question
            held, question = [], None
        if row is not None:
            yield [unit], row
            continue
        if begins:
            question = _clean(text)
            level = (block.level or 1) if unit.heading else 0
        held.append(unit)
    if held:
        yield held, question


def _asks(source: ChunkInput, unit: Unit, text: str) -> bool:
    first = text.lstrip().split("\n", 1)[0]
    if _QUESTION.match(first) and not _ANSWER.match(first):
        return True
    return unit.heading and first.rstrip(" *_#").endswith(_ASKS)


def _clean(text: str) -> str:
    first = text.strip().split("\n", 1)[0]
    label = re.match(r"\W*\w{1,10}\W{0,2}\d{0,4}\W{0,2}[:.：)]\s*", first)
    if _QUESTION.match(first) and label:
        first = first[label.end() :]
    return first.strip(" *_#\t")[:500]


def _lines_apart(source: ChunkInput, parts: list[Unit], columns: Columns) -> list[Unit]:
    """Units with each row of a table of answers, and each “Q:” of a paragraph, on its own."""
    found: list[Unit] = []
    done = -1
    for unit in parts:
        block = source.blocks[unit.block]
        if unit.block in columns:
            if unit.block != done:
                done = unit.block
                found += (
                    Unit(a, b, source.tokens.count(a, b), unit.block, False, True)
                    for row in rows_of(source, unit.block)
                    for a, b in split_words(
                        source.text, source.tokens, row, source.config.chunk_size
                    )
                )
        elif block.kind in ("paragraph", "list"):
            found += _questions_apart(source, unit)
        else:
            found.append(unit)
    return found


def _questions_apart(source: ChunkInput, unit: Unit) -> Iterator[Unit]:
    """A paragraph of several “Q: … A: …” is several units."""
    text = source.text[unit.start : unit.end]
    cuts, at = [0], 0
    for line in text.split("\n"):
        if at and _QUESTION.match(line) and not _ANSWER.match(line):
            cuts.append(at)
        at += len(line) + 1
    for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True):
        trimmed = text[a:b].rstrip()
        if trimmed:
            start, end = unit.start + a, unit.start + a + len(trimmed)
            yield Unit(start, end, source.tokens.count(start, end), unit.block)


def _columns(source: ChunkInput, index: int) -> tuple[int, int] | None:
    """Columns of questions and answers, by the header, or by question marks in the first of two."""
    rows = _cells(source, index)
    if len(rows) < 2:
        return None
    asking = [i for i, cell in enumerate(rows[0]) if _ASKING.fullmatch(cell)]
    answering = [i for i, cell in enumerate(rows[0]) if _ANSWERING.fullmatch(cell)]
    if asking and answering:
        return asking[0], answering[0]
    body = [row for row in rows[1:] if row]
    asks = sum(row[0].rstrip().endswith(_ASKS) for row in body)
    return (0, 1) if len(rows[0]) == 2 and asks > len(body) / 2 else None


def _cells(source: ChunkInput, index: int) -> list[list[str]]:
    lines = [line for line in source.blocks[index].text.split("\n") if line.strip()]
    return [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if not _RULE.fullmatch(line)
    ]


def _row_question(source: ChunkInput, unit: Unit, columns: tuple[int, int] | None) -> str | None:
    if columns is None:
        return None
    last = source.text[unit.start : unit.end].rsplit("\n", 1)[-1]
    cells = [cell.strip() for cell in last.strip().strip("|").split("|")]
    return cells[columns[0]][:500] if len(cells) > columns[0] else ""
