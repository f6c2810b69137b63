"""Memory that the C library holds back: as little as can be, and given to the system again."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any


@cache
def _trim() -> Any:
    if sys.platform != "linux":
        return None
    # Only glibc has it; its heaps, one a thread, keep what a large document needed for good.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return free memory to the system. Takes milliseconds; call it in a thread."""
    trim = _trim()
    if trim is not None:
        trim(0)


#: glibc's mallopt option: how many heaps there may be.
_M_ARENA_MAX = -8


def few_heaps() -> None:
    """Have threads share a heap a core; call it before there are many threads.

    By default there are up to eight a core, and what a thousand documents left in each of them is
    never whole pages that could be given back.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        choose = getattr(ctypes.CDLL(None), "mallopt", None)
        if choose is not None:
            choose(_M_ARENA_MAX, max(2, os.cpu_count() or 1))
