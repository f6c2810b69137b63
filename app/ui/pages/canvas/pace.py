"""Drawing at a steady pace, however fast news comes in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from weakref import WeakSet

#: Seconds between two drawings.
PACE_S = 0.1
#: Rest after a drawing, in times of what it took, for each page that draws at the moment.
_SHARE = 4.0
#: Pages that draw at the moment: together they leave the processor to the run.
_drawing: WeakSet[Pace] = WeakSet()


class Pace:
    """Calls `draw` soon after `poke`, at most every `seconds`; nothing poked is left undrawn."""

    def __init__(self, draw: Callable[[], Awaitable[None]], seconds: float = PACE_S) -> None:
        self._draw, self._seconds = draw, seconds
        self._task: asyncio.Task[None] | None = None
        self._again = False
        # The first drawing waits, too: what is shown at once must not stand in line behind it.
        self._last = time.monotonic()

    def poke(self) -> None:
        """There is something to draw."""
        self._again = True
        _drawing.add(self)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="draw a run")

    async def _work(self) -> None:
        while self._again:
            await asyncio.sleep(max(0.0, self._last + self._seconds - time.monotonic()))
            self._again = False
            began = time.monotonic()
            await self._draw()
            # What takes long to draw is drawn less often, so that the run has the processor.
            now = time.monotonic()
            self._last = now + _SHARE * len(_drawing) * (now - began)

    async def end(self) -> None:
        """Wait for a drawing under way; nothing is drawn after this."""
        self._again = False
        _drawing.discard(self)
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
