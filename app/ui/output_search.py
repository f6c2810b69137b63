"""Finds text in what the steps of a run put out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Hits that are listed, and characters shown around each.
LIMIT = 100
_AROUND = 60


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where the text was found: the first one in that value."""

    node: str
    port: str
    #: Way inside the value: “items.3.content”.
    path: str
    before: str
    match: str
    after: str


def search(
    outputs: Mapping[str, Mapping[str, Any]], needle: str, order: Sequence[str] = ()
) -> tuple[list[Hit], int]:
    """Places where `needle` (letter case aside) is found in `outputs`: node -> port -> JSON data.

    Returns at most `LIMIT` hits, in the order of the nodes, and how many there are in all.
    """
    if not needle.strip():
        return [], 0
    pattern = re.compile(re.escape(needle.strip()), re.IGNORECASE)
    hits: list[Hit] = []
    total = 0
    for node in order or outputs:
        for port, value in outputs.get(node, {}).items():
            for path, content in _texts(value):
                found = pattern.search(content)
                if found is None:
                    continue
                total += 1
                if len(hits) < LIMIT:
                    hits.append(_hit(node, port, path, content, found))
    return hits, total


def _hit(node: str, port: str, path: str, content: str, found: re.Match[str]) -> Hit:
    start, end = found.span()
    before = content[max(0, start - _AROUND) : start]
    after = content[end : end + _AROUND]
    return Hit(
        node,
        port,
        path,
        ("…" if start > _AROUND else "") + before,
        content[start:end],
        after + ("…" if end + _AROUND < len(content) else ""),
    )


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text and number in JSON data, with the way to it; no recursion, however deep it is."""
    todo: list[tuple[str, Any]] = [("", value)]
    while todo:
        path, part = todo.pop()
        if isinstance(part, str):
            yield path, part
        elif isinstance(part, bool) or part is None:
            continue
        elif isinstance(part, int | float):
            yield path, str(part)
        elif isinstance(part, Mapping):
            inner = [(f"{path}.{name}" if path else str(name), v) for name, v in part.items()]
            todo.extend(reversed(inner))
        elif isinstance(part, list | tuple):
            inner = [(f"{path}.{i}" if path else str(i), v) for i, v in enumerate(part)]
            todo.extend(reversed(inner))
