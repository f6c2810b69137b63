"""Drawing fields again while somebody may be typing into them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from nicegui import background_tasks, ui

#: Seconds a browser has to hand over what was typed; one that is gone does not hold up the page.
_ANSWER_S = 3.0


def redraw(room: ui.element, draw: Callable[[], None]) -> None:
    """Draw what is in a room again, for somebody else changed it.

    Fields send what is typed after a pause: that comes first, so that it is an edit like any
    other and not lost. The focus, and what is typed meanwhile, go over into the new field.
    """
    background_tasks.create(_redraw(room, draw), name="redraw")


async def _redraw(room: ui.element, draw: Callable[[], None]) -> None:
    if not room.client.has_socket_connection:
        draw()
        return
    with suppress(TimeoutError):
        await room.client.run_javascript(f"ragloom.keepTyping({room.id})", timeout=_ANSWER_S)
    if not room.is_deleted:
        with room:
            draw()
