"""Answers that may be large: the results of steps."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel

from app.services.json_text import json_text


async def answer(
    model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as JSON, without keeping others waiting while it is written."""
    text = await json_text(model)
    return Response(text, status, dict(headers or {}), media_type="application/json")
