"""What a file finds where it goes: everything a worker must know before it reads it, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam
from sqlalchemy import select as columns
from sqlmodel import col

from storage import commits, corrections, manifests
from storage.database import Database
from storage.errors import NotFound
from storage.tables import Commit, KnowledgeBase, Ref

# Made once, as those in `storage.commits`: every file that is ingested passes through it.
_BRANCH = (
    columns(col(Ref.models), col(Commit.manifest_id))
    .join(Commit, col(Commit.id) == col(Ref.commit_id))
    .where(col(Ref.knowledge_base_id) == bindparam("kb"), col(Ref.name) == bindparam("ref"))
)


class Arrival(NamedTuple):
    """A knowledge base, and what one of its branches holds of a document."""

    base: KnowledgeBase
    #: As `storage.commits.models_of` gives them, for what comes to the branch.
    models: Mapping[str, Any]
    #: The document's version on the branch; None where it has none.
    version: str | None
    #: Whether people corrected any of the document's versions.
    corrected: bool


def arrival(db: Database, kb_id: str, ref: str, document_id: str) -> Arrival:
    """What a document finds on a branch. Raises NotFound when there is no such knowledge base."""
    with db.read() as session:
        base = session.get(KnowledgeBase, kb_id)
        if base is None:
            raise NotFound("knowledge base", kb_id)
        branch = session.connection().execute(_BRANCH, {"kb": kb_id, "ref": ref}).first()
        models, manifest = (None, None) if branch is None else branch
        version = None if manifest is None else manifests.lookup(session, manifest, document_id)
        edited = version is not None and corrections.ever_corrected(session, document_id)
    return Arrival(base, commits.chosen_models(models, base.config), version, edited)
