"""What the retrieval toolkit raises; it knows no engine, no storage and no page."""

from __future__ import annotations


class ModelNotFound(Exception):
    """A model cannot be had on this machine; `fix` names the ways to get it."""

    code = "model_unavailable"

    def __init__(self, name: str, message: str, fix: str) -> None:
        super().__init__(f"{message} {fix}")
        self.name = name
        self.message = message
        self.fix = fix
