"""Results kept under their signature, so that a run repeats only what changed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from app.engine.codec import Outputs
from app.engine.signature import Signature
from app.engine.values import PortValue
from app.engine.weight import Scale

#: Kept in memory unless told otherwise, in bytes of JSON text, about.
DEFAULT_CAPACITY = 64 * 1024 * 1024
#: Places whose last signature is remembered.
_MAX_PLACES = 20_000


class ResultCache(Protocol):
    """Where results are kept. A place is a node of a workflow: “workflow/node”."""

    async def get(self, key: str) -> Outputs | None:
        """Outputs kept under a signature's key."""

    async def put(
        self, key: str, outputs: Outputs, cost: Mapping[str, float] | None = None
    ) -> None:
        """Keep outputs under a signature's key, and what they cost: usage and `ms`."""

    async def cost(self, key: str) -> Mapping[str, float]:
        """What kept outputs cost when they were made; empty where that is not known."""

    async def previous(self, place: str) -> Signature | None:
        """Signature of the last result of a place, to say what changed since."""

    async def remember(self, place: str, signature: Signature) -> None:
        """Note the signature of the latest result of a place."""


class MemoryCache:
    """Results in memory, least recently used dropped first beyond a number of bytes.

    One run loop uses it; it takes no locks.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = capacity
        self.size = 0
        self._results: OrderedDict[str, tuple[Outputs, int, Mapping[str, float]]] = OrderedDict()
        self._places: OrderedDict[str, Signature] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    async def get(self, key: str) -> Outputs | None:
        """Outputs kept under a signature's key."""
        entry = self._results.get(key)
        if entry is None:
            return None
        self._results.move_to_end(key)
        return entry[0]

    async def put(
        self, key: str, outputs: Outputs, cost: Mapping[str, float] | None = None
    ) -> None:
        """Keep outputs, unless they alone would take more than a quarter of the room."""
        self._drop(key)
        scale = Scale(list(outputs.values()), self.capacity // 4)
        for _ in iter(scale.go_on, True):
            await asyncio.sleep(0)
        size = len(key) + scale.total
        if size * 4 > self.capacity:
            return
        self._drop(key)  # what was kept meanwhile
        self._results[key] = (outputs, size, cost or {})
        self.size += size
        while self.size > self.capacity:
            self._drop(next(iter(self._results)))

    async def cost(self, key: str) -> Mapping[str, float]:
        """What kept outputs cost when they were made; empty where that is not known."""
        entry = self._results.get(key)
        return entry[2] if entry is not None else {}

    async def previous(self, place: str) -> Signature | None:
        """Signature of the last result of a place."""
        return self._places.get(place)

    async def remember(self, place: str, signature: Signature) -> None:
        """Note the signature of the latest result of a place."""
        self._places[place] = signature
        self._places.move_to_end(place)
        while len(self._places) > _MAX_PLACES:
            self._places.popitem(last=False)

    def clear(self) -> None:
        """Forget every result; what each place last ran with stays known."""
        self._results.clear()
        self.size = 0

    def _drop(self, key: str) -> None:
        dropped = self._results.pop(key, None)
        self.size -= dropped[1] if dropped is not None else 0


def json_text(value: PortValue) -> bytes:
    """Compact JSON text of a value, in bytes."""
    return value.__pydantic_serializer__.to_json(value, fallback=str)
