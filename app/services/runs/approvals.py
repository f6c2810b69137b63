"""Questions of runs to people: asked once, kept until answered, over restarts of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.threads import call
from app.services.views import Page, View
from storage.automation_tables import Approval

if TYPE_CHECKING:
    from storage.automation import ApprovalRepository

_MAX_COMMENT = 10_000


class ApprovalView(View):
    """A question of a run; `decision` is {"approved", "comment", "value", "by"} once there."""

    execution_id: str
    node_id: str
    workflow_id: str | None
    workflow_name: str
    message: str
    form: dict[str, Any]
    status: str
    decision: dict[str, Any] | None
    asked_at: str
    decided_at: str | None


class ApprovalDesk:
    """Where runs ask and people answer. Belongs to the event loop."""

    def __init__(self, approvals: ApprovalRepository) -> None:
        self._approvals = approvals
        self._waiting: dict[tuple[str, str], asyncio.Future[dict[str, Any]]] = {}

    async def ask(
        self,
        run_id: str,
        node_id: str,
        message: str,
        form: Mapping[str, Any],
        *,
        workflow_id: str | None = None,
        workflow_name: str = "",
    ) -> dict[str, Any]:
        """Wait for the decision; one made before this process began is returned at once."""
        key = (run_id, node_id)
        # Listen first, so that no decision falls between.
        answer = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            row = await call(
                self._approvals.ask,
                Approval(
                    run_id=run_id,
                    node_id=node_id,
                    workflow_id=workflow_id,
                    workflow_name=workflow_name,
                    message=message,
                    form=dict(form),
                    asked_at=time.time(),
                ),
            )
            if row.decision is not None:
                return dict(row.decision)
            return await asyncio.shield(answer)
        finally:
            self._waiting.pop(key, None)

    async def decide(self, run_id: str, node_id: str, decision: Mapping[str, Any]) -> None:
        """Answer a question. Raises NotFound, and RagloomError “conflict” where it was answered."""
        kept = {
            "approved": bool(decision.get("approved")),
            "comment": str(decision.get("comment") or "")[:_MAX_COMMENT],
            "value": decision.get("value"),
            "by": str(decision.get("by") or ""),
        }
        row, fresh = await call(self._approvals.decide, run_id, node_id, kept)
        if not fresh:
            said = "was answered already" if row.status == "decided" else "is no longer open"
            raise RagloomError(
                f"This question {said}.",
                code="conflict",
                fix="Reload to see what became of the run.",
            )
        answer = self._waiting.get((run_id, node_id))
        if answer is not None and not answer.done():
            answer.set_result(kept)

    async def list(
        self,
        *,
        workflow_id: str | None = None,
        run_id: str | None = None,
        status: str | None = "open",
        limit: int = 50,
        offset: int = 0,
    ) -> Page[ApprovalView]:
        """Questions, newest first; open ones unless another status is asked for."""
        rows, total = await call(
            self._approvals.list,
            workflow_id=workflow_id,
            run_id=run_id,
            status=status,
            limit=limit,
            offset=offset,
        )
        return Page(items=[_view(row) for row in rows], total=total)


def _view(row: Approval) -> ApprovalView:
    return ApprovalView(
        execution_id=row.run_id,
        node_id=row.node_id,
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        message=row.message,
        form=row.form,
        status=row.status,
        decision=row.decision,
        asked_at=iso(row.asked_at),
        decided_at=iso(row.decided_at) if row.decided_at else None,
    )
