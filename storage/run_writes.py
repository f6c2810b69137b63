"""What happened in runs, written down: many events of many runs in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from storage.automation_tables import Approval
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.json_pieces import PIECE, compact, is_large, pieces
from storage.tables import Run, RunStep

_PREVIEW_CHARS = 2_000
#: Columns of a step that have no default in SQL.
_EMPTY: dict[str, Any] = {
    "ordinal": 0,
    "name": "",
    "type": "",
    "inputs": {},
    "outputs": {},
    "cached": False,
    "reason": "",
    "signature": "",
    "types": {},
    "usage": {},
    "saved": {},
    "inside": "",
}


@dataclass(slots=True)
class RunChange:
    """What became of one run and its steps since it was last written down."""

    run_id: str
    #: Columns by node, later ones over earlier ones; each names a status.
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Columns of the run itself. With an end in `status`, steps under way end with it.
    run: dict[str, Any] = field(default_factory=dict)
    #: Whether the run is over.
    ended: bool = False

    def step(self, node_id: str, values: Mapping[str, Any]) -> None:
        """Note columns of a step."""
        self.steps.setdefault(node_id, {}).update(values)


def as_payload(blobs: Blobs, cap_bytes: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Data as a column keeps it: itself, or the name of the file it lies in."""
    if is_large(data, max(PIECE, 2 * cap_bytes)):
        return _as_file(blobs, data)
    encoded = compact(data)
    # A character takes four bytes at most: most payloads need no second copy to be measured.
    if len(encoded) * 4 <= cap_bytes:
        return {"value": dict(data)}
    raw = encoded.encode("utf-8", "surrogatepass")
    if len(raw) <= cap_bytes:
        return {"value": dict(data)}
    return _as_file(blobs, data)


def _as_file(blobs: Blobs, data: Mapping[str, Any]) -> dict[str, Any]:
    preview = ""

    def written() -> Iterator[bytes]:
        nonlocal preview
        for piece in pieces(data, compact):
            preview += piece[: _PREVIEW_CHARS - len(preview)]
            yield piece.encode("utf-8", "surrogatepass")

    sha, size = blobs.put_stream(written())
    return {"blob": sha, "size": size, "preview": preview}


def write_changes(db: Database, session: Session, changes: Sequence[RunChange]) -> None:
    """Write within the session's transaction. Raises NotFound for a run that is not there."""
    for change in changes:
        _write_steps(db, session, change)
        if change.run or change.ended:
            _write_run(session, change)


def _write_steps(db: Database, session: Session, change: RunChange) -> None:
    insert = (sqlite if db.is_sqlite else postgresql).insert
    table = RunStep.__table__  # type: ignore[attr-defined]
    key = {"run_id": change.run_id}
    for node_id, values in change.steps.items():
        row = {**_EMPTY, **values, **key, "node_id": node_id}
        statement = insert(table).values(row)
        session.connection().execute(
            statement.on_conflict_do_update(index_elements=["run_id", "node_id"], set_=values)
        )


def _write_run(session: Session, change: RunChange) -> None:
    if change.run:
        found = session.connection().execute(
            update(Run).where(col(Run.id) == change.run_id).values(**change.run)
        )
        if not found.rowcount:
            raise NotFound("run", change.run_id)
    if change.ended:
        session.connection().execute(
            update(RunStep)
            .where(
                col(RunStep.run_id) == change.run_id,
                col(RunStep.status).in_(("running", "waiting")),
            )
            .values(status="cancelled")
        )
        session.connection().execute(
            update(Approval)
            .where(col(Approval.run_id) == change.run_id, col(Approval.status) == "open")
            .values(status="withdrawn")
        )
