"""Errors as REST shows them: a real status and `{"error": {"code", "message", "details"}}`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from app.api.guard import BodyTooLarge
from app.engine.problems import RagloomError
from app.services.problems import explain

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


class Unauthorized(RagloomError):
    """The request brings no key, or one that is not accepted."""

    code = "unauthorized"


def error_body(code: str, message: str, details: list[Any] | None = None) -> dict[str, Any]:
    """The body of every error."""
    return {"error": {"code": code, "message": message, "details": details or []}}


def error_response(error: BaseException) -> JSONResponse:
    """Any exception as a response."""
    if isinstance(error, BodyTooLarge):
        error = too_large(error.limit)
    report = explain(error)
    headers = {}
    if report.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ragloom"'
    if report.http_status in (429, 503):
        headers["Retry-After"] = "2"
    body = error_body(report.code, report.sentence(), report.details)
    return JSONResponse(body, report.http_status, headers)


def too_large(limit: int) -> RagloomError:
    """A body past its limit."""
    return RagloomError(
        f"The request is larger than {limit / 1_048_576:.4g} MB.",
        code="too_large",
        fix="Send less at once, or raise max_request_mb or max_workflow_mb.",
    )


class Door(APIRoute):
    """A route whose errors, foreseen or not, all leave in the same form."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler that FastAPI makes."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except RequestValidationError:
                raise
            except HTTPException as error:
                if isinstance(error.__cause__, BodyTooLarge):
                    return error_response(error.__cause__)
                raise
            except Exception as error:
                return error_response(error)

        return handle


async def nothing_here(request: Request) -> Response:
    """Answer whatever else is asked of the API: the pages are no place to look for it."""
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is Match.PARTIAL:
            raise StarletteHTTPException(405, f"{request.method} is not possible here.")
    raise StarletteHTTPException(404)


def install(app: FastAPI) -> None:
    """Give the errors of the framework the same form."""

    async def invalid(request: Request, error: Exception) -> Response:
        items = error.errors() if isinstance(error, RequestValidationError) else []
        details = [
            {
                "code": item["type"],
                "place": ".".join(str(part) for part in item["loc"]),
                "message": item["msg"],
            }
            for item in items
        ]
        said = "; ".join(f"{d['place']}: {d['message']}" for d in details[:10])
        return JSONResponse(
            error_body("invalid_request", f"The request does not fit: {said}.", details), 422
        )

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        detail = str(getattr(error, "detail", "")) or "The request was refused."
        if status == 404:
            detail = f"There is nothing at {request.url.path}; /docs lists what there is."
        headers = getattr(error, "headers", None)
        code = _CODES.get(status, "error")
        return JSONResponse(error_body(code, detail), status, headers)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(StarletteHTTPException, refused)
