"""How well documents are read, beside other tools: `python -m benchmarks.documents [part…]`.

Parts: `formats` (words against the expected Markdown of docling's and MarkItDown's own tests, and
one text in 14 formats), `tables` (cells of the ICDAR 2013 competition's tables), `book` (a book of
117 pages against its text). All of them unless some are named; `-v` shows each file.

The files lie in `../shared/data` or where `RAGLOOM_BENCH_DATA` says; parts without theirs say so.
MarkItDown and docling run where an environment has them: see `benchmarks.other_tools`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

from app.documents.extract import extract
from app.documents.model import Block
from benchmarks.accuracy import Cell, Relation, f1, flowing, grid, relations, similarity
from benchmarks.formats import DATA, formats, read


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


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


PARTS: dict[str, tuple[Callable[[bool], None], str]] = {
    "formats": (formats, "."),
    "tables": (tables, "icdar2013-tables-us"),
    "book": (book, "py-pdf-samples"),
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
