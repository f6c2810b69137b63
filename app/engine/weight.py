"""How much a value is, without writing it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.engine.values import PortValue

#: Bytes that an entry of a list or an object counts at least.
_ENTRY = 8


def weigh(value: Any, limit: int) -> int:
    """About how many bytes of JSON text a value takes; stops counting beyond `limit`.

    What is referred to more than once counts each time, as it would in the text; so does what
    contains itself, up to the limit.
    """
    total = 0
    todo = list(value.__dict__.values()) if isinstance(value, PortValue) else [value]
    while todo and total <= limit:
        at = todo.pop()
        if isinstance(at, (str, bytes)):
            total += len(at)
        elif isinstance(at, BaseModel):
            todo.extend(at.__dict__.values())
            if at.__pydantic_extra__:
                todo.extend(at.__pydantic_extra__.values())
            total += _ENTRY * len(at.__dict__)
        elif isinstance(at, Mapping):
            total += 2 * _ENTRY * len(at)
            if total <= limit:
                todo.extend(at.keys())
                todo.extend(at.values())
        elif isinstance(at, (list, tuple, set, frozenset)):
            total += _ENTRY * len(at)
            if total <= limit:
                todo.extend(at)
        else:
            total += _ENTRY
    return total
