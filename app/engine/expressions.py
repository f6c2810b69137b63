"""Expressions in settings: `{"$expr": "chunks.items | length"}` instead of a value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from app.engine.problems import Problem

#: The key that makes a setting an expression.
KEY = "$expr"


def is_expression(value: Any) -> bool:
    """Whether a setting is written as an expression."""
    return isinstance(value, Mapping) and len(value) == 1 and KEY in value


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression over `names` (JSON data), as JSON data. Raises NodeFailed."""
    raise NotImplementedError


def check(source: str, known_names: Collection[str]) -> list[Problem]:
    """What is wrong with an expression: its grammar, and names that are not known."""
    raise NotImplementedError


def complete(source: str, cursor: int, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What could stand at the cursor, each as {"text", "help", "value"}.

    `text` replaces the word before the cursor. `names` are example values, as JSON data.
    """
    raise NotImplementedError
