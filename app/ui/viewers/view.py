"""What viewers know of the run around a value, and what keeps huge values off the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from app.services.threads import call

#: Characters of JSON that are copied to the clipboard at most, and shown of one text.
MAX_COPY = 2_000_000
MAX_TEXT = 200_000
#: Values, and characters, that a search looks at.
_LOOKED_AT = 400_000
_CHARS_LOOKED_AT = 60_000_000
MAX_HITS = 200
_AROUND = 60
#: Levels that a search goes down.
_DEEPEST = 200


@dataclass
class View:
    """The run around a value; everything is optional."""

    #: Chunk id -> nodes that put it out, in the order they ran.
    found_by: dict[str, list[str]] = field(default_factory=dict)
    #: Other texts to compare with: what they are -> the text.
    texts: Callable[[], Mapping[str, str]] = dict
    #: Passages that came in, in their order, and the name of where they came from.
    before: Sequence[Mapping[str, Any]] = ()
    before_name: str = ""
    #: Lead to a node.
    on_node: Callable[[str], Any] | None = None
    #: Where the value stands, as an expression: the name of its port.
    path: str = ""


def step(path: str, key: str | int) -> str:
    """The path of a part: `chunks.items[0].scores["my score"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key.isidentifier():
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def weight(value: Any, limit: int) -> int:
    """About how many characters of JSON a value makes; counting ends a little over `limit`.

    Of long lists a sample is counted, so that this takes no time worth mentioning.
    """
    total = 0.0
    #: What is left of a container, and what each of its parts counts.
    stack: list[tuple[Iterator[Any], float]] = [(iter([value]), 1.0)]
    while stack and total <= limit:
        parts, each = stack[-1]
        at = next(parts, _END)
        if at is _END:
            stack.pop()
        elif isinstance(at, str):
            total += (len(at) + 4) * each
        elif isinstance(at, Mapping):
            share = each * max(1.0, len(at) / _SAMPLE)
            stack.append((islice(at.values(), _SAMPLE), share))
            stack.append((islice(at, _SAMPLE), share))
        elif isinstance(at, list | tuple):
            share = each * max(1.0, len(at) / _SAMPLE)
            stack.append((islice(at, _SAMPLE), share))
        else:
            total += 8 * each
    return int(total)


#: Parts of one container that are counted.
_SAMPLE = 100
_END = object()


@dataclass(frozen=True)
class Hit:
    """A place where a searched text stands."""

    path: str
    before: str
    match: str
    after: str


def find(value: Any, wanted: str, path: str = "", limit: int = MAX_HITS) -> tuple[list[Hit], bool]:
    """Places that hold a text, upper and lower case alike; and whether all of it was looked at.

    Looks at so many values and characters and no more, without recursion.
    """
    needle = wanted.casefold()
    hits: list[Hit] = []
    if not needle:
        return hits, True
    chars = 0
    for looked, (place, name, leaf) in enumerate(_walk(value, path), 1):
        chars += len(leaf)
        if looked > _LOOKED_AT or chars > _CHARS_LOOKED_AT:
            return hits, False
        hit = _hit(place, leaf, needle) or (_hit(place, name, needle) if name else None)
        if hit is not None:
            hits.append(hit)
            if len(hits) >= limit:
                return hits, False
    return hits, True


_Entries = Iterator[tuple[str, str, Any]]


def _walk(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """(path, name, text) of every leaf, in reading order; nothing is listed ahead."""
    stack: list[_Entries] = [iter([(path, "", value)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        place, name, at = entry
        if isinstance(at, Mapping | list | tuple):
            if len(stack) <= _DEEPEST:
                stack.append(_named(at, place) if isinstance(at, Mapping) else _counted(at, place))
        else:
            yield place, name, at if isinstance(at, str) else json.dumps(at, default=str)


def _named(value: Mapping[str, Any], path: str) -> _Entries:
    return ((step(path, str(key)), str(key), part) for key, part in value.items())


def _counted(value: Sequence[Any], path: str) -> _Entries:
    return ((step(path, at), "", part) for at, part in enumerate(value))


def _hit(place: str, text: str, needle: str) -> Hit | None:
    at = text.casefold().find(needle)
    if at < 0:
        return None
    end = at + len(needle)
    start = max(0, at - _AROUND)
    return Hit(
        place or "value",
        ("…" if start else "") + text[start:at],
        text[at:end],
        text[end : end + _AROUND] + ("…" if end + _AROUND < len(text) else ""),
    )


async def as_json(value: Any) -> bytes:
    """The value as JSON text, written away from the event loop."""

    def write() -> bytes:
        return json.dumps(value, ensure_ascii=False, indent=1, default=str).encode()

    return await call(write)
