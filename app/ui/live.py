"""Work that lives as long as a page is open."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from nicegui import background_tasks, context


def follow(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run `work` in the background once the browser is connected; it ends with the page."""
    client = context.client

    async def run() -> None:
        try:
            await client.connected()
        except (TimeoutError, asyncio.CancelledError):
            work.close()
            raise
        await work

    task: asyncio.Task[None] = background_tasks.create(run(), name=name)

    def stop() -> None:
        if not task.done():
            task.cancel()

    client.on_delete(stop)
    return task
