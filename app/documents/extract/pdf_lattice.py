"""Ruled tables: lines across and down that cross make cells; where one is missing, cells are one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.documents.extract.builder import Across
from app.documents.extract.pdf_cells import says_something
from app.documents.extract.pdf_drawn import Drawn
from app.documents.extract.pdf_layout import TableArea
from app.documents.extract.pdf_lines import Line, Word

#: Points that ends of lines may miss each other by, and lines this near are one (double rules).
NEAR = 3.0
#: Share of a cell's side that a line covers at least to bound it.
_COVERS = 0.6
#: Characters of a note at the foot of a table at least.
_NOTE = 100
#: Share of words that lines may run through.
_MAX_CUT = 0.03
#: Places of a table (columns times rows) that are looked at.
_MAX_PLACES = 20_000


#: Row and column of a place between lines.
Spot = tuple[int, int]


@dataclass(slots=True)
class _Lattice:
    """Lines that hang together: (where, from, to)."""

    across: list[tuple[float, float, float]] = field(default_factory=list)
    down: list[tuple[float, float, float]] = field(default_factory=list)


def find_ruled(lines: Sequence[Line], drawn: Drawn) -> list[TableArea]:
    """Return the tables of a page that are ruled both ways."""
    if not drawn.has_grid:
        return []
    areas = []
    for lattice in _lattices(drawn):
        area = _table(lattice, lines)
        if area is not None:
            areas.append(area)
    return areas


def _lattices(drawn: Drawn) -> list[_Lattice]:
    across = _strokes([((r[1] + r[3]) / 2, r[0], r[2]) for r in drawn.across])
    down = _strokes([((r[0] + r[2]) / 2, r[1], r[3]) for r in drawn.down])
    parent = list(range(len(across) + len(down)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, (y, x0, x1) in enumerate(across):
        for j, (x, y0, y1) in enumerate(down, len(across)):
            if x0 - NEAR <= x <= x1 + NEAR and y0 - NEAR <= y <= y1 + NEAR:
                parent[root(i)] = root(j)
    found: dict[int, _Lattice] = defaultdict(_Lattice)
    for i, stroke in enumerate(across):
        found[root(i)].across.append(stroke)
    for j, stroke in enumerate(down, len(across)):
        found[root(j)].down.append(stroke)
    return [f for f in found.values() if len(f.across) >= 2 and len(f.down) >= 1]


def _strokes(pieces: Iterable[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Put pieces of one line together: (where, from, to)."""
    rows: list[tuple[float, list[tuple[float, float]]]] = []
    for where, start, end in sorted(pieces):
        if rows and where - rows[-1][0] <= NEAR:
            rows[-1][1].append((start, end))
        else:
            rows.append((where, [(start, end)]))
    strokes = []
    for where, spans in rows:
        spans.sort()
        start, end = spans[0]
        for a, b in spans[1:]:
            if a <= end + NEAR:
                end = max(end, b)
            else:
                strokes.append((where, start, end))
                start, end = a, b
        strokes.append((where, start, end))
    return strokes


def _table(lattice: _Lattice, lines: Sequence[Line]) -> TableArea | None:
    left = min(x0 for _, x0, _ in lattice.across)
    right = max(x1 for _, _, x1 in lattice.across)
    top = min([y for y, _, _ in lattice.across] + [y0 for _, y0, _ in lattice.down])
    bottom = max([y for y, _, _ in lattice.across] + [y1 for _, _, y1 in lattice.down])
    xs = _places([x for x, _, _ in lattice.down] + [left, right])
    ys = _places([y for y, _, _ in lattice.across] + [top, bottom])
    width, height = len(xs) - 1, len(ys) - 1
    if width < 2 or height < 2 or width * height > _MAX_PLACES:
        return None
    inside = [
        line for line in lines
        if left - NEAR <= (line.x0 + line.x1) / 2 <= right + NEAR
        and top <= (line.y0 + line.y1) / 2 <= bottom
    ]  # fmt: skip
    if len(inside) < 2:
        return None
    owner = _owners(lattice, xs, ys)
    texts: dict[Spot, list[str]] = defaultdict(list)
    words = cut = 0
    for line in sorted(inside, key=lambda line: (line.y0 + line.y1) / 2):
        row = _at(ys, (line.y0 + line.y1) / 2)
        pieces: dict[Spot, list[str]] = defaultdict(list)
        for word in line.words or [Word(line.text, line.x0, line.x1)]:
            edge = (word.x1 - word.x0) * 0.25
            begin = owner[row, _at(xs, word.x0 + edge)]
            words += 1
            cut += begin != owner[row, _at(xs, word.x1 - edge)]
            pieces[begin].append(word.text)
        for spot, parts in pieces.items():
            texts[spot].append(" ".join(parts))
    if cut > _MAX_CUT * words:  # lines under text, boxes behind it
        return None
    rows = [[_cell(owner, texts, y, x) for x in range(width)] for y in range(height)]
    # Titles and notes inside the frame are no rows of the table.
    first, last = 0, len(rows)
    while last - first > 2 and _is_one_cell(rows[first]):
        first += 1
    while last - first > 2 and _is_one_cell(rows[last - 1]):
        last -= 1
    rows = _used(rows[first:last])
    if not _is_table(rows):
        return None
    return TableArea(left, ys[first], right, ys[last], rows)


