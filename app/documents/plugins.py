"""Named things that other packages may add: by a `register_*` call or by an entry point."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from importlib.metadata import entry_points
from threading import Lock
from typing import Generic, TypeVar, cast

T = TypeVar("T")

log = logging.getLogger(__name__)


class Plugins(Generic[T]):
    """A registry of named things; entry points of `group` join it at the first look-up."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._items: dict[str, T] = {}
        self._discovered = False
        #: Entry points that could not be loaded -> why.
        self.failed: dict[str, str] = {}
        self._lock = Lock()

    def register(self, name: str, item: T) -> None:
        """Add `item`, or replace what goes by `name`."""
        self._items[name] = item

    def unregister(self, name: str) -> None:
        """Take away what goes by `name`."""
        self._items.pop(name, None)

    def has(self, name: str) -> bool:
        """Whether something was registered as `name`; entry points are not looked at."""
        return name in self._items

    def get(self, name: str) -> T | None:
        """Return what goes by `name`."""
        if name not in self._items:
            self._discover()
        return self._items.get(name)

    def names(self) -> list[str]:
        """Return every name, sorted."""
        self._discover()
        return sorted(self._items)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        self._discover()
        return iter(list(self._items.items()))

    def _discover(self) -> None:
        with self._lock:
            if self._discovered:
                return
            self._discovered = True
            for point in entry_points(group=self._group):
                if point.name in self._items:
                    continue  # A package's own registration wins.
                try:
                    self._items[point.name] = cast(T, point.load())
                except Exception as error:
                    # Whatever a package does when it is imported, the others go on.
                    self.failed[point.name] = f"{type(error).__name__}: {error}"[:300]
                    log.warning("%s “%s” could not be loaded: %s", self._group, point.name, error)


def first_line(thing: object) -> str:
    """Return the first line of a docstring, or nothing."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]
