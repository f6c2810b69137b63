"""Tables of where documents come from by themselves. Times are seconds since the epoch (UTC)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


def _json(*, nullable: bool = False) -> Any:
    return Column(JSON, nullable=nullable)


class Source(SQLModel, table=True):
    """A folder, a page or a sitemap whose documents a knowledge base holds."""

    __tablename__ = "source"
    id: str = Field(primary_key=True)
    knowledge_base_id: str = Field(index=True)
    name: str
    #: folder, url or sitemap
    kind: str
    #: Path of the folder, or address.
    location: str
    #: In front of the names of a folder's files; stays when the source is renamed.
    prefix: str = ""
    settings: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    #: Five fields: minute, hour, day of month, month, day of week; empty for “when asked”.
    cron: str = ""
    #: IANA name, such as Europe/Berlin.
    timezone: str = "UTC"
    enabled: bool = True
    next_at: float | None = Field(default=None, index=True)
    #: Why it was paused, where nobody paused it.
    note: str = ""
    #: Number of the newest refresh; 0 before the first.
    refreshes: int = 0
    created_at: float
    updated_at: float


class SourceRefresh(SQLModel, table=True):
    """One look at a source, and what came of it."""

    __tablename__ = "source_refresh"
    source_id: str = Field(primary_key=True, foreign_key="source.id")
    number: int = Field(primary_key=True)
    #: page, api, cli or schedule
    trigger: str
    #: Whether everything is taken anew, changed or not.
    full: bool = False
    #: running, completed, failed or cancelled
    status: str = Field(default="running", index=True)
    #: Items that were found; None while they are being listed.
    total: int | None = None
    #: Items by outcome (added, changed, unchanged, removed, gone, failed), once it is over.
    counts: dict[str, int] = Field(default_factory=dict, sa_column=_json())
    #: What was left out, in words.
    notes: list[str] = Field(default_factory=list, sa_column=_json())
    #: The first items that failed, once it is over: {"key", "code", "message", "fix"}.
    failures: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json())
    #: Jobs that read what it brought in.
    jobs: list[str] = Field(default_factory=list, sa_column=_json())
    #: {"code", "message", "fix"} where it failed as a whole.
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    started_at: float
    finished_at: float | None = None


class SourceItem(SQLModel, table=True):
    """A file or page of a source, as it was when it was last looked at."""

    __tablename__ = "source_item"
    source_id: str = Field(primary_key=True, foreign_key="source.id")
    #: Path within the folder, or address.
    key: str = Field(primary_key=True)
    #: Name of its document in the knowledge base.
    filename: str = Field(index=True)
    #: What tells a change without reading it: ETag and Last-Modified of a page; size and time of
    #: modification of a file.
    etag: str = ""
    last_modified: str = ""
    stamp: str = ""
    #: SHA-256 of what was handed in; empty before anything was.
    sha: str = ""
    size: int = 0
    #: added, changed, unchanged, removed, gone or failed
    outcome: str = Field(default="", index=True)
    #: {"code", "message", "fix"} where it failed.
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    #: Number of the refresh that dealt with it last.
    seen: int = 0
    checked_at: float
    changed_at: float | None = None
