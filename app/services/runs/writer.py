"""Writes down what happens in many runs at once: what arrives meanwhile shares a transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.services.threads import call
from storage.run_writes import RunChange

if TYPE_CHECKING:
    from storage.runs import RunRepository

#: Runs that share a transaction at most.
_MOST = 64


class RunWriter:
    """Belongs to the event loop. A hundred runs cost a few transactions, not hundreds."""

    def __init__(self, runs: RunRepository) -> None:
        self._runs = runs
        self._pending: list[tuple[RunChange, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def write(self, change: RunChange) -> None:
        """Return once the change is in the database. Raises what writing it raised."""
        if not (change.steps or change.run or change.ended):
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((change, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush(), name="write-runs")
        await done

    async def _flush(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:_MOST], self._pending[_MOST:]
                await self._write(batch)
        finally:
            self._flusher = None

    async def _write(self, batch: list[tuple[RunChange, asyncio.Future[None]]]) -> None:
        try:
            await call(self._runs.record, [change for change, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0][1], error)
                return
            # One run that cannot be written must not take the others with it.
            for one in batch:
                await self._write([one])
            return
        for _, done in batch:
            _settle(done, None)


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
