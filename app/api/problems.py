"""Errors as REST shows them: a real status and `{"error": {"code", "message", "details"}}`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount

from app.api.guard import BodyTooLarge
from app.engine.problems import RagloomError
from app.engine.unfit import unfit
from app.services.problems import explain

log = logging.getLogger(__name__)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


#: Whoever opens the address of a webhook in a browser wants to know what it is for.
_HOOK_USE = (
    ": this is the address of a webhook. Send the inputs as a JSON object in the body, such as "
    '{"question": "…"}, with the header “Content-Type: application/json”; '
    "the answer is 202 with the run that it started."
)


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


class _StrictRequest(Request):
    """A request whose JSON body is JSON that everything behind it can keep and send again."""

    async def json(self) -> Any:
        """The body as data. Raises RagloomError “not_json” for anything else."""
        body = await self.body()
        try:
            text = body.decode("utf-8-sig")
            data = json.loads(text, parse_constant=_no_constant)
            if "\\ud" in text.lower():
                # Half of a surrogate pair is no text: it can be neither stored nor answered.
                json.dumps(data, ensure_ascii=False).encode()
        except RecursionError:
            said = "it is nested too deeply"
        except json.JSONDecodeError as error:
            said = f"line {error.lineno}, column {error.colno}: {error.msg}"
        except UnicodeDecodeError:
            said = "it is not UTF-8"
        except UnicodeEncodeError:
            said = "it holds half of a surrogate pair, which is no text"
        except ValueError:
            said = "it holds NaN, Infinity, or a number too long to be read"
        else:
            return data
        raise RagloomError(
            f"The body is not JSON: {said}.", code="not_json", fix="Send a JSON object in UTF-8."
        )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


class Door(APIRoute):
    """A route whose errors, foreseen or not, all leave in the same form."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler that FastAPI makes."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(_StrictRequest(request.scope, request.receive))
            except (RequestValidationError, ClientDisconnect):
                raise
            except StarletteHTTPException as error:
                # FastAPI wraps what reading the body raises.
                if isinstance(error.__cause__, BodyTooLarge | RagloomError):
                    return error_response(error.__cause__)
                raise
            except Exception as error:
                return error_response(error)

        return handle


async def nothing_here(request: Request) -> Response:
    """Answer whatever else is asked of the API: the pages are no place to look for it."""
    routes = [
        route
        for route in request.app.routes
        if not isinstance(route, Mount) and getattr(route, "endpoint", None) is not nothing_here
    ]
    allowed = ", ".join(
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    )
    if not allowed:
        raise StarletteHTTPException(404)
    said = f"{request.method} is not possible here. Use {allowed.replace(', ', ' or ')}"
    said += _HOOK_USE if request.url.path.startswith("/hooks/") else "; /docs says what to send."
    raise StarletteHTTPException(405, said, {"Allow": allowed})


def note_departures(app: Starlette) -> None:
    """A tab that is closed in the middle of an upload is no fault: one line tells of it."""

    async def gone(request: Request, error: Exception) -> Response:
        said = "%s %s: the client went away before its request was whole"
        log.info(said, request.method, request.url.path)
        return Response(status_code=400)  # nobody is there to read it

    app.add_exception_handler(ClientDisconnect, gone)


def install(app: FastAPI) -> None:
    """Give the errors of the framework the same form."""

    async def invalid(request: Request, error: Exception) -> Response:
        items = error.errors() if isinstance(error, RequestValidationError) else []
        details = [
            {
                "code": item["type"],
                "place": ".".join(str(part) for part in item["loc"]),
                "message": unfit(item),
            }
            for item in items
        ]
        said = "; ".join(f"{d['place']}: {d['message']}" for d in details[:10])
        message = f"The request does not fit: {said}."
        if any(d["place"] == "body" for d in details):
            message += " Send a JSON object, with the header “Content-Type: application/json”."
        return JSONResponse(error_body("invalid_request", message, details), 422)

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        detail = str(getattr(error, "detail", "")) or "The request was refused."
        if status == 404:
            detail = f"There is nothing at {request.url.path}; /docs lists what there is."
        headers = getattr(error, "headers", None)
        code = _CODES.get(status, "error")
        return JSONResponse(error_body(code, detail), status, headers)

    app.add_exception_handler(RequestValidationError, invalid)
    note_departures(app)
    app.add_exception_handler(StarletteHTTPException, refused)
