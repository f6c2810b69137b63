"""What starts workflows by itself: schedules and webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from app.engine.problems import RagloomError
from app.services.automation.cron import (
    BadSchedule,
    check_cron,
    check_timezone,
    in_words,
    moment_in_words,
    next_time,
)
from app.services.clock import iso
from app.services.problems import explain
from app.services.threads import call
from app.services.views import View
from storage.automation import new_schedule_id, new_webhook_id
from storage.automation_tables import Schedule, Webhook
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
#: Schedules, and webhooks, of one workflow.
MAX_PER_WORKFLOW = 50
#: Randomness of an address, and of a secret, in bytes.
_TOKEN_BYTES = 32
#: Largest body of a webhook, in bytes.
MAX_HOOK_BYTES = 1024 * 1024
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


class WebhookView(View):
    """An address that runs a workflow; `url` is known only when it is made."""

    webhook_id: str
    workflow_id: str
    name: str
    mapping: dict[str, str]
    input_data: dict[str, Any]
    enabled: bool
    #: Whether requests have to be signed.
    signed: bool
    last_at: str | None
    last_run_id: str | None
    calls: int
    created_at: str
    #: Path with its token: shown once.
    url: str | None = None
    #: Key of the signatures: shown once.
    secret: str | None = None


class Timed(Protocol):
    """Something else that is due at times; the loop of the schedules looks at it too."""

    #: Set to what is to be called where a time was set or moved.
    rescheduled: Callable[[], None]

    async def next_time(self) -> float | None:
        """When something is due next, in seconds since the epoch."""

    async def fire_due(self, now: float) -> None:
        """Start what is due, and move its time on."""


class TriggerService:
    """Schedules and webhooks, and the loop that looks at the clock."""

    def __init__(
        self, triggers: TriggerRepository, runs: RunService, workflows: WorkflowService
    ) -> None:
        self._triggers = triggers
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

    # -- schedules --------------------------------------------------------------------------

    async def schedules(self, workflow_id: str) -> list[ScheduleView]:
        """Schedules of a workflow, oldest first."""
        await self._workflows.get(workflow_id)
        return [schedule_view(row) for row in await call(self._triggers.schedules, workflow_id)]

    async def add_schedule(
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
        await self._check_room(Schedule, workflow_id)
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
        await call(self._triggers.add, row)
        self._changed.set()
        return schedule_view(row)

    async def change_schedule(self, schedule_id: str, **values: Any) -> ScheduleView:
        """Change cron, timezone, name, input_data or enabled. Raises BadSchedule, NotFound."""
        row = await call(self._triggers.schedule, schedule_id)
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
        await call(self._triggers.change, Schedule, schedule_id, given)
        self._changed.set()
        return schedule_view(await call(self._triggers.schedule, schedule_id))

    async def remove_schedule(self, schedule_id: str) -> None:
        """Forget a schedule; its runs stay."""
        await call(self._triggers.remove, Schedule, schedule_id)

    async def fire(self, schedule_id: str) -> str:
        """Run a schedule's workflow now, and return the run."""
        row = await call(self._triggers.schedule, schedule_id)
        run_id = await self._start(row)
        values = {"last_at": time.time(), "last_run_id": run_id, "last_outcome": "started"}
        await call(self._triggers.change, Schedule, schedule_id, {**values, "last_note": ""})
        return run_id

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._fire_due()
                times = [await call(self._triggers.next_time)]
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
        for row in await call(self._triggers.due, now):
            due = row.next_at or now
            values: dict[str, Any] = {"last_at": now}
            try:
                # The next time counts from now: what was missed meanwhile is not made up for.
                values["next_at"] = next_time(row.cron, row.timezone, now)
            except BadSchedule as error:  # such as a time zone that this machine does not know
                values |= {"next_at": None, "enabled": False, "last_outcome": "failed"}
                values["last_note"] = f"It was paused: {error}"
                await call(self._triggers.advance, row.id, due, values)
                continue
            if now - due > _GRACE_S:
                values |= {
                    "last_outcome": "missed",
                    "last_note": f"The server was not running at {iso(due)}.",
                }
                await call(self._triggers.advance, row.id, due, values)
                continue
            # Whoever moves the time on starts the run: with several servers, only one does.
            if await call(self._triggers.advance, row.id, due, values):
                outcome = await self._fire(row)
                with contextlib.suppress(NotFound):  # removed while it started
                    await call(self._triggers.change, Schedule, row.id, outcome)

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

    # -- webhooks ---------------------------------------------------------------------------

    async def webhooks(self, workflow_id: str) -> list[WebhookView]:
        """Webhooks of a workflow, oldest first."""
        await self._workflows.get(workflow_id)
        return [webhook_view(row) for row in await call(self._triggers.webhooks, workflow_id)]

    async def add_webhook(
        self,
        workflow_id: str,
        *,
        name: str = "",
        mapping: Mapping[str, str] | None = None,
        input_data: Mapping[str, Any] | None = None,
        signed: bool = False,
    ) -> WebhookView:
        """Make an address that runs a workflow; the view holds it, this once.

        `mapping` says which part of the body each input gets (“order.items”; empty for the whole
        body); without it, an object's values go to the inputs of their names.
        """
        await self._check_room(Webhook, workflow_id)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = Webhook(
            id=new_webhook_id(),
            workflow_id=workflow_id,
            name=name.strip()[:200],
            token_hash=_hash(token),
            secret=secrets.token_urlsafe(_TOKEN_BYTES) if signed else "",
            mapping=_mapping(mapping),
            input_data=dict(input_data or {}),
            created_at=time.time(),
        )
        await call(self._triggers.add, row)
        shown = {"url": f"/hooks/{token}", "secret": row.secret or None}
        return webhook_view(row).model_copy(update=shown)

    async def change_webhook(self, webhook_id: str, **values: Any) -> WebhookView:
        """Change name, mapping, input_data or enabled."""
        given = {name: value for name, value in values.items() if value is not None}
        if "mapping" in given:
            given["mapping"] = _mapping(given["mapping"])
        await call(self._triggers.change, Webhook, webhook_id, given)
        return webhook_view(await call(self._triggers.webhook, webhook_id))

    async def renew_webhook(self, webhook_id: str) -> WebhookView:
        """Give a webhook a new address, and secret if it has one; the view holds them, this once.

        The address before it answers no more from then on.
        """
        row = await call(self._triggers.webhook, webhook_id)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        secret = secrets.token_urlsafe(_TOKEN_BYTES) if row.secret else ""
        given = {"token_hash": _hash(token), "secret": secret}
        await call(self._triggers.change, Webhook, webhook_id, given)
        shown = {"url": f"/hooks/{token}", "secret": secret or None}
        return webhook_view(row).model_copy(update=shown)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Forget a webhook: its address answers no more."""
        await call(self._triggers.remove, Webhook, webhook_id)

    async def call_webhook(
        self, token: str, body: bytes, *, signature: str = "", content_type: str = ""
    ) -> str:
        """Start the workflow behind an address, and return the run.

        Raises RagloomError “not_found” for an unknown or paused address, “unauthorized” for a
        missing or wrong signature, “too_large”, “not_json”, “bad_body” where the body has nothing
        of what the webhook takes.
        """
        row = await call(self._triggers.webhook_by_token, _hash(token))
        if row is None or not row.enabled:
            raise RagloomError(
                "There is no webhook at this address.",
                code="not_found",
                fix="Make one on the automation page of the workflow, and use its whole address.",
            )
        if len(body) > MAX_HOOK_BYTES:
            raise RagloomError(
                f"The body is larger than {MAX_HOOK_BYTES // 1024:,} KB.",
                code="too_large",
                fix="Send less, or send the address of the data.",
            )
        if row.secret and not _signed(row.secret, body, signature):
            raise RagloomError(
                "The signature of the request is missing or wrong.",
                code="unauthorized",
                fix="Send the header “X-Signature-256: sha256=HEX”, the HMAC-SHA-256 of the body.",
            )
        data = {**row.input_data, **_inputs(body, content_type, row.mapping)}
        run_id = await self._runs.start(
            workflow_id=row.workflow_id, input_data=data, trigger="webhook"
        )
        await call(self._triggers.called, row.id, run_id)
        return run_id

    async def _check_room(self, table: type[Schedule] | type[Webhook], workflow_id: str) -> None:
        await self._workflows.get(workflow_id)
        if await call(self._triggers.count, table, workflow_id) >= MAX_PER_WORKFLOW:
            raise RagloomError(
                f"The workflow has {MAX_PER_WORKFLOW} of them already.",
                code="too_many",
                fix="Delete one that is not needed any more.",
            )


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


def webhook_view(row: Webhook) -> WebhookView:
    """A webhook as pages and programs get it, without its address."""
    return WebhookView(
        webhook_id=row.id,
        workflow_id=row.workflow_id,
        name=row.name,
        mapping=row.mapping,
        input_data=row.input_data,
        enabled=row.enabled,
        signed=bool(row.secret),
        last_at=iso(row.last_at) if row.last_at else None,
        last_run_id=row.last_run_id,
        calls=row.calls,
        created_at=iso(row.created_at),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _signed(secret: str, body: bytes, signature: str) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = signature.strip().removeprefix("sha256=").lower()
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _mapping(mapping: Mapping[str, str] | None) -> dict[str, str]:
    mapping = mapping or {}
    if len(mapping) > 100 or any(len(k) > 200 or len(v) > 500 for k, v in mapping.items()):
        raise RagloomError(
            "The mapping is too large.", code="too_large", fix="Map at most 100 inputs."
        )
    return dict(mapping)


def _inputs(body: bytes, content_type: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    data: Any
    text = body.decode("utf-8", "replace")
    is_json = "json" in content_type.lower() or text.lstrip()[:1] in ("{", "[")
    if is_json and text.strip():
        try:
            data = json.loads(text)
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise RagloomError(
                "The body is not JSON.", code="not_json", fix="Send a JSON object in UTF-8."
            ) from None
    else:
        data = text
    if mapping:
        found = {name: _at(data, path) for name, path in mapping.items()}
        taken = {name: value for name, value in found.items() if value is not None}
        if not taken and text.strip():
            places = ", ".join(f"“{path}”" for path in mapping.values())
            raise RagloomError(
                f"The body has nothing at {places}, which is all that this webhook takes.",
                code="bad_body",
                fix="Send it there, or change what the webhook takes on the automation page.",
            )
        return taken
    if isinstance(data, dict):
        return data
    return {} if data in ("", None) else {"body": data}


def _at(data: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
