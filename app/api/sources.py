"""Where documents of a knowledge base come from by themselves: folders, pages, sitemaps."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Key, Limit, Offset, Svc, part, preferred_wait, wants_async
from app.api.problems import Door
from app.services.sources.views import (
    Kind,
    RefreshView,
    SourceItemView,
    SourceSettings,
    SourceView,
)
from app.services.views import Page

router = APIRouter(tags=["Sources"], route_class=Door)

_SOURCES = "/knowledge_bases/{kb}/sources"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceBody(_Body):
    """A folder of the server's machine, an address, or a sitemap."""

    kind: Kind
    location: str = Field(max_length=4_000, description="Path of the folder, or address.")
    name: str = Field("", max_length=200, description="Else its folder or host.")
    settings: SourceSettings = SourceSettings.model_validate({})
    cron: str = Field("", max_length=200, description="When to refresh it: minute, hour, day, …")
    timezone: str = Field("UTC", max_length=100, description="Such as Europe/Berlin.")
    enabled: bool = Field(True, description="Whether it is refreshed at its times.")
    refresh: bool = Field(True, description="Whether to take its documents in at once.")


class SourceChange(_Body):
    """What to change of a source; what is left out stays, in its settings too."""

    name: str | None = Field(None, max_length=200)
    location: str | None = Field(None, max_length=4_000)
    settings: dict[str, Any] | None = None
    cron: str | None = Field(None, max_length=200, description="Empty: only when asked.")
    timezone: str | None = Field(None, max_length=100)
    enabled: bool | None = None


class RefreshBody(_Body):
    """How to refresh."""

    full: bool = Field(False, description="Hand in everything anew, changed or not.")


@router.get(_SOURCES)
async def list_sources(
    kb: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[SourceView]:
    """Sources of a knowledge base, oldest first."""
    return part(await services.sources.list(kb), limit, offset)


@router.post(_SOURCES, status_code=201)
async def add_source(kb: str, body: SourceBody, services: Svc) -> SourceView:
    """Add a source; its documents come in from now on."""
    given = {**body.model_dump(), "settings": body.settings.model_dump()}
    return await services.sources.add(kb, given.pop("kind"), given.pop("location"), **given)


@router.get(_SOURCES + "/{source_id}")
async def get_source(kb: str, source_id: str, services: Svc) -> SourceView:
    """A source with its newest refresh."""
    return await services.sources.get(kb, source_id)


@router.patch(_SOURCES + "/{source_id}")
async def change_source(kb: str, source_id: str, body: SourceChange, services: Svc) -> SourceView:
    """Change, pause or take up a source."""
    return await services.sources.change(kb, source_id, **body.model_dump())


@router.delete(_SOURCES + "/{source_id}", status_code=204)
async def remove_source(
    kb: str,
    source_id: str,
    services: Svc,
    key: Key,
    documents: Annotated[bool, Query(description="Whether its documents go too.")] = False,
) -> Response:
    """Forget a source; its documents stay unless asked otherwise."""
    await services.sources.remove(kb, source_id, documents=documents, author=key.name)
    return Response(status_code=204)


@router.post(_SOURCES + "/{source_id}/refresh", status_code=202, response_model=SourceView)
async def refresh_source(
    kb: str,
    source_id: str,
    request: Request,
    services: Svc,
    body: RefreshBody | None = None,
) -> Response:
    """Take in what changed.

    Waits up to 30 seconds until that is searchable, and answers 200 then; else 202 with the
    refresh under way. `Prefer: respond-async` answers 202 at once.
    """
    full = body.full if body is not None else False
    view = await services.sources.refresh(kb, source_id, full=full)
    waits = services.settings.upload_wait_s
    if wants_async(request):
        waits = 0.0
    elif (preferred := preferred_wait(request)) is not None:
        waits = min(waits, preferred)
    status = 202
    if waits:
        view, through = await services.sources.wait_through(kb, source_id, waits)
        status = 200 if through else 202
    location = f"/api/v1/knowledge_bases/{view.knowledge_base_id}/sources/{source_id}"
    return JSONResponse(view.model_dump(mode="json"), status, {"Location": location})


@router.post(_SOURCES + "/{source_id}/cancel")
async def cancel_refresh(kb: str, source_id: str, services: Svc) -> SourceView:
    """Stop a refresh and the jobs it started; documents that are in already stay."""
    return await services.sources.cancel(kb, source_id)


@router.get(_SOURCES + "/{source_id}/refreshes")
async def list_refreshes(
    kb: str, source_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[RefreshView]:
    """What the latest refreshes did, newest first."""
    return await services.sources.refreshes(kb, source_id, limit, offset)


@router.get(_SOURCES + "/{source_id}/items")
async def list_items(
    kb: str,
    source_id: str,
    services: Svc,
    limit: Limit = 50,
    offset: Offset = 0,
    outcome: Annotated[
        str | None, Query(pattern="^(added|changed|unchanged|removed|gone|failed)$")
    ] = None,
) -> Page[SourceItemView]:
    """Files or pages of a source with what became of them, failed ones first."""
    return await services.sources.items(kb, source_id, limit, offset, outcome)
