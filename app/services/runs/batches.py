"""Batches: a table in, a table out; each row is one run of a workflow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.problems import explain
from app.services.runs.batch_tables import check_rows, read_csv, write_csv
from app.services.runs.outputs import shape_outputs
from app.services.threads import call
from app.services.views import Page, View
from storage.automation_tables import Batch, BatchRow
from storage.errors import NotFound
from storage.ids import new_id

if TYPE_CHECKING:
    from app.services.runs.service import RunService
    from app.services.workflows.service import WorkflowService
    from storage.batches import BatchRepository

log = logging.getLogger(__name__)

MAX_CONCURRENCY = 64
#: Seconds between looks while the server has no room for another run.
_BUSY_S = 0.5
#: Seconds until a batch goes on that could not be written down: the first time, and the longest.
_AGAIN_S, _LONGEST_S = 2.0, 60.0
_PAGE = 500


class BatchRowView(View):
    """One input of a batch, and what came of it; `outputs` are shaped for programs."""

    ordinal: int
    input_data: dict[str, Any]
    execution_id: str | None
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    outputs: dict[str, Any]
    error: dict[str, Any] | None
    duration_ms: float | None
    #: prompt_tokens, completion_tokens, calls and cost_usd, as far as they are known.
    usage: dict[str, float] = {}


class BatchView(View):
    """A batch and how far it is; `rows` is left empty in lists."""

    batch_id: str
    workflow_id: str
    workflow_name: str
    revision: int
    columns: list[str]
    concurrency: int
    status: Literal["running", "completed", "cancelled"]
    total: int
    #: How many rows have which status.
    counts: dict[str, int]
    created_at: str
    finished_at: str | None
    rows: list[BatchRowView] = []


class BatchService:
    """Runs tables through workflows, a few rows at a time. Belongs to the event loop."""

    def __init__(
        self, batches: BatchRepository, runs: RunService, workflows: WorkflowService
    ) -> None:
        self._batches = batches
        self._runs = runs
        self._workflows = workflows
        self._working: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, asyncio.Event] = {}

    async def recover(self) -> None:
        """Go on with batches that were under way; their runs are gone on with already."""
        for batch in await call(self._batches.running):
            self._work(batch)

    async def close(self) -> None:
        """Stop; what is under way goes on at the next start."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def start(
        self,
        workflow_id: str,
        rows: Sequence[Mapping[str, Any]] | str,
        *,
        shared: Mapping[str, Any] | None = None,
        concurrency: int = 4,
        revision: int | None = None,
    ) -> BatchView:
        """Run a workflow once for each row: JSON objects, or CSV text with names in line one.

        `shared` are inputs that every row gets unless it has its own. All rows run the revision
        that is the newest now. Raises RagloomError “bad_table”, “too_large”, NotFound.
        """
        if isinstance(rows, str):
            inputs = await call(read_csv, rows)
        else:
            inputs = check_rows(rows)
        workflow = await self._workflows.get(workflow_id, revision)
        merged = [{**(shared or {}), **row} for row in inputs]
        columns = list(dict.fromkeys(name for row in merged for name in row))
        read = await self._runs.reads(workflow.graph or {})
        if read and not read.intersection(columns):
            # Each row would be answered as if nothing had been asked.
            raise RagloomError(
                f"The workflow reads none of the columns: {', '.join(columns[:5])[:200]}.",
                code="bad_table",
                fix=f"Name one of them after an input: {', '.join(sorted(read)[:10])}.",
            )
        batch = Batch(
            id=new_id("batch"),
            workflow_id=workflow_id,
            workflow_name=workflow.name,
            revision=workflow.revision,
            columns=columns,
            concurrency=min(max(concurrency, 1), MAX_CONCURRENCY),
            created_at=time.time(),
        )
        await call(self._batches.create, batch, merged)
        self._work(batch)
        return _view(batch, {"queued": len(merged)})

    async def get(self, batch_id: str, limit: int = 50, offset: int = 0) -> BatchView:
        """A batch with a page of its rows."""
        batch, counts = await call(self._batches.get, batch_id)
        rows, _ = await call(self._batches.rows, batch_id, limit, offset)
        return _view(batch, counts, rows)

    async def list(
        self, workflow_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[BatchView]:
        """Batches, newest first, without their rows. Raises NotFound for no such workflow."""
        if workflow_id is not None:
            await self._workflows.get(workflow_id)
        return await call(self._list, workflow_id, limit, offset)

    async def wait(self, batch_id: str, timeout_s: float | None = None) -> BatchView:
        """The batch once it is over, or as it is after `timeout_s`."""
        task = self._working.get(batch_id)
        if task is not None:
            await asyncio.wait([task], timeout=timeout_s)
        return await self.get(batch_id)

    async def watch(self, batch_id: str) -> AsyncIterator[BatchView]:
        """The batch (without rows) now, and whenever it got further, until it is over."""
        while True:
            changed = self._changed.setdefault(batch_id, asyncio.Event())
            batch, counts = await call(self._batches.get, batch_id)
            yield _view(batch, counts)
            if batch.status != "running" or batch_id not in self._working:
                self._tell(batch_id)  # nothing else will
                return
            await changed.wait()

    async def cancel(self, batch_id: str) -> BatchView:
        """Stop a batch and the runs it has under way; finished rows stay."""
        batch, _ = await call(self._batches.get, batch_id)
        if batch.status == "running":
            task = self._working.get(batch_id)
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            under_way = await call(self._batches.open_rows, batch_id)
            await call(self._batches.end, batch_id, "cancelled")
            # At once, as each run may take seconds to end.
            await asyncio.gather(*(self._end_run(row.run_id) for row in under_way if row.run_id))
            self._tell(batch_id)
        return await self.get(batch_id)

    async def _end_run(self, run_id: str) -> None:
        with suppress(NotFound):  # its row was claimed, but it had no room to begin
            await self._runs.cancel(run_id)

    async def retry(self, batch_id: str) -> BatchView:
        """Run the rows that failed or were cancelled once more."""
        batch, _ = await call(self._batches.get, batch_id)
        if batch.status != "running":
            again = await call(self._batches.retry, batch_id)
            if again:
                self._work(batch)
        return await self.get(batch_id)

    async def table(self, batch_id: str) -> str:
        """The whole batch as CSV text: inputs, status, outputs, error."""
        return await call(self._table, batch_id)

    # -- working ----------------------------------------------------------------------------

    def _work(self, batch: Batch) -> None:
        task = asyncio.create_task(self._drive(batch), name=f"batch {batch.id}")
        self._working[batch.id] = task
        task.add_done_callback(lambda _: self._left(batch.id))

    def _left(self, batch_id: str) -> None:
        self._working.pop(batch_id, None)
        self._tell(batch_id)
        self._changed.pop(batch_id, None)

    def _tell(self, batch_id: str) -> None:
        changed = self._changed.pop(batch_id, None)
        if changed is not None:
            changed.set()

    async def _drive(self, batch: Batch) -> None:
        pause = _AGAIN_S
        while True:
            try:
                return await self._walk_through(batch)
            except Exception:  # such as a full disk: nothing but this goes on with it
                log.exception("The batch %s broke off; it goes on in %g s", batch.id, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_S)

    async def _walk_through(self, batch: Batch) -> None:
        rows = iter(await call(self._batches.open_rows, batch.id))

        async def walk() -> None:
            for row in rows:
                try:
                    await self._row(batch, row)
                except Exception as error:
                    log.warning("Row %d of %s failed", row.ordinal, batch.id, exc_info=True)
                    await self._set(batch, row, status="failed", error=explain(error).data())
                self._tell(batch.id)

        # A TaskGroup that ends because of an error would drop a cancel that comes meanwhile.
        walkers = [asyncio.create_task(walk()) for _ in range(batch.concurrency)]
        try:
            await asyncio.wait(walkers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for walker in walkers:
                walker.cancel()
            ended = await asyncio.gather(*walkers, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        if not await call(self._batches.open_rows, batch.id):
            await call(self._batches.end, batch.id, "completed")

    async def _row(self, batch: Batch, row: BatchRow) -> None:
        # The row names its run before the run begins, so that a kill between does not double it.
        run_id = row.run_id or new_id("run")
        if row.run_id is None and not await call(
            self._batches.claim, batch.id, row.ordinal, run_id
        ):
            return  # another server has it
        try:
            run = await self._runs.wait(run_id)
        except NotFound:
            await self._begin(batch, row, run_id)
            run = await self._runs.wait(run_id)
        if run.status in ("running", "waiting"):
            return  # only a server that stops lets go of a run before its end
        await self._set(
            batch,
            row,
            status=run.status if run.status in ("completed", "cancelled") else "failed",
            outputs=shape_outputs(run.outputs, run.graph),
            error=run.error,
            duration_ms=run.duration_ms,
            usage=run.usage,
        )

    async def _begin(self, batch: Batch, row: BatchRow, run_id: str) -> None:
        while True:
            try:
                await self._runs.start(
                    run_id=run_id,
                    workflow_id=batch.workflow_id,
                    revision=batch.revision,
                    input_data=row.input_data,
                    trigger="batch",
                )
            except RagloomError as error:
                if error.code != "busy":
                    raise
            else:
                return
            await asyncio.sleep(_BUSY_S)

    async def _set(self, batch: Batch, row: BatchRow, **values: Any) -> None:
        await call(self._batches.set_row, batch.id, row.ordinal, **values)

    # -- reading ----------------------------------------------------------------------------

    def _list(self, workflow_id: str | None, limit: int, offset: int) -> Page[BatchView]:
        items, total = self._batches.list(workflow_id, limit, offset)
        views = [_view(batch, self._batches.get(batch.id)[1]) for batch in items]
        return Page(items=views, total=total)

    def _table(self, batch_id: str) -> str:
        batch, _ = self._batches.get(batch_id)
        rows: list[BatchRow] = []
        total = 1
        while len(rows) < total:
            page, total = self._batches.rows(batch_id, _PAGE, len(rows))
            if not page:
                break
            rows += page
        return write_csv(batch.columns, rows)


def _view(batch: Batch, counts: Mapping[str, int], rows: Sequence[BatchRow] = ()) -> BatchView:
    return BatchView(
        batch_id=batch.id,
        workflow_id=batch.workflow_id,
        workflow_name=batch.workflow_name,
        revision=batch.revision,
        columns=batch.columns,
        concurrency=batch.concurrency,
        status=batch.status,
        total=sum(counts.values()),
        counts=dict(counts),
        created_at=iso(batch.created_at),
        finished_at=iso(batch.finished_at) if batch.finished_at else None,
        rows=[
            BatchRowView(
                ordinal=row.ordinal,
                input_data=row.input_data,
                execution_id=row.run_id,
                status=row.status,
                outputs=row.outputs,
                error=row.error,
                duration_ms=row.duration_ms,
                usage=row.usage,
            )
            for row in rows
        ],
    )
