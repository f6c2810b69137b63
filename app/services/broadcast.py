"""One writer, many watchers, each of whom sees the latest state of every key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Watcher(Generic[T]):
    """Collects values; of a key that changes faster than it is read, only the newest is kept.

    So a slow reader costs memory for one value a key and never holds up the writer.
    """

    def __init__(self, accepts: Callable[[T], bool]) -> None:
        self.accepts = accepts
        self.closed = False
        self._pending: dict[Hashable, T] = {}
        self._arrived = asyncio.Event()

    def put(self, key: Hashable, value: T) -> None:
        """Hand over a value."""
        self._pending.pop(key, None)
        self._pending[key] = value
        self._arrived.set()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._arrived.set()

    async def changed(self, timeout_s: float | None) -> None:
        """Wait until something came, it was closed, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        if not self.closed:
            self._arrived.clear()

    def take(self) -> list[T]:
        """What came since the last time, oldest change first."""
        pending, self._pending = self._pending, {}
        return list(pending.values())


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
        """Tell every watcher that nothing more will come."""
        for watcher in self._watchers:
            watcher.close()
