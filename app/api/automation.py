"""What starts runs by itself, what runs wait for, and runs that begin with others' results."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.answers import answer
from app.api.deps import Key, Limit, Offset, Svc, part, preferred_wait, wants_async
from app.api.problems import Door
from app.api.workflows import Execution, execution, followed
from app.services.automation.schedules import ScheduleView
from app.services.automation.webhooks import MAX_HOOK_BYTES, WebhookView
from app.services.container import Services
from app.services.runs.approvals import ApprovalView
from app.services.runs.batches import MAX_CONCURRENCY, BatchView
from app.services.views import Page, StepView
from storage.errors import NotFound

router = APIRouter(tags=["Automation"], route_class=Door)
#: Outside of /api: the token in its path is the key.
hooks = APIRouter(tags=["Automation"], route_class=Door)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RerunBody(_Body):
    """What to run of a past run, and what to do differently."""

    from_: str | None = Field(
        None, alias="from", description="Node to begin at, on the results before it; else all."
    )
    config: dict[str, dict[str, Any]] = Field({}, description="Node -> settings that differ.")
    pin: dict[str, dict[str, Any]] = Field({}, description="Node -> outputs taken as they are.")


class DecisionBody(_Body):
    """A person's answer to the question of a node."""

    node_id: str = Field(max_length=1_000)
    approved: bool
    comment: str = Field("", max_length=10_000)
    value: Any = None


class ScheduleBody(_Body):
    """Times at which a workflow runs."""

    cron: str = Field(max_length=200, description="Minute, hour, day, month, day of week.")
    timezone: str = Field("UTC", max_length=100, description="Such as Europe/Berlin.")
    name: str = Field("", max_length=200)
    input_data: dict[str, Any] = {}
    enabled: bool = True


class ScheduleChange(_Body):
    """What to change of a schedule; what is left out stays."""

    cron: str | None = Field(None, max_length=200)
    timezone: str | None = Field(None, max_length=100)
    name: str | None = Field(None, max_length=200)
    input_data: dict[str, Any] | None = None
    enabled: bool | None = None


class WebhookBody(_Body):
    """An address that runs a workflow when something is posted to it."""

    name: str = Field("", max_length=200)
    mapping: dict[str, str] = Field(
        {}, description="Input -> path into the body (“order.items”); empty takes its own names."
    )
    input_data: dict[str, Any] = Field({}, description="Values that a request does not bring.")
    signed: bool = Field(False, description="Whether requests have to be signed with a secret.")


class WebhookChange(_Body):
    """What to change of a webhook; what is left out stays."""

    name: str | None = Field(None, max_length=200)
    mapping: dict[str, str] | None = None
    input_data: dict[str, Any] | None = None
    enabled: bool | None = None


class BatchBody(_Body):
    """Inputs, one run each: objects in `rows`, or text in `csv` with names in its first line."""

    rows: list[dict[str, Any]] = []
    csv: str = ""
    input_data: dict[str, Any] = Field({}, description="Inputs of every row without its own.")
    concurrency: int = Field(4, ge=1, le=MAX_CONCURRENCY, description="Rows under way at once.")
    revision: int | None = Field(None, ge=1, le=2**31 - 1)


class HookCall(BaseModel):
    """The run that a webhook started."""

    execution_id: str
    status: str
    outputs: dict[str, Any] = {}
    warnings: list[str] = Field([], description="Such as what was posted and nothing reads.")


# -- runs that begin with others' results ---------------------------------------------------


@router.post("/workflow_executions/{execution_id}/rerun", response_model=Execution)
async def rerun_execution(
    execution_id: str, body: RerunBody, request: Request, services: Svc
) -> Response:
    """Run a past run's workflow again, whole or from a node; answers like an execution."""
    run_id = await services.runs.rerun(
        execution_id, body.from_, body.config, body.pin, trigger="api"
    )
    return await followed(run_id, request, services)


@router.post("/workflow_executions/{execution_id}/resume", response_model=Execution)
async def resume_execution(execution_id: str, request: Request, services: Svc) -> Response:
    """Go on with a run that the server's stop interrupted; finished steps are kept."""
    return await followed(await services.runs.resume(execution_id), request, services)


