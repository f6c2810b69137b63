"""Original documents and pictures of their pages, for the document page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse

from app.services.container import Services
from app.ui.expecting import Expecting
from app.ui.parts import error_words

T = TypeVar("T")
#: Pixels across a page picture: sharp at the width it is shown.
_WIDTH = 1_200


def original_href(kb: str, document_id: str) -> str:
    """Where the page downloads an original."""
    return f"/_ragloom/original/{quote(kb)}/{quote(document_id)}"


def page_href(kb: str, document_id: str, page: int, version: str) -> str:
    """Where the page gets the picture of a page; `version` lets the browser keep it."""
    return f"/_ragloom/page/{quote(kb)}/{quote(document_id)}/{page}?v={quote(version)}"


def blob_page_href(blob: str, page: int) -> str:
    """Where a viewer gets the picture of a page of an original, by the hash of its bytes."""
    return f"/_ragloom/blob/{quote(blob)}/{page}"


def register(app: FastAPI, get_services: Callable[[], Services]) -> None:
    """Add the routes to the server."""

    @app.get("/_ragloom/original/{kb}/{document_id}", include_in_schema=False)
    async def original(kb: str, document_id: str) -> Response:
        path, filename, _ = await _or_404(get_services().knowledge.original(kb, document_id))
        # Always a download of plain bytes: an uploaded HTML file must never run as a page of ours.
        return FileResponse(
            path, filename=filename, media_type="application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff"},
        )  # fmt: skip

    @app.get("/_ragloom/blob/{blob}/{page}", include_in_schema=False)
    async def blob_page_image(blob: str, page: int) -> Response:
        if re.fullmatch(r"[0-9a-f]{64}", blob) is None:
            raise HTTPException(404, "There is no such file.")
        image = await _or_404(get_services().files.page_image(blob, page, _WIDTH))
        headers = {"Cache-Control": "private, max-age=86400"}
        return FileResponse(image, media_type="image/png", headers=headers)

    @app.get("/_ragloom/page/{kb}/{document_id}/{page}", include_in_schema=False)
    async def page_image(kb: str, document_id: str, page: int) -> Response:
        path, _, _ = await _or_404(get_services().knowledge.original(kb, document_id))
        blob = path.parent.name + path.name  # the blob folder splits hashes after two digits
        image = await _or_404(get_services().files.page_image(blob, page, _WIDTH))
        headers = {"Cache-Control": "private, max-age=86400"}
        return FileResponse(image, media_type="image/png", headers=headers)


async def _or_404(work: Awaitable[T]) -> T:
    with Expecting() as met:
        return await work
    raise HTTPException(404, error_words(met.error)[0]) from met.error
