"""The index log as projections read it: what is pending, what is applied, and the cursors."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import bindparam, func, update
from sqlmodel import col, select

from storage.database import Database
from storage.tables import IndexLog, KnowledgeBase, ProjectionCursor

ProjectionName = Literal["vectors", "keywords"]
PROJECTIONS: tuple[ProjectionName, ...] = ("vectors", "keywords")

_CURSOR = select(ProjectionCursor.seq).where(
    col(ProjectionCursor.projection) == bindparam("projection"),
    col(ProjectionCursor.knowledge_base_id) == bindparam("kb"),
)


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    seq: int
    op: str
    version_id: str


@dataclass(frozen=True)
class Contents:
    """The versions that a projection holds, having applied the log up to `seq`."""

    seq: int = 0
    versions: frozenset[str] = field(default_factory=frozenset)


class ProjectionLog:
    """Reads the log and moves cursors."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._contents: dict[tuple[ProjectionName, str], Contents] = {}
        self._lock = threading.Lock()

    def bases(self) -> list[str]:
        """Ids of all knowledge bases."""
        with self._db.read() as session:
            return list(session.exec(select(KnowledgeBase.id).order_by(KnowledgeBase.id)).all())

    def cursor(self, projection: ProjectionName, kb_id: str) -> int:
        """The last log line that a projection has applied."""
        # Read by every search: a statement made once and a bare connection take a third of the time.
        with self._db.engine.connect() as connection:
            key = {"projection": projection, "kb": kb_id}
            return connection.execute(_CURSOR, key).scalar() or 0

    def pending(self, projection: ProjectionName, kb_id: str) -> list[Entry]:
        """Lines that a projection has not applied yet."""
        return self._entries(kb_id, after=self.cursor(projection, kb_id))

    def advance(self, projection: ProjectionName, kb_id: str, seq: int) -> None:
        """Note that a projection has durably applied the log up to `seq`."""
        key = {"projection": projection, "knowledge_base_id": kb_id}
        with self._db.write() as session:
            # A knowledge base deleted meanwhile must not get a cursor back.
            if session.get(KnowledgeBase, kb_id) is None:
                return
            self._db.insert_missing(session, ProjectionCursor, [{**key, "seq": 0}])
            session.get_one(ProjectionCursor, (projection, kb_id)).seq = seq

    def reset(self, projection: ProjectionName, kb_ids: Collection[str] | None = None) -> None:
        """Start a projection over, for some knowledge bases or for all."""
        statement = update(ProjectionCursor).where(col(ProjectionCursor.projection) == projection)
        if kb_ids is not None:
            statement = statement.where(self._db.among(ProjectionCursor.knowledge_base_id, kb_ids))
        with self._db.write() as session:
            session.exec(statement.values(seq=0))

    def contents(self, projection: ProjectionName, kb_id: str) -> Contents:
        """What a projection holds, by its cursor; the same object until the cursor moves."""
        seq = self.cursor(projection, kb_id)
        with self._lock:
            known = self._contents.get((projection, kb_id), Contents())
        if known.seq == seq:
            return known
        if known.seq > seq:
            known = Contents()
        versions = set(known.versions)
        for entry in self._entries(kb_id, after=known.seq, until=seq):
            if entry.op == "add":
                versions.add(entry.version_id)
            else:
                versions.discard(entry.version_id)
        contents = Contents(seq, frozenset(versions))
        with self._lock:
            self._contents[projection, kb_id] = contents
        return contents

    def forget(self, kb_id: str) -> None:
        """Drop what is cached about a deleted knowledge base."""
        with self._lock:
            for projection in PROJECTIONS:
                self._contents.pop((projection, kb_id), None)

    def behind(self, projection: ProjectionName, kb_id: str) -> bool:
        """Whether lines wait to be applied."""
        query = select(func.max(IndexLog.seq)).where(col(IndexLog.knowledge_base_id) == kb_id)
        with self._db.read() as session:
            newest = session.exec(query).one() or 0
        return newest > self.cursor(projection, kb_id)

    def _entries(self, kb_id: str, *, after: int, until: int | None = None) -> list[Entry]:
        query = select(IndexLog.seq, IndexLog.op, IndexLog.version_id).where(
            col(IndexLog.knowledge_base_id) == kb_id, col(IndexLog.seq) > after
        )
        if until is not None:
            query = query.where(col(IndexLog.seq) <= until)
        with self._db.read() as session:
            rows = session.exec(query.order_by(col(IndexLog.seq))).all()
        return [Entry(seq or 0, op, version) for seq, op, version in rows]
