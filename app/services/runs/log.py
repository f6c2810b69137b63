"""The events of one run while it lives: kept in order, stored, and handed to whoever watches."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable, Sequence

from app.engine.events import Event, NodeProgress, TokenEvent
from app.services.runs.told import Stream, Told, id_of, place_of

#: Stores what has to survive; called with events in order, outside the event loop's thread.
Store = Callable[[Sequence[Event]], Awaitable[None]]


class RunLog:
    """Events in order. Watchers see a step's end only after it is stored.

    `emit` may be called from any thread; everything else belongs to the event loop.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        #: What the ids of its events begin with; another log of the same run has another.
        self._name = secrets.token_hex(4)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._arrived: asyncio.Queue[Event | None] = asyncio.Queue()
        #: In order; None stands where a later progress of the same node has come.
        self._published: list[Event | None] = []
        self._progress: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self._emitted = 0
        self._written = 0
        self._writer = asyncio.create_task(self._write(), name="run-log")

    def emit(self, event: Event) -> None:
        """Take the next event of the run."""
        if threading.get_ident() == self._thread:
            self._take(event)
        else:
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        self._emitted += 1
        self._arrived.put_nowait(event)

    async def stored(self) -> None:
        """Return once everything that was emitted by now is stored, or cannot be."""
        goal = self._emitted
        while self._written < goal and not self._writer.done():
            await self._changed.wait()

    async def close(self) -> None:
        """Store and publish what has arrived; watching ends after it. Raises what storing raised."""
        self._arrived.put_nowait(None)
        await self._writer

    def end(self, event: Event) -> None:
        """Publish the last event and let watchers go."""
        self._published.append(event)
        self._closed = True
        self._changed.set()

    def on_broken(self, act: Callable[[], object]) -> None:
        """Call `act` as soon as storing fails."""

        def check(_: asyncio.Task[None]) -> None:
            if not self._writer.cancelled() and self._writer.exception() is not None:
                self._wake()
                act()

        self._writer.add_done_callback(check)

    def told(self) -> Told:
        """All of it, once the run has ended."""
        return Told(self._name, self._published)

    async def follow(self, last_id: str = "") -> Stream:
        """Events with their ids until the run ends, from the one after `last_id` on.

        Without an id of this log, from the first one on; of progress, the latest.
        """
        position = min(place_of(self._name, last_id), len(self._published))
        while True:
            while position < len(self._published):
                event = self._published[position]
                position += 1
                if event is not None:
                    yield id_of(self._name, position), event
            if self._closed:
                return
            await self._changed.wait()

    async def _write(self) -> None:
        while True:
            batch = [await self._arrived.get()]
            while not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            events = [event for event in batch if event is not None]
            lasting = [e for e in events if not isinstance(e, TokenEvent | NodeProgress)]
            if lasting:
                await self._store(lasting)
            self._written += len(events)
            self._publish(events)
            if batch[-1] is None:
                return

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, NodeProgress):
                # A map over many items tells as often how far it is: what counts is the last.
                before = self._progress.get(event.node_id)
                if before is not None:
                    self._published[before] = None
                self._progress[event.node_id] = len(self._published)
            self._published.append(event)
        if events:
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
