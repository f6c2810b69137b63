"""The server without its pages: REST, security, health."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI

from app.api import (
    automation,
    chat,
    chunks,
    docs,
    documents,
    history,
    importing,
    jobs,
    knowledge,
    problems,
    reembed,
    sources,
    system,
    workflows,
)
from app.api.deps import require_key
from app.api.guard import Guard
from app.api.hosts import HostPolicy
from app.api.metrics import Counted, Metrics
from app.settings import Settings

_SLACK = 64 * 1024
#: Addresses of programs: what is wrong there is said as JSON, never as a page.
_FOR_PROGRAMS = (
    "/api", "/api/{path:path}", "/hooks", "/hooks/{path:path}", "/c/{path:path}",
    "/docs/{path:path}", "/docs", "/openapi.json", "/health", "/ready", "/metrics",
)  # fmt: skip


def make_server(settings: Settings) -> FastAPI:
    """REST over the services in `app.state.services`, to be set before it starts.

    `protect` it once everything else is mounted.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        metrics.attach(app.state.services)
        counting = asyncio.create_task(metrics.follow_documents(), name="count-documents")
        try:
            yield
        finally:
            counting.cancel()

    app = FastAPI(
        title="Ragloom",
        version=system.product_version(),
        description="Knowledge bases, workflows and their runs.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.metrics = metrics
    problems.install(app)
    api = APIRouter(dependencies=[Depends(require_key)])
    for module in (
        knowledge, documents, chunks, jobs, importing, history, automation, chat, workflows, system,
        reembed,
        sources,
    ):  # fmt: skip
        api.include_router(module.router)
    # With the prefix here: without one, every route would be worked out twice.
    app.include_router(api, prefix="/api/v1")
    app.include_router(automation.hooks)
    app.include_router(system.open_router)
    app.include_router(docs.router)
    app.include_router(chat.open_router)
    for path in _FOR_PROGRAMS:
        app.add_api_route(
            path, problems.nothing_here, methods=list(problems.METHODS), include_in_schema=False
        )
    app.add_middleware(Counted, metrics=metrics)
    return app


def session_cookie(data: Path) -> str:
    """Name of the cookie of the pages: servers on other ports of this host have their own."""
    place = hashlib.sha256(str(data.resolve()).encode()).hexdigest()
    return f"ragloom_{place[:10]}"


def protect(app: FastAPI, settings: Settings) -> None:
    """Put the checks of every request around the server; the last thing to add to it."""
    app.add_middleware(
        Guard,
        sessions=lambda: app.state.services.keys,
        hosts=HostPolicy(settings.host, settings.allowed_hosts),
        cookie=session_cookie(settings.data),
        max_body=settings.max_workflow_mb * 1024 * 1024 + _SLACK,
        max_upload=settings.max_request_bytes + _SLACK,
    )
