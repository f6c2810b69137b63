"""Manifests: which version of which document a commit holds, in content-addressed buckets.

Documents are spread over a fixed number of slots by the hash of their id. A manifest names the
bucket of every slot that is not empty, so a change of one document writes one bucket and one
manifest, and two manifests are compared by comparing bucket ids.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import bindparam
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from storage.database import Database
from storage.ids import content_id
from storage.tables import Manifest, ManifestBucket

_BUCKETS = columns(col(Manifest.buckets)).where(col(Manifest.id) == bindparam("id"))
_ENTRIES = columns(col(ManifestBucket.entries)).where(col(ManifestBucket.id) == bindparam("id"))
#: Never change: stored manifests depend on it.
SLOTS = 64


def slot_of(document_id: str) -> str:
    """The slot of a document: two hex digits."""
    return f"{hashlib.sha256(document_id.encode()).digest()[0] % SLOTS:02x}"


def load(db: Database, session: Session, manifest_id: str) -> dict[str, str]:
    """All entries of a manifest: document id -> version id."""
    buckets = _buckets(session, manifest_id)
    query = select(ManifestBucket.entries).where(
        db.among(ManifestBucket.id, list(buckets.values()))
    )
    return {
        document: version
        for entries in session.exec(query)
        for document, version in entries.items()
    }


def lookup(session: Session, manifest_id: str, document_id: str) -> str | None:
    """The version of one document in a manifest, read from its bucket alone."""
    bucket = _buckets(session, manifest_id).get(slot_of(document_id))
    return _entries(session, bucket).get(document_id)


def replace(
    db: Database, session: Session, manifest_id: str | None, changes: Mapping[str, str | None]
) -> str:
    """Write a manifest that differs by `changes` (None removes); returns its id."""
    buckets = {} if manifest_id is None else dict(_buckets(session, manifest_id))
    by_slot: dict[str, dict[str, str | None]] = defaultdict(dict)
    for document, version in changes.items():
        by_slot[slot_of(document)][document] = version
    for slot, changed in by_slot.items():
        merged = {**_entries(session, buckets.get(slot)), **changed}
        entries = {document: version for document, version in merged.items() if version is not None}
        if entries:
            buckets[slot] = content_id(entries)
            db.insert_missing(session, ManifestBucket, [{"id": buckets[slot], "entries": entries}])
        else:
            buckets.pop(slot, None)
    new = content_id(buckets)
    db.insert_missing(session, Manifest, [{"id": new, "buckets": buckets}])
    return new


def _buckets(session: Session, manifest_id: str) -> Mapping[str, str]:
    found: Mapping[str, str] = (
        session.connection().execute(_BUCKETS, {"id": manifest_id}).scalar_one()
    )
    return found


def _entries(session: Session, bucket: str | None) -> Mapping[str, str]:
    if bucket is None:
        return {}
    found: Mapping[str, str] = session.connection().execute(_ENTRIES, {"id": bucket}).scalar_one()
    return found
