"""How Dify's files speak of values of other nodes."""

from __future__ import annotations

import re
from typing import Any

from app.services.importers.source import (
    FILES,
    QUESTION,
    UNKNOWN,
    VARIABLE,
    Ref,
    Template,
    items,
    split_template,
    text,
)

#: {{#1719593592357.text#}} stands for the output “text” of a node.
_VARIABLE = re.compile(r"\{\{#\s*([^{}#]{1,200}?)\s*#\}\}")


def template(value: Any) -> Template:
    """A text with {{#node.name#}} in it."""
    return split_template(text(value), _VARIABLE, lambda m: reference(m.group(1).split(".")))


def selector(value: Any) -> Ref | None:
    """A list such as ["1719593592357", "text"]."""
    parts = [text(part, 200) for part in items(value)[:6]]
    return reference(parts) if parts and parts[0] else None


def reference(parts: list[str]) -> Ref:
    """What the parts of a name mean: a node and its output, or a value of the run."""
    head, name = parts[0].strip(), (parts[1].strip() if len(parts) > 1 else "")
    if head == "sys":
        known = {"query": Ref(QUESTION), "files": Ref(FILES)}
        return known.get(name, Ref(UNKNOWN, name))
    if head in ("env", "conversation"):
        return Ref(VARIABLE, name)
    if head == "context":
        return Ref(UNKNOWN, "context")
    return Ref(head, name)


def all_refs(data: Any) -> list[Ref]:
    """Every value that settings of an unknown shape speak of."""
    found: dict[Ref, None] = {}
    stack = [data]
    seen = 0
    while stack and seen < 5_000:
        seen += 1
        value = stack.pop()
        if isinstance(value, str):
            for piece in template(value):
                if isinstance(piece, Ref):
                    found[piece] = None
        elif isinstance(value, dict):
            for key, item in value.items():
                if (
                    "selector" in str(key)
                    or (key == "value" and value.get("type") == "variable")
                    or (key == "query" and isinstance(item, list))
                ):
                    ref = selector(item)
                    if ref is not None:
                        found[ref] = None
                stack.append(item)
        elif isinstance(value, list):
            stack.extend(value)
    return [r for r in list(found)[:30] if r.step != UNKNOWN]
