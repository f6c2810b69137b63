"""Runs that outlive the server: taken up again where they were, by this server or the next.

A durable run is a row of the history that is not over. Its steps are stored before the next one
starts, so whoever takes it up runs what is missing and nothing twice, but for the steps that were
under way. Servers that share a database tell each other that they are alive.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from app.services.threads import call
from storage.runs import OPEN

if TYPE_CHECKING:
    from storage.runs import RunRepository, RunState
    from storage.tables import Run

log = logging.getLogger(__name__)

_BEAT_S = 15.0
#: A server that was not seen for this long is taken for dead.
_SILENT_S = 60.0

#: Takes up a run; ends it where that cannot be done.
GoOn = Callable[["Run"], Awaitable[None]]
#: Stops a run that another server has taken up, and leaves its row to that one.
LetGo = Callable[[str], None]


class Durability:
    """Finds the runs of dead servers and hands them over to be gone on with."""

    def __init__(self, runs: RunRepository, owner: str = "", *, shared: bool = False) -> None:
        """Take in `owner` a name that stays the same over restarts, and in `shared` whether
        other servers may use the same database."""
        self._runs = runs
        self.owner = owner
        self._shared = shared
        self._beating: asyncio.Task[None] | None = None
        self._left: list[Run] = []

    async def open(self) -> None:
        """Claim what an earlier life of this server left; nothing runs yet."""
        if self._shared:
            await call(self._runs.seen, self.owner)
        self._left, ended = await call(self._runs.take_over, self.owner, _SILENT_S)
        if self._left or ended:
            log.info(
                "Going on with %d runs that an earlier process left; %d were interrupted",
                len(self._left),
                len(ended),
            )

    async def recover(
        self, go_on: GoOn, let_go: LetGo, busy: Callable[[], Collection[str]]
    ) -> None:
        """Go on with what was claimed, and from now on with what other servers leave.

        What others took for left, because this server was silent for too long, is let go.
        """
        while self._left:
            run = self._left[0]
            await go_on(run)
            self.drop(run.id)
        if self._shared and self._beating is None:
            self._beating = asyncio.create_task(
                self._beat(go_on, let_go, busy), name="runs-of-the-dead"
            )

    def deserted(self, state: RunState) -> bool:
        """Whether a run that this server has not under way is open, and no other will end it.

        The run of a dead server is left time to be taken up.
        """
        if state.status not in OPEN or not self._shared:
            return state.status in OPEN
        silent_s = time.time() - (state.seen_at or 0.0)
        return silent_s > _SILENT_S + 2 * _BEAT_S

    def holds(self, run_id: str) -> bool:
        """Whether a run was claimed that is yet to be gone on with."""
        return any(run.id == run_id for run in self._left)

    def drop(self, run_id: str) -> bool:
        """Do not go on with a run that was claimed; False when it was not."""
        known = self.holds(run_id)
        self._left = [run for run in self._left if run.id != run_id]
        return known

    async def close(self) -> None:
        """Take up nothing more."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None

    async def keep(self, run_ids: Collection[str]) -> None:
        """These were stopped in good order, and go on at the next start."""
        if run_ids:  # a server without runs stops even where the database is away
            await call(self._runs.keep, run_ids)

    async def _beat(self, go_on: GoOn, let_go: LetGo, busy: Callable[[], Collection[str]]) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                await call(self._runs.seen, self.owner)
                for run_id in await call(self._runs.taken_from, self.owner, busy()):
                    log.warning("Run %s goes on at another server: this one was silent", run_id)
                    let_go(run_id)
                left, _ = await call(self._runs.take_over, self.owner, _SILENT_S, busy())
                for run in left:
                    await go_on(run)
            except Exception:
                log.exception("Runs of other servers could not be looked for; trying again")