def _is_one_cell(row: Sequence[str]) -> bool:
    """Whether a row is empty, a single cell, or two of which one is a long text."""
    own = [cell for cell in row if cell.strip() and not isinstance(cell, Across)]
    return len(own) < 2 or (len(own) == 2 and len(row) > 2 and max(map(len, own)) > _NOTE)


def _used(rows: list[list[str]]) -> list[list[str]]:
    """Leave out rows and columns in which no cell with text begins."""

    def begins(cell: str) -> bool:
        return bool(cell.strip()) and not isinstance(cell, Across)

    rows = [row for row in rows if any(map(begins, row))]
    columns = (
        [x for x in range(len(rows[0])) if any(begins(row[x]) for row in rows)] if rows else []
    )
    return [[row[x] for x in columns] for row in rows]


def _places(values: list[float]) -> list[float]:
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > 2 * NEAR:
            places.append(value)
    return places


def _at(places: Sequence[float], value: float) -> int:
    """Return between which two places a value lies."""
    return max(0, min(len(places) - 2, bisect_right(places, value) - 1))


def _owners(lattice: _Lattice, xs: Sequence[float], ys: Sequence[float]) -> dict[Spot, Spot]:
    """Return the first place of the cell that each place (row, column) belongs to."""
    down, across = _by_place(lattice.down, xs), _by_place(lattice.across, ys)
    owner: dict[Spot, Spot] = {}
    for y in range(len(ys) - 1):
        for x in range(len(xs) - 1):
            owner[y, x] = y, x
            if x and not _bounded(down[x], ys[y], ys[y + 1]):
                owner[y, x] = owner[y, x - 1]
            elif y and not _bounded(across[y], xs[x], xs[x + 1]):
                above = owner[y - 1, x]
                # Only whole rectangles: the cell above must begin in this column.
                if above[1] == x:
                    owner[y, x] = above
    return owner


def _by_place(
    strokes: Iterable[tuple[float, float, float]], places: Sequence[float]
) -> list[list[tuple[float, float]]]:
    """Return the extents of the strokes at each place."""
    found: list[list[tuple[float, float]]] = [[] for _ in places]
    for where, start, end in strokes:
        at = bisect_left(places, where)
        for i in (at - 1, at):
            if 0 <= i < len(places) and abs(places[i] - where) <= 2 * NEAR:
                found[i].append((start, end))
    return found


def _bounded(extents: Sequence[tuple[float, float]], start: float, end: float) -> bool:
    covered = sum(max(0.0, min(b, end) - max(a, start)) for a, b in extents)
    return covered >= _COVERS * (end - start)


def _cell(
    owner: dict[Spot, Spot],
    texts: dict[Spot, list[str]],
    y: int,
    x: int,
) -> str:
    place = owner[y, x]
    text = "\n".join(texts.get(place, ()))
    return text if place == (y, x) else Across(text)


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    """Boxes around text and plots are ruled too: ask for two rows and columns, mostly filled."""
    own = [[cell for cell in row if not isinstance(cell, Across)] for row in rows]
    filled = [cell for row in own for cell in row if cell.strip()]
    places = sum(map(len, rows))
    cells = sum(map(len, own))
    if len(rows) < 2 or len(rows[0]) < 2 or cells < 0.5 * places:
        return False
    return len(filled) >= max(4, cells * 0.3) and says_something(filled)
