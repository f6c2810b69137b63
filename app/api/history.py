"""Revisions, differences, comparisons and exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import MAX_COUNT, Key, Limit, Offset, Revision, Svc
from app.api.problems import Door
from app.services.exports.service import Format
from app.services.runs.compare import NodeComparison, RunComparison
from app.services.views import Page
from app.services.workflows.history import RevisionDiff, RevisionGraph, RevisionView

router = APIRouter(tags=["Workflows"], route_class=Door)


_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            media_type: {}
            for media_type in (
                "application/json", "text/vnd.mermaid", "image/svg+xml", "image/png",
                "text/x-python",
            )
        },
    }
}  # fmt: skip


class RevisionLabel(BaseModel):
    """What a revision is called and about; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(None, max_length=200, description="Empty takes the name away.")
    message: str | None = Field(None, max_length=1_000)


class Restore(BaseModel):
    """Which revision to bring back."""

    model_config = ConfigDict(extra="forbid")
    revision: int = Field(ge=1, le=MAX_COUNT)
    base_revision: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="The newest one that you know; 409 if it is not."
    )


@router.get("/workflows/{workflow_id}/revisions")
async def list_revisions(
    workflow_id: str,
    services: Svc,
    limit: Limit = 50,
    offset: Offset = 0,
    named: Annotated[bool, Query(description="Only those that have a name.")] = False,
) -> Page[RevisionView]:
    """Saved states of a workflow, newest first, without their graphs."""
    return await services.history.list(workflow_id, limit, offset, named=named)


@router.get("/workflows/{workflow_id}/revisions/{number}")
async def get_revision(workflow_id: str, number: int, services: Svc) -> RevisionGraph:
    """One saved state with its graph."""
    return await services.history.get(workflow_id, _number(number))


@router.patch("/workflows/{workflow_id}/revisions/{number}")
async def name_revision(
    workflow_id: str, number: int, body: RevisionLabel, services: Svc
) -> RevisionView:
    """Give a saved state a name, or say what it is about."""
    return await services.history.name(workflow_id, _number(number), body.name, body.message)


@router.get("/workflows/{workflow_id}/diff")
async def diff_revisions(
    workflow_id: str,
    services: Svc,
    from_: Annotated[int, Query(alias="from", ge=1, le=MAX_COUNT, description="A revision.")],
    to: Annotated[
        int | None, Query(ge=1, le=MAX_COUNT, description="Another; else the newest.")
    ] = None,
) -> RevisionDiff:
    """What changed between two revisions: nodes with their settings, wires, notes, the rest."""
    return await services.history.diff(workflow_id, from_, to)


@router.post("/workflows/{workflow_id}/restore")
async def restore_revision(
    workflow_id: str, body: Restore, services: Svc, key: Key
) -> RevisionGraph:
    """Bring the graph of a revision back, as a new revision; nothing in between is lost."""
    return await services.history.restore(workflow_id, body.revision, key.name, body.base_revision)


@router.get("/workflows/{workflow_id}/export", response_class=Response, responses=_EXPORTED)
async def export_workflow(
    workflow_id: str,
    services: Svc,
    format: Annotated[Format, Query(description="What to make of it.")] = "json",
    revision: Revision = None,
    theme: Annotated[
        Literal["light", "dark"], Query(description="Colours of a picture.")
    ] = "light",
) -> Response:
    """The workflow as the file `ragloom/1`, a diagram, a picture, or a Python program."""
    made = await services.exports.export(workflow_id, format, revision=revision, theme=theme)
    disposition = f'attachment; filename="{made.filename}"'
    return Response(
        made.content, media_type=made.media_type, headers={"Content-Disposition": disposition}
    )


@router.get("/workflow_executions/{a}/compare/{b}")
async def compare_executions(a: str, b: str, services: Svc) -> RunComparison:
    """Where two runs part, node by node in the order of the data; large values are clipped."""
    return await services.compare.compare(a, b)


@router.get("/workflow_executions/{a}/compare/{b}/nodes")
async def compare_node(
    a: str,
    b: str,
    services: Svc,
    node: Annotated[str, Query(max_length=1_000, description="Id of the node.")],
) -> NodeComparison:
    """One node in two runs, with the differences of its values."""
    return await services.compare.node(a, b, node)


def _number(number: int) -> int:
    # Past every revision, and past what the databases take as a number.
    return min(max(number, 0), MAX_COUNT)
