"""Expressions in settings of nodes: checking them, and what they can name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import Any

from app.engine import expressions
from app.engine.codec import encode
from app.engine.context import NodeContext
from app.engine.values import PortValue

#: Names every expression knows: what the run was given, and the workflow's variables.
SHARED = ("input", "variables")
MAX_EXPRESSION = 4_000


def checked(source: str, names: Collection[str]) -> str:
    """The expression. Raises ValueError, which pydantic shows at the field, if it is none."""
    if source.strip():
        for problem in expressions.check(source, [*names, *SHARED]):
            if problem.severity == "error":
                raise ValueError(f"{problem.message} {problem.fix}".strip())
    return source


async def worked_out(source: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression; a slow one keeps nobody waiting. Raises NodeFailed."""
    return await asyncio.to_thread(expressions.evaluate, source, names)


def names_of(ctx: NodeContext, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an expression can name: inputs as JSON data, the run's input, variables."""
    return {
        "input": dict(ctx.input_data),
        "variables": dict(ctx.variables),
        **{name: _data(value) for name, value in values.items()},
    }


def held(data: Any) -> Any:
    """What a value holds, where an expression gave the whole value: the text of a Text."""
    if isinstance(data, Mapping) and len(data) == 1:
        ((name, inner),) = data.items()
        if name in ("text", "value", "data", "items"):
            return inner
    return data


def reads_input(*sources: str) -> tuple[str, ...] | None:
    """`Node.reads` of a node with these expressions: all of the run's input, or none."""
    return None if any(re.search(r"\binput\b", source) for source in sources) else ()


def _data(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    return encode(value) if isinstance(value, PortValue) else value
