"""The OpenAPI page, from files of this package: it works without a network."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_TYPES = {"css": "text/css", "js": "text/javascript"}
_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Ragloom API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis], validatorUrl: null,
});
"""
_PLAIN = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Ragloom API</title></head>
<body>
<h1>Ragloom API</h1>
<p>The interactive page was not built into this installation. The description of the API is at
<a href="/openapi.json">/openapi.json</a>; any OpenAPI tool reads it.</p>
</body>
</html>
"""


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The interactive page, or a plain one where its files were not built."""
    built = all(_asset(name).is_file() for name in _FILES)
    return HTMLResponse(_PAGE if built else _PLAIN)


@router.get("/docs/start.js")
async def start() -> Response:
    """What starts the page; a file of its own, so that no inline script is needed."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file of the page."""
    if name not in _FILES or not _asset(name).is_file():
        raise HTTPException(404)
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(
        _asset(name).read_bytes(), media_type=kind, headers={"Cache-Control": "max-age=86400"}
    )


def _asset(name: str) -> Traversable:
    return resources.files("app") / "ui" / "canvas" / "dist" / "swagger" / name
