"""What all visits of a run share, and what a run inside a node shares with the one around it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from app.engine.cache import ResultCache
from app.engine.context import Approvals, World
from app.engine.events import Event
from app.engine.values import PORT_TYPES, PortValue

if TYPE_CHECKING:
    from app.engine.plan import Plan
    from app.engine.registry import Registry
    from app.engine.visit import Visit

#: Bytes that one output of a node may take, unless told otherwise.
DEFAULT_MAX_OUTPUT = 64 * 1024 * 1024
#: Steps inside nodes that one run tells one by one, and failures beyond these.
TOLD_STEPS = 5_000
TOLD_FAILURES = 500


class Watch(Protocol):
    """Told which nodes work, so that it can stop one: see `Visit.stop`."""

    def enter(self, visit: Visit) -> None:
        """A node begins, in the task that calls this."""

    def leave(self, visit: Visit) -> None:
        """It has ended."""


@dataclass(slots=True)
class Inner:
    """What the runs inside the nodes of one run have in common."""

    #: Steps of inner runs that may still be told one by one; failures beyond that.
    steps: int = field(default_factory=lambda: TOLD_STEPS)
    failures: int = field(default_factory=lambda: TOLD_FAILURES)
    #: Plans by what they were made of, which is kept so that its identity stays unique.
    plans: dict[object, tuple[object, Plan]] = field(default_factory=dict)
    #: Stored workflows as they were first read: all items of a map get the same.
    stored: dict[tuple[str, int | None], tuple[Mapping[str, Any], int]] = field(
        default_factory=dict
    )
    #: Of many items that begin at once, one reads and plans what is inside, for all.
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class RunContext:
    """What all visits of a run share."""

    run_id: str
    world: World
    registry: Registry
    input_data: Mapping[str, Any]
    cache: ResultCache | None
    scope: str
    slots: asyncio.Semaphore
    emit: Callable[[Event], None]
    variables: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, type[PortValue]] = field(default_factory=lambda: PORT_TYPES)
    fresh: frozenset[str] = frozenset()
    approvals: Approvals | None = None
    #: Awaited before each node that would run.
    gate: Callable[[str], Awaitable[None]] | None = None
    #: Told which nodes work.
    watch: Watch | None = None
    #: Bytes that one output may take.
    max_output: int = DEFAULT_MAX_OUTPUT
    #: Whether events carry values.
    payloads: bool = True
    #: The node around this run, and what its inner nodes' ids begin with: “outer/”.
    outer: Visit | None = None
    prefix: str = ""
    #: Stored workflows that this run is inside of.
    inside: tuple[str, ...] = ()
    depth: int = 0
    inner: Inner = field(default_factory=Inner)
    is_settled: Callable[[object], bool] = field(default=lambda node_id: False)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    thread: int = field(default_factory=threading.get_ident)

    def emit_from_node(self, event: Event) -> None:
        """Pass on what a node reports, from whichever thread, unless it comes too late."""
        if threading.get_ident() != self.thread:
            # A closed loop means that the run is over and nobody watches.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.emit_from_node, event)
        elif not self.is_settled(getattr(event, "node_id", None)):
            self.emit(event)
