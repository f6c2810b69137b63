"""How fast jobs move: files and chunks a second over the last while that they were worked on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds of work that rates look back; further where little happened in them.
_WINDOW_S = 60.0
_LEAST = 8
#: Rates over less than this many seconds say nothing.
_SHORTEST_S = 0.5
_MOST_JOBS = 200


@dataclass(frozen=True, slots=True)
class Rates:
    """Files and chunks a second; None while too little is known."""

    files_per_s: float | None = None
    chunks_per_s: float | None = None


@dataclass(slots=True)
class _Track:
    """What ended of a job, by a clock that stands still while the job does."""

    #: Seconds of work before `since`, which is None while the job is held.
    worked: float = 0.0
    since: float | None = None
    #: Where rates begin: the first end, as models are loaded before it.
    start: float | None = None
    #: (seconds of work, files, chunks) after `start`, oldest first
    events: deque[tuple[float, int, int]] = field(default_factory=deque)

    def at(self, now: float) -> float:
        """Seconds of work so far."""
        return self.worked + (0.0 if self.since is None else now - self.since)


class Pace:
    """What ended when, by job. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tracks: dict[str, _Track] = {}
        #: Chunks of a task that were counted while it was still under way.
        self._counted: dict[str, int] = {}

    def begin(self, job_id: str) -> None:
        """A file of a job was begun: from here on time counts, until the job is held."""
        while len(self._tracks) >= _MOST_JOBS and job_id not in self._tracks:
            del self._tracks[next(iter(self._tracks))]
        track = self._tracks.setdefault(job_id, _Track())
        if track.since is None:
            track.since = self._clock()

    def hold(self, job_id: str) -> None:
        """A job stands still: the time until one of its files is begun does not count."""
        track = self._tracks.get(job_id)
        if track is not None:
            track.worked, track.since = track.at(self._clock()), None

    def hold_all(self) -> list[str]:
        """Nothing moves; returns the jobs that did, for `begin` when they do again."""
        moving = [job_id for job_id, track in self._tracks.items() if track.since is not None]
        for job_id in moving:
            self.hold(job_id)
        return moving

    def forget(self, job_id: str) -> None:
        """A job that had ended goes on: nothing is known of how fast."""
        self._tracks.pop(job_id, None)

    def embedded(self, job_id: str, task_id: str, chunks: int) -> None:
        """So many chunks of a file have been embedded by now."""
        fresh = chunks - self._counted.get(task_id, 0)
        if fresh > 0:
            self._counted[task_id] = chunks
            self._note(job_id, 0, fresh)

    def ended(self, job_id: str, task_id: str, chunks: int) -> None:
        """A file ended, with so many chunks."""
        fresh = chunks - self._counted.pop(task_id, 0)
        self._note(job_id, 1, max(0, fresh))

    def drop(self, task_id: str) -> None:
        """A file goes back to the queue: what was counted of it is counted anew."""
        self._counted.pop(task_id, None)

    def rates(self, job_id: str) -> Rates:
        """The rates of a job now."""
        track = self._tracks.get(job_id)
        if track is None or track.start is None:
            return Rates()
        now = track.at(self._clock())
        while len(track.events) > _LEAST and track.events[0][0] < now - _WINDOW_S:
            track.start = track.events.popleft()[0]
        took = now - track.start
        files = sum(event[1] for event in track.events)
        chunks = sum(event[2] for event in track.events)
        if took < _SHORTEST_S:
            return Rates()
        return Rates(files / took if files > 1 else None, chunks / took if chunks else None)

    def _note(self, job_id: str, files: int, chunks: int) -> None:
        track = self._tracks.get(job_id)
        if track is None:
            return
        at = track.at(self._clock())
        if track.start is None or at <= track.start:
            track.start = at
        else:
            track.events.append((at, files, chunks))
