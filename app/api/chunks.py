"""Correcting chunks: new text, split, merge, leave out; and the history that takes it back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Key, Limit, Offset, Ref, Svc
from app.api.problems import Door
from app.engine.problems import RagloomError
from app.services.views import CorrectionView, DocumentCommitView, Page

router = APIRouter(tags=["Documents"], route_class=Door)

_DOCUMENT = "/knowledge_bases/{kb}/documents/{document_id}"
_MOST = 2**31 - 1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChunkChange(_Request):
    """What is to be another."""

    content: str | None = Field(None, description="The chunk's new text.")
    disabled: bool | None = Field(None, description="True leaves the chunk out of every search.")


class Merge(_Request):
    """Neighbours."""

    chunk_ids: list[str] = Field(min_length=2, max_length=200)


class Settlement(_Request):
    """What to do with an edit that did not fit any more."""

    action: Literal["apply", "drop"]
    chunk_id: str | None = Field(None, description="Else the chunk at the place of the edit.")
    content: str | None = Field(None, description="Another text than the edit had.")


class Restore(_Request):
    """Which state is to be brought back."""

    version_id: str
    expected: str | None = Field(None, description="Only while the document is at this version.")


@router.patch(_DOCUMENT + "/chunks/{chunk_id}")
async def change_chunk(
    kb: str, document_id: str, chunk_id: str, body: ChunkChange, services: Svc, key: Key,
    ref: Ref = "main",
) -> CorrectionView:  # fmt: skip
    """Correct the text of a chunk, or leave it out of every search; one commit.

    Ids of chunks change with every correction of their document. An old id stands for the chunk as
    long as nobody changed that chunk; else the answer is 409.
    """
    if body.content is None and body.disabled is None:
        raise RagloomError(
            "There is nothing to change.",
            code="nothing_to_do",
            fix="Give “content”, “disabled”, or both.",
        )
    return await services.corrections.change(
        kb, document_id, chunk_id, content=body.content, disabled=body.disabled, ref=ref,
        author=key.name,
    )  # fmt: skip


@router.post(_DOCUMENT + "/chunks/{chunk_id}/split")
async def split_chunk(
    kb: str, document_id: str, chunk_id: str, services: Svc, key: Key,
    at: Annotated[int, Body(embed=True, ge=1, le=_MOST, description="Characters into the text.")],
    ref: Ref = "main",
) -> CorrectionView:  # fmt: skip
    """Make two chunks of one."""
    return await services.corrections.split(kb, document_id, chunk_id, at, ref=ref, author=key.name)


@router.post(_DOCUMENT + "/chunks/merge")
async def merge_chunks(
    kb: str, document_id: str, body: Merge, services: Svc, key: Key, ref: Ref = "main"
) -> CorrectionView:
    """Make one chunk of neighbours."""
    return await services.corrections.merge(
        kb, document_id, body.chunk_ids, ref=ref, author=key.name
    )


@router.post(_DOCUMENT + "/conflicts/{number}")
async def settle_conflict(
    kb: str, document_id: str, number: int, body: Settlement, services: Svc, key: Key,
    ref: Ref = "main",
) -> CorrectionView:  # fmt: skip
    """Repeat or drop a correction that did not fit when the document was processed again.

    `number` counts `edit_conflicts` in the document's metadata, from 0.
    """
    return await services.corrections.settle(
        kb, document_id, number, body.action, content=body.content, chunk_id=body.chunk_id,
        ref=ref, author=key.name,
    )  # fmt: skip


@router.get(_DOCUMENT + "/commits")
async def list_document_commits(
    kb: str, document_id: str, services: Svc, ref: Ref = "main", limit: Limit = 50,
    offset: Offset = 0,
) -> Page[DocumentCommitView]:  # fmt: skip
    """Commits that touched a document, newest first."""
    return await services.corrections.history(kb, document_id, ref, limit, offset)


@router.post(_DOCUMENT + "/restore")
async def restore_version(
    kb: str, document_id: str, body: Restore, services: Svc, key: Key, ref: Ref = "main"
) -> CorrectionView:
    """Bring back an earlier version of a document: the way to undo a correction."""
    return await services.corrections.restore(
        kb, document_id, body.version_id, expected=body.expected, ref=ref, author=key.name
    )
