"""Schedules: workflows that run at times, and the loop that looks at the clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from app.services.automation.cron import (
    BadSchedule,
    check_cron,
    check_timezone,
    in_words,
    moment_in_words,
    next_time,
)
from app.services.automation.room import check_room
from app.services.clock import iso
from app.services.problems import explain
from app.services.threads import call
from app.services.views import View
from storage.automation import new_schedule_id
from storage.automation_tables import Schedule
from storage.errors import NotFound

if TYPE_CHECKING:
    from app.services.runs.service import RunService
    from app.services.workflows.service import WorkflowService
    from storage.automation import TriggerRepository

log = logging.getLogger(__name__)

#: A schedule that is late by more than this was missed: the server was down, or very busy.
_GRACE_S = 90.0
#: Looked at least this often, for schedules that another server or a moved clock changed.
_LOOK_S = 20.0
_OPEN = ("running", "waiting")


class ScheduleView(View):
    """Times at which a workflow runs."""

    schedule_id: str
    workflow_id: str
    name: str
    cron: str
    timezone: str
    #: What the expression means.
    description: str
    input_data: dict[str, Any]
    enabled: bool
    next_at: str | None
    #: The next time in words; empty while paused.
    next_words: str
    last_at: str | None
    last_run_id: str | None
    #: started, skipped, missed or failed; and why.
    last_outcome: str
    last_note: str
    created_at: str


class Timed(Protocol):
    """Something else that is due at times; the loop of the schedules looks at it too."""

    #: Set to what is to be called where a time was set or moved.
    rescheduled: Callable[[], None]

    async def next_time(self) -> float | None:
        """When something is due next, in seconds since the epoch."""

    async def fire_due(self, now: float) -> None:
        """Start what is due, and move its time on."""


class ScheduleService:
    """Schedules of workflows. Belongs to the event loop."""

    def __init__(
        self, stored: TriggerRepository, runs: RunService, workflows: WorkflowService
    ) -> None:
        self._stored = stored
        self._runs = runs
        self._workflows = workflows
        self._clock: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._timed: list[Timed] = []

    def carry(self, timed: Timed) -> None:
        """Look at the clock for something else too."""
        timed.rescheduled = self._changed.set
        self._timed.append(timed)

    def start(self) -> None:
        """Begin to look at the clock."""
        if self._clock is None:
            self._clock = asyncio.create_task(self._watch(), name="schedules")

    async def close(self) -> None:
        """Start nothing more."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait([self._clock])
            self._clock = None

    async def list(self, workflow_id: str) -> list[ScheduleView]:
        """Schedules of a workflow, oldest first."""
        await self._workflows.get(workflow_id)
        return [schedule_view(row) for row in await call(self._stored.schedules, workflow_id)]

    async def add(
        self,
        workflow_id: str,
        cron: str,
        *,
        timezone: str = "UTC",
        name: str = "",
        input_data: Mapping[str, Any] | None = None,
        enabled: bool = True,
    ) -> ScheduleView:
        """Run a workflow at these times. Raises BadSchedule, NotFound."""
        await check_room(self._stored, self._workflows, Schedule, workflow_id)
        plain, zone = await call(check_cron, cron), check_timezone(timezone)
        now = time.time()
        row = Schedule(
            id=new_schedule_id(),
            workflow_id=workflow_id,
            name=name.strip()[:200],
            cron=plain,
            timezone=zone,
            input_data=dict(input_data or {}),
            enabled=enabled,
            next_at=next_time(plain, zone, now) if enabled else None,
            created_at=now,
        )
        await call(self._stored.add, row)
        self._changed.set()
        return schedule_view(row)

    async def change(self, schedule_id: str, **values: Any) -> ScheduleView:
        """Change cron, timezone, name, input_data or enabled. Raises BadSchedule, NotFound."""
        row = await call(self._stored.schedule, schedule_id)
        given = {name: value for name, value in values.items() if value is not None}
        if "cron" in given:
            given["cron"] = await call(check_cron, given["cron"])
        if "timezone" in given:
            given["timezone"] = check_timezone(given["timezone"])
        enabled = given.get("enabled", row.enabled)
        moved = {"cron", "timezone", "enabled"} & given.keys()
        if moved:
            cron, zone = given.get("cron", row.cron), given.get("timezone", row.timezone)
            given["next_at"] = next_time(cron, zone, time.time()) if enabled else None
        await call(self._stored.change, Schedule, schedule_id, given)
        self._changed.set()
        return schedule_view(await call(self._stored.schedule, schedule_id))

    async def remove(self, schedule_id: str) -> None:
        """Forget a schedule; its runs stay."""
        await call(self._stored.remove, Schedule, schedule_id)

    async def fire(self, schedule_id: str) -> str:
        """Run a schedule's workflow now, and return the run."""
        row = await call(self._stored.schedule, schedule_id)
        run_id = await self._start(row)
        values = {"last_at": time.time(), "last_run_id": run_id, "last_outcome": "started"}
        await call(self._stored.change, Schedule, schedule_id, {**values, "last_note": ""})
        return run_id

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._fire_due()
                times = [await call(self._stored.next_time)]
                for timed in self._timed:
                    await timed.fire_due(time.time())
                    times.append(await timed.next_time())
                following = min((at for at in times if at is not None), default=None)
            except Exception:
                log.exception("Schedules could not be looked at; trying again")
                following = None
            wait = _LOOK_S if following is None else following - time.time()
            try:
                async with asyncio.timeout(min(max(wait, 0.05), _LOOK_S)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _fire_due(self) -> None:
        now = time.time()
        for row in await call(self._stored.due, now):
            due = row.next_at or now
            values: dict[str, Any] = {"last_at": now}
            try:
                # The next time counts from now: what was missed meanwhile is not made up for.
                values["next_at"] = next_time(row.cron, row.timezone, now)
            except BadSchedule as error:  # such as a time zone that this machine does not know
                values |= {"next_at": None, "enabled": False, "last_outcome": "failed"}
                values["last_note"] = f"It was paused: {error}"
                await call(self._stored.advance, row.id, due, values)
                continue
            if now - due > _GRACE_S:
                values |= {
                    "last_outcome": "missed",
                    "last_note": f"The server was not running at {iso(due)}.",
                }
                await call(self._stored.advance, row.id, due, values)
                continue
            # Whoever moves the time on starts the run: with several servers, only one does.
            if await call(self._stored.advance, row.id, due, values):
                outcome = await self._fire(row)
                with contextlib.suppress(NotFound):  # removed while it started
                    await call(self._stored.change, Schedule, row.id, outcome)

    async def _fire(self, row: Schedule) -> dict[str, Any]:
        try:
            if row.last_run_id is not None and await self._is_open(row.last_run_id):
                note = "The run before had not ended."
                return {"last_outcome": "skipped", "last_note": note}
            run_id = await self._start(row)
        except NotFound:
            # It may be brought back; what starts it goes when it is removed for good.
            return {"last_outcome": "skipped", "last_note": "The workflow was deleted."}
        except Exception as error:
            log.warning("The schedule %s could not start its workflow", row.id, exc_info=True)
            return {"last_outcome": "failed", "last_note": explain(error).sentence()[:1_000]}
        return {"last_outcome": "started", "last_note": "", "last_run_id": run_id}

    async def _start(self, row: Schedule) -> str:
        return await self._runs.start(
            workflow_id=row.workflow_id, input_data=row.input_data, trigger="schedule"
        )

    async def _is_open(self, run_id: str) -> bool:
        try:
            return (await self._runs.get(run_id)).status in _OPEN
        except NotFound:
            return False


def schedule_view(row: Schedule) -> ScheduleView:
    """A schedule as pages and programs get it."""
    at = row.next_at
    return ScheduleView(
        schedule_id=row.id,
        workflow_id=row.workflow_id,
        name=row.name,
        cron=row.cron,
        timezone=row.timezone,
        description=in_words(row.cron),
        input_data=row.input_data,
        enabled=row.enabled,
        next_at=iso(at) if at else None,
        next_words=moment_in_words(at, row.timezone, time.time()) if at else "",
        last_at=iso(row.last_at) if row.last_at else None,
        last_run_id=row.last_run_id,
        last_outcome=row.last_outcome,
        last_note=row.last_note,
        created_at=iso(row.created_at),
    )
