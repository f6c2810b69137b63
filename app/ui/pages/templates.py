"""The gallery: workflows to begin with."""

from __future__ import annotations

from collections.abc import Callable

from app.services.container import Services


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""
