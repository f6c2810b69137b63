"""How well documents are read, beside other tools: `python -m benchmarks.documents [part…]`.

Parts: `formats` (words against the expected Markdown of docling's and MarkItDown's own tests),
`tables` (cells of the ICDAR 2013 competition's tables), `book` (a book of 117 pages against its
text), `same_text` (one text in 14 formats). All of them unless some are named; `-v` shows each file.

The files lie in `../shared/data` or where `RAGLOOM_BENCH_DATA` says; parts without theirs say so.
MarkItDown runs in a virtual environment of its own (`pip install "markitdown[all]"`), whose
Python `RAGLOOM_BENCH_MARKITDOWN` names; its column stays empty without one. Docling has no column:
the expected Markdown of its tests is its own output, and for PDFs it downloads its models.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.extract.options import ExtractOptions
from app.documents.model import Block, ExtractedDocument
from benchmarks.accuracy import (
    Cell,
    Relation,
    f1,
    flowing,
    grid,
    order_f1,
    relations,
    similarity,
    word_f1,
    words,
)

DATA = Path(os.environ.get("RAGLOOM_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
MARKITDOWN = os.environ.get("RAGLOOM_BENCH_MARKITDOWN", "")

_MARKITDOWN_PROGRAM = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from markitdown import MarkItDown
tool = MarkItDown()
for name in sys.argv[1:]:
    try:
        text = tool.convert(name).text_content
    except Exception as error:
        text = None
    print(json.dumps([name, text]), flush=True)
"""


def read(path: Path) -> ExtractedDocument | None:
    """Return a file's text, that of an image too; None where it is refused.

    Pictures in PDFs are not read: the expected text does not hold what is in them.
    """
    ocr = "off" if path.suffix == ".pdf" else "auto"
    try:
        return extract(path, options=ExtractOptions(ocr=ocr))
    except DocumentError:
        return None


