"""What nodes that read or fill a knowledge base share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.engine.problems import NodeFailed


def no_knowledge_base() -> NodeFailed:
    """None is chosen."""
    return NodeFailed(
        "No knowledge base is chosen.",
        code="missing_setting",
        fix="Choose one in the node's settings.",
    )


def knowledge_base_problems(config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """What `problems()` of such a node says: a run would fail, another setting may still come."""
    if str(config.get("knowledge_base") or "").strip():
        return []
    error = no_knowledge_base()
    return [(error.code, error.message, error.fix, "warning")]
