"""From small chunks that were found to the larger passages they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row

from app.documents.boxes import merge_boxes
from app.documents.media import time_of
from app.documents.model import Box as DocumentBox
from app.engine.values import Box, Chunk
from storage.knowledge import KnowledgeRepository

#: Children on either side that are read at first; then four times as many, up to `_MOST`.
_WINDOW = 16
_MOST = 4_096
#: So many more children than passages are looked for: several may stand in one passage.
CHILDREN_PER_PARENT = 3


def expand_parents(
    repository: KnowledgeRepository, chunks: Sequence[Chunk], limit: int
) -> list[Chunk]:
    """Return the passages that `chunks` (best first) stand in, each once, at most `limit`.

    A passage has the id, score and scores of its best child; its text is that of all its children,
    joined by their places, and `metadata["children"]` are the ids of those that were found. Chunks
    that stand in none are returned as they are. Blocks (SQL).
    """
    rows = {row.id: row for row in repository.chunks_by_ids([c.chunk_id for c in chunks])}
    groups: dict[tuple[str, str], list[Chunk]] = {}
    for chunk in chunks:
        parent = _parent_of(chunk.metadata)
        row = rows.get(chunk.chunk_id)
        key = (chunk.chunk_id, "") if parent is None or row is None else (row.version_id, parent)
        groups.setdefault(key, []).append(chunk)
    expanded: list[Chunk] = []
    for (version_id, parent), own in list(groups.items())[:limit]:
        if not parent:
            expanded.append(own[0])
            continue
        siblings = _siblings(repository, version_id, parent, rows[own[0].chunk_id].ordinal)
        expanded.append(_joined(own, siblings))
    return expanded


def _parent_of(metadata: Any) -> str | None:
    parent = metadata.get("parent") if isinstance(metadata, dict) else None
    return str(parent["id"]) if isinstance(parent, dict) and "id" in parent else None


def _siblings(
    repository: KnowledgeRepository, version_id: str, parent: str, ordinal: int
) -> list[Row[Any]]:
    """The children of a parent: they follow each other in a version."""
    window = _WINDOW
    while True:
        first, last = max(0, ordinal - window), ordinal + window
        rows = repository.chunks_between(version_id, first, last)
        own = [row for row in rows if _parent_of(row.meta) == parent]
        cut = (own[0].ordinal == first > 0) or own[-1].ordinal == last
        if not cut or window >= _MOST:
            return own
        window *= 4


def _joined(found: Sequence[Chunk], siblings: Sequence[Row[Any]]) -> Chunk:
    best = found[0]
    facts = {key: value for key, value in best.metadata.items() if key != "time"}
    if time := time_of(siblings[0].meta):  # it begins there, not where the hit does
        facts["time"] = time
    boxes = merge_boxes(DocumentBox(**box) for row in siblings for box in row.boxes)
    pages = [row.page for row in siblings if row.page is not None]
    starts = [row.start for row in siblings if row.start is not None]
    ends = [row.end for row in siblings if row.end is not None]
    return best.model_copy(
        update={
            "content": text_of(siblings),
            "page": pages[0] if pages else None,
            "headings": _common([row.headings for row in siblings]),
            "boxes": tuple(Box(**box.model_dump()) for box in boxes),
            "start": min(starts, default=None),
            "end": max(ends, default=None),
            "embed_text": None,
            "metadata": {**facts, "children": [chunk.chunk_id for chunk in found]},
        }
    )


def text_of(rows: Iterable[Any]) -> str:
    """Join chunks by their places: what two share stands once, white space between them is kept.

    One character between two chunks of a passage was a space or a line's end, more was the end of
    a paragraph. A chunk whose text was changed since it was cut is taken as it is.
    """
    parts: list[str] = []
    at: int | None = None
    for row in rows:
        text, start, end = row.content, row.start, row.end
        if start is None or end is None:
            parts += ["\n\n" if parts else "", text]
            continue
        changed = end - start != len(text) or "source_text" in row.meta
        if at is not None and start < at and not changed:
            text = text[at - start :]
        elif at is not None and start > at:
            lines = {"table", "code", "list"} & set(row.meta.get("kinds", ()))
            parts.append("\n\n" if start > at + 1 else "\n" if lines else " ")
        parts.append(text)
        at = end
    return "".join(parts)


def _common(paths: Sequence[Sequence[str]]) -> tuple[str, ...]:
    common = list(paths[0]) if paths else []
    for path in paths[1:]:
        while common and list(path[: len(common)]) != common:
            common.pop()
    return tuple(common)
