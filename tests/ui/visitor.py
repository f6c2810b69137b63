"""A visitor of the pages without a browser, who waits for what comes in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from nicegui.testing import User
from nicegui.testing.user_simulation import user_simulation

if TYPE_CHECKING:
    from app.services.container import Services

#: Seconds that something may take to come or to go; a slow machine needs some of them.
PATIENCE_S = 60.0
_LOOK_S = 0.1


class Visitor(User):
    """Looks as often as it takes: three times, as NiceGUI does, is too few where much runs."""

    async def should_see(
        self,
        target: Any = None,
        *,
        kind: Any = None,
        marker: Any = None,
        content: Any = None,
        retries: int = 1,
    ) -> None:
        """Wait until it is there; then fail as NiceGUI's own."""
        await _wait(lambda: self._sees(target, kind, marker, content))
        await super().should_see(target, kind=kind, marker=marker, content=content, retries=retries)

    async def should_not_see(
        self,
        target: Any = None,
        *,
        kind: Any = None,
        marker: Any = None,
        content: Any = None,
        retries: int = 1,
    ) -> None:
        """Wait until it is gone; then fail as NiceGUI's own."""
        await _wait(lambda: not self._sees(target, kind, marker, content))
        await super().should_not_see(
            target, kind=kind, marker=marker, content=content, retries=retries
        )


async def _wait(check: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not check() and time.monotonic() < ends:
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def visiting(services: Services) -> AsyncIterator[Visitor]:
    """Serve the pages over these services to one visitor."""
    from app.ui.pages import register

    async with user_simulation() as simulated:
        register(FastAPI(), lambda: services)
        yield Visitor(simulated.http_client)
