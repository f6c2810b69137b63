"""Knowledge bases: make, change, search, look into."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Limit, Offset, Ref, Svc
from app.api.problems import Door
from app.services.runs.outputs import search_result
from app.services.views import (
    BranchView,
    ChunkView,
    CommitView,
    DeletedBranch,
    KnowledgeBaseStats,
    KnowledgeBaseView,
    Page,
    SearchConfig,
)

router = APIRouter(prefix="/knowledge_bases", tags=["Knowledge bases"], route_class=Door)


class NewKnowledgeBase(BaseModel):
    """A knowledge base to make."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="Unique name.")
    description: str = Field("", max_length=10_000)
    config: dict[str, Any] = Field(
        {}, description="embedding_model, chunk_size, chunk_overlap, chunking_strategy, …"
    )


class KnowledgeBaseChange(BaseModel):
    """What to change; everything else stays."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    description: str | None = Field(None, max_length=10_000)
    config: dict[str, Any] | None = None


class SearchBody(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid")
    query: str
    config: SearchConfig = Field(default_factory=SearchConfig)


class SearchResult(BaseModel):
    """A passage that was found."""

    chunk_id: str
    document_id: str
    document_name: str
    content: str
    score: float | None
    scores: dict[str, float]
    page: int | None
    metadata: dict[str, Any] = {}


class SearchResults(BaseModel):
    """Passages, best first, and how they were found."""

    results: list[SearchResult]
    metadata: dict[str, Any]


@router.post("", status_code=201)
async def create_knowledge_base(body: NewKnowledgeBase, services: Svc) -> KnowledgeBaseView:
    """Make an empty knowledge base; `warnings` names settings that were replaced."""
    return await services.knowledge.create(body.name, body.description, body.config)


@router.get("")
async def list_knowledge_bases(
    services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[KnowledgeBaseView]:
    """List knowledge bases."""
    return await services.knowledge.list(limit, offset)


@router.get("/{kb}")
async def get_knowledge_base(kb: str, services: Svc) -> KnowledgeBaseView:
    """One knowledge base, by id or name."""
    return await services.knowledge.get(kb)


@router.patch("/{kb}")
async def change_knowledge_base(
    kb: str, body: KnowledgeBaseChange, services: Svc
) -> KnowledgeBaseView:
    """Change name, description or settings; settings apply to later uploads."""
    return await services.knowledge.update(kb, body.name, body.description, body.config)


@router.delete("/{kb}", status_code=204)
async def delete_knowledge_base(kb: str, services: Svc) -> Response:
    """Remove a knowledge base with its documents and history."""
    await services.knowledge.delete(kb)
    return Response(status_code=204)


@router.get("/{kb}/stats")
async def knowledge_base_stats(kb: str, services: Svc) -> KnowledgeBaseStats:
    """Sizes and state of a knowledge base."""
    return await services.knowledge.stats(kb)


@router.get("/{kb}/commits")
async def list_commits(
    kb: str, services: Svc, ref: Ref = "main", limit: Limit = 50, offset: Offset = 0
) -> Page[CommitView]:
    """History of a branch, newest first."""
    return await services.knowledge.commits(kb, ref, limit, offset)


@router.get("/{kb}/branches")
async def list_branches(
    kb: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[BranchView]:
    """Branches of a knowledge base, `main` first: the one that is used."""
    return await services.branches.list(kb, limit, offset)


@router.delete("/{kb}/branches/{branch:path}")
async def delete_branch(kb: str, branch: str, services: Svc) -> DeletedBranch:
    """Delete a branch; what only it held is searched no more, except by the id of its commit.

    That it is being embedded anew ends. `main`, and a branch that a workflow names or that files
    are on their way to, stay: 409.
    """
    return await services.branches.delete(kb, branch)


@router.get("/{kb}/chunks/{chunk_id}")
async def get_chunk(kb: str, chunk_id: str, services: Svc) -> ChunkView:
    """One chunk, of whichever version of its document."""
    return await services.knowledge.chunk(kb, chunk_id)


@router.post("/{kb}/search")
async def search_knowledge_base(kb: str, body: SearchBody, services: Svc) -> SearchResults:
    """Search by meaning, by words, or by both."""
    found = await services.search.search(kb, body.query, body.config)
    with_metadata = body.config.include_metadata
    results = [SearchResult(**search_result(chunk, with_metadata)) for chunk in found.results]
    return SearchResults(results=results, metadata=found.metadata)
