"""Blocking work away from the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Threads of the services alone: a node that hangs in a thread keeps none of these.
_POOL = ThreadPoolExecutor(min(32, max(8, (os.cpu_count() or 1) + 4)), "services")


async def call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` in a thread and return what it returns; repositories are called through this."""
    context = contextvars.copy_context()
    work = functools.partial(context.run, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_POOL, work)


async def drain(iterator: Iterator[T]) -> list[T]:
    """Exhaust a blocking iterator in a thread."""
    return await call(list, iterator)
