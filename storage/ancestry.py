"""The history of a knowledge base as it is read: branches, commits, and the versions they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlmodel import col, select

from storage import commits, manifests
from storage import corrections as corrected
from storage.corrections import Corrections
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.lru import Lru
from storage.tables import Chunk, Commit, DocumentVersion, KnowledgeBase, Ref

COMMIT_PREFIX = re.compile(r"[0-9a-f]{4,64}")
#: What two knowledge bases, or two branches, have in common is small: a few recent commits.
_CACHED_COMMITS = 64
#: Documents of all those commits together: while files come in, each look finds another commit.
CACHED_ENTRIES = 200_000


class Place(NamedTuple):
    """A commit of a knowledge base, and the settings of that knowledge base."""

    kb_id: str
    config: dict[str, Any]
    commit_id: str


class Ancestry:
    """Reads commits and branches."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._manifests: Lru[str, Mapping[str, str]] = Lru(_CACHED_COMMITS, len, CACHED_ENTRIES)
        self._members: Lru[str, frozenset[str]] = Lru(_CACHED_COMMITS, len, CACHED_ENTRIES)

    @property
    def db(self) -> Database:
        """The database."""
        return self._db

    def head(self, kb_id: str, ref: str = "main") -> Commit | None:
        """The newest commit of a branch; None where there is no such branch."""
        with self._db.read() as session:
            return commits.head_of(session, kb_id, ref)

    def locate(self, id_or_name: str, branch: str) -> Place | None:
        """Where a branch of a knowledge base stands; None where either is not there.

        One plain statement, as every search begins with it.
        """
        query = (
            select(KnowledgeBase.id, KnowledgeBase.config, Ref.commit_id)
            .join(
                Ref,
                (col(Ref.knowledge_base_id) == col(KnowledgeBase.id)) & (col(Ref.name) == branch),
                isouter=True,
            )
            .where((col(KnowledgeBase.id) == id_or_name) | (col(KnowledgeBase.name) == id_or_name))
        )
        with self._db.engine.connect() as connection:
            found = [Place(*row) for row in connection.execute(query)]
        place = next((p for p in found if p.kb_id == id_or_name), found[0] if found else None)
        return place if place is not None and place.commit_id else None

    def resolve(self, kb_id: str, ref: str) -> Commit:
        """The commit that a branch, a commit id or a unique prefix of one names."""
        with self._db.read() as session:
            commit = commits.head_of(session, kb_id, ref)
            if commit is not None:
                return commit
            if COMMIT_PREFIX.fullmatch(ref):
                query = select(Commit).where(
                    col(Commit.knowledge_base_id) == kb_id, col(Commit.id).startswith(ref)
                )
                found = session.exec(query.limit(2)).all()
                if len(found) == 1:
                    return found[0]
                if found:
                    raise Conflict(f"'{ref}' is the beginning of more than one commit id.")
            raise NotFound("branch or commit", ref)

    def manifest(self, commit_id: str) -> Mapping[str, str]:
        """Document id -> version id at a commit. Cached, not to be changed."""

        def read() -> Mapping[str, str]:
            with self._db.read() as session:
                commit = session.get(Commit, commit_id)
                if commit is None:
                    raise NotFound("commit", commit_id)
                return manifests.load(self._db, session, commit.manifest_id)

        return self._manifests.get(commit_id, read)

    def version_ids(self, commit_id: str) -> frozenset[str]:
        """Versions at a commit."""
        return self._members.get(commit_id, lambda: frozenset(self.manifest(commit_id).values()))

    def commits(
        self, kb_id: str, ref: str = "main", limit: int = 50, offset: int = 0
    ) -> tuple[list[Commit], int]:
        """Ancestors of a ref, itself first, a commit always before its parents; and how many."""
        start = self.resolve(kb_id, ref)
        with self._db.read() as session:
            known = session.exec(
                select(Commit.id, Commit.parents, Commit.created_at).where(
                    col(Commit.knowledge_base_id) == kb_id
                )
            ).all()
            order = commits.walk(start.id, {id: (parents, at) for id, parents, at in known})
            wanted = order[offset : offset + limit]
            rows = session.exec(select(Commit).where(self._db.among(Commit.id, wanted))).all()
        by_id = {row.id: row for row in rows}
        return [by_id[id] for id in wanted], len(order)

    def commit_count(self, kb_id: str) -> int:
        """How many commits a knowledge base has, on all branches."""
        query = select(func.count()).where(col(Commit.knowledge_base_id) == kb_id)
        with self._db.read() as session:
            return session.exec(query).one()

    def branches(self, kb_id: str) -> list[Ref]:
        """Branches by name."""
        with self._db.read() as session:
            query = select(Ref).where(col(Ref.knowledge_base_id) == kb_id).order_by(col(Ref.name))
            return list(session.exec(query).all())

    def branch(self, kb_id: str, name: str) -> Ref:
        """One branch; raises NotFound."""
        with self._db.read() as session:
            found = session.get(Ref, (kb_id, name))
        if found is None:
            raise NotFound("branch", name)
        return found

    def corrections(self, version_id: str) -> Corrections:
        """What people corrected in a version; empty where nothing."""
        with self._db.read() as session:
            return corrected.read(session, version_id)

    def corrected_head(self, kb_id: str, ref: str, document_id: str) -> DocumentVersion | None:
        """The version of a document on a branch, where people corrected it."""
        with self._db.read() as session:
            found = corrected.corrected_head(session, kb_id, ref, document_id)
            return None if found is None else session.get(DocumentVersion, found)

    def chunk_window(
        self, version_id: str, limit: int = 100, offset: int = 0
    ) -> tuple[list[tuple[Chunk, bool]], int]:
        """Chunks of a version in reading order, disabled ones (True) too; and how many."""
        return corrected.window(self._db, version_id, limit, offset)

    def chunks_on_page(self, version_id: str, page: int) -> list[tuple[Chunk, bool]]:
        """Chunks with a box on a page, disabled ones (True) too, in reading order."""
        return corrected.page_window(self._db, version_id, page)

    def ordinal_at(self, version_id: str, start: int) -> int | None:
        """Number of the chunk that holds a place of the text, or else of the one before it."""
        return corrected.ordinal_at(self._db, version_id, start)

    def document_commits(
        self, kb_id: str, ref: str, document_id: str, limit: int = 50, offset: int = 0
    ) -> tuple[list[tuple[Commit, str | None]], int]:
        """Commits that touched a document, newest first, and the version that each left."""
        start = self.resolve(kb_id, ref)
        with self._db.read() as session:
            order = corrected.commits_of_document(session, kb_id, start, document_id)
            wanted = order[offset : offset + limit]
            rows = session.exec(select(Commit).where(self._db.among(Commit.id, wanted))).all()
            by_id = {row.id: row for row in rows}
            found = [
                (by_id[id], manifests.lookup(session, by_id[id].manifest_id, document_id))
                for id in wanted
            ]
        return found, len(order)
