"""The name a person gave to be known by; the browser keeps it."""

from __future__ import annotations

from nicegui import ui

#: Author of what is done on pages by somebody who gave no name.
NOBODY = "page"
_LONGEST = 40


async def person_name() -> str:
    """Name of the person at this page, as the canvas asked for it; “page” without one."""
    try:
        found = await ui.run_javascript(
            "(() => { try { return localStorage.getItem('ragloom.canvas.name') } "
            "catch { return null } })()",
            timeout=2.0,
        )
    except TimeoutError:
        return NOBODY
    name = " ".join(found.split())[:_LONGEST] if isinstance(found, str) else ""
    return name or NOBODY
