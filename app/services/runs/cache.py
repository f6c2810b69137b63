"""Results of steps, reused across runs and restarts: memory first, then the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.cache import MemoryCache
from app.engine.codec import Outputs, UndecodableValue, decode_outputs, tagged
from app.engine.node import Node
from app.engine.registry import AnyNode, Registry
from app.engine.signature import Signature
from app.services.threads import call
from storage.errors import NotFound

if TYPE_CHECKING:
    from storage.runs import RunRepository

_MAX_UNKNOWN = 20_000


class RunCache(MemoryCache):
    """Results in memory, backed by the steps of past runs."""

    def __init__(self, runs: RunRepository, registry: Registry, capacity: int) -> None:
        super().__init__(capacity)
        self._runs = runs
        self._registry = registry
        #: Places that have no past, so that it is looked for once.
        self._unknown: set[str] = set()

    async def get(self, key: str) -> Outputs | None:
        """Outputs kept under a signature's key."""
        kept = await super().get(key)
        if kept is None:
            found = await call(self._from_history, key)
            if found is not None:
                kept, cost = found
                await self.put(key, kept, cost)
        return kept

    async def previous(self, place: str) -> Signature | None:
        """Signature of the last result of a place, of this process or an earlier one."""
        known = await super().previous(place)
        if known is None and place not in self._unknown:
            known = await call(self._last_signature, place)
            if known is not None:
                await self.remember(place, known)
            elif len(self._unknown) < _MAX_UNKNOWN:
                self._unknown.add(place)
        return known

    def _last_signature(self, place: str) -> Signature | None:
        workflow_id, _, node_id = place.partition("/")
        if not workflow_id:
            return None
        step = self._runs.last_step(workflow_id, node_id)
        return Signature.load(step.signature_parts) if step is not None else None

    def _from_history(self, key: str) -> tuple[Outputs, dict[str, float]] | None:
        """Outputs of a past step, and what they cost when they were made."""
        step = self._runs.by_signature(key)
        cls = self._registry.get(step.type) if step is not None else None
        if step is None or cls is None:
            return None
        try:
            data = tagged(self._runs.load_payload(step.outputs), step.types)
            config = None if _static(cls) else self._runs.node_of(step).get("config", {})
            outputs = decode_outputs(
                cls, data, self._registry.value_types(), config=config, guess=True
            )
        except (UndecodableValue, NotFound, TypeError, KeyError, OSError):
            # Old results may have another shape, and may be pruned.
            return None
        if step.cached:
            return outputs, dict(step.saved)
        return outputs, {**step.usage, "ms": step.duration_ms or 0.0}


def _static(cls: AnyNode) -> bool:
    """Whether the outputs of a node are the same whatever its settings are."""
    return cls.outputs_for.__func__ is Node.outputs_for.__func__  # type: ignore[attr-defined]
