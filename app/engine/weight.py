"""How much a value is, without writing it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any

from pydantic import BaseModel

from app.engine.values import PortValue

#: Bytes that an entry of a list or an object counts at least.
_ENTRY = 8
_PLAIN = frozenset((NoneType, bool, int, float))
#: Things looked at in one go: well under a millisecond.
_AT_ONCE = 500


class Scale:
    """Weighs one value, at once or in parts: a large one takes too long for an event loop."""

    def __init__(self, value: Any, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._todo: list[Any] = []
        self._put(value.__dict__.values() if isinstance(value, PortValue) else (value,))

    @property
    def total(self) -> int:
        """What was weighed so far, in bytes."""
        return self._total

    def go_on(self, things: int = _AT_ONCE) -> bool:
        """Look at so many more things; whether that was all, or more than the limit."""
        todo = self._todo
        while todo and self._total <= self._limit:
            if things <= 0:
                return False
            things -= 1
            at = todo.pop()
            if isinstance(at, BaseModel):
                self._total += _ENTRY * len(at.__dict__)
                things -= self._put(at.__dict__.values())
                if at.__pydantic_extra__:
                    things -= self._put(at.__pydantic_extra__.values())
            elif isinstance(at, Mapping):
                self._total += 2 * _ENTRY * len(at)
                if self._total <= self._limit:
                    things -= self._put(at.keys()) + self._put(at.values())
            elif isinstance(at, (list, tuple, set, frozenset)):
                self._total += _ENTRY * len(at)
                if self._total <= self._limit:
                    things -= self._put(at)
            elif isinstance(at, (str, bytes)):
                self._total += len(at)
            else:
                self._total += _ENTRY
        return True

    def _put(self, values: Iterable[Any]) -> int:
        """Weigh what is plain at once, and keep the rest for later; returns how many there are."""
        todo, total, count = self._todo, self._total, 0
        for value in values:
            kind = type(value)
            if kind is str:
                total += len(value)
            elif kind in _PLAIN:
                total += _ENTRY
            elif value or kind not in (tuple, list, dict):
                todo.append(value)
            count += 1
        self._total = total
        return count // 4


def weigh(value: Any, limit: int) -> int:
    """About how many bytes of JSON text a value takes; stops counting beyond `limit`.

    What is referred to more than once counts each time, as it would in the text; so does what
    contains itself, up to the limit.
    """
    scale = Scale(value, limit)
    while not scale.go_on():
        pass
    return scale.total
