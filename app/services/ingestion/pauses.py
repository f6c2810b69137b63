"""Reasons why no file can go on, how long a job waits over one of them, and the waiting itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.services.problems import explain
from app.services.threads import call
from storage.errors import NotFound
from storage.tables import Job

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Codes of errors of the place, not of the file: every other file would meet the same.
PAUSING = frozenset(
    {
        "storage_full",
        "storage_read_only",
        "model_unavailable",
        "provider_unreachable",
        "provider_timeout",
        "provider_rate_limit",
        "pipeline_missing",
    }
)
#: Those that keep even this from being written down.
STORAGE = frozenset({"storage_full", "storage_read_only"})


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds a job waits before it tries again: doubled each time nothing went well in between."""

    first_s: float = 5.0
    longest_s: float = 600.0
    #: Between attempts to write to a database that takes no writes; the last one repeats.
    writing_s: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Blocked:
    """The database takes no writes: every job waits, though no row can say so."""

    reason: Mapping[str, Any]
    since: float
    retry_at: float


class Patience:
    """Writes to the database, as often as it takes while the disk is full or it is away."""

    def __init__(self, changed: Callable[[], None]) -> None:
        #: What keeps everything from going on; `changed` is called when it comes and goes.
        self.blocked: Blocked | None = None
        self._changed = changed
        self._again = asyncio.Event()

    def wake(self) -> None:
        """Try at once: what kept it may be over."""
        self._again.set()

    async def insist(self, what: str, write: Callable[[], T], waits: Sequence[float]) -> T:
        """What `write` gives in the end, `waits` seconds apart. Raises NotFound alone."""
        attempt = 0
        while True:
            try:
                written = await call(write)
            except NotFound:
                raise
            except Exception as error:
                pause = waits[min(attempt, len(waits) - 1)]
                log.warning("Could not %s, trying again: %s", what, error)
                self._block(error, pause)
                self._again.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._again.wait()
                attempt += 1
            else:
                if self.blocked is not None:
                    self.blocked = None
                    self._changed()
                return written

    def shown(self, job: Job) -> Job:
        """The job, paused where the database does not take down that nothing can go on."""
        blocked = self.blocked
        if blocked is None or job.status not in ("queued", "running"):
            return job
        values = {
            "status": "paused",
            "reason": dict(blocked.reason),
            "paused_at": blocked.since,
            "retry_at": blocked.retry_at,
        }
        return Job(**{**job.model_dump(), **values})

    def _block(self, error: Exception, pause_s: float) -> None:
        if getattr(error, "code", None) not in STORAGE:
            return
        now = time.time()
        since = now if self.blocked is None else self.blocked.since
        self.blocked = Blocked(explain(error).data(), since, now + pause_s)
        self._changed()
