"""Commits and branches as rows, read and written within a transaction that the caller holds."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from storage.errors import NotFound
from storage.ids import content_id
from storage.tables import Commit, IndexLog, KnowledgeBase, Ref


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


def lock_base(session: Session, kb_id: str) -> KnowledgeBase:
    """Read a knowledge base's row and hold it: its history has one writer at a time."""
    base = session.get(KnowledgeBase, kb_id, with_for_update=True)
    if base is None:
        raise NotFound("knowledge base", kb_id)
    return base


def head_of(session: Session, kb_id: str, ref: str) -> Commit | None:
    """The newest commit of a branch; None where there is no such branch."""
    query = select(Commit).join(Ref, col(Ref.commit_id) == col(Commit.id))
    return session.exec(
        query.where(col(Ref.knowledge_base_id) == kb_id, col(Ref.name) == ref)
    ).first()


def head_manifests(session: Session, kb_id: str, *, but: str | None = None) -> set[str]:
    """Manifests at the heads of the branches, or of all branches but one."""
    query = select(Commit.manifest_id).join(Ref, col(Ref.commit_id) == col(Commit.id))
    query = query.where(col(Ref.knowledge_base_id) == kb_id)
    if but is not None:
        query = query.where(col(Ref.name) != but)
    return set(session.exec(query).all())


def require_head(session: Session, kb_id: str, ref: str) -> Commit:
    """The newest commit of a branch; raises NotFound."""
    head = head_of(session, kb_id, ref)
    if head is None:
        raise NotFound("branch", ref)
    return head


def log_line(session: Session, kb_id: str, op: str, version: str, at: float) -> None:
    """Tell the projections to add or remove a version."""
    session.add(IndexLog(knowledge_base_id=kb_id, op=op, version_id=version, created_at=at))


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
