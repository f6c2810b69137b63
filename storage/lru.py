"""A small thread-safe cache of immutable results."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Keeps the `size` most recently used values.

    Where `weigh` says how much a value is, fewer of them, so that together they weigh at most
    `most`; the last one is kept, however heavy.
    """

    def __init__(self, size: int, weigh: Callable[[V], int] | None = None, most: int = 0) -> None:
        self._size = size
        self._weigh = weigh
        self._most = most
        self._weight = 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of `key`, made outside the lock when it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        self.put(key, value)
        return value

    def peek(self, key: K) -> V | None:
        """Return the value of `key`, or None."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        with self._lock:
            if key in self._values:
                self._weight -= self._weight_of(self._values[key])
            self._values[key] = value
            self._values.move_to_end(key)
            self._weight += self._weight_of(value)
            while len(self._values) > self._size or (
                self._weight > self._most and len(self._values) > 1
            ):
                _, gone = self._values.popitem(last=False)
                self._weight -= self._weight_of(gone)

    def _weight_of(self, value: V) -> int:
        return 0 if self._weigh is None else self._weigh(value)
