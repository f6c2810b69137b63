"""What pinned outputs count as in the signatures of the nodes that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.options import PINNED, PINNED_SAME
from app.engine.outcome import content_key

if TYPE_CHECKING:
    from app.engine.plan import Fixed
    from app.engine.run_context import RunContext


async def counts_as(context: RunContext, node_id: str, fixed: Fixed) -> tuple[str, str]:
    """Key and reason of outputs that stand in for a node's run.

    Where the node last gave the very same and that is still kept, they count as that result: what
    follows was computed from it and need not run again. Else they count by what they are.
    """
    if fixed.key:
        return fixed.key, fixed.reason
    content = content_key(fixed.outputs)
    if fixed.reason != PINNED or context.cache is None:
        return content, fixed.reason
    last = await context.cache.previous(f"{context.scope}/{node_id}")
    kept = await context.cache.get(last.key()) if last is not None else None
    if last is None or kept is None or content_key(kept) != content:
        return content, fixed.reason
    return last.key(), PINNED_SAME
