"""Blocking work away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_END = object()


async def call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` in a thread and return what it returns; repositories are called through this."""
    return await asyncio.to_thread(fn, *args, **kwargs)


async def drain(iterator: Iterator[T]) -> list[T]:
    """Exhaust a blocking iterator in a thread."""
    return await asyncio.to_thread(list, iterator)
