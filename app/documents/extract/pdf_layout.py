"""From the lines of PDF pages to headings, paragraphs, lists and tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.documents.extract.pdf_lines import Line, PageLines, has_wide_gap, pitched

#: Type this much larger than the text's is a heading's.
HEADING_RATIO = 1.12
#: A longer line is text, however large.
MAX_HEADING_CHARS = 160
#: Share of the page's height at top and bottom in which repeated lines are running heads.
MARGIN = 0.09

#: Lines of a face whose letters are measured at most.
_LINES_OF_A_FACE = 40
_MONOSPACED = re.compile(
    r"courier|mono|consol|menlo|typewriter|(?:^|\+)(?:cmtt|sftt|lmmono)", re.IGNORECASE
)
_COUNTS = re.compile(r"\d+|(?<![^\W\d_])[ivxlc]{1,7}$")
SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
_PAGE_NUMBER = re.compile(r"^[-–—\s]*(?:\d{1,4}|[ivxlc]{1,7})[-–—\s]*$")
NUMBERED = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[IVX]+\.|[A-Z]\.)\s+\S")


@dataclass(slots=True)
class TableArea:
    """A table found on a page: where (points from the top left) and its rows."""

    x0: float
    y0: float
    x1: float
    y1: float
    rows: list[list[str]]

    def holds(self, line: Line) -> bool:
        """Whether the middle of a line lies in the table."""
        x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
        return self.x0 - 2 <= x <= self.x1 + 2 and self.y0 - 2 <= y <= self.y1 + 2


@dataclass(slots=True)
class Layout:
    """What holds for the whole document."""

    body_size: float
    #: Larger type sizes, largest first: the levels of headings.
    heading_sizes: list[float]
    #: page number -> {normalised title: level} of the document's outline
    outline: dict[int, dict[str, int]] = field(default_factory=dict)
    #: Running heads and feet, normalised.
    running: frozenset[str] = frozenset()
    #: Typewriters' faces, which mark program text; none where most of the text is set in them.
    code_faces: frozenset[str] = frozenset()

    def is_furniture(self, line: Line) -> bool:
        """Whether a line in the margin is a running head or a page number."""
        return _running_key(line) in self.running or _PAGE_NUMBER.match(line.text) is not None

    def heading_level(self, line: Line, page: int, *, alone: bool) -> int | None:
        """Return the level of the heading that `line` is; `alone`: a paragraph of its own."""
        if len(line.text) > MAX_HEADING_CHARS or not any(c.isalpha() for c in line.text):
            return None
        level = self.outline.get(page, {}).get(normalised(line.text))
        if level is not None:
            return level
        if line.wide and not _is_numbered_title(line):
            return None
        if line.size >= self.body_size * HEADING_RATIO and not SENTENCE_END.search(line.text):
            for i, size in enumerate(self.heading_sizes):
                if line.size >= size * 0.97:
                    return min(i + 1, 6)
        short = len(line.text) <= 90 and not line.text.endswith((".", ",", ";", ":"))
        if alone and line.bold and short:
            return min(len(self.heading_sizes) + 1, 6)
        return None


def _is_numbered_title(line: Line) -> bool:
    """Whether the only wide gap of a line is that after the number of a title."""
    _, *rest = line.words
    return NUMBERED.match(line.text) is not None and not has_wide_gap(rest, line.size)


def normalised(text: str) -> str:
    """Return the letters of a title, for comparing an outline with the page."""
    return "".join(c for c in text.casefold() if c.isalnum()).lstrip("0123456789")


def study(pages: Sequence[PageLines], outline: dict[int, dict[str, int]]) -> Layout:
    """Find the size of the running text, those of headings, and the running heads."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    body = _body_size(sizes)
    large = sorted((s for s in sizes if s >= body * HEADING_RATIO), reverse=True)
    distinct: list[float] = []
    for size in large:
        if not distinct or size < distinct[-1] * 0.93:
            distinct.append(size)
    return Layout(body, distinct[:6], outline, _running_lines(pages), _code_faces(pages))


def _body_size(sizes: Counter[float]) -> float:
    """The commonest size, or a larger one where most of the text is larger (forms, small print)."""
    if not sizes:
        return 10.0
    common = sizes.most_common(1)[0][0]
    larger = {s: n for s, n in sizes.items() if s >= common * HEADING_RATIO}
    if sum(larger.values()) > 0.5 * sizes.total():
        return max(larger, key=lambda s: larger[s])
    return common


def _code_faces(pages: Sequence[PageLines]) -> frozenset[str]:
    """Find typewriters' faces: by their names, or because the letters of their lines are as wide."""
    chars: Counter[str] = Counter()
    told: dict[str, dict[str, bool]] = defaultdict(dict)
    for page in pages:
        for line in page.lines:
            if not line.face:
                continue
            chars[line.face] += len(line.text)
            seen = told[line.face]
            if len(seen) < _LINES_OF_A_FACE and (even := pitched(line.words)) is not None:
                seen[line.text] = even
    faces = {
        face
        for face, seen in told.items()
        if _MONOSPACED.search(face) or (len(seen) > 2 and sum(seen.values()) > 0.8 * len(seen))
    }
    if sum(chars[face] for face in faces) > 0.5 * chars.total():
        return frozenset()
    return frozenset(faces)


def _running_lines(pages: Sequence[PageLines]) -> frozenset[str]:
    """Lines that stand in the margin of many pages, page numbers aside."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_running_key(line) for line in page.lines if in_margin(line, page)})
    least = max(3, len(pages) * 0.2)
    return frozenset(key for key, count in seen.items() if count >= least)


def in_margin(line: Line, page: PageLines) -> bool:
    """Whether a line stands at the very top or bottom of its page."""
    return line.y1 < page.height * MARGIN or line.y0 > page.height * (1 - MARGIN)


def _running_key(line: Line) -> str:
    return _COUNTS.sub("#", line.text.casefold())
