"""Embedding a knowledge base anew on a branch, and having that branch be the one that is used."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Key, Svc
from app.api.problems import Door
from app.services.ingestion.reembed import ReembeddingView
from app.services.knowledge.adoption import Adoption, Side

router = APIRouter(prefix="/knowledge_bases/{kb}", tags=["Knowledge bases"], route_class=Door)


class Reembedding(BaseModel):
    """By which models, and where."""

    model_config = ConfigDict(extra="forbid")
    embedding_model: str = Field(min_length=1, max_length=300)
    language_models: dict[str, str] = Field(
        {}, max_length=50, description="Models of languages, “*” for every other one."
    )
    branch: str = Field(min_length=1, max_length=100, description="Made if it is not there.")
    start_from: str = Field(
        "main", max_length=200, description="Branch or commit that a new branch starts at."
    )


class Adopted(BaseModel):
    """Which branch to use."""

    model_config = ConfigDict(extra="forbid")
    branch: str = Field(min_length=1, max_length=100)
    prefer: Side | None = Field(
        None, description="Whose version of a document to take where both sides changed it."
    )


class Restored(BaseModel):
    """What to go back to."""

    model_config = ConfigDict(extra="forbid")
    commit: str = Field(
        min_length=4, max_length=100, description="Id of a commit, or the beginning of one."
    )


@router.post("/reembed", status_code=202)
async def reembed(
    kb: str, body: Reembedding, services: Svc, key: Key, response: Response
) -> ReembeddingView:
    """Embed every document on a branch by other models, without parsing anything again.

    Search on the branch uses those models at once, and so do uploads to it. Asked again, it goes
    on where it was broken off.
    """
    view = await services.reembedding.start(
        kb,
        body.embedding_model,
        body.branch,
        language_models=body.language_models,
        start_from=body.start_from,
        author=key.name,
    )
    place = f"/api/v1/knowledge_bases/{view.knowledge_base_id}/reembed/{quote(view.branch)}"
    response.headers["Location"] = place
    return view


@router.get("/reembed/{branch:path}")
async def reembedding(kb: str, branch: str, services: Svc) -> ReembeddingView:
    """How far a branch is."""
    return await services.reembedding.get(kb, branch)


@router.delete("/reembed/{branch:path}")
async def stop_reembedding(kb: str, branch: str, services: Svc) -> ReembeddingView:
    """Stop; what is done stays, and the branch can be used as it is."""
    return await services.reembedding.stop(kb, branch)


@router.post("/adopt")
async def adopt_branch(kb: str, body: Adopted, services: Svc, key: Key) -> Adoption:
    """Merge a branch into `main`, which search, workflows and pages use; its models come along.

    Documents that came to `main` since the branch began stay. Where both sides changed one, the
    answer is 409 (`merge_conflict`) until `prefer` says whose version to take.
    """
    return await services.adoption.adopt(kb, body.branch, prefer=body.prefer, author=key.name)


@router.post("/restore")
async def restore_commit(kb: str, body: Restored, services: Svc, key: Key) -> Adoption:
    """Have `main` hold what it held at a commit, in a new commit: the history stays.

    It takes the models of that time; where it is being embedded anew, that ends.
    """
    return await services.adoption.restore(kb, body.commit, author=key.name)
