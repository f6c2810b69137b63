"""Knows when a run rests: nothing in it can work without somebody outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeWaiting,
)

log = logging.getLogger(__name__)

#: Seconds for which nothing may work before a run counts as waiting: nodes hand over to others.
_LULL_S = 0.2


class Pauses:
    """Knows when nothing in a run can work any more without somebody outside."""

    def __init__(
        self, rest: Callable[[bool], Awaitable[None]], go_on: Callable[[], Awaitable[None]]
    ) -> None:
        self.asked: set[str] = set()
        #: Nodes that wait to be let go, oldest first.
        self.steps: dict[str, None] = {}
        self._rest = rest
        self._go_on = go_on
        self._active: set[str] = set()
        self._resting = False
        self._lock = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._changed = 0

    def note(self, event: Event) -> None:
        """Follow which nodes work."""
        if isinstance(event, NodeStarted | NodeWaiting):
            self._active.add(event.node_id)
        elif isinstance(event, NodeFinished | NodeFailedEvent | NodeSkipped):
            self._active.discard(event.node_id)
        else:
            return
        self._changed += 1
        if self.asked or self.steps:
            self.check()

    def check(self) -> None:
        """Look whether the run rests, once it has been still for a moment."""
        self._changed += 1
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look(), name="pauses")

    async def wake(self) -> None:
        """Go on, if it rested."""
        async with self._lock:
            self._changed += 1
            if self._resting:
                self._resting = False
                await self._go_on()

    def close(self) -> None:
        """The run is over."""
        if self._watch is not None:
            self._watch.cancel()

    async def _look(self) -> None:
        while self.asked or self.steps:
            seen = self._changed
            await asyncio.sleep(_LULL_S)
            if seen != self._changed:
                continue
            async with self._lock:
                if not self._resting and seen == self._changed and self._idle():
                    self._resting = True
                    try:
                        await self._rest(bool(self.asked))
                    except Exception:
                        log.exception("A run rests, which could not be written down")
            return

    def _idle(self) -> bool:
        held = self.asked | self.steps.keys()
        return all(
            node in held or any(other.startswith((f"{node}/", f"{node}[")) for other in held)
            for node in self._active
        )
