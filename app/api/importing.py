"""Workflows of other systems."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.deps import Key, Svc
from app.api.problems import Door
from app.services.importers.service import Imported, import_workflow

router = APIRouter(tags=["Workflows"], route_class=Door)

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/yaml": {"schema": {"type": "object"}},
        },
    }
}


@router.post("/workflows/import", status_code=201, openapi_extra=_BODY)
async def import_file(request: Request, services: Svc, key: Key) -> Imported:
    """Import a workflow of RAGFlow, Dify, Langflow, Flowise or Ragloom.

    The body is the file as it was exported, JSON or YAML. Nodes that have an equal here become it;
    any other becomes a placeholder that keeps its data. Keys and passwords are left out.
    """
    return await import_workflow(services, await request.body(), author=key.name)
