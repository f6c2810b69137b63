"""Threads for nodes: used again, unless they were stopped; hung ones keep nobody waiting."""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from app.services.runs.node_threads import WORKING, NodeThreads, Stopped

WAIT_S = 60


class Large:
    """Something that nobody should keep."""


@pytest.fixture
def threads() -> Iterator[NodeThreads]:
    made = NodeThreads()
    yield made
    made.shutdown()


def test_a_thread_is_used_again(threads: NodeThreads) -> None:
    first = threads.submit(threading.get_ident).result(WAIT_S)
    for _ in range(3):
        assert threads.submit(threading.get_ident).result(WAIT_S) == first
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(WAIT_S)
    assert threads.submit(threading.get_ident).result(WAIT_S) == first


def test_a_call_leaves_no_context_to_the_next(threads: NodeThreads) -> None:
    left = contextvars.ContextVar("left", default=0)
    threads.submit(left.set, 1).result(WAIT_S)
    assert threads.submit(left.get).result(WAIT_S) == 0
    mine = contextvars.copy_context()
    mine.run(left.set, 2)
    assert threads.submit(mine.run, left.get).result(WAIT_S) == 2


def test_one_that_hangs_keeps_nobody_waiting(threads: NodeThreads) -> None:
    go = threading.Event()
    hung = [threads.submit(go.wait) for _ in range(40)]
    assert threads.submit(lambda: 1).result(WAIT_S) == 1
    go.set()
    assert all(call.result(WAIT_S) for call in hung)


def test_a_stopped_thread_takes_nothing_up(threads: NodeThreads) -> None:
    visit: Any = object()
    began = threading.Event()
    ident = []

    def spin() -> None:
        ident.append(threading.current_thread())
        began.set()
        while True:
            pass

    token = WORKING.set(visit)
    try:
        spinning = threads.submit(spin)
    finally:
        WORKING.reset(token)
    assert began.wait(WAIT_S)
    assert threads.owners() == {visit}
    assert threads.stop(visit) == 1
    with pytest.raises(Stopped):
        spinning.result(WAIT_S)
    ident[0].join(WAIT_S)
    assert not ident[0].is_alive()
    assert threads.owners() == set()
    assert threads.stop(visit) == 0
    assert threads.submit(lambda: 1).result(WAIT_S) == 1


def test_threads_that_wait_keep_nothing_and_end_with_the_server(threads: NodeThreads) -> None:
    made = Large()
    here = weakref.ref(made)
    given = threads.submit(lambda value: (value, threading.current_thread()), made)
    thread = given.result(WAIT_S)[1]
    # The next one has begun: nothing of the first is left but what waits for it here.
    del made, given
    threads.submit(int).result(WAIT_S)
    assert here() is None
    assert thread.is_alive()
    threads.shutdown()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_few_threads_wait(threads: NodeThreads) -> None:
    barrier = threading.Barrier(41)
    calls = [
        threads.submit(lambda: (barrier.wait(WAIT_S), threading.current_thread())[1])
        for _ in range(40)
    ]
    barrier.wait(WAIT_S)
    made = [call.result(WAIT_S) for call in calls]
    assert len(set(made)) == 40
    deadline = time.monotonic() + WAIT_S
    while sum(thread.is_alive() for thread in made) > 16 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sum(thread.is_alive() for thread in made) == 16
