"""JSON and JSON lines: keys as headings, arrays of flat objects as tables, the rest pretty."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.detect import is_json_lines
from app.documents.encoding import decode
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument

#: Keys this deep become headings; what lies deeper is printed as JSON.
MAX_HEADINGS = 3
#: Columns a table of objects may have.
MAX_COLUMNS = 60
#: Characters of JSON printed in one block; arrays that are longer are cut between their items.
MAX_CODE = 4_000


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a JSON value, or one a line.

    Raises:
        DocumentError: damaged, unsafe (nested too deeply), too_large.
    """
    text, encoding = decode(path.read_bytes())
    blocks = Blocks(options.max_chars)
    lines = is_json_lines(text)
    data = [load(line) for line in text.split("\n") if line.strip()] if lines else load(text)
    title = ""
    try:
        _add(blocks, data, ())
    except RecursionError:
        raise _too_deep() from None
    if isinstance(data, dict) and isinstance(data.get("title"), str):
        title = data["title"]
    return ExtractedDocument(
        media_type=media.JSON_LINES if lines else media.JSON,
        title=title[:300],
        metadata=metadata({"encoding": encoding}),
        blocks=tuple(blocks.items),
    )


def load(text: str) -> Any:
    """Parse JSON.

    Raises:
        DocumentError: damaged, with the place; unsafe, nested too deeply.
    """
    try:
        return json.loads(text.lstrip("\ufeff"))
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise DocumentError(
            "damaged",
            f"The file is not valid JSON: {error.msg} in line {error.lineno}, "
            f"column {error.colno}.",
            "Correct it there, or upload it as .txt.",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise DocumentError(
            "damaged", "The JSON holds a number that is too long to read.", "Write it as text."
        ) from error


def _add(blocks: Blocks, value: Any, keys: tuple[str, ...]) -> None:
    if isinstance(value, dict):
        _add_object(blocks, value, keys)
    elif isinstance(value, list):
        _add_array(blocks, value, keys)
    else:
        blocks.add("paragraph", _plain(value))


def _add_object(blocks: Blocks, value: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Simple values first, as a list; then what lies deeper, each below its path."""
    simple = [f"- {key}: {_plain(item)}" for key, item in value.items() if _is_simple(item)]
    blocks.add("list", "\n".join(simple))
    for key, item in value.items():
        if _is_simple(item):
            continue
        path = (*keys, key)
        if len(path) > MAX_HEADINGS:
            _add_code(blocks, {key: item})
            continue
        # Level 1 would be taken for the title.
        blocks.heading(".".join(path), len(path) + 1)
        _add(blocks, item, path)


def _add_array(blocks: Blocks, items: Sequence[Any], keys: tuple[str, ...]) -> None:
    if all(map(_is_simple, items)):
        blocks.add("list", "\n".join(f"- {_plain(item)}" for item in items))
    elif (rows := table_of(items)) is not None:
        blocks.table(rows)
    else:
        for group in _groups(items):
            _add_code(blocks, group)


def table_of(items: Sequence[Any]) -> list[list[str]] | None:
    """Return objects as rows below a head of their keys; None where they are not flat.

    Objects inside the objects are columns of their own ("address.city"); lists of simple values are
    written with commas.
    """
    flat = []
    columns: dict[str, None] = {}
    for item in items:
        row = _flat(item) if isinstance(item, dict) and item else None
        if row is None:
            return None
        columns.update(dict.fromkeys(row))
        if len(columns) > MAX_COLUMNS:
            return None
        flat.append(row)
    return [list(columns), *([row.get(column, "") for column in columns] for row in flat)]


def _flat(item: Mapping[str, Any]) -> dict[str, str] | None:
    row: dict[str, str] = {}
    for key, value in item.items():
        if isinstance(value, dict) and value:
            if not all(map(_is_simple, value.values())):
                return None
            row |= {f"{key}.{inner}": _plain(deep) for inner, deep in value.items()}
        elif isinstance(value, list):
            if not all(map(_is_simple, value)):
                return None
            row[key] = ", ".join(map(_plain, value))
        else:
            row[key] = _plain(value)
    return row


def _groups(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield runs of items whose JSON is about `MAX_CODE` characters long."""
    group: list[Any] = []
    size = 0
    for item in items:
        length = len(_pretty(item))
        if group and size + length > MAX_CODE:
            yield group
            group, size = [], 0
        group.append(item)
        size += length
    if group:
        yield group


def _add_code(blocks: Blocks, value: Any) -> None:
    blocks.add("code", _pretty(value), info="json")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _is_simple(value: Any) -> bool:
    return not isinstance(value, dict | list) or not value


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split()) if len(value) < 200 else value
    return "" if value is None or value in ([], {}) else json.dumps(value, ensure_ascii=False)


def _too_deep() -> DocumentError:
    return DocumentError(
        "unsafe",
        "The JSON is nested too deeply to be read.",
        "Check where it comes from; no program writes such files for people.",
    )
