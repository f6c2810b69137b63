"""What people corrected in a version: kept beside it, so that search never meets what is disabled.

A corrected version has a row of edits, the chunks it leaves out, and the source text of those
whose content was changed. Chunks that are left out are no rows of `chunk`: no index, filter or
count can find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import String, bindparam, cast
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from storage import commits, manifests
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.tables import Chunk, Commit, DocumentVersion, VersionEdits

_EVER_EDITED = (
    columns(col(VersionEdits.version_id))
    .where(col(VersionEdits.document_id) == bindparam("document"))
    .limit(1)
)
_CHUNK_FIELDS = tuple(Chunk.model_fields)
#: A chunk reaches over fewer pages than this.
_PAGES_OF_A_CHUNK = 5


class VersionMoved(Conflict):
    """The document was changed on the branch since its corrections were read."""

    def __init__(self, document_id: str, current: str | None) -> None:
        super().__init__(
            "The document was changed by somebody else meanwhile.",
            current,
            "Load its chunks again and repeat the change on what is there now.",
        )
        self.document_id = document_id


@dataclass(frozen=True)
class Corrections:
    """The edits of a version and what follows from them. Ordinals count all chunks."""

    #: As `app.services.knowledge.chunk_edits` writes them, in the order in which they were made.
    edits: list[dict[str, Any]] = field(default_factory=list)
    #: Chunks that are left out, by ordinal.
    disabled: Mapping[int, Chunk] = field(default_factory=dict)
    #: Text of the document at the place of a chunk whose content is another, by ordinal.
    sources: Mapping[int, str] = field(default_factory=dict)


def keep(session: Session, version: DocumentVersion, corrections: Corrections) -> None:
    """Write the row of a version that was just made."""
    disabled = {
        str(ordinal): {name: getattr(chunk, name) for name in _CHUNK_FIELDS}
        for ordinal, chunk in corrections.disabled.items()
    }
    session.add(
        VersionEdits(
            version_id=version.id,
            document_id=version.document_id,
            knowledge_base_id=version.knowledge_base_id,
            edits=corrections.edits,
            disabled=disabled,
            sources={str(ordinal): text for ordinal, text in corrections.sources.items()},
        )
    )


def read(session: Session, version_id: str) -> Corrections:
    """Those of a version; empty where there are none."""
    row = session.get(VersionEdits, version_id)
    if row is None:
        return Corrections()
    return Corrections(
        row.edits,
        {int(ordinal): Chunk(**fields) for ordinal, fields in row.disabled.items()},
        {int(ordinal): text for ordinal, text in row.sources.items()},
    )


def ever_corrected(session: Session, document_id: str) -> bool:
    """Whether people corrected any version of a document."""
    found = session.connection().execute(_EVER_EDITED, {"document": document_id})
    return found.first() is not None


def corrected_head(session: Session, kb_id: str, ref: str, document_id: str) -> str | None:
    """The version of a document on a branch, if it has edits; cheap where no version ever had."""
    if not ever_corrected(session, document_id):
        return None
    head = commits.head_of(session, kb_id, ref)
    version = None if head is None else manifests.lookup(session, head.manifest_id, document_id)
    return version if version and session.get(VersionEdits, version) is not None else None


def check_unmoved(
    session: Session, document_id: str, before: str | None, expected: str | None, *, exact: bool
) -> None:
    """Raise VersionMoved when committing over `before` would lose edits nobody has looked at.

    With `exact` whatever is there must be `expected`; else only what has edits must be.
    """
    if before == expected:
        return
    if exact or (before is not None and session.get(VersionEdits, before) is not None):
        raise VersionMoved(document_id, before)


def window(
    db: Database, version_id: str, limit: int, offset: int
) -> tuple[list[tuple[Chunk, bool]], int]:
    """Chunks of a version and whether each is disabled, in reading order; and how many in all."""
    with db.read() as session:
        version = session.get(DocumentVersion, version_id)
        if version is None:
            raise NotFound("document version", version_id)
        left_out = read(session, version_id).disabled
        query = select(Chunk).where(
            col(Chunk.version_id) == version_id,
            col(Chunk.ordinal) >= offset,
            col(Chunk.ordinal) < offset + limit,
        )
        found = [(chunk, False) for chunk in session.exec(query)]
    found += [(left_out[n], True) for n in left_out if offset <= n < offset + limit]
    found.sort(key=lambda item: item[0].ordinal)
    return found, version.chunk_count + len(left_out)


def commits_of_document(
    session: Session, kb_id: str, start: Commit, document_id: str
) -> Sequence[str]:
    """Ids of the commits that touched a document, newest first."""
    touched = cast(Commit.summary, String).contains(document_id, autoescape=True)
    known = session.exec(
        select(Commit.id, Commit.parents, Commit.created_at, touched).where(
            col(Commit.knowledge_base_id) == kb_id
        )
    ).all()
    order = commits.walk(start.id, {id: (parents, at) for id, parents, at, _ in known})
    mine = {id for id, _, _, hit in known if hit}
    return [id for id in order if id in mine]


def page_window(db: Database, version_id: str, page: int) -> list[tuple[Chunk, bool]]:
    """Chunks with a box on a page, and whether each is disabled, in reading order."""
    with db.read() as session:
        left_out = read(session, version_id).disabled
        query = select(Chunk).where(
            col(Chunk.version_id) == version_id,
            col(Chunk.page) <= page,
            col(Chunk.page) > page - _PAGES_OF_A_CHUNK,
        )
        found = [(chunk, False) for chunk in session.exec(query)]
    found += [(chunk, True) for chunk in left_out.values()]
    here = [item for item in found if any(box["page"] == page for box in item[0].boxes)]
    return sorted(here, key=lambda item: item[0].ordinal)


def ordinal_at(db: Database, version_id: str, start: int) -> int | None:
    """Number of the chunk that holds a place of the text, or else of the one before it."""
    with db.read() as session:
        query = select(Chunk.ordinal).where(
            col(Chunk.version_id) == version_id, col(Chunk.start) <= start
        )
        return session.exec(query.order_by(col(Chunk.start).desc()).limit(1)).first()
