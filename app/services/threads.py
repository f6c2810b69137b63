"""Blocking work away from the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Threads of the services alone: a node that hangs in a thread keeps none of these.
_POOL = ThreadPoolExecutor(min(32, max(8, (os.cpu_count() or 1) + 4)), "services")

#: Threads that wait for the event loop now and then. What they wait for may itself need a thread of
#: the services: in one pool, enough of them would wait for each other for ever.
_WAITING = ThreadPoolExecutor(16, "streams")


async def call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` in a thread and return what it returns; repositories are called through this."""
    return await _run(_POOL, functools.partial(fn, *args, **kwargs))


async def call_waiting(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `call`, for work that waits for the event loop, such as a stream that arrives there."""
    return await _run(_WAITING, functools.partial(fn, *args, **kwargs))


async def see_through(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end, even where whoever waits for it is cancelled meanwhile.

    For what must not stop half-way: a thread that writes cannot be cancelled, and what belongs to
    the row it writes would never be done.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("What was given up failed, too", exc_info=error)
        raise


async def _run(pool: ThreadPoolExecutor, fn: Callable[[], T]) -> T:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: context.run(fn))
