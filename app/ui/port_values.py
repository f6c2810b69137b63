"""What an output last held, in a line or two: shown when its port is pointed at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.services.views import StepView
from app.ui import text
from app.ui.timeline import is_inner

#: Characters of a text, and names of a list, that are told.
_CHARS = 240
_NAMES = 3


def port_values(steps: Mapping[str, StepView]) -> dict[str, dict[str, str]]:
    """Node of the canvas -> output port -> short text, for `FlowCanvas.set_port_values`."""
    found = {
        node: {port: short(value) for port, value in step.outputs.items()}
        for node, step in steps.items()
        if not is_inner(node)
    }
    return {node: ports for node, ports in found.items() if ports}


def short(value: Any) -> str:
    """A value of any port type in a few words."""
    if value is None:
        return "Nothing: the branch was not taken, or nothing was wired to it."
    if isinstance(value, Mapping):
        return _of_mapping(value)
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _of_mapping(value: Mapping[str, Any]) -> str:
    if "passed" in value and "checks" in value:
        words = "Passed" if value["passed"] else "Failed"
        return f"{words}, confidence {text.score(value.get('confidence'))}"
    if isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
        columns = text.count(len(value["columns"]), "column")
        return f"{text.count(len(value['rows']), 'row')}, {columns}"
    if isinstance(value.get("items"), list):
        return _of_items(value["items"])
    if isinstance(value.get("text"), str):
        return _cut(value["text"])
    for name in ("value", "data"):
        if name in value and set(value) <= {name, "type"}:
            return short(value[name])
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _of_items(items: list[Any]) -> str:
    first = items[0] if items else None
    if isinstance(first, Mapping) and "chunk_id" in first:
        names = dict.fromkeys(str(c.get("document_name") or "") for c in items)
        return f"{text.count(len(items), 'passage')} of {_listed(list(names))}"
    if isinstance(first, Mapping) and "filename" in first:
        return f"{text.count(len(items), 'file')}: {_listed([str(d['filename']) for d in items])}"
    words = text.count(len(items), "item")
    return f"{words}, the first: {short(first)}"[:_CHARS] if items else words


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _cut(content: str) -> str:
    flat = " ".join(content[: _CHARS * 2].split())
    return flat if len(flat) <= _CHARS else flat[:_CHARS].rstrip() + "…"
