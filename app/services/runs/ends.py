"""Ends of runs that could not be written down, such as on a full disk: told, and tried again."""

from __future__ import annotations

import asyncio
import logging

from app.services.runs.writer import RunWriter
from app.services.views import ExecutionView
from storage.errors import NotFound
from storage.run_writes import RunChange

log = logging.getLogger(__name__)

#: Ends that are kept; of more, the oldest are found as interrupted runs at the next start.
_MOST = 1_000


class RunEnds:
    """Belongs to the event loop, but `over` may be called from any thread."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        #: Seconds between two tries: the first, and the longest.
        self.pauses = (1.0, 60.0)
        self._ends: dict[str, RunChange] = {}
        self._task: asyncio.Task[None] | None = None

    def keep(self, run_id: str, status: str, error: dict[str, str], duration_ms: float) -> None:
        """Tell this end of a run until it is written."""
        values = {"status": status, "error": error, "duration_ms": duration_ms}
        self._ends[run_id] = RunChange(run_id, run=values, ended=True)
        while len(self._ends) > _MOST:
            self._ends.pop(next(iter(self._ends)))
        log.warning("The end of run %s could not be written: %s", run_id, error.get("message", ""))
        if self._task is None:
            self._task = asyncio.create_task(self._try_again(), name="run-ends")

    def close(self) -> None:
        """Stop trying: what is not written now is found as interrupted at the next start."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def over(self, view: ExecutionView) -> ExecutionView:
        """The run as it ended, where that is not written yet."""
        change = self._ends.get(view.execution_id)
        if change is None:
            return view
        steps = [
            step.model_copy(update={"status": "cancelled"})
            if step.status in ("running", "waiting")
            else step
            for step in view.steps
        ]
        return view.model_copy(update={**change.run, "steps": steps})

    async def _try_again(self) -> None:
        pause, longest = self.pauses
        while self._ends:
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            for run_id, change in list(self._ends.items()):
                try:
                    await self._writer.write(change)
                except NotFound:
                    log.info("Run %s was removed before its end was written", run_id)
                except Exception as error:
                    log.info("The end of run %s is still not written: %s", run_id, error)
                    break
                self._ends.pop(run_id, None)
        self._task = None
