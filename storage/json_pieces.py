"""JSON text of large data, in pieces: written at once, it would hold up every other thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from types import NoneType
from typing import Any

#: Characters, about, that are written at once.
PIECE = 64 * 1024
#: What anything counts at least.
_ENTRY = 8
#: Entries of a list that are looked at together.
_TOGETHER = 64

_PLAIN = frozenset((NoneType, bool, int, float))

Write = Callable[[Any], str]


def is_large(data: Any, limit: int = PIECE) -> bool:
    """Whether JSON data takes more than `limit` characters; looks at no more than that."""
    return _left(data, limit) < 0


def pieces(data: Any, write: Write) -> Iterator[str]:
    """The JSON text of plain data, bit by bit; `write` gives that of a small part."""
    if isinstance(data, Mapping) and is_large(data):
        start = "{"
        for name, value in data.items():
            yield f"{start}{write(str(name))}:"
            yield from pieces(value, write)
            start = ","
        yield "}"
    elif isinstance(data, list | tuple) and is_large(data):
        start = "["
        for at in range(0, len(data), _TOGETHER):
            part = data[at : at + _TOGETHER]
            if is_large(part):
                for value in part:
                    yield start
                    yield from pieces(value, write)
                    start = ","
            else:
                yield start + write(part)[1:-1]
                start = ","
        yield "]"
    else:
        yield write(data)


def _left(data: Any, room: int) -> int:
    """What is left of `room` characters beside this; less than 0 for nothing."""
    if isinstance(data, str):
        return room - len(data)
    room -= _ENTRY
    values: Iterable[Any] = ()
    if isinstance(data, Mapping):
        values = chain(data, data.values())
    elif isinstance(data, list | tuple):
        values = data
    for value in values:
        # What is no list or object here: looked at in a call of its own, it would take long.
        kind = type(value)
        if kind is str:
            room -= len(value)
        elif kind in _PLAIN:
            room -= _ENTRY
        else:
            room = _left(value, room)
        if room < 0:
            break
    return room


def compact(data: Any) -> str:
    """JSON text without spaces."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
