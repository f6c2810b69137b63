"""Threads that nodes work in: apart from the server's own, and given up when they do not end."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

from app.engine.visit import Visit

T = TypeVar("T")

#: The node on whose behalf something works.
WORKING: ContextVar[Visit | None] = ContextVar("working", default=None)


class Stopped(BaseException):
    """Raised in a thread whose node is over: nobody waits for what it does."""


class NodeThreads(ThreadPoolExecutor):
    """A thread for each call, so that those that hang keep neither others nor the server's end.

    Knows which node each thread works for; the default executor of the event loop.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._lock = threading.Lock()
        self._owners: dict[int, Visit] = {}

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call `fn` in a new thread."""
        future: Future[T] = Future()
        work = (future, WORKING.get(), fn, args, kwargs)
        threading.Thread(target=self._work, args=work, name="node", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do not wait: what has not ended by now may never end."""
        super().shutdown(wait=False)

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

    def _work(
        self,
        future: Future[T],
        visit: Visit | None,
        fn: Callable[..., T],
        args: Any,
        kwargs: Any,
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self._owned(visit, fn, args, kwargs)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _owned(self, visit: Visit | None, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        if visit is None:
            return fn(*args, **kwargs)
        me = threading.get_ident()
        with self._lock:
            self._owners[me] = visit
        try:
            return fn(*args, **kwargs)
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
