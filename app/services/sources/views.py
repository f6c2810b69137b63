"""Sources as pages and programs see them, and the settings that they take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from app.services.automation.cron import in_words, moment_in_words
from app.services.clock import iso
from app.services.sources.folder import Globs
from app.services.views import View
from storage import tables
from storage.source_tables import Source, SourceItem, SourceRefresh

Kind = Literal["folder", "url", "sitemap"]
RefreshStatus = Literal["running", "completed", "failed", "cancelled"]

#: What became of an item, in the order in which reports count them.
OUTCOMES = ("added", "changed", "unchanged", "removed", "gone", "failed")


class SourceSettings(View):
    """What a source takes, and what it does about what is gone."""

    include: list[str] = Field(
        [],
        max_length=50,
        description="Patterns of the paths that count, such as *.pdf or guides/**. Without any, "
        "files of the formats that are read, or every page.",
    )
    exclude: list[str] = Field(
        [], max_length=50, description="Patterns of the paths that are left out."
    )
    remove_gone: bool = Field(
        False,
        description="Whether documents go from the knowledge base once their file or page does.",
    )
    max_items: int = Field(
        2_000, ge=1, le=50_000, description="Most files or pages; further ones are left out."
    )
    max_mb: int = Field(2_000, ge=1, le=100_000, description="Most of them together, in MB.")
    hosts: list[str] = Field(
        [],
        max_length=50,
        description="Hosts besides its own that pages of a sitemap may be on, such as "
        "docs.example.com or *.example.com.",
    )
    pause_s: float = Field(
        0.5, ge=0, le=60, description="Seconds between two requests to the same web server."
    )

    @field_validator("include", "exclude")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        Globs(value)
        return [pattern.strip()[:500] for pattern in value if pattern.strip()]

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        return [host.strip().lower()[:255] for host in value if host.strip().strip("*.")]


class RefreshView(View):
    """One look at a source, under way or over."""

    number: int
    #: page, api, cli or schedule
    trigger: str
    full: bool
    status: RefreshStatus
    #: Items found; None while they are being listed.
    total: int | None
    #: Items dealt with so far.
    done: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    #: Documents taken out because their item is gone; `gone`: kept although it is.
    removed: int = 0
    gone: int = 0
    failed: int = 0
    #: What was left out, in words.
    notes: list[str]
    #: The first items that failed: {"key", "code", "message", "fix"}; known once it is over.
    failures: list[dict[str, Any]]
    #: Jobs that read what it brought in.
    jobs: list[str]
    #: {"code", "message", "fix"} where it failed as a whole.
    error: dict[str, Any] | None
    started_at: str
    finished_at: str | None


class SourceView(View):
    """Where documents of a knowledge base come from by themselves."""

    source_id: str
    knowledge_base_id: str
    name: str
    kind: Kind
    location: str
    settings: SourceSettings
    #: When it is refreshed by itself; empty for “when asked”.
    cron: str
    timezone: str
    enabled: bool
    #: What the expression means; and the next time, in words too (empty while paused).
    description: str
    next_at: str | None
    next_words: str
    #: Why it was paused, where nobody paused it.
    note: str
    items: int
    #: The newest refresh.
    refresh: RefreshView | None
    created_at: str
    updated_at: str


class SourceItemView(View):
    """A file or page of a source."""

    key: str
    filename: str
    #: added, changed, unchanged, removed, gone or failed: at the refresh that dealt with it last.
    outcome: str
    error: dict[str, Any] | None
    size: int
    document_id: str | None
    #: queued, processing, ready, error or cancelled: where its newest upload is.
    document_status: str
    checked_at: str
    changed_at: str | None


def source_view(
    row: Source, items: int, refresh: SourceRefresh | None, counts: Mapping[str, int]
) -> SourceView:
    """A source as pages and programs get it; `counts` are those of a refresh under way."""
    at = row.next_at if row.enabled else None
    return SourceView(
        source_id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        name=row.name,
        kind=cast(Any, row.kind),
        location=row.location,
        settings=SourceSettings.model_validate(row.settings),
        cron=row.cron,
        timezone=row.timezone,
        enabled=row.enabled,
        description=in_words(row.cron) if row.cron else "",
        next_at=iso(at) if at else None,
        next_words=moment_in_words(at, row.timezone, time.time()) if at else "",
        note=row.note,
        items=items,
        refresh=None if refresh is None else refresh_view(refresh, counts),
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
    )


def refresh_view(row: SourceRefresh, counts: Mapping[str, int]) -> RefreshView:
    """A refresh; `counts` where it is under way."""
    counts = row.counts if row.status != "running" else counts
    known = {name: counts.get(name, 0) for name in OUTCOMES}
    return RefreshView(
        number=row.number,
        trigger=row.trigger,
        full=row.full,
        status=cast(Any, row.status),
        total=row.total,
        done=sum(known.values()) - known["removed"] - known["gone"],
        **known,
        notes=row.notes,
        failures=row.failures,
        jobs=row.jobs,
        error=row.error,
        started_at=iso(row.started_at),
        finished_at=None if row.finished_at is None else iso(row.finished_at),
    )


_STATUS = {"running": "processing", "success": "ready"}


def item_view(row: SourceItem, task: tables.Task | None) -> SourceItemView:
    """An item, with where its document is."""
    status = "" if task is None else task.status
    return SourceItemView(
        key=row.key,
        filename=row.filename,
        outcome=row.outcome,
        error=row.error or (None if task is None else task.error),
        size=row.size,
        document_id=None if task is None or row.outcome == "removed" else task.document_id,
        document_status=_STATUS.get(status, status),
        checked_at=iso(row.checked_at),
        changed_at=None if row.changed_at is None else iso(row.changed_at),
    )