@router.get("/workflow_executions/{execution_id}/steps", response_model=Page[StepView])
async def list_inner_steps(
    execution_id: str,
    services: Svc,
    inside: Annotated[str, Query(max_length=1_000, description="Node that holds a workflow.")],
    limit: Limit = 50,
    offset: Offset = 0,
) -> Response:
    """Steps of the workflow inside a node, such as the items of a list."""
    return await answer(await services.runs.steps_inside(execution_id, inside, limit, offset))


# -- approvals ------------------------------------------------------------------------------


@router.get("/approvals")
async def list_approvals(
    services: Svc,
    workflow_id: str | None = None,
    status: Annotated[str, Query(pattern="^(open|decided|withdrawn|all)$")] = "open",
    limit: Limit = 50,
    offset: Offset = 0,
) -> Page[ApprovalView]:
    """Questions that runs ask people, newest first."""
    return await services.runs.approvals.list(
        workflow_id=workflow_id,
        status=None if status == "all" else status,
        limit=limit,
        offset=offset,
    )


@router.post("/workflow_executions/{execution_id}/decide")
async def decide(execution_id: str, body: DecisionBody, services: Svc, key: Key) -> Execution:
    """Answer the question of a node; the run goes on."""
    decision = {**body.model_dump(exclude={"node_id"}), "by": key.name}
    await services.runs.decide(execution_id, body.node_id, decision)
    return execution(await services.runs.get(execution_id))


# -- schedules ------------------------------------------------------------------------------


