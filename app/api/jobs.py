"""Jobs: batches of files on their way into a knowledge base, followed and steered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.answers import answer
from app.api.deps import Key, Limit, Offset, Svc, wants_events
from app.api.problems import Door
from app.api.sse import Sent, event_stream, last_event_id
from app.services.container import Services
from app.services.views import JobStatus, JobView, Page, TaskView

router = APIRouter(tags=["Jobs"], route_class=Door)


class Reprocess(BaseModel):
    """Which documents to process anew, and how."""

    model_config = ConfigDict(extra="forbid")
    documents: list[str] | None = Field(
        None, max_length=100_000, description="Ids; without them, all documents of the branch."
    )
    processing_config: dict[str, Any] = Field(
        {}, description="What differs from the knowledge base's own settings."
    )
    branch: str = Field("main", min_length=1, max_length=200)


@router.get("/jobs")
async def list_jobs(
    services: Svc,
    knowledge_base: Annotated[str | None, Query(max_length=200, description="Id or name.")] = None,
    status: Annotated[list[JobStatus] | None, Query(description="One or several.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Page[JobView]:
    """List jobs, newest first, with their progress and without their files."""
    return await services.ingest.jobs(knowledge_base, status or (), limit, offset)


@router.get("/jobs/{job_id}", response_model=JobView)
async def get_job(job_id: str, request: Request, services: Svc) -> Response:
    """A job with its files and its progress.

    With `Accept: text/event-stream`: `document` with the state of each file as it changes,
    `progress` with the job without its files, and at the end `job` with everything. It begins
    with the state of every file, after `Last-Event-ID` too; where that was the end, it is 204.
    """
    job = await services.ingest.job(job_id)
    if wants_events(request):
        heard = job.finished_at is not None and last_event_id(request) == _end_of(job)
        return event_stream(None if heard else _events(services, job_id))
    return await answer(job)


@router.delete("/jobs/{job_id}")
@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, services: Svc) -> JobView:
    """Stop a job; files that are in already stay, and nothing comes in any more."""
    return await services.ingest.cancel(job_id)


@router.post("/jobs/{job_id}/pause")
async def pause_job(job_id: str, services: Svc) -> JobView:
    """Stop working on a job until it is resumed; files under way start over then."""
    return await services.ingest.pause(job_id)


@router.post("/jobs/{job_id}/resume")
async def resume_job(job_id: str, services: Svc) -> JobView:
    """Go on with a paused job at once, whether a person or the system paused it."""
    return await services.ingest.resume(job_id)


@router.post("/jobs/{job_id}/retry")
async def retry_job(job_id: str, services: Svc) -> JobView:
    """Try the failed files of a job once more, and no others."""
    return await services.ingest.retry_failed(job_id)


@router.post("/knowledge_bases/{kb}/reprocess", status_code=202)
async def reprocess(kb: str, body: Reprocess, services: Svc, key: Key) -> JobView:
    """Process documents anew with other settings, from the files as they were uploaded.

    Corrections of chunks are kept where the same place still holds the same text, and listed as
    conflicts where not.
    """
    return await services.ingest.reprocess(
        kb, body.documents, body.processing_config, key.name, branch=body.branch
    )


async def _events(services: Services, job_id: str) -> AsyncIterator[Sent]:
    async for view in services.ingest.follow(job_id):
        yield ("document" if isinstance(view, TaskView) else "progress"), view, ""
    job = await services.ingest.job(job_id)
    yield "job", job, _end_of(job)


def _end_of(job: JobView) -> str:
    """Id of the last event: a job that is tried again ends once more."""
    return f"end-{job.finished_at}"
