"""Work on many things at once, a failure of one of which need not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from app.engine.context import NodeContext
from app.engine.problems import RagloomError

T = TypeVar("T")
R = TypeVar("R")


async def each(
    items: Sequence[T],
    work: Callable[[T], Awaitable[R]],
    ctx: NodeContext,
    *,
    at_once: int,
    name: Callable[[T], str],
    on_error: Literal["skip", "fail"],
    hopeless: int = 0,
) -> list[R | RagloomError]:
    """What `work` gives for each item, in order, or the error it failed with.

    Progress is told as items are done, with the `name` of the last one. An error is raised, and
    the rest is cancelled, where `on_error` says “fail”; and where `hopeless` is given, once so
    many items failed and none succeeded.
    """
    slots = asyncio.Semaphore(at_once)
    done = succeeded = 0
    ctx.progress(0, len(items))

    async def one(item: T) -> R | RagloomError:
        nonlocal done, succeeded
        async with slots:
            try:
                result = await work(item)
                succeeded += 1
                return result
            except RagloomError as error:
                if on_error == "fail" or (0 < hopeless <= done + 1 and not succeeded):
                    raise
                return error
            finally:
                done += 1
                ctx.progress(done, len(items), name(item))

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        # Nothing still works with what the caller is about to close.
        await asyncio.gather(*tasks, return_exceptions=True)
