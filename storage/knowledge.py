"""Knowledge bases and their documents."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from storage import manifests
from storage.commits import lock_base, new_commit
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.filters import Filters
from storage.ids import new_id
from storage.sources import remove_sources_of
from storage.tables import (
    Chunk,
    Commit,
    Document,
    DocumentVersion,
    IndexLog,
    Job,
    KnowledgeBase,
    Manifest,
    ManifestBucket,
    ProjectionCursor,
    Ref,
    Task,
    Vector,
    VersionEdits,
)

_Bases = list[KnowledgeBase]
_EDITABLE = {"name", "description", "config", "warnings"}


class KnowledgeRepository(Filters):
    """Everything about knowledge bases in SQL: settings, documents, history, chunks, vectors.

    Objects it returns are detached rows: read them, change nothing through them.
    """

    def create(
        self,
        name: str,
        description: str = "",
        config: Mapping[str, Any] | None = None,
        warnings: Sequence[str] = (),
    ) -> KnowledgeBase:
        """Make a knowledge base with a branch `main` at an empty commit; Conflict on the name."""
        now = time.time()
        base = KnowledgeBase(
            id=new_id("kb"),
            name=name,
            description=description,
            config=dict(config or {}),
            warnings=list(warnings),
            created_at=now,
            updated_at=now,
        )
        with self._db.write() as session:
            session.add(base)
            _flush_named(session, name)
            manifest_id = manifests.replace(self._db, session, None, {})
            commit = new_commit(
                base.id, [], manifest_id, summary={}, author="", message="Create the knowledge base"
            )
            session.add(commit)
            session.add(
                Ref(knowledge_base_id=base.id, name="main", commit_id=commit.id, updated_at=now)
            )
        return base

    def get(self, kb_id: str) -> KnowledgeBase:
        """A knowledge base by id; raises NotFound."""
        with self._db.read() as session:
            base = session.get(KnowledgeBase, kb_id)
        if base is None:
            raise NotFound("knowledge base", kb_id)
        return base

    def find(self, id_or_name: str) -> KnowledgeBase:
        """A knowledge base by id, else by name; raises NotFound."""
        query = select(KnowledgeBase).where(
            (col(KnowledgeBase.id) == id_or_name) | (col(KnowledgeBase.name) == id_or_name)
        )
        with self._db.read() as session:
            found = session.exec(query).all()
        for base in found:
            if base.id == id_or_name:
                return base
        if not found:
            raise NotFound("knowledge base", id_or_name)
        return found[0]

    def list(self, limit: int = 50, offset: int = 0) -> tuple[_Bases, int]:
        """Knowledge bases, oldest first, and how many there are."""
        query = select(KnowledgeBase).order_by(col(KnowledgeBase.created_at), col(KnowledgeBase.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(KnowledgeBase)).one()
            return list(session.exec(query.limit(limit).offset(offset)).all()), total

    def update(self, kb_id: str, **fields: Any) -> KnowledgeBase:
        """Change name, description, config or warnings; Conflict on a name that is taken.

        Keys of `config` that are not given stay as they are.
        """
        if unknown := fields.keys() - _EDITABLE:
            raise TypeError(f"cannot change {', '.join(sorted(unknown))}")
        with self._db.write() as session:
            lock_base(session, kb_id)
            base = session.get_one(KnowledgeBase, kb_id)
            if "config" in fields:
                fields["config"] = {**base.config, **fields["config"]}
            for name, value in fields.items():
                setattr(base, name, value)
            base.updated_at = time.time()
            _flush_named(session, base.name)
        return base

    def delete(self, kb_id: str) -> None:
        """Remove a knowledge base with its documents, history, jobs and the vectors nobody else
        uses. Its projections are dropped by `Projector.drop`."""
        with self._db.write() as session:
            lock_base(session, kb_id)
            self._delete_history(session, kb_id)
            versions = select(DocumentVersion.id).where(
                col(DocumentVersion.knowledge_base_id) == kb_id
            )
            session.exec(delete(Chunk).where(col(Chunk.version_id).in_(versions)))
            used = select(Chunk.id).where(col(Chunk.text_hash) == col(Vector.text_hash))
            session.exec(delete(Vector).where(~used.exists()))
            remove_sources_of(session, kb_id)
            for table in (
                VersionEdits,
                DocumentVersion,
                Document,
                Task,
                Job,
                IndexLog,
                ProjectionCursor,
            ):
                owner = col(table.knowledge_base_id)
                session.exec(delete(table).where(owner == kb_id))
            session.exec(delete(KnowledgeBase).where(col(KnowledgeBase.id) == kb_id))

    def ensure_document(self, kb_id: str, filename: str) -> Document:
        """The document of that file name, made when there is none yet."""
        with self._db.write() as session:
            if session.get(KnowledgeBase, kb_id) is None:
                raise NotFound("knowledge base", kb_id)
            return ensure_document(self._db, session, kb_id, filename)

    def find_document(self, kb_id: str, filename: str) -> Document | None:
        """The document of that file name, if there is one."""
        query = select(Document).where(
            col(Document.knowledge_base_id) == kb_id, col(Document.filename) == filename
        )
        with self._db.read() as session:
            return session.exec(query).first()

    def document(self, kb_id: str, document_id: str) -> Document:
        """A document by id; raises NotFound."""
        with self._db.read() as session:
            row = session.get(Document, document_id)
        if row is None or row.knowledge_base_id != kb_id:
            raise NotFound("document", document_id)
        return row

    def documents(self, ids: Sequence[str]) -> _Documents:
        """Documents by id, in any order; ids that nothing has are left out."""
        with self._db.read() as session:
            rows = session.exec(select(Document).where(self._db.among(Document.id, ids)))
            return list(rows.all())

    def versions(self, ids: Sequence[str]) -> _Versions:
        """Versions in the order of `ids`; ids that nothing has are left out."""
        with self._db.read() as session:
            query = select(DocumentVersion).where(self._db.among(DocumentVersion.id, ids))
            by_id = {row.id: row for row in session.exec(query)}
        return [by_id[id] for id in ids if id in by_id]

    def version(self, version_id: str) -> DocumentVersion:
        """One version; raises NotFound."""
        found = self.versions([version_id])
        if not found:
            raise NotFound("document version", version_id)
        return found[0]

    def used_blobs(self, shas: Sequence[str]) -> set[str]:
        """Those of `shas` that are the original of a version, or wait in a job."""
        with self._db.read() as session:
            versions = select(DocumentVersion.content_hash).where(
                self._db.among(DocumentVersion.content_hash, shas)
            )
            tasks = select(Task.blob).where(self._db.among(Task.blob, shas))
            return {*session.exec(versions), *session.exec(tasks)}

    def _delete_history(self, session: Session, kb_id: str) -> None:
        mine = select(Commit.manifest_id).where(col(Commit.knowledge_base_id) == kb_id)
        others = select(Commit.manifest_id).where(col(Commit.knowledge_base_id) != kb_id)
        # Only the empty manifest can be shared: buckets hold document ids, which are unique.
        gone = session.exec(
            select(Manifest).where(col(Manifest.id).in_(mine), col(Manifest.id).not_in(others))
        ).all()
        buckets = {bucket for manifest in gone for bucket in manifest.buckets.values()}
        session.exec(delete(Ref).where(col(Ref.knowledge_base_id) == kb_id))
        session.exec(delete(Commit).where(col(Commit.knowledge_base_id) == kb_id))
        session.exec(delete(Manifest).where(self._db.among(Manifest.id, [m.id for m in gone])))
        session.exec(delete(ManifestBucket).where(self._db.among(ManifestBucket.id, buckets)))


_Documents = list[Document]
_Versions = list[DocumentVersion]


def ensure_document(db: Database, session: Session, kb_id: str, filename: str) -> Document:
    """Find or make a document within a transaction that writes."""
    row = {
        "id": new_id("doc"),
        "knowledge_base_id": kb_id,
        "filename": filename,
        "created_at": time.time(),
    }
    query = select(Document).where(
        col(Document.knowledge_base_id) == kb_id, col(Document.filename) == filename
    )
    found = session.exec(query).first()
    if found is None:
        db.insert_missing(session, Document, [row])
        found = session.exec(query).one()
    return found


def _flush_named(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a knowledge base named '{name}' already.",
            name,
            "Choose another name, or use the one that is there.",
        ) from error
