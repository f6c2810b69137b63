"""What nodes that ask a language model share: settings, messages, and the reply as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import NodeContext

#: Setting: what else a model should heed.
Instructions = Annotated[str, Field(max_length=20_000, json_schema_extra={"widget": "textarea"})]
#: Setting: how long a model may take.
Timeout = Annotated[
    float,
    Field(
        ge=1,
        le=600,
        title="Time limit (seconds)",
        description="Longest wait for the model, in seconds.",
    ),
]


def chat(system: Sequence[str], asked: str) -> list[dict[str, str]]:
    """The messages of a question: paragraphs that the model is told, empty ones left out, and it."""
    told = "\n\n".join(part for part in map(str.strip, system) if part)
    return [{"role": "system", "content": told}, {"role": "user", "content": asked}]


def fenced(tag: str, text: str, **about: object) -> str:
    """Quoted material between tags that its own text cannot close."""
    kept = re.sub(rf"<(/?)\s*({tag})\b", r"‹\1\2", text, flags=re.IGNORECASE)
    attributes = "".join(f' {name}="{_one_line(str(value))}"' for name, value in about.items())
    return f"<{tag}{attributes}>\n{kept}\n</{tag}>"


def _one_line(value: str) -> str:
    return value.replace('"', "'").replace("\n", " ")


async def complete(
    ctx: NodeContext,
    messages: Sequence[Mapping[str, str]],
    *,
    model: str,
    max_tokens: int,
    timeout_s: float,
    temperature: float = 0.0,
    response_format: Mapping[str, Any] | None = None,
    on_piece: Callable[[str], None] | None = None,
    usage: dict[str, float] | None = None,
) -> str:
    """The whole reply of a model; what it used is told to the run.

    `on_piece` hears the reply as it comes. `usage` gets what the run is told, for a node that
    hands it on.
    """

    def used(reported: Mapping[str, float]) -> None:
        ctx.use(**reported)
        if usage is not None:
            usage.update(reported)

    pieces: list[str] = []
    async for piece in ctx.world.models.complete(
        messages,
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        timeout_s=timeout_s,
        response_format=response_format,
        on_usage=used,
    ):
        pieces.append(piece)
        if on_piece is not None:
            on_piece(piece)
    return "".join(pieces)
