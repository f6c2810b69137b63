"""How many schedules, and webhooks, a workflow may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.problems import RagloomError
from app.services.threads import call

if TYPE_CHECKING:
    from app.services.workflows.service import WorkflowService
    from storage.automation import TriggerRepository
    from storage.automation_tables import Schedule, Webhook

#: Of each.
MAX_PER_WORKFLOW = 50


async def check_room(
    stored: TriggerRepository,
    workflows: WorkflowService,
    table: type[Schedule] | type[Webhook],
    workflow_id: str,
) -> None:
    """Raises NotFound for an unknown workflow, RagloomError “too_many” where it has enough."""
    await workflows.get(workflow_id)
    if await call(stored.count, table, workflow_id) >= MAX_PER_WORKFLOW:
        raise RagloomError(
            f"The workflow has {MAX_PER_WORKFLOW} of them already.",
            code="too_many",
            fix="Delete one that is not needed any more.",
        )
