"""Results of steps, reused across runs and restarts: memory first, then the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.cache import MemoryCache
from app.engine.codec import Outputs, UndecodableValue, decode_outputs
from app.engine.registry import Registry
from app.services.threads import call

if TYPE_CHECKING:
    from storage.runs import RunRepository


class RunCache(MemoryCache):
    """Results in memory, backed by the steps of past runs."""

    def __init__(self, runs: RunRepository, registry: Registry, capacity: int) -> None:
        super().__init__(capacity)
        self._runs = runs
        self._registry = registry

    async def get(self, key: str) -> Outputs | None:
        """Outputs kept under a signature's key."""
        kept = await super().get(key)
        if kept is None:
            kept = await call(self._from_history, key)
            if kept is not None:
                await self.put(key, kept)
        return kept

    def _from_history(self, key: str) -> Outputs | None:
        step = self._runs.by_signature(key)
        cls = self._registry.get(step.type) if step is not None else None
        if step is None or cls is None:
            return None
        try:
            data = self._runs.load_payload(step.outputs)
            return decode_outputs(cls, data, self._registry.value_types())
        except (UndecodableValue, TypeError, KeyError, OSError):
            # Values of an open type do not say what they are, and old ones may be pruned.
            return None
