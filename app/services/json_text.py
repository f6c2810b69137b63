"""JSON text of views and events; that of large ones is written elsewhere, and in pieces."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from app.engine.weight import weigh
from app.services.threads import call
from storage.json_pieces import PIECE, pieces


async def json_text(model: BaseModel) -> bytes:
    """The JSON text of a model."""
    if weigh(model, PIECE) <= PIECE:
        return model.model_dump_json().encode()
    return await call(_in_pieces, model)


def _in_pieces(model: BaseModel) -> bytes:
    return "".join(pieces(_opened(model), _write)).encode()


def _opened(data: Any) -> Any:
    """Models as what they hold, so that they can be written field by field."""
    if isinstance(data, BaseModel):
        fields = type(data).model_fields.items()
        return {name: _opened(getattr(data, name)) for name, field in fields if not field.exclude}
    if isinstance(data, list | tuple) and data and isinstance(data[0], BaseModel):
        return [_opened(item) for item in data]
    return data


def _write(data: Any) -> str:
    return to_json(data, inf_nan_mode="null").decode()
