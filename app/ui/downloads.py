"""Values of ports as files: JSON for all of them, CSV for what has rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: Columns of a passage and of a file; others it has are in the JSON.
_CHUNK = ("chunk_id", "document_name", "page", "score", "content")
_DOCUMENT = ("document_id", "filename", "media_type", "size", "pages", "language", "title")


def as_json(value: Any) -> str:
    """JSON text of any value."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n"


def as_csv(value: Any) -> str | None:
    """CSV of a table, passages, files or a list of alike things; None for what has no rows."""
    found = rows_of(value)
    if found is None:
        return None
    columns, rows = found
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(item) for item in row] for row in rows)
    return out.getvalue()


def rows_of(value: Any) -> tuple[Sequence[str], list[list[Any]]] | None:
    """Columns and rows of a value that has them."""
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
        return [str(c) for c in value["columns"]], [list(row) for row in value["rows"]]
    items = value.get("items", value.get("data"))
    if not isinstance(items, list) or not items:
        return None
    if not all(isinstance(item, Mapping) for item in items):
        return ["value"], [[item] for item in items]
    if "chunk_id" in items[0]:
        scores = list(dict.fromkeys(name for item in items for name in item.get("scores") or {}))
        columns = ["rank", *_CHUNK[:-1], *(f"score {name}" for name in scores), "content"]
        return columns, [
            [
                rank,
                *(item.get(name) for name in _CHUNK[:-1]),
                *((item.get("scores") or {}).get(name) for name in scores),
                item.get("content"),
            ]
            for rank, item in enumerate(items, 1)
        ]
    names = _DOCUMENT if "filename" in items[0] else _names(items)
    return names, [[item.get(name) for name in names] for item in items]


def _names(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name) for item in items for name in item))


def cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def file_name(*words: str, ending: str) -> str:
    """A name for a file: “ask-the-handbook-retrieve.csv”."""
    slug = re.sub(r"[^\w.-]+", "-", " ".join(words).strip().lower()).strip("-.")
    return f"{slug[:80] or 'ragloom'}.{ending}"
