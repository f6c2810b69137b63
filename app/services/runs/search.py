"""Finding runs by words in what they were given and what they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services.runs.history import execution_view
from app.services.threads import call
from app.services.views import ExecutionView, Page

if TYPE_CHECKING:
    from storage.database import Database

#: Longer texts are cut: nobody types them.
MAX_TEXT = 200


async def search_runs(
    database: Database,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
    trigger: str | None = None,
    text: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Page[ExecutionView]:
    """Runs that fit, newest first, without their steps and graphs."""
    from storage.run_search import find_runs

    items, total = await call(
        find_runs,
        database,
        workflow_id=workflow_id,
        status=status,
        trigger=trigger,
        text=text.strip()[:MAX_TEXT],
        limit=limit,
        offset=offset,
    )
    return Page(items=[execution_view(run) for run in items], total=total)
