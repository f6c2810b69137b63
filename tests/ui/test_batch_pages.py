"""Tables of inputs on their page: row by row, bad rows once more, and what cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from letters import (
    chain,
    fill_in,
    node,
    reading,
    until,
)
from nicegui.testing import User
from visitor import visiting

if TYPE_CHECKING:
    from app.services.container import Services


@pytest.fixture
async def user(services: Services) -> AsyncIterator[User]:
    """A browserless visitor of the pages."""
    async with visiting(services) as visitor:
        yield visitor


async def test_a_table_runs_row_by_row_and_its_bad_rows_once_more(
    user: User, services: Services
) -> None:
    workflow = await services.workflows.create(reading())
    await user.open(f"/workflows/{workflow.workflow_id}/batch")
    fill_in(user, "batch-paste", "text,colour\n[1],red\nnonsense,blue\n[3],")
    await user.should_see("does not ask for “colour”")
    await user.should_see("Run 3 rows")
    user.find(marker="run-batch").click()

    async def over() -> Any:
        page = await services.batches.list(workflow.workflow_id)
        return next((b for b in page.items if b.status == "completed"), None)

    batch = await until(over)
    assert batch.counts == {"completed": 2, "failed": 1}
    await user.open(f"/workflows/{workflow.workflow_id}/batch?batch={batch.batch_id}")
    await user.should_see("3 of 3 rows, 1 failed")
    await user.should_see("nonsense")
    user.find(marker="batch-csv").click()
    table = await user.download.next(timeout=60)
    lines = table.text.splitlines()
    assert lines[0].startswith("\ufefftext,colour,status,")
    assert lines[1].startswith("[1],red,completed,")
    user.find(marker="retry-batch").click()
    await until(lambda: _all_over(services, batch.batch_id, 4))


async def _all_over(services: Services, batch_id: str, runs: int) -> bool:
    batch = await services.batches.get(batch_id)
    total = (await services.runs.list(limit=1, offset=0)).total
    return batch.status == "completed" and total == runs


async def test_a_table_that_cannot_be_read_says_why(user: User, services: Services) -> None:
    workflow = await services.workflows.create(reading())
    await user.open(f"/workflows/{workflow.workflow_id}/batch")
    fill_in(user, "batch-paste", "[{")
    await user.should_see("begins like JSON and is none")
    empty = await services.workflows.create(chain(node("v", "output", name="x"), ports=[]))
    await user.open(f"/workflows/{empty.workflow_id}/batch")
    await user.should_see("This workflow asks for nothing")
    await user.open("/workflows/wf_gone/batch")
    await user.should_see("All workflows")
