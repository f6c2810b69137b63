"""Time and room of a node that runs: its slot among those that may work, and its time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType

#: Seconds that a node gets to end after it was told to; then it is left behind.
GRACE_S = 1.0


class Slot:
    """The right to work, given back while the node waits for others.

    A node that runs a workflow inside it must not hold a slot meanwhile: with all slots held by
    nodes that wait for inner ones, none of the inner ones could ever start.
    """

    __slots__ = ("_away", "_closed", "_held", "_slots")

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False
        self._away = 0
        self._closed = False

    @property
    def held(self) -> bool:
        """Whether the node has it now."""
        return self._held

    async def take(self) -> None:
        """Wait for the slot; `close` gives it back."""
        await self._slots.acquire()
        self._held = True
        self._closed = False

    def close(self) -> None:
        """Give the slot back for good."""
        self._closed = True
        self._give_back()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Be without the slot; several waits of one node may overlap."""
        self._away += 1
        self._give_back()
        try:
            yield
        except asyncio.CancelledError:
            # Who is told to end does not queue for a slot first.
            self._away -= 1
            raise
        except BaseException:
            await self._come_back()
            raise
        else:
            await self._come_back()

    async def _come_back(self) -> None:
        self._away -= 1
        if self._away or self._held or self._closed:
            return
        await self._slots.acquire()
        # Meanwhile another wait may have begun, or ended first.
        if self._away or self._held or self._closed:
            self._slots.release()
        else:
            self._held = True

    def _give_back(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()


class Limit:
    """Cancels the task inside it after a time, as `asyncio.timeout` does; it can be paused.

    `on_stuck` is called when the task has not ended a moment after it was told to.
    """

    __slots__ = (
        "_before", "_handle", "_left", "_loop", "_on_stuck", "_over", "_pauses", "_task", "expired",
    )  # fmt: skip

    def __init__(self, seconds: float, on_stuck: Callable[[], None]) -> None:
        self.expired = False
        self._left = seconds
        self._on_stuck = on_stuck
        self._pauses = 0
        #: The task goes on with something else: whoever comes too late must not cancel that.
        self._over = False
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Limit:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task: asyncio.Task[object] = task
        self._before = task.cancelling()
        loop = self._loop = asyncio.get_running_loop()
        self._handle = loop.call_at(loop.time() + self._left, self._expire)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._stop()
        if (
            self.expired
            and self._task.uncancel() <= self._before
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def pause(self) -> None:
        """Stop the clock until `resume`, called as often."""
        self._pauses += 1
        if self._pauses == 1 and self._handle is not None and not self.expired:
            self._left = max(0.0, self._handle.when() - self._loop.time())
            self._stop()

    def resume(self) -> None:
        """Let the clock go on."""
        self._pauses -= 1
        if self._pauses == 0 and self._handle is None and not (self.expired or self._over):
            self._handle = self._loop.call_later(self._left, self._expire)

    @property
    def task(self) -> asyncio.Task[object]:
        """The task inside it."""
        return self._task

    def expire(self) -> None:
        """Let the time be over now."""
        if not (self.expired or self._over) and (self._handle is not None or self._pauses):
            self._stop()
            self._expire()

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()
        self._handle = self._loop.call_later(GRACE_S, self._on_stuck)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
