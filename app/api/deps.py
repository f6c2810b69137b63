"""What every route of the API stands on: services, and a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.problems import Unauthorized
from app.services.container import Services
from app.services.keys import KeyView
from app.services.views import Page

T = TypeVar("T")

_bearer = HTTPBearer(
    auto_error=False, description="An API key, as `ragloom serve` or `ragloom keys create` prints."
)


def services_of(request: Request) -> Services:
    """The services of this server."""
    return cast(Services, request.app.state.services)


Svc = Annotated[Services, Depends(services_of)]


async def require_key(
    services: Svc,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> KeyView:
    """The key of the request. Raises Unauthorized."""
    if credentials is None:
        raise Unauthorized(
            "The request has no API key.",
            fix="Send the header “Authorization: Bearer KEY”; `ragloom keys create` makes a key.",
        )
    key = await services.keys.verify(credentials.credentials)
    if key is None:
        raise Unauthorized(
            "The API key is not accepted: unknown or revoked.",
            fix="Make another with `ragloom keys create`.",
        )
    return key


Key = Annotated[KeyView, Depends(require_key)]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items to return.")]
#: Past every count here, and within what the databases take as a number.
MAX_COUNT = 2**31 - 1
Offset = Annotated[
    int, Query(ge=0, le=MAX_COUNT, description="Items to leave out at the beginning.")
]
Revision = Annotated[int | None, Query(ge=1, le=MAX_COUNT, description="Else the newest one.")]
Ref = Annotated[str, Query(max_length=200, description="Branch, or id of a commit.")]


def part(items: Sequence[T], limit: int, offset: int) -> Page[T]:
    """The asked part of a list that is read as a whole, as all are that stay short."""
    return Page(items=list(items[offset : offset + limit]), total=len(items))


def wants_async(request: Request) -> bool:
    """Whether the client asked not to wait (`Prefer: respond-async`)."""
    return "respond-async" in _preferences(request)


def preferred_wait(request: Request) -> float | None:
    """Seconds the client is willing to wait (`Prefer: wait=10`)."""
    for preference in _preferences(request):
        name, _, value = preference.partition("=")
        if name == "wait" and value.isdigit():
            return float(value)
    return None


def wants_events(request: Request) -> bool:
    """Whether the client asked for a stream of events."""
    return "text/event-stream" in request.headers.get("accept", "")


def _preferences(request: Request) -> list[str]:
    text = ",".join(request.headers.getlist("prefer")).lower()
    return [part.strip().replace(" ", "") for part in text.replace(";", ",").split(",")]
