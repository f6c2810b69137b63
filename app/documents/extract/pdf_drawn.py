"""What is drawn on a PDF page besides text: ruling lines and pictures; and places on a page."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Resolution at which pdfium tells where the corners of a page lie on it as shown.
_PIXELS = 20_000
#: Objects of a page looked at; maps have many thousands.
_MAX_OBJECTS = 3_000
#: Pieces of paths of a page that are looked at.
_MAX_SEGMENTS = 20_000
#: Ruling lines and pictures of a page that are kept.
_MAX_KEPT = 1_500
#: Forms inside forms that are looked into.
_MAX_DEPTH = 3
#: Points: a ruling line is at most this thick and at least this long.
_THICK, _LONG = 3.0, 8.0

#: left, top, right, bottom
Rectangle = tuple[float, float, float, float]


class Place:
    """Maps page space to points from the top left of the page as it is shown (rotated, cropped)."""

    def __init__(self, page: Any, width: float, height: float) -> None:
        x0, y0 = _shown(page, 0, 0)
        xa, ya = _shown(page, 1_000, 0)
        xb, yb = _shown(page, 0, 1_000)
        x_unit, y_unit = width / _PIXELS, height / _PIXELS
        self._x = x0 * x_unit, (xa - x0) * x_unit / 1_000, (xb - x0) * x_unit / 1_000
        self._y = y0 * y_unit, (ya - y0) * y_unit / 1_000, (yb - y0) * y_unit / 1_000

    def rectangle(self, left: float, bottom: float, right: float, top: float) -> Rectangle:
        """Return the place of a rectangle of page space."""
        x0, x_by_x, x_by_y = self._x
        y0, y_by_x, y_by_y = self._y
        xa, xb = x0 + x_by_x * left + x_by_y * top, x0 + x_by_x * right + x_by_y * bottom
        ya, yb = y0 + y_by_x * left + y_by_y * top, y0 + y_by_x * right + y_by_y * bottom
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


def _shown(page: Any, x: float, y: float) -> tuple[int, int]:
    from pypdfium2 import raw

    at_x, at_y = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, _PIXELS, _PIXELS, 0, x, y, at_x, at_y)
    return at_x.value, at_y.value


@dataclass(slots=True)
class Drawn:
    """Ruling lines (edges of boxes among them) and pictures, in points from the top left."""

    across: list[Rectangle] = field(default_factory=list)
    down: list[Rectangle] = field(default_factory=list)
    pictures: list[Rectangle] = field(default_factory=list)

    def add_line(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Keep a rectangle that is thin and long enough for a ruling line; return whether it is."""
        if y1 - y0 <= _THICK and x1 - x0 >= _LONG:
            self.across.append((x0, y0, x1, y1))
        elif x1 - x0 <= _THICK and y1 - y0 >= _LONG:
            self.down.append((x0, y0, x1, y1))
        else:
            return False
        return True

    @property
    def has_grid(self) -> bool:
        """Whether lines run both ways, so that a ruled table may be there."""
        return len(self.across) >= 2 and len(self.down) >= 2


def drawn(page: Any, place: Place) -> Drawn:
    """Find the ruling lines and pictures of a page."""
    from pypdfium2 import raw

    found = Drawn()
    bounds = [ctypes.c_float() for _ in range(4)]
    segments = _MAX_SEGMENTS
    for item, kind, inside in _objects(page):
        count = raw.FPDFPath_CountSegments(item) if kind == raw.FPDF_PAGEOBJ_PATH else 0
        if 5 < count <= segments:
            segments -= count
            for x0, y0, x1, y1 in _segments(item, count, inside):
                found.add_line(*place.rectangle(x0, y0, x1, y1))
            continue
        if not raw.FPDFPageObj_GetBounds(item, *bounds):
            continue
        left, bottom, right, top = (value.value for value in bounds)
        if inside is not None:
            left, bottom, right, top = _moved(inside, left, bottom, right, top)
        x0, y0, x1, y1 = box = place.rectangle(left, bottom, right, top)
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            if len(found.pictures) < _MAX_KEPT:
                found.pictures.append(box)
        elif not found.add_line(x0, y0, x1, y1) and x1 - x0 >= _LONG and y1 - y0 >= _LONG:
            found.across += [(x0, y0, x1, y0), (x0, y1, x1, y1)]
            found.down += [(x0, y0, x0, y1), (x1, y0, x1, y1)]
        if len(found.across) + len(found.down) > _MAX_KEPT:
            break
    return found


def _segments(item: Any, count: int, inside: Any) -> Iterator[Rectangle]:
    """Yield the straight pieces of a path of many, as the corners of their bounds."""
    from pypdfium2 import raw

    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, matrix):
        return
    m: Any = (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)
    if inside is not None:
        m = _product(m, inside)
    x, y = ctypes.c_float(), ctypes.c_float()
    at = begin = (0.0, 0.0)
    for i in range(count):
        segment = raw.FPDFPath_GetPathSegment(item, i)
        kind = raw.FPDFPathSegment_GetType(segment)
        if not raw.FPDFPathSegment_GetPoint(segment, x, y):
            continue
        point = m[0] * x.value + m[2] * y.value + m[4], m[1] * x.value + m[3] * y.value + m[5]
        if kind == raw.FPDF_SEGMENT_MOVETO:
            begin = point
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield at[0], at[1], point[0], point[1]
        at = point
        if raw.FPDFPathSegment_GetClose(segment):
            yield at[0], at[1], begin[0], begin[1]
            at = begin


def _objects(page: Any) -> Iterator[tuple[Any, int, Any]]:
    """Yield paths and images with their kind and the matrix of the form they lie in."""
    from pypdfium2 import raw

    left = _MAX_OBJECTS
    stack: list[tuple[Any, Any, int]] = [
        (raw.FPDFPage_GetObject(page, i), None, 0)
        for i in range(min(raw.FPDFPage_CountObjects(page), left))
    ][::-1]
    while stack and left > 0:
        item, inside, depth = stack.pop()
        left -= 1
        kind = raw.FPDFPageObj_GetType(item)
        if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE):
            yield item, kind, inside
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
            matrix = raw.FS_MATRIX()
            if not raw.FPDFPageObj_GetMatrix(item, matrix):
                continue
            own = (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)
            both = own if inside is None else _product(own, inside)
            for i in range(min(raw.FPDFFormObj_CountObjects(item), left)):
                stack.append((raw.FPDFFormObj_GetObject(item, i), both, depth + 1))


def _product(a: Any, b: Any) -> tuple[float, ...]:
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    )


def _moved(m: Any, left: float, bottom: float, right: float, top: float) -> Rectangle:
    xs = [m[0] * x + m[2] * y + m[4] for x in (left, right) for y in (bottom, top)]
    ys = [m[1] * x + m[3] * y + m[5] for x in (left, right) for y in (bottom, top)]
    return min(xs), min(ys), max(xs), max(ys)
