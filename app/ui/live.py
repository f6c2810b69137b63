"""Work that lives as long as a page is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nicegui import background_tasks, context


def follow(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Run `work` in the background once the browser is connected; it ends with the page.

    Waiting for the connection in the page's own task would send the page before it is complete.
    """
    client = context.client
    running: list[asyncio.Task[None]] = []

    def start() -> None:
        if not running and not client.is_deleted:
            running.append(background_tasks.create(work(), name=name))

    def stop() -> None:
        for task in running:
            task.cancel()

    client.on_delete(stop)
    if client.has_socket_connection:
        start()
    else:
        client.on_connect(start)
