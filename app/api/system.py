"""What the server can do, and how it is."""

from __future__ import annotations

import ipaddress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from app.api.deps import Svc, services_of
from app.api.problems import Door, Unauthorized
from app.engine.describe import node_type, port_types
from app.services.ingestion.processing_options import processing_options as options_here
from app.services.threads import call

#: Answered to anybody: they tell nothing about what is kept here.
open_router = APIRouter(tags=["Server"], route_class=Door)
router = APIRouter(tags=["Server"], route_class=Door)


class NodeTypes(BaseModel):
    """Node types in the order of the palette, and the types of their ports."""

    items: list[dict[str, Any]]
    total: int
    port_types: list[dict[str, Any]]


class Models(BaseModel):
    """Models that can be chosen, and how to get those that are not ready."""

    items: list[dict[str, Any]]
    total: int


class ProcessingOptions(BaseModel):
    """What the settings of processing may name."""

    #: media_type, name, extensions, added (by another package)
    extractors: list[dict[str, Any]]
    #: name, description
    chunkers: list[dict[str, str]]
    #: name, description, action (its usual one), actions (those it can have)
    validators: list[dict[str, Any]]
    embedders: list[dict[str, str]]
    #: Packages that could not be loaded: kind, name, message.
    problems: list[dict[str, str]]
    #: JSON Schema of a knowledge base's config.
    config_schema: dict[str, Any]


def product_version() -> str:
    """Version of the installed product."""
    try:
        return version("ragloom")
    except PackageNotFoundError:
        return "0"


@open_router.get("/health")
async def health() -> dict[str, str]:
    """The server answers."""
    return {"status": "ok", "version": product_version()}


@open_router.get("/ready")
async def ready(request: Request) -> Response:
    """Whether the search indexes are open and the default model is loaded; 503 until then."""
    services = services_of(request)
    if services.ready.is_set():
        return JSONResponse({"status": "ready"})
    problem = services.startup_problem
    if problem is not None:
        return JSONResponse({"status": "failed", "problem": problem.data()}, 503)
    return JSONResponse({"status": "starting"}, 503, {"Retry-After": "1"})


@open_router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus; from another machine it takes a key."""
    if not _is_loopback(request):
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        services = services_of(request)
        if scheme.lower() != "bearer" or await services.keys.verify(secret.strip()) is None:
            raise Unauthorized(
                "Metrics are for this machine, or for whoever has an API key.",
                fix="Send the header “Authorization: Bearer KEY”.",
            )
    content, media_type = request.app.state.metrics.render()
    return Response(content, media_type=media_type)


@router.get("/node_types")
async def node_types(services: Svc) -> NodeTypes:
    """Every node type: ports, settings as JSON Schema, words for people."""
    items = [node_type(cls) for cls in services.registry.all()]
    return NodeTypes(items=items, total=len(items), port_types=port_types())


@router.get("/models")
async def models(services: Svc) -> Models:
    """Models that can be chosen."""
    items = await services.models.available()
    return Models(items=items, total=len(items))


@router.get("/processing_options")
async def processing_options(services: Svc) -> ProcessingOptions:
    """File types, chunking strategies, validators and embedders, those of other packages too."""
    return ProcessingOptions(**await call(options_here))


def _is_loopback(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
