"""Words per format against the expected text, Ragloom beside other tools: the table `formats`."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from app.documents.errors import DocumentError
from app.documents.extract import extract
from app.documents.model import ExtractedDocument
from benchmarks.accuracy import f1, order_f1, word_f1, words
from benchmarks.other_tools import TOOLS, Answers

DATA = Path(os.environ.get("RAGLOOM_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))

#: The tool whose own output is the expected text of a corpus: nothing is measured by it there.
_OWN = {"docling-docs": "docling", "markitdown-docs": "markitdown"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of a corpus and the text that it holds."""

    corpus: str
    format: str
    path: Path
    true: str


def read(path: Path) -> ExtractedDocument | None:
    """Return a file's text; None where it is refused.

    Pictures are not read: the expected text does not hold what is in them.
    """
    try:
        return extract(path)
    except DocumentError:
        return None


def samples() -> Iterator[Sample]:
    """Return the files whose text is known, of the corpora that are there."""
    folder = DATA / "docling-docs"
    for answer in sorted(folder.glob("*/*.expected.md")):
        path = answer.with_name(answer.name.removesuffix(".expected.md"))
        yield Sample(folder.name, path.parent.name, path, answer.read_text())
    folder = DATA / "markitdown-docs"
    for answer in sorted(folder.glob("expected_outputs/*.md")):
        path = folder / f"{answer.stem}.pdf"
        if text := answer.read_text().strip():  # that of the scan is empty on purpose
            yield Sample(folder.name, "pdf", path, text)
    folder = DATA / "same-text-14-formats"
    for path in sorted(folder.glob("eng_spa_mult.*")):
        truth = path.with_suffix(".txt").read_text()
        yield Sample(folder.name, path.suffix[1:], path, truth)


def formats(verbose: bool) -> None:
    """Words, and words in order, per format against the expected text: F1, mean over the files."""
    known = list(samples())
    others = {
        name: tool.read(s.path for s in known if _OWN.get(s.corpus) != name)
        for name, tool in TOOLS.items()
    }
    rows: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in known:
        rows[sample.corpus, sample.format].append(sample)
    header = ["corpus", "format", "files", "Ragloom", "in order", "true words found"]
    for name in others:
        header += [name, "in order"]
    print(_row(header))
    print("|" + "---|" * len(header))
    for (corpus, kind), files in sorted(rows.items()):
        texts = {s.path: document.text for s in files if (document := read(s.path))}
        cells = [corpus, kind, str(len(files)), *_scores(files, texts)]
        cells.append(_percent(mean(_found(texts.get(s.path, ""), s.true) for s in files)))
        for name, answers in others.items():
            cells += _beside(name, corpus, files, answers)
        print(_row(cells), flush=True)
        if verbose:
            for sample in files:
                score = _percent(word_f1(texts.get(sample.path, ""), sample.true))
                print(f"    {score:>8}  {sample.path.name}")
    _notes(others)


def _beside(
    name: str, corpus: str, files: Sequence[Sample], answers: Answers | None
) -> tuple[str, str]:
    if _OWN.get(corpus) == name:
        return "own output", ""
    if answers is None:
        return "–", "–"
    return _scores(files, answers.texts)


def _scores(files: Sequence[Sample], texts: dict[Path, str]) -> tuple[str, str]:
    """F1 of the words and of their order; a file that was not read counts as empty."""
    if not any(sample.path in texts for sample in files):
        return "not read", ""
    pairs = [(texts.get(sample.path, ""), sample.true) for sample in files]
    return (
        _percent(mean(word_f1(found, true) for found, true in pairs)),
        _percent(mean(order_f1(found, true) for found, true in pairs)),
    )


def _found(text: str, true: str) -> float:
    return f1(Counter(words(text)), Counter(words(true)))[1]


def _notes(others: dict[str, Answers | None]) -> None:
    """Why other tools are missing, and what they did not read."""
    for corpus, name in _OWN.items():
        print(f"{corpus}: the expected text is what {name} itself made of the files.")
    for name, answers in others.items():
        if answers is None:
            print(f"{name} is left out: {TOOLS[name].variable} names no Python that has it.")
            continue
        reasons: dict[str, list[str]] = defaultdict(list)
        for path, error in answers.errors.items():
            reason = " ".join(error.replace(path.name, "…").split())
            reasons[reason if len(reason) <= 200 else f"{reason[:199]}…"].append(path.name)
        for reason, names in reasons.items():
            print(f"{name} did not read {', '.join(names)}: {reason}")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
