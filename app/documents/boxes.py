"""Places on a page: which boxes a span of a block covers, and merging them."""

from __future__ import annotations

from collections.abc import Iterable

from app.documents.model import Block, Box


def boxes_of_span(block: Block, start: int, end: int) -> tuple[Box, ...]:
    """Return the boxes (one a line) that hold the characters `start`..`end` of a block's text.

    Characters are spread over the lines by width, so a box at either edge may be one too many.
    """
    length = len(block.text)
    start, end = max(0, start), min(length, end)
    if not block.boxes or (start == 0 and end == length) or block.kind == "table":
        return block.boxes
    total = sum(box.x1 - box.x0 for box in block.boxes) or 1.0
    kept, at = [], 0.0
    for box in block.boxes:
        before, at = at, at + (box.x1 - box.x0)
        if before / total * length < end and at / total * length > start:
            kept.append(box)
    return tuple(kept)


def merge_boxes(boxes: Iterable[Box]) -> list[Box]:
    """Merge each box into the one before it where both are lines of one column."""
    merged: list[Box] = []
    for box in boxes:
        if merged and _same_column(merged[-1], box):
            merged[-1] = union(merged[-1], box)
        elif box not in merged:
            merged.append(box)
    return merged


def union(a: Box, b: Box) -> Box:
    """Return the smallest box around two boxes of one page."""
    return Box(
        page=a.page,
        x0=min(a.x0, b.x0),
        y0=min(a.y0, b.y0),
        x1=max(a.x1, b.x1),
        y1=max(a.y1, b.y1),
    )


def _same_column(above: Box, below: Box) -> bool:
    if above.page != below.page:
        return False
    height = below.y1 - below.y0
    gap = below.y0 - above.y1
    overlap = min(above.x1, below.x1) - max(above.x0, below.x0)
    narrow = min(above.x1 - above.x0, below.x1 - below.x0)
    return -height < gap < 1.5 * max(height, 0.005) and overlap > 0.5 * narrow
