"""Signs of life of a long read: a scan of many pages is slow, not stuck."""

from __future__ import annotations

from collections.abc import Callable

_tell: list[Callable[[], None]] = []


def listen(tell: Callable[[], None]) -> None:
    """Call `tell` at every sign of life (in a worker process: a message to its owner)."""
    _tell[:] = [tell]


def alive() -> None:
    """Say that one more step of a long read, a page say, is done."""
    for tell in _tell:
        tell()
