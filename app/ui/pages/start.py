"""Where the printed link leads: the demo's canvas the first time, the list of workflows afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from app.services.container import Services
from app.services.demo import FIRST_WORKFLOW

#: Seconds a first visitor waits for the demo to be written before the plain list is shown.
_PATIENCE_S = 8.0


def register(app: FastAPI, get_services: Callable[[], Services]) -> None:
    """Add the redirection."""

    @app.get("/start", include_in_schema=False)
    async def start() -> RedirectResponse:
        return RedirectResponse(await first_page(get_services()), status_code=303)


async def first_page(services: Services, patience_s: float = _PATIENCE_S) -> str:
    """Path of the demo's canvas while nothing was run yet, else of the list."""
    if not services.settings.demo or (await services.runs.list(limit=1, offset=0)).total:
        return "/"
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        known = (await services.workflows.list(limit=50, offset=0)).items
        if found := next((w for w in known if w.name == FIRST_WORKFLOW), None):
            return f"/workflows/{found.workflow_id}"
        if known or asyncio.get_running_loop().time() > deadline:
            return "/"
        await asyncio.sleep(0.1)