@router.get("/workflows/{workflow_id}/schedules")
async def list_schedules(
    workflow_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[ScheduleView]:
    """Times at which a workflow runs, oldest first."""
    return part(await services.schedules.list(workflow_id), limit, offset)


@router.post("/workflows/{workflow_id}/schedules", status_code=201)
async def add_schedule(workflow_id: str, body: ScheduleBody, services: Svc) -> ScheduleView:
    """Run a workflow at certain times."""
    return await services.schedules.add(workflow_id, **body.model_dump())


@router.patch("/workflows/{workflow_id}/schedules/{schedule_id}")
async def change_schedule(
    workflow_id: str, schedule_id: str, body: ScheduleChange, services: Svc
) -> ScheduleView:
    """Change, pause or take up a schedule."""
    await _owned(services, workflow_id, schedule_id)
    return await services.schedules.change(schedule_id, **body.model_dump())


@router.delete("/workflows/{workflow_id}/schedules/{schedule_id}", status_code=204)
async def remove_schedule(workflow_id: str, schedule_id: str, services: Svc) -> Response:
    """Remove a schedule; its runs stay."""
    await _owned(services, workflow_id, schedule_id)
    await services.schedules.remove(schedule_id)
    return Response(status_code=204)


@router.post("/workflows/{workflow_id}/schedules/{schedule_id}/run", response_model=Execution)
async def fire_schedule(
    workflow_id: str, schedule_id: str, request: Request, services: Svc
) -> Response:
    """Run what a schedule runs, now; answers like an execution."""
    await _owned(services, workflow_id, schedule_id)
    return await followed(await services.schedules.fire(schedule_id), request, services)


async def _owned(services: Services, workflow_id: str, schedule_id: str) -> None:
    known = await services.schedules.list(workflow_id)
    if schedule_id not in {schedule.schedule_id for schedule in known}:
        raise NotFound("schedule", schedule_id)


# -- webhooks -------------------------------------------------------------------------------


@router.get("/workflows/{workflow_id}/webhooks")
async def list_webhooks(
    workflow_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[WebhookView]:
    """Addresses that run a workflow, without their tokens."""
    return part(await services.webhooks.list(workflow_id), limit, offset)


@router.post("/workflows/{workflow_id}/webhooks", status_code=201)
async def add_webhook(
    workflow_id: str, body: WebhookBody, request: Request, services: Svc
) -> WebhookView:
    """Make an address that runs a workflow. The answer holds it (and its secret), this once."""
    return _addressed(await services.webhooks.add(workflow_id, **body.model_dump()), request)


def _addressed(made: WebhookView, request: Request) -> WebhookView:
    base = str(request.base_url).rstrip("/")
    return made.model_copy(update={"url": f"{base}{made.url}"})


@router.patch("/workflows/{workflow_id}/webhooks/{webhook_id}")
async def change_webhook(
    workflow_id: str, webhook_id: str, body: WebhookChange, services: Svc
) -> WebhookView:
    """Change, pause or take up a webhook."""
    await _hook_owned(services, workflow_id, webhook_id)
    return await services.webhooks.change(webhook_id, **body.model_dump())


@router.post("/workflows/{workflow_id}/webhooks/{webhook_id}/renew")
async def renew_webhook(
    workflow_id: str, webhook_id: str, request: Request, services: Svc
) -> WebhookView:
    """Give a webhook a new address (and secret); the old one answers no more."""
    await _hook_owned(services, workflow_id, webhook_id)
    return _addressed(await services.webhooks.renew(webhook_id), request)


@router.delete("/workflows/{workflow_id}/webhooks/{webhook_id}", status_code=204)
async def remove_webhook(workflow_id: str, webhook_id: str, services: Svc) -> Response:
    """Remove a webhook: its address answers no more."""
    await _hook_owned(services, workflow_id, webhook_id)
    await services.webhooks.remove(webhook_id)
    return Response(status_code=204)


async def _hook_owned(services: Services, workflow_id: str, webhook_id: str) -> None:
    known = await services.webhooks.list(workflow_id)
    if webhook_id not in {webhook.webhook_id for webhook in known}:
        raise NotFound("webhook", webhook_id)


@hooks.post("/hooks/{token}", status_code=202, response_model=HookCall)
async def call_webhook(token: str, request: Request, services: Svc) -> Response:
    """Start the workflow behind this address and answer 202 with its run.

    With `Prefer: wait=10` the answer waits that long (60 seconds at most) for the outputs.
    """
    run_id = await services.webhooks.call(
        token,
        await _body(request),
        signature=request.headers.get("x-signature-256")
        or request.headers.get("x-hub-signature-256", ""),
        sent_at=request.headers.get("x-signature-time", ""),
        content_type=request.headers.get("content-type", ""),
    )
    wait = None if wants_async(request) else preferred_wait(request)
    if not wait:
        warnings = (await services.runs.get(run_id)).warnings
        started = HookCall(execution_id=run_id, status="running", warnings=warnings)
        return JSONResponse(started.model_dump(), 202)
    run = execution(await services.runs.wait(run_id, min(wait, _MAX_WAIT_S), or_asked=True))
    status = 202 if run.status in ("running", "waiting") else 200
    ended = HookCall(
        execution_id=run_id, status=run.status, outputs=run.outputs, warnings=run.warnings
    )
    return JSONResponse(ended.model_dump(), status)


_MAX_WAIT_S = 60.0


async def _body(request: Request) -> bytes:
    """The body, read no further than it may be long; the service says that it is too long."""
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > MAX_HOOK_BYTES:
            break
    return bytes(read)


# -- batches --------------------------------------------------------------------------------


@router.post("/workflows/{workflow_id}/batches", status_code=202)
async def start_batch(workflow_id: str, body: BatchBody, services: Svc) -> BatchView:
    """Run a workflow once for each row of a table."""
    return await services.batches.start(
        workflow_id,
        body.csv if body.csv else body.rows,
        shared=body.input_data,
        concurrency=body.concurrency,
        revision=body.revision,
    )


@router.get("/workflows/{workflow_id}/batches")
async def list_batches(
    workflow_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[BatchView]:
    """Batches of a workflow, newest first, without their rows."""
    return await services.batches.list(workflow_id, limit, offset)


@router.get("/batches/{batch_id}", response_model=BatchView)
async def get_batch(
    batch_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Response:
    """A batch: how far it is, and a page of its rows with their outputs."""
    return await answer(await services.batches.get(batch_id, limit, offset))


@router.get("/batches/{batch_id}/csv")
async def download_batch(batch_id: str, services: Svc) -> Response:
    """The whole batch as a table: inputs, status, outputs, errors."""
    text = await services.batches.table(batch_id)
    disposition = f'attachment; filename="{batch_id}.csv"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": disposition})


@router.post("/batches/{batch_id}/retry", status_code=202)
async def retry_batch(batch_id: str, services: Svc) -> BatchView:
    """Run the rows that failed or were cancelled once more."""
    return await services.batches.retry(batch_id)


@router.delete("/batches/{batch_id}")
async def cancel_batch(batch_id: str, services: Svc) -> BatchView:
    """Cancel a batch; what is finished stays."""
    return await services.batches.cancel(batch_id)
