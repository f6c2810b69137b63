"""One writer, many watchers, each of whom sees the latest state of every key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Watcher(Generic[T]):
    """Receives values; of a key that changes faster than it is read, only the newest is kept.

    So a slow reader costs memory for one value a key and never holds up the writer.
    """

    def __init__(self, accepts: Callable[[T], bool]) -> None:
        self.accepts = accepts
        self._pending: dict[Hashable, T] = {}
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, key: Hashable, value: T) -> None:
        """Hand over a value."""
        self._pending.pop(key, None)
        self._pending[key] = value
        self._arrived.set()

    def close(self) -> None:
        """End the iteration once everything pending was read."""
        self._closed = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            while self._pending:
                yield self._pending.pop(next(iter(self._pending)))
            if self._closed:
                return
            await self._arrived.wait()
            self._arrived.clear()


class Broadcast(Generic[T]):
    """Where the writer publishes. Used from the event loop only."""

    def __init__(self) -> None:
        self._watchers: set[Watcher[T]] = set()

    def publish(self, key: Hashable, value: T) -> None:
        """Hand a value to every watcher that accepts it."""
        for watcher in self._watchers:
            if watcher.accepts(value):
                watcher.put(key, value)

    def join(self, accepts: Callable[[T], bool]) -> Watcher[T]:
        """Start watching from now on; `leave` when done."""
        watcher = Watcher(accepts)
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher[T]) -> None:
        """Stop watching."""
        self._watchers.discard(watcher)

    def close(self) -> None:
        """End every watcher's iteration."""
        for watcher in self._watchers:
            watcher.close()
