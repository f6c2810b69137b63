"""Workflows: keep, check, run; and the runs that came of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.answers import answer
from app.api.deps import (
    MAX_COUNT,
    Key,
    Limit,
    Offset,
    Revision,
    Svc,
    preferred_wait,
    wants_async,
    wants_events,
)
from app.api.problems import Door
from app.api.sse import Sent, event_stream, last_event_id
from app.engine.options import RunOptions
from app.engine.problems import InvalidWorkflow, Problem
from app.services.container import Services
from app.services.runs.outputs import shape_outputs
from app.services.runs.told import Stream
from app.services.views import ExecutionView, Page, StepView, WorkflowView

router = APIRouter(tags=["Workflows"], route_class=Door)

_JSON_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class WorkflowSaved(WorkflowView):
    """A workflow as it was kept, and what is in the way of running it."""

    problems: list[Problem] = []


RunStatus = Literal["running", "waiting", "completed", "failed", "cancelled", "interrupted"]


class Problems(BaseModel):
    """What is wrong with a workflow; it can run when there is no error among them."""

    valid: bool
    problems: list[Problem]


class ExecuteBody(BaseModel):
    """What to run a workflow with."""

    model_config = ConfigDict(extra="forbid")
    input_data: dict[str, Any] = Field({}, description='Such as {"question": "…"}.')
    workflow_id: str | None = Field(None, description="As in the path; may be left out.")
    revision: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="An older revision; else the newest."
    )
    use_cache: bool = Field(True, description="Reuse results of steps that did not change.")
    trigger: Literal["api", "cli"] = Field("api", description="Where the run comes from.")
    options: RunOptions | None = Field(
        None, description="Which nodes run, and what stands in for the others."
    )
    base_run: str | None = Field(
        None, description="Run whose results nodes have that the options leave out."
    )


class ExecuteUnsaved(BaseModel):
    """A workflow and what to run it with."""

    model_config = ConfigDict(extra="forbid")
    workflow: dict[str, Any] = Field(description="A file `ragloom/1`, or a list of steps.")
    input_data: dict[str, Any] = Field({}, description='Such as {"question": "…"}.')
    use_cache: bool = Field(True, description="Reuse results of steps that did not change.")
    trigger: Literal["api", "cli"] = Field("api", description="Where the run comes from.")
    options: RunOptions | None = Field(
        None, description="Which nodes run, and what stands in for the others."
    )
    base_run: str | None = Field(
        None, description="Run whose results nodes have that the options leave out."
    )


class Execution(BaseModel):
    """One run of a workflow. `outputs` are shaped for programs; `steps` hold whole values."""

    execution_id: str
    workflow_id: str | None
    workflow_name: str
    revision: int | None
    trigger: str
    status: str
    input_data: dict[str, Any]
    outputs: dict[str, Any]
    error: dict[str, Any] | None
    warnings: list[str] = Field([], description="What to know about it that is no error.")
    started_at: str
    duration_ms: float | None
    usage: dict[str, float] = Field({}, description="Tokens, calls and cost of all steps.")
    saved: dict[str, float] = Field({}, description="What reused results saved, with `ms`.")
    options: dict[str, Any] = {}
    parent_run: str | None = Field(None, description="The run whose results it began with.")
    durable: bool = Field(False, description="Whether it goes on after a stop of the server.")
    steps: list[StepView]


@router.post("/workflows", status_code=201, openapi_extra=_JSON_BODY)
async def create_workflow(request: Request, services: Svc, key: Key) -> WorkflowSaved:
    """Keep a workflow: a file `ragloom/1`, or a list of steps, which becomes one.

    One that cannot run yet is kept all the same; `problems` says what is in the way.
    """
    graph, notes = await services.workflows.parse(await request.body())
    view = await services.workflows.create(graph, author=key.name)
    return await _saved(services, view, notes)


@router.get("/workflows")
async def list_workflows(
    services: Svc,
    limit: Limit = 50,
    offset: Offset = 0,
    text: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
) -> Page[WorkflowView]:
    """List workflows, last changed first, without their graphs."""
    return await services.workflows.list(limit, offset, text)


@router.post("/workflows/validate", openapi_extra=_JSON_BODY)
async def validate_graph(request: Request, services: Svc) -> Problems:
    """Check a workflow without keeping it."""
    graph, _ = await services.workflows.parse(await request.body())
    return _problems(await services.workflows.validate(graph))


@router.get("/workflows/{workflow_id}")
async def get_workflow(workflow_id: str, services: Svc, revision: Revision = None) -> WorkflowView:
    """One workflow with its graph."""
    return await services.workflows.get(workflow_id, revision)


@router.put("/workflows/{workflow_id}", openapi_extra=_JSON_BODY)
async def save_workflow(
    workflow_id: str,
    request: Request,
    services: Svc,
    key: Key,
    base_revision: Annotated[
        int | None,
        Query(
            ge=1, le=MAX_COUNT, description="Revision the change was made to; 409 if not newest."
        ),
    ] = None,
) -> WorkflowSaved:
    """Keep a new revision: the workflow itself, or `{"graph": …, "base_revision": n}`.

    Without a base revision the newest one is replaced; it stays in the list of revisions.
    """
    body = await request.body()
    data = _wrapped(body)
    message = ""
    if data is not None:
        base = data.get("base_revision")
        base_revision = base if isinstance(base, int) else base_revision
        message = str(data.get("message", ""))[:1_000]
    graph, notes = await services.workflows.parse(body if data is None else data)
    if base_revision is None:
        base_revision = (await services.workflows.get(workflow_id)).revision
    view = await services.workflows.save(workflow_id, graph, base_revision, key.name, message)
    return await _saved(services, view, notes)


@router.delete("/workflows/{workflow_id}", status_code=204)
async def delete_workflow(workflow_id: str, services: Svc) -> Response:
    """Remove a workflow; the history of its runs stays.

    One that is the pipeline of a knowledge base stays (`workflow_in_use`) until that has another.
    """
    await services.workflows.delete(workflow_id)
    return Response(status_code=204)


@router.post("/workflows/{workflow_id}/validate")
async def validate_workflow(workflow_id: str, services: Svc) -> Problems:
    """Everything that is wrong with a workflow, each with what would mend it."""
    return _problems(await services.workflows.validate(workflow_id))


@router.post("/workflows/{workflow_id}/execute", response_model=Execution)
async def execute_workflow(
    workflow_id: str, body: ExecuteBody, request: Request, services: Svc
) -> Response:
    """Run a workflow and answer with its outputs and steps when it has ended.

    `Prefer: respond-async` answers 202 at once, `Prefer: wait=10` after ten seconds;
    `Accept: text/event-stream` streams the events of the run.
    """
    if body.workflow_id not in (None, workflow_id):
        raise InvalidWorkflow(
            f"The path names workflow {workflow_id}, the body {body.workflow_id}.",
            fix="Leave workflow_id out of the body.",
        )
    await _known(body.base_run, services)
    run_id = await services.runs.start(
        workflow_id=workflow_id,
        input_data=body.input_data,
        trigger=body.trigger,
        revision=body.revision,
        use_cache=body.use_cache,
        options=body.options,
        base_run=body.base_run,
    )
    return await followed(run_id, request, services)


@router.post("/workflow_executions", response_model=Execution)
async def execute_unsaved(body: ExecuteUnsaved, request: Request, services: Svc) -> Response:
    """Run a workflow that is not kept here; answers like the execution of one that is."""
    graph, _ = await services.workflows.parse(body.workflow)
    await _known(body.base_run, services)
    run_id = await services.runs.start(
        graph=graph,
        input_data=body.input_data,
        trigger=body.trigger,
        use_cache=body.use_cache,
        options=body.options,
        base_run=body.base_run,
    )
    return await followed(run_id, request, services)


async def _known(base_run: str | None, services: Services) -> None:
    """Raise NotFound for a run that is not there, though nothing of it may be needed."""
    if base_run is not None:
        await services.runs.get(base_run)


async def followed(run_id: str, request: Request, services: Services) -> Response:
    """Answer with a run as the client prefers: at its end, at once, or event by event."""
    place = {"Location": f"/api/v1/workflow_executions/{run_id}"}
    if wants_events(request):
        return event_stream(await _run_events(services, run_id), place)
    if wants_async(request):
        run = await services.runs.get(run_id)
    else:
        # A run that asks a person may take days: it is answered for as it is.
        run = await services.runs.wait(run_id, preferred_wait(request), or_asked=True)
    status = 202 if run.status in ("running", "waiting") else 200
    return await answer(execution(run), status, place)


@router.get("/workflow_executions", response_model=Page[Execution])
async def list_executions(
    services: Svc,
    workflow_id: str | None = None,
    status: Annotated[RunStatus | None, Query(description="Only runs in this state.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Response:
    """List runs, newest first, without their steps."""
    page = await services.runs.list(workflow_id, limit, offset, status=status)
    return await answer(Page(items=[execution(run) for run in page.items], total=page.total))


@router.get("/workflow_executions/{execution_id}", response_model=Execution)
async def get_execution(execution_id: str, request: Request, services: Svc) -> Response:
    """A run as it is now; with `Accept: text/event-stream`, its events from the beginning.

    With the header `Last-Event-ID`, only those that came after that one; 204 after the last.
    """
    run = await services.runs.get(execution_id)
    if wants_events(request):
        return event_stream(await _run_events(services, execution_id, last_event_id(request)))
    return await answer(execution(run))


@router.delete("/workflow_executions/{execution_id}", response_model=Execution)
async def cancel_execution(execution_id: str, services: Svc) -> Response:
    """Cancel a run; it stops within a second."""
    return await answer(execution(await services.runs.cancel(execution_id)))


def execution(run: ExecutionView) -> Execution:
    """A run as REST shows it."""
    # What steps gave is JSON data as it is, and may be too much to be copied.
    data = {name: value for name, value in run if name != "graph"}
    return Execution(**{**data, "outputs": shape_outputs(run.outputs, run.graph)})


async def _run_events(
    services: Services, run_id: str, last_id: str = ""
) -> AsyncIterator[Sent] | None:
    stream = await services.runs.follow(run_id, last_id)
    return None if stream is None else _sent(stream)


async def _sent(stream: Stream) -> AsyncIterator[Sent]:
    async for event_id, event in stream:
        yield event.kind, event, event_id


async def _saved(services: Services, view: WorkflowView, notes: list[str]) -> WorkflowSaved:
    problems = await services.workflows.validate(view.graph or {})
    data = view.model_dump() | {"warnings": notes}
    return WorkflowSaved(**data, problems=problems)


def _problems(problems: list[Problem]) -> Problems:
    valid = all(problem.severity != "error" for problem in problems)
    return Problems(valid=valid, problems=problems)


def _wrapped(body: bytes) -> dict[str, Any] | None:
    """The body where it is a workflow in an envelope, else None."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(data, dict) and "nodes" not in data and "steps" not in data and "graph" in data:
        return data
    return None
