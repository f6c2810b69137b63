"""What a visit of a node comes to: outputs and what they count as, or a problem."""

from __future__ import annotations

import logging

from app.engine.cache import json_text
from app.engine.codec import Outputs
from app.engine.plan import PlannedNode
from app.engine.problems import Problem, RagloomError
from app.engine.signature import Signature, digest

logger = logging.getLogger(__name__)


class Outcome:
    """Outputs of a node, and why they are what they are."""

    __slots__ = ("cached", "downstream_key", "key", "outputs", "reason", "signature")

    def __init__(
        self,
        outputs: Outputs,
        key: str,
        reason: str,
        *,
        cached: bool = False,
        downstream_key: str = "",
        signature: Signature | None = None,
    ) -> None:
        self.outputs = outputs
        self.key = key
        self.reason = reason
        self.cached = cached
        #: What the outputs count as in the signatures of later nodes.
        self.downstream_key = downstream_key or key
        self.signature = signature


def problem_of(error: Exception, node: PlannedNode) -> Problem:
    """An exception of a node as a problem; the traceback goes to the log."""
    # A task group wraps even a single failure; what counts is inside.
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, RagloomError):
        logger.debug("Node %s failed", node.spec.id, exc_info=error)
        first = next(iter(error.problems), None)
        return Problem(
            code=error.code,
            message=error.message,
            fix=error.fix or (first.fix if first else ""),
            node=node.spec.id,
            port=_text(error.details.get("port")),
            field=_text(error.details.get("field")),
            found=error.details.get("found"),
            expected=error.details.get("expected"),
        )
    logger.warning("Node %s (%s) failed", node.spec.id, node.cls.type, exc_info=error)
    detail = str(error).strip() or "no message"
    return Problem(
        code="node_error",
        message=f"“{node.title}” failed with {type(error).__name__}: {detail[:500]}",
        fix="Look at its inputs and settings; the log has the full traceback.",
        node=node.spec.id,
    )


def _text(detail: object) -> str | None:
    return detail if isinstance(detail, str) else None


def content_key(outputs: Outputs) -> str:
    """What outputs count as by what they are, whatever made them."""
    return digest(
        "content",
        *(
            f"{port}={value.type_name}:{json_text(value).decode()}"
            for port, value in sorted(outputs.items())
            if value is not None
        ),
    )
