"""Memory that the C library holds back, given to the system again."""

from __future__ import annotations

import ctypes
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
