"""Threads that nodes work in: apart from the server's own, and given up when they do not end."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from app.engine.visit import Visit

T = TypeVar("T")

#: The node on whose behalf something works.
WORKING: ContextVar[Visit | None] = ContextVar("working", default=None)


class Stopped(BaseException):
    """Raised in a thread whose node is over: nobody waits for what it does."""


#: Threads that wait for the next call; starting one holds up the event loop until it runs, which
#: takes milliseconds while an embedder works.
_MOST_IDLE = 16


@dataclass(frozen=True, slots=True)
class _Call:
    """What a thread is to do, and for which node."""

    future: Future[Any]
    visit: Visit | None
    fn: Callable[[], Any]


class NodeThreads(ThreadPoolExecutor):
    """As many threads as there are calls, so that those that hang keep neither others nor the
    server's end waiting. One whose call has ended takes up a later one.

    Knows which node each thread works for; the default executor of the event loop.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._lock = threading.Lock()
        self._owners: dict[int, Visit] = {}
        #: Where the threads that have nothing to do wait, the one that waits least last.
        self._idle: list[SimpleQueue[_Call | None]] = []
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call `fn` in a thread that has nothing else to do."""
        future: Future[T] = Future()
        # What one call sets in its context must not reach the next in the same thread.
        call = _Call(future, WORKING.get(), partial(Context().run, fn, *args, **kwargs))
        with self._lock:
            calls = self._idle.pop() if self._idle else None
        if calls is not None:
            calls.put(call)
            return future
        calls = SimpleQueue()
        calls.put(call)
        threading.Thread(target=self._serve, args=(calls,), name="node", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do not wait: what has not ended by now may never end."""
        super().shutdown(wait=False)
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for calls in idle:
            calls.put(None)

    def owners(self) -> set[Visit]:
        """Nodes that threads work for."""
        with self._lock:
            return set(self._owners.values())

    def stop(self, visit: Visit) -> int:
        """End the threads of a node as soon as they run Python code; returns how many there are."""
        with self._lock:
            mine = [thread for thread, owner in self._owners.items() if owner is visit]
            for thread in mine:
                _raise_in(thread, Stopped)
        return len(mine)

    def _serve(self, calls: SimpleQueue[_Call | None]) -> None:
        """A thread's life: one call after the other, until one was stopped or enough wait."""
        while (call := calls.get()) is not None and self._work(call, calls):
            # What it was given, and what came of it, may be large.
            del call
        with self._lock:
            # Stopped at the very moment when it ended, it may still be on the list.
            self._owners.pop(threading.get_ident(), None)

    def _work(self, call: _Call, calls: SimpleQueue[_Call | None]) -> bool:
        """Do what is asked; returns whether the thread is to wait for more, at `calls`."""
        future = call.future
        if not future.set_running_or_notify_cancel():
            return self._wait_at(calls)
        try:
            result = self._owned(call.visit, call.fn)
        except Stopped as error:
            future.set_exception(error)
            return False
        except BaseException as error:
            again = self._wait_at(calls)
            future.set_exception(error)
        else:
            # Before it is told: who hears of it may have the next call.
            again = self._wait_at(calls)
            future.set_result(result)
        return again

    def _wait_at(self, calls: SimpleQueue[_Call | None]) -> bool:
        with self._lock:
            again = not self._closed and len(self._idle) < _MOST_IDLE
            if again:
                self._idle.append(calls)
        return again

    def _owned(self, visit: Visit | None, fn: Callable[[], T]) -> T:
        if visit is None:
            return fn()
        me = threading.get_ident()
        with self._lock:
            self._owners[me] = visit
        try:
            return fn()
        finally:
            self._disown(me)

    def _disown(self, me: int) -> None:
        while True:
            try:
                # Under the lock nobody stops it any more; what was asked before is taken back.
                with self._lock:
                    self._owners.pop(me, None)
                    _raise_in(me, None)
            except Stopped:
                continue
            return


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    what = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
