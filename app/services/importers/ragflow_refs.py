"""How RAGFlow's files speak of values of other components."""

from __future__ import annotations

import re
from typing import Any

from app.services.importers.source import (
    FILES,
    HISTORY,
    QUESTION,
    UNKNOWN,
    VARIABLE,
    Ref,
    Template,
    split_template,
    text,
)

#: {Agent:ThreePathsDecide@content}, {begin@name}, {sys.query}, {env.name}.
_VARIABLE = re.compile(
    r"\{\s*((?:sys|env)\.[\w.]{1,80}|(?:begin|[A-Za-z]\w{0,60}:[\w\-]{1,80})(?:@[\w.:\-]{1,80})?)\s*\}",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"\s*((?:sys|env)\.[\w.]{1,80}|(?:begin|[A-Za-z]\w{0,60}:[\w\-]{1,80})@[\w.:\-]{1,80})\s*",
    re.IGNORECASE,
)


def template(value: Any) -> Template:
    """A text with {component@output} in it."""
    return split_template(text(value), _VARIABLE, lambda m: reference(m.group(1)))


def reference(value: str) -> Ref:
    """What `component@output` or `sys.name` means."""
    value = value.strip()
    if value.startswith("sys."):
        known = {"sys.query": QUESTION, "sys.files": FILES, "sys.history": HISTORY}
        return Ref(known[value]) if value in known else Ref(UNKNOWN, value)
    if value.startswith("env."):
        return Ref(VARIABLE, value[4:])
    step, _, name = value.partition("@")
    return Ref(step, name)


def bare(value: Any) -> Template:
    """A field that holds a reference without braces, or a text with some in braces."""
    written = text(value)
    match = _BARE.fullmatch(written)
    return (reference(match.group(1)),) if match else template(written)


def all_refs(params: Any) -> list[Ref]:
    """Every value that settings of an unknown shape speak of."""
    found: dict[Ref, None] = {}
    stack, seen = [params], 0
    while stack and seen < 3_000:
        seen += 1
        value = stack.pop()
        if isinstance(value, str):
            for piece in bare(value):
                if isinstance(piece, Ref) and piece.step != UNKNOWN:
                    found[piece] = None
        elif isinstance(value, dict):
            stack.extend(v for k, v in value.items() if k not in ("outputs", "tools"))
        elif isinstance(value, list):
            stack.extend(value)
    return list(found)[:30]
