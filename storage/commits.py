"""Commits and branches as rows, read and written within a transaction that the caller holds."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy import select as columns
from sqlmodel import Session, col

from storage.errors import NotFound
from storage.ids import content_id
from storage.tables import Commit, IndexLog, KnowledgeBase, Ref

# Written down once, and asked without the ORM: a file that is ingested passes through all of them,
# and building each anew took most of the time of its commit.
_COMMIT_FIELDS = tuple(Commit.model_fields)
_HEAD = (
    columns(*(getattr(Commit, name) for name in _COMMIT_FIELDS))
    .join(Ref, col(Ref.commit_id) == col(Commit.id))
    .where(col(Ref.knowledge_base_id) == bindparam("kb"), col(Ref.name) == bindparam("ref"))
)
_HEAD_MANIFESTS = (
    columns(col(Ref.name), col(Commit.manifest_id))
    .join(Ref, col(Ref.commit_id) == col(Commit.id))
    .where(col(Ref.knowledge_base_id) == bindparam("kb"))
)
_ADD_COMMIT = insert(Commit)
_MOVE_BRANCH = (
    update(Ref)
    .where(col(Ref.knowledge_base_id) == bindparam("kb"), col(Ref.name) == bindparam("ref"))
    .values(commit_id=bindparam("commit"), updated_at=bindparam("at"))
)
_TOUCH_BASE = (
    update(KnowledgeBase)
    .where(col(KnowledgeBase.id) == bindparam("kb"))
    .values(updated_at=bindparam("at"))
)
_LOCK_BASE = (
    columns(col(KnowledgeBase.id)).where(col(KnowledgeBase.id) == bindparam("kb")).with_for_update()
)
_MODELS_OF = (
    columns(col(Ref.models), col(KnowledgeBase.config))
    .select_from(KnowledgeBase)
    .join(
        Ref,
        (col(Ref.knowledge_base_id) == col(KnowledgeBase.id)) & (col(Ref.name) == bindparam("ref")),
        isouter=True,
    )
    .where(col(KnowledgeBase.id) == bindparam("kb"))
)
_LOG = insert(IndexLog)
#: Settings that say by what texts are embedded.
_MODELS = ("embedding_model", "language_models")


def new_commit(
    kb_id: str,
    parents: Sequence[Commit],
    manifest_id: str,
    *,
    summary: dict[str, list[str]],
    author: str,
    message: str,
) -> Commit:
    """A commit with the id that its content gives it; never older than its parents."""
    at = max([time.time(), *(parent.created_at + 1e-6 for parent in parents)])
    parent_ids = [parent.id for parent in parents]
    content = {
        "knowledge_base": kb_id,
        "parents": parent_ids,
        "author": author,
        "message": message,
        "created_at": at,
        "manifest": manifest_id,
    }
    return Commit(
        id=content_id(content),
        knowledge_base_id=kb_id,
        parents=parent_ids,
        author=author,
        message=message,
        created_at=at,
        manifest_id=manifest_id,
        summary=summary,
    )


def lock_base(session: Session, kb_id: str) -> None:
    """Hold a knowledge base's row: its history has one writer at a time. Raises NotFound."""
    if session.connection().execute(_LOCK_BASE, {"kb": kb_id}).first() is None:
        raise NotFound("knowledge base", kb_id)


def head_of(session: Session, kb_id: str, ref: str) -> Commit | None:
    """The newest commit of a branch; None where there is no such branch."""
    row = session.connection().execute(_HEAD, {"kb": kb_id, "ref": ref}).first()
    return None if row is None else Commit(**row._mapping)


def move_head(session: Session, ref: str, commit: Commit) -> None:
    """Add a commit, and make it the newest of a branch."""
    connection = session.connection()
    connection.execute(_ADD_COMMIT, {name: getattr(commit, name) for name in _COMMIT_FIELDS})
    moved = {"kb": commit.knowledge_base_id, "at": commit.created_at}
    connection.execute(_MOVE_BRANCH, {**moved, "ref": ref, "commit": commit.id})
    connection.execute(_TOUCH_BASE, moved)


def head_manifests(session: Session, kb_id: str, *, but: str | None = None) -> set[str]:
    """Manifests at the heads of the branches, or of all branches but one."""
    heads = session.connection().execute(_HEAD_MANIFESTS, {"kb": kb_id})
    return {manifest for ref, manifest in heads if ref != but}


def require_head(session: Session, kb_id: str, ref: str) -> Commit:
    """The newest commit of a branch; raises NotFound."""
    head = head_of(session, kb_id, ref)
    if head is None:
        raise NotFound("branch", ref)
    return head


def models_of(session: Session, kb_id: str, ref: str) -> dict[str, Any]:
    """By what is embedded that comes to a branch: see `chosen_models`. Raises NotFound."""
    found = session.connection().execute(_MODELS_OF, {"kb": kb_id, "ref": ref}).first()
    if found is None:
        raise NotFound("knowledge base", kb_id)
    return chosen_models(*found)


def chosen_models(own: Mapping[str, Any] | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """What settings say of models: a branch's own, where it has such, else the knowledge base's."""
    chosen = own or config
    return {name: chosen[name] for name in _MODELS if chosen.get(name)}


def log_line(session: Session, kb_id: str, op: str, version: str, at: float) -> None:
    """Tell the projections to add or remove a version."""
    line = {"knowledge_base_id": kb_id, "op": op, "version_id": version, "created_at": at}
    session.connection().execute(_LOG, line)


def walk(start: str, known: Mapping[str, tuple[Sequence[str], float]]) -> list[str]:
    """Newest first, children before parents."""
    queue = [(-known[start][1], start)]
    seen = {start}
    order = []
    while queue:
        _, commit = heapq.heappop(queue)
        order.append(commit)
        for parent in known[commit][0]:
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(queue, (-known[parent][1], parent))
    return order