def markitdown(paths: Iterable[Path]) -> dict[Path, str]:
    """Return what MarkItDown makes of the files, none where it is not at hand."""
    if not MARKITDOWN:
        return {}
    done = subprocess.run(
        [MARKITDOWN, "-c", _MARKITDOWN_PROGRAM, *map(str, paths)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    answers = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    return {Path(name): text or "" for name, text in answers}


def formats(verbose: bool) -> None:
    """Words, and words in order, per format against the expected Markdown."""
    expected = dict(_expected())
    others = markitdown(expected)
    scores: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for path, true in expected.items():
        document = read(path)
        ours = document.text if document else ""
        row = [word_f1(ours, true), order_f1(ours, true)]
        other = others.get(path)
        row += [word_f1(other, true), order_f1(other, true)] if other is not None else [0.0, 0.0]
        tests = "docling" if path.is_relative_to(DATA / "docling-docs") else "markitdown"
        kind = path.suffix[1:] if tests == "markitdown" else path.parent.name
        scores[tests, kind].append(tuple(row))
        if verbose:
            note = "" if document else "  (not read)"
            print("  " + "  ".join(map(_percent, row)) + f"  {path.name}{note}")
    print(f"{'tests of':<11}{'format':<13}{'files':>5}  {'ours':^16}  {'markitdown':^16}")
    print(f"{'':<29}  {'words':>7}{'in order':>9}  {'words':>7}{'in order':>9}")
    for (tests, kind), rows in sorted(scores.items()):
        ours_w, ours_o, other_w, other_o = (mean(column) for column in zip(*rows, strict=True))
        theirs = f"{_percent(other_w):>7}{_percent(other_o):>9}" if others else f"{'–':>7}{'–':>9}"
        print(
            f"{tests:<11}{kind:<13}{len(rows):>5}  "
            f"{_percent(ours_w):>7}{_percent(ours_o):>9}  {theirs}"
        )


def _expected() -> Iterator[tuple[Path, str]]:
    for answer in sorted((DATA / "docling-docs").glob("*/*.expected.md")):
        yield answer.with_name(answer.name.removesuffix(".expected.md")), answer.read_text()
    for answer in sorted((DATA / "markitdown-docs/expected_outputs").glob("*.md")):
        for path in sorted((DATA / "markitdown-docs").glob(f"{answer.stem}.pdf")):
            if text := answer.read_text().strip():  # that of the scan is empty on purpose
                yield path, text


def tables(verbose: bool) -> None:
    """Adjacency relations of cells, over all tables of a document."""
    found: dict[str, list[tuple[Counter[Relation], Counter[Relation]]]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    readers: dict[str, Callable[[Path], Iterable[list[Cell]]]] = {
        "ours": our_tables,
        "pdfplumber": _pdfplumber_tables,
    }
    for path in sorted((DATA / "icdar2013-tables-us").glob("*.pdf")):
        true = _together(true_tables(path.with_name(f"{path.stem}-str.xml")))
        shares = []
        for name, reader in readers.items():
            started = time.process_time()
            relation = _together(reader(path))
            seconds[name] += time.process_time() - started
            found[name].append((relation, true))
            shares.append(f1(relation, true)[2])
        if verbose:
            print("  " + "  ".join(map(_percent, shares)) + f"  {path.name} ({true.total()})")
    print(f"{'':<12}{'precision':>10}{'recall':>8}{'F1':>8}{'F1 by document':>16}{'CPU s':>8}")
    for name, pairs in found.items():
        total = sum((b for _, b in pairs), Counter()).total()
        both = sum((a & b).total() for a, b in pairs)
        guessed = sum(a.total() for a, _ in pairs)
        precision, recall = both / max(1, guessed), both / total
        print(
            f"{name:<12}{_percent(precision):>10}{_percent(recall):>8}"
            f"{_percent(2 * both / (guessed + total)):>8}"
            f"{_percent(mean(f1(a, b)[2] for a, b in pairs)):>16}{seconds[name]:>8.1f}"
        )


def _together(tables: Iterable[list[Cell]]) -> Counter[Relation]:
    return sum((relations(cells) for cells in tables), Counter())


def true_tables(path: Path) -> Iterator[list[Cell]]:
    """Return the tables of a ground truth of the competition."""
    for table in ElementTree.parse(path).getroot().iter("table"):
        cells: list[Cell] = []
        top = 0
        for region in table.iter("region"):  # those of one table follow each other
            last = 0
            for cell in region.iter("cell"):
                y0, x0 = int(cell.get("start-row", 0)), int(cell.get("start-col", 0))
                y1, x1 = int(cell.get("end-row", y0)), int(cell.get("end-col", x0))
                text = cell.findtext("content") or ""
                cells.append((text, y0 + top, y1 + top, x0, x1))
                last = max(last, y1 + 1)
            top += last
        yield cells


def our_tables(path: Path) -> Iterator[list[Cell]]:
    """Return the tables found in a file."""
    document = read(path)
    for block in document.blocks if document else ():
        if block.kind == "table":
            yield grid(block.cells, _parts(block))


def _parts(block: Block) -> set[tuple[int, int]]:
    """Places of a table that a cell reaches into: they repeat its text.

    Not told apart from equal cells side by side; those of figures and of few letters are equal.
    """
    rows = block.cells

    def repeats(r: int, c: int, text: str) -> bool:
        if len(text) < 6 or any(character.isdigit() for character in text):
            return False
        return (c > 0 and rows[r][c - 1] == text) or (r > 0 and rows[r - 1][c] == text)

    return {
        (r, c) for r, row in enumerate(rows) for c, text in enumerate(row) if repeats(r, c, text)
    }


def _pdfplumber_tables(path: Path) -> Iterator[list[Cell]]:
    import pdfplumber

    with pdfplumber.open(path) as document:
        for page in document.pages:
            for rows in page.extract_tables():
                yield grid(rows)


def book(verbose: bool) -> None:
    """Similarity of a book's text, as py-pdf/benchmarks: Levenshtein's ratio."""
    import pypdfium2
    from pypdf import PdfReader

    folder = DATA / "py-pdf-samples/009-pdflatex-geotopo"
    path = folder / "GeoTopo-komprimiert.pdf"
    true = flowing((folder / "GeoTopo-book.expected.txt").read_text().replace("[IMAGE]", ""))

    def pdfium() -> str:
        with pypdfium2.PdfDocument(path) as document:
            return "\n".join(page.get_textpage().get_text_range() for page in document)

    print("On text with single spaces, in which words cut at line ends are whole:")
    for name, reader in {
        "ours": lambda: extract(path).text,
        "pypdfium2": pdfium,
        "pypdf": lambda: "\n".join(page.extract_text() for page in PdfReader(path).pages),
    }.items():
        started = time.process_time()
        text = reader()
        took = time.process_time() - started
        print(
            f"{name:<12}{_percent(similarity(flowing(text), true)):>8} {117 / took:>8.0f} pages/s"
        )


def same_text(verbose: bool) -> None:
    """Share of the true words that each format gives."""
    folder = DATA / "same-text-14-formats"
    true = Counter(words((folder / "eng_spa_mult.txt").read_text()))
    paths = sorted(folder.glob("eng_spa_mult.*"))
    others = markitdown(paths)
    for path in paths:
        document = read(path)
        ours = _kept(document.text, true) if document else "not read"
        theirs = _kept(others[path], true) if others.get(path) else "–"
        print(f"{path.suffix[1:]:<8}{ours:>9}   markitdown {theirs:>8}")


def _kept(text: str, true: Counter[str]) -> str:
    return _percent(f1(Counter(words(text)), true)[1])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


PARTS: dict[str, tuple[Callable[[bool], None], str]] = {
    "formats": (formats, "docling-docs"),
    "tables": (tables, "icdar2013-tables-us"),
    "book": (book, "py-pdf-samples"),
    "same_text": (same_text, "same-text-14-formats"),
}


def main() -> int:
    """Measure the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="what to measure")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # pypdf tells of every font
    for name in arguments.part or PARTS:
        measure, folder = PARTS[name]
        print(f"-- {name}: {(measure.__doc__ or '').splitlines()[0]}")
        if not (DATA / folder).is_dir():
            print(f"   left out: {DATA / folder} is not there")
            continue
        measure(arguments.verbose)
    return 0


if __name__ == "__main__":
    sys.exit(main())
