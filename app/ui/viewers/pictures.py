"""Pictures that travel inside a value."""

from __future__ import annotations

import re
from typing import Any

from nicegui import ui

#: Pictures that travel inside a value; nothing of them can run.
DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]+")
MAX_IMAGE = 8_000_000


def is_image(value: Any) -> bool:
    """Whether a text is a picture, as a data address of a kind that browsers only draw."""
    return (
        isinstance(value, str)
        and value.startswith("data:image/")
        and len(value) <= MAX_IMAGE
        and DATA_IMAGE.fullmatch(value) is not None
    )


def image(value: str) -> None:
    """A picture."""
    element = ui.element("img").classes("rl-image")
    element.props["src"] = value
    element.props["alt"] = "Picture"
