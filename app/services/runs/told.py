"""What watchers of a run were told, under ids: whoever was cut off goes on where that was."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from app.engine.events import Event, NodeStarted, RunStarted
from app.engine.weight import weigh
from app.services.runs.history import past_events
from app.services.views import ExecutionView
from storage.runs import INTERRUPTED, OPEN, RunState, StepMarks

#: Runs whose events are kept for a while after their end: how many, how long, and how large.
_MOST = 64
_KEPT_S = 60.0
_MAX_BYTES = 256 * 1024
#: Seconds between two looks at a run of another server.
_LOOK_S = 1.0

#: Events in order, each with its id.
Stream = AsyncIterator[tuple[str, Event]]


def id_of(log: str, place: int) -> str:
    """The id of the event at a place of a log, counted from 1."""
    return f"{log}-{place}"


def place_of(log: str, last_id: str) -> int:
    """How many events of a log are known to whoever got `last_id`; none by an id of another."""
    name, _, place = last_id.rpartition("-")
    known = name == log and place.isascii() and place.isdecimal() and len(place) < 10
    return int(place) if known else 0


@dataclass(frozen=True, slots=True)
class Told:
    """The events of a run that is over; None stands where one was replaced by a later one."""

    name: str
    events: Sequence[Event | None]

    def knows(self, last_id: str) -> bool:
        """Whether `last_id` is one of its ids."""
        return 0 < place_of(self.name, last_id) <= len(self.events)

    def after(self, last_id: str) -> Stream | None:
        """What follows `last_id`: everything, if that is none of its ids; None for nothing."""
        place = place_of(self.name, last_id) if self.knows(last_id) else 0
        return self._from(place) if place < len(self.events) else None

    async def _from(self, place: int) -> Stream:
        for number, event in enumerate(self.events[place:], place + 1):
            if event is not None:
                yield id_of(self.name, number), event


def told_of(run: ExecutionView) -> Told:
    """The events that a run of the history would have sent."""
    # A run that was resumed tells something else than before: its ids must not be the same.
    state = "\n".join([run.status, *(f"{step.node_id} {step.status}" for step in run.steps)])
    return Told(f"past{zlib.crc32(state.encode()):08x}", list(past_events(run)))


async def told_elsewhere(
    run: ExecutionView,
    look: Callable[[], Awaitable[RunState | None]],
    read: Callable[[Collection[str]], Awaitable[ExecutionView]],
) -> Stream:
    """What is written down of a run that another server has under way, until it ends.

    `look` tells how far the run is by then, or None to stop; `read` gives it with the steps of
    some nodes.
    """
    begun: set[str] = set()
    known: StepMarks = {}
    number = 0
    while True:
        for event in past_events(run):
            if isinstance(event, RunStarted | NodeStarted):
                name = getattr(event, "node_id", "")
                if name in begun:
                    continue
                begun.add(name)
            number += 1
            yield id_of("elsewhere", number), event
        if run.status not in OPEN:
            return
        known.update((step.node_id, (step.status, step.waiting)) for step in run.steps)
        while True:
            await asyncio.sleep(_LOOK_S)
            state = await look()
            if state is None:
                return
            changed = [node for node, mark in state.steps.items() if known.get(node) != mark]
            if changed or state.status not in OPEN:
                break
        run = await read(changed)
        if state.status == "interrupted" and run.status in OPEN:
            run = run.model_copy(update={"status": "interrupted", "error": INTERRUPTED})


class JustEnded:
    """What was told of runs that have just ended, with all that the history does not keep.

    Belongs to the event loop. Of large runs nothing is kept here: those who come back to one are
    told everything anew.
    """

    def __init__(self) -> None:
        self._told: dict[str, tuple[Told, asyncio.TimerHandle]] = {}

    def keep(self, run_id: str, told: Told) -> None:
        """Keep it for a minute."""
        if weigh(told.events, _MAX_BYTES) > _MAX_BYTES:
            return
        self._drop(run_id)
        timer = asyncio.get_running_loop().call_later(_KEPT_S, self._drop, run_id)
        self._told[run_id] = told, timer
        while len(self._told) > _MOST:
            self._drop(next(iter(self._told)))

    def get(self, run_id: str, last_id: str) -> Told | None:
        """What was told of a run, if `last_id` is from there."""
        told, _ = self._told.get(run_id, (None, None))
        return told if told is not None and told.knows(last_id) else None

    def _drop(self, run_id: str) -> None:
        _, timer = self._told.pop(run_id, (None, None))
        if timer is not None:
            timer.cancel()
