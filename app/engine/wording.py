"""Sentences about problems."""

from __future__ import annotations

from typing import Any

from app.engine.problems import Problem
from app.engine.registry import AnyNode
from app.engine.unfit import unfit


def bad_setting(node_id: str, title: str, cls: AnyNode, item: Any) -> Problem:
    """One fault that pydantic found in a node's settings, as a problem."""
    path = ".".join(str(part) for part in item["loc"])
    setting = cls.Config.model_fields.get(str(item["loc"][0])) if item["loc"] else None
    known = list(cls.Config.model_fields)
    found = item["input"]
    if item["type"] == "extra_forbidden":
        message = f"“{title}” has no setting “{path}”."
        fix = f"Its settings: {', '.join(known)}." if known else "It has no settings; remove it."
    elif item["type"] == "missing":
        message, found = f"“{title}” needs the setting “{path}”.", None
        fix = (setting and setting.description) or "Fill it in."
    else:
        reason = unfit(item)
        shown = f", found {_short(found)}" if not isinstance(found, (dict, list)) else ""
        # Settings that do not go together are the fault of no one of them.
        message = f"“{title}”{f', setting “{path}”' if path else ''}: {reason}{shown}."
        fix = (setting and setting.description) or (
            "Choose a value that fits." if path else "Correct its settings."
        )
    return Problem(
        code="bad_config",
        message=message,
        fix=fix,
        node=node_id,
        field=path,
        found=found if isinstance(found, (str, int, float, bool)) else None,
        expected=unfit(item),
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def shortened(ids: list[str]) -> list[str]:
    """The beginning and the end of a long list."""
    return ids if len(ids) <= 12 else [*ids[:6], "…", *ids[-5:]]


def either(options: list[str]) -> str:
    """“a, b or c”."""
    if len(options) <= 1:
        return "".join(options)
    return f"{', '.join(options[:-1])} or {options[-1]}"
