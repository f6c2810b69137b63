"""Workflows of other systems."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.deps import Key, Svc
from app.api.multipart import read_form
from app.api.problems import Door
from app.services.container import Services
from app.services.importers.service import Imported, import_workflow
from app.services.threads import call

router = APIRouter(tags=["Workflows"], route_class=Door)

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/yaml": {"schema": {"type": "object"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post("/workflows/import", status_code=201, openapi_extra=_BODY)
async def import_file(request: Request, services: Svc, key: Key) -> Imported:
    """Import a workflow of RAGFlow, Dify, Langflow, Flowise or Ragloom.

    The body is the file as it was exported, JSON or YAML, or a form with the file. Nodes that have an equal here become it;
    any other becomes a placeholder that keeps its data. Keys and passwords are left out.
    """
    return await import_workflow(services, await _file(request, services), author=key.name)


async def _file(request: Request, services: Services) -> bytes | str:
    """The file: the body itself, or the first file or field of a form."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    form = await read_form(
        request,
        services.folder.path / "uploads",
        file_bytes=services.settings.max_workflow_mb * 1024 * 1024,
        max_files=1,
    )
    try:
        if form.files:
            return await call(form.files[0].path.read_bytes)
        return next(iter(form.fields.values()), "")
    finally:
        await call(form.discard)
