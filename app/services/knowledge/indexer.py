"""Keeps the search indexes up with the database, in the background.

Searches do not wait for that: what an index does not hold yet is searched in the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from app.engine.problems import RagloomError
from app.services.threads import call
from storage.projections import Projector

log = logging.getLogger(__name__)

#: Commits that follow each other within this time are applied together.
_PAUSE_S = 3.0


class Indexer:
    """One writer at a time for each knowledge base; waiters share what the others applied."""

    def __init__(self) -> None:
        self._projector: Projector | None = None
        self._opened = asyncio.Event()
        self._problem: BaseException | None = None
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._pending: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def opened(self, projector: Projector) -> None:
        """The stores are open: whoever waits may go on."""
        self._projector = projector
        self._opened.set()

    def failed(self, problem: BaseException) -> None:
        """The stores cannot be opened: whoever waits is told so."""
        self._problem = problem
        self._opened.set()

    async def projector(self) -> Projector:
        """The projections, once they are open."""
        await self._opened.wait()
        if self._projector is None:
            raise RagloomError(
                "The search indexes could not be opened.",
                code="not_ready",
                fix="Look at the server's log, then start it again.",
            ) from self._problem
        return self._projector

    def touch(self, kb_id: str) -> None:
        """A commit was made: bring the indexes up to it soon."""
        if kb_id not in self._pending:
            self._pending[kb_id] = asyncio.create_task(self._soon(kb_id))

    async def catch_up(self, kb_id: str) -> None:
        """Return once everything committed before this call can be searched."""
        projector = await self.projector()
        # Shielded: whoever asked may go away, the thread that writes goes on, and so must the lock.
        await asyncio.shield(self._start(self._apply(projector, kb_id)))

    def busy(self, kb_id: str) -> bool:
        """Whether commits of the knowledge base still wait to be applied."""
        return kb_id in self._pending or self._locks[kb_id].locked()

    async def drop(self, kb_id: str) -> None:
        """Remove the indexes of a deleted knowledge base."""
        projector = await self.projector()
        async with self._locks[kb_id]:
            await call(projector.drop, kb_id)
        self._locks.pop(kb_id, None)

    async def close(self) -> None:
        """Stop and close the indexes; what was not applied is applied at the next start."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), *self._running, return_exceptions=True)
        if self._projector is not None:
            await call(self._projector.close)

    async def _apply(self, projector: Projector, kb_id: str) -> None:
        async with self._locks[kb_id]:
            await call(projector.catch_up, kb_id)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _soon(self, kb_id: str) -> None:
        await asyncio.sleep(_PAUSE_S)
        self._pending.pop(kb_id, None)
        try:
            await self.catch_up(kb_id)
        except Exception:
            # Searches try again and report what is wrong; the log in the database keeps the work.
            log.exception("could not update the indexes of %s", kb_id)
