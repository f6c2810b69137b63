"""The pages for an address that leads nowhere, and for a page that could not be made."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import Client, ui
from nicegui import app as nicegui_app
from nicegui.page import page
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.services.container import Services
from app.services.problems import explain
from app.ui import parts
from app.ui.frame import Crumb, frame


def register(get_services: Callable[[], Services]) -> None:
    """Answer unknown addresses and failing pages in the frame of every other page."""

    @nicegui_app.exception_handler(404)
    async def lost(request: Request, error: Exception) -> Response:
        endpoint = request.scope.get("endpoint")
        if isinstance(error, HTTPException) and endpoint not in (None, nicegui_app):
            # A file or a route that is no page: nobody looks at its answer.
            return JSONResponse({"detail": error.detail}, status_code=404)
        with Client(page(""), request=request) as client:
            _page(
                get_services(),
                "Not found",
                "search_off",
                "There is no page at this address.",
                "The link may be old, or what it led to was deleted.",
            )
        return client.build_response(request, 404)

    @nicegui_app.on_page_exception
    def failed(error: Exception) -> None:
        problem = explain(error)
        _page(get_services(), "Error", "error_outline", problem.message, problem.fix)


def _page(services: Services, name: str, icon: str, title: str, hint: str) -> None:
    with frame(services, "Workflows", [Crumb(name)]), parts.empty(icon, title, hint):
        parts.primary("All workflows", lambda: ui.navigate.to("/"))
        parts.quiet("Try again", ui.navigate.reload)
