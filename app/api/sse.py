"""Server-sent events, with a sign of life while nothing happens.

Each has an id. A client that was cut off names the last one it got (`Last-Event-ID`): what is kept
of the past goes on after it, everything else begins with the state as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from app.api.problems import error_response
from app.services.json_text import json_text

#: Proxies drop connections that are silent for longer.
_ALIVE_S = 15.0
#: Name, data, and id; without an id, the number of the event in its stream, which says nothing to
#: the next stream.
Sent = tuple[str, BaseModel, str]


def last_event_id(request: Request) -> str:
    """The id of the last event that the client got; empty where it begins."""
    return request.headers.get("last-event-id", "").strip()


def event_stream(
    source: AsyncIterator[Sent] | None, headers: dict[str, str] | None = None
) -> Response:
    """Stream events; without any to come, tell the client not to ask again."""
    if source is None:
        return Response(status_code=204, headers=headers)
    return StreamingResponse(
        _encoded(source),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
    )


async def _encoded(source: AsyncIterator[Sent]) -> AsyncIterator[bytes]:
    number = 0
    pending: asyncio.Task[Sent] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait([pending], timeout=_ALIVE_S)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                name, data, given = pending.result()
                text = await json_text(data)
            except StopAsyncIteration:
                return
            except Exception as error:
                # The answer has begun: this is the only way to say it. It has no id, so that whoever
                # comes back goes on after what came before.
                yield b"event: error\ndata: " + bytes(error_response(error).body) + b"\n\n"
                return
            finally:
                pending = None
            number += 1
            head = f"id: {given or number}\nevent: {name}\ndata: ".encode()
            yield head + text + b"\n\n"
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending
        if hasattr(source, "aclose"):
            await source.aclose()


async def _next(source: AsyncIterator[Sent]) -> Sent:
    return await anext(source)
