"""Watches runs from a thread of its own: their memory, and whether they let others work.

Only while nodes work. What a node does is told apart as well as can be: memory that the process
takes is put down to the nodes at work meanwhile, and the event loop knows which task it is in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from app.engine.problems import NodeFailed
from app.engine.visit import ATTEMPT_CODE, Visit
from app.services.runs.node_threads import WORKING, NodeThreads

log = logging.getLogger(__name__)

MB = 1024 * 1024
#: Seconds between two looks; while nothing but left threads is there, and before it gives up.
TICK_S, SLOW_TICK_S, LINGER_S = 0.1, 1.0, 2.0
#: Seconds without another node or page at work after which a node counts as holding them up, and
#: after which it is stopped (or after its own time limit, if that is shorter).
HELD_UP_S, TOO_LONG_S = 2.0, 30.0
#: Seconds that a thread may go on after its node is over.
LEFT_S = 2.0
#: Nodes with at least this part of the largest growth are suspected; of these, the youngest.
_ALIKE = 0.8
#: What is left after a look of growth before it: what counts is that of the last seconds.
FADE = 0.97
#: Part of the cap by which memory must have grown again before another node is stopped.
_AGAIN = 0.1
#: Sent to the main thread to stop a node that does not let go of it; ignored by default.
_SIGNAL = getattr(signal, "SIGURG", None)


class RunWatch:
    """Stops nodes that take too much memory or never let others work; names those that do."""

    def __init__(self, cap_mb: int = 0) -> None:
        """`cap_mb`: what runs may take together; 0 for half of the machine's memory."""
        self._cap_mb = cap_mb
        self._threads = NodeThreads()
        self._lock = threading.Lock()
        self._working: dict[Visit, None] = {}
        self._watcher: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        #: When the event loop was asked for a sign of life that has not come.
        self._asked_at: float | None = None
        self._reported: Visit | None = None

    def open(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._loop.set_default_executor(self._threads)
        if _SIGNAL is not None and threading.current_thread() is threading.main_thread():
            signal.signal(_SIGNAL, _interrupt)

    # -- what the engine calls ------------------------------------------------------------------

    def enter(self, visit: Visit) -> None:
        """A node begins, in the task that calls this."""
        WORKING.set(visit)
        self._working[visit] = None
        with self._lock:
            if self._watcher is None and self._loop is not None:
                self._asked_at = None
                self._watcher = threading.Thread(target=self._watch, name="run-watch", daemon=True)
                self._watcher.start()

    def leave(self, visit: Visit) -> None:
        """It has ended."""
        self._working.pop(visit, None)
        WORKING.set(None)

    # -- the thread -----------------------------------------------------------------------------

    def _watch(self) -> None:
        self._cap_mb = self._cap_mb or default_cap_mb()
        memory = _Memory(self._cap_mb * MB)
        if self._loop is not None:
            self._ask(self._loop)
        still = 0.0
        left: dict[Visit, float] = {}
        while True:
            tick = TICK_S if self._working or still < LINGER_S else SLOW_TICK_S
            time.sleep(tick)
            working = list(self._working)
            still = 0.0 if working else still + tick
            try:
                self._look_at_threads(left, time.monotonic())
                if working:
                    alone = self._look_at_loop(working)
                    self._look_at_memory(memory, working, alone)
            except Exception:  # whatever goes wrong here, the next look may go well
                log.exception("Runs could not be looked at")
            with self._lock:
                if still >= LINGER_S and not self._working and not left:
                    self._watcher = None
                    return

    def _look_at_memory(self, memory: _Memory, working: list[Visit], alone: Visit | None) -> None:
        culprit = memory.look(working, self._threads.owners(), alone)
        if culprit is None:
            return
        cap = f"{self._cap_mb:,} MB"
        log.warning(
            "Runs took more than %s: stopping %s, which was at work while memory grew by %.0f MB",
            cap,
            _named(culprit),
            memory.grown[culprit] / MB,
        )
        self._stop(
            culprit,
            NodeFailed(
                f"“{culprit.node.title}” was stopped: the runs of this server took more than "
                f"{cap} of memory, and most of it came while this step was at work.",
                code="out_of_memory",
                fix="Give it less to do: fewer or smaller inputs. If the machine has more memory, "
                "raise max_run_memory_mb.",
                expected=self._cap_mb,
            ),
        )

    def _look_at_loop(self, working: list[Visit]) -> Visit | None:
        """The node that lets nothing else work on the event loop now, if one does."""
        loop = self._loop
        assert loop is not None
        asked = self._asked_at
        if asked is None:
            self._ask(loop)
            return None
        silent = time.monotonic() - asked
        task = asyncio.current_task(loop)
        visit = next((v for v in working if v.limit is not None and v.limit.task is task), None)
        if visit is not None:
            self._held_up(visit, silent)
        return visit

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asked_at = time.monotonic()
        self._reported = None
        with contextlib.suppress(RuntimeError):  # closed: the server has ended
            loop.call_soon_threadsafe(self._alive)

    def _held_up(self, visit: Visit, silent: float) -> None:
        if silent >= HELD_UP_S:
            visit.held_up_s = silent
            if self._reported is not visit:
                self._reported = visit
                log.warning(
                    "%s keeps the server waiting: nothing else could work for %.0f s (%s)",
                    _named(visit),
                    silent,
                    _place(sys._current_frames().get(self._loop_thread)),
                )
        limit = max(HELD_UP_S, min(TOO_LONG_S, visit.node.timeout_s))
        if silent >= limit:
            visit.verdict = visit.verdict or NodeFailed(
                f"“{visit.node.title}” was stopped: for {limit:g} s it let nothing else work.",
                code="blocked",
                fix="Its code must wait with `await`, and do long work in a thread "
                "(`asyncio.to_thread`).",
            )
        in_main = self._loop_thread == threading.main_thread().ident
        if visit.verdict is not None and in_main and _SIGNAL is not None:
            signal.pthread_kill(self._loop_thread, _SIGNAL)

    def _look_at_threads(self, left: dict[Visit, float], now: float) -> None:
        """End threads whose node is over; `left` holds when each was first seen so."""
        over = {visit for visit in self._threads.owners() if visit not in self._working}
        for visit in left.keys() - over:
            del left[visit]
        for visit in over:
            if now - left.setdefault(visit, now) >= LEFT_S:
                self._threads.stop(visit)

    def _alive(self) -> None:
        self._asked_at = None

    def _stop(self, visit: Visit, verdict: NodeFailed) -> None:
        visit.verdict = visit.verdict or verdict
        loop = self._loop
        assert loop is not None
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(visit.stop, verdict)
        self._threads.stop(visit)


class _Memory:
    """How much the process has grown since nodes began to work, and which of them worked then."""

    def __init__(self, cap: int) -> None:
        import psutil

        self._process = psutil.Process()
        self._cap = cap
        self._before = self._base = self._now()
        self._line = cap
        #: Bytes that came while a node worked.
        self.grown: dict[Visit, float] = {}
        #: The node that was stopped last, until it is gone.
        self._told: Visit | None = None

    def _now(self) -> int:
        return int(self._process.memory_info().rss)

    def look(
        self, working: list[Visit], threads: set[Visit], alone: Visit | None = None
    ) -> Visit | None:
        """The node to stop, if any.

        `threads` are nodes with work in a thread; beside these, `alone` lets no other one work.
        """
        now = self._now()
        more, self._before = now - self._before, now
        self._base = min(self._base, now)
        taken = now - self._base
        if self._told is not None and self._told not in working:
            # What came up to its end was still its own, and may stay with the process for a while.
            self._told = None
            self._line = max(self._line, taken + int(self._cap * _AGAIN))
            more = 0
        # Nodes with others inside them wait; what these take is theirs, too.
        active = [v for v in working if v.working] if alone is None else [alone]
        busy = {around for visit in active for around in visit.around()}
        busy |= threads.intersection(working)
        self.grown = {v: self.grown.get(v, 0.0) * FADE for v in working}
        for visit in busy:
            self.grown[visit] = max(0.0, self.grown.get(visit, 0.0) + more)
        if taken <= self._cap:
            self._line = self._cap
        if taken <= self._line:
            return None
        # What was freed may stay with the process: only further growth costs another node.
        self._line = max(self._line, taken) + int(self._cap * _AGAIN)
        most = max((self.grown.get(v, 0.0) for v in busy), default=0.0)
        alike = [v for v in working if self.grown[v] >= most * _ALIKE]
        # One that was told to end and has not yet must not cost the others.
        if any(v.verdict is not None for v in alike):
            return None
        self._told = next((v for v in reversed(alike) if v in busy), None)
        return self._told


def default_cap_mb() -> int:
    """Half of what this machine, or this container, has; in MB."""
    import psutil

    total = int(psutil.virtual_memory().total)
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(file).read_text()))
    return max(512, total // MB // 2)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop the node that holds the main thread, if it is to be stopped."""
    visit = WORKING.get()
    if visit is None or visit.verdict is None or visit.limit is None:
        return
    if asyncio.current_task() is visit.limit.task and _within(frame):
        raise visit.verdict


def _within(frame: FrameType | None) -> bool:
    """Whether a node's own part of the engine is under way, which cleans up after it."""
    while frame is not None:
        if frame.f_code is ATTEMPT_CODE:
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "unknown"


def _named(visit: Visit) -> str:
    context, node = visit.context, visit.node
    return f"Node {context.prefix}{node.spec.id} ({node.cls.type}) of run {context.run_id}"
