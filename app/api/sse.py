"""Server-sent events, with a sign of life while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

#: Proxies drop connections that are silent for longer.
_ALIVE_S = 15.0


def event_stream(
    source: AsyncIterator[tuple[str, BaseModel]], headers: dict[str, str] | None = None
) -> StreamingResponse:
    """Stream (name, data) pairs as events, numbered from 1."""
    return StreamingResponse(
        _encoded(source),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
    )


async def _encoded(source: AsyncIterator[tuple[str, BaseModel]]) -> AsyncIterator[bytes]:
    number = 0
    pending: asyncio.Task[tuple[str, BaseModel]] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait([pending], timeout=_ALIVE_S)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                name, data = pending.result()
            except StopAsyncIteration:
                return
            finally:
                pending = None
            number += 1
            yield f"id: {number}\nevent: {name}\ndata: {data.model_dump_json()}\n\n".encode()
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending
        if hasattr(source, "aclose"):
            await source.aclose()


async def _next(source: AsyncIterator[tuple[str, BaseModel]]) -> tuple[str, BaseModel]:
    return await anext(source)
