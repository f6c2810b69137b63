"""Revisions, differences, comparisons and exports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import MAX_COUNT, Key, Limit, Offset, Svc
from app.api.problems import Door
from app.services.history import RevisionDiff, RevisionGraph, RevisionView
from app.services.views import Page

router = APIRouter(tags=["Workflows"], route_class=Door)


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


def _number(number: int) -> int:
    # Past every revision, and past what the databases take as a number.
    return min(max(number, 0), MAX_COUNT)
