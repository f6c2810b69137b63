"""Tables of what starts runs by itself, and of what runs wait for. Times are seconds (UTC)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


def _json(*, nullable: bool = False) -> Any:
    return Column(JSON, nullable=nullable)


class Worker(SQLModel, table=True):
    """A server that runs workflows; one that was not seen for a while is taken for dead."""

    __tablename__ = "run_worker"
    id: str = Field(primary_key=True)
    seen_at: float


class Schedule(SQLModel, table=True):
    """Times at which a workflow runs."""

    __tablename__ = "schedule"
    id: str = Field(primary_key=True)
    workflow_id: str = Field(index=True)
    name: str = ""
    #: Five fields: minute, hour, day of month, month, day of week.
    cron: str
    #: IANA name, such as Europe/Berlin.
    timezone: str = "UTC"
    input_data: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    enabled: bool = True
    next_at: float | None = Field(default=None, index=True)
    last_at: float | None = None
    last_run_id: str | None = None
    #: What became of the last time: started, skipped or failed; and why.
    last_outcome: str = ""
    last_note: str = ""
    created_at: float


class Webhook(SQLModel, table=True):
    """An address that runs a workflow when something is posted to it."""

    __tablename__ = "webhook"
    id: str = Field(primary_key=True)
    workflow_id: str = Field(index=True)
    name: str = ""
    #: SHA-256 of the token in its address.
    token_hash: str = Field(unique=True)
    #: Key of the HMAC that requests must bring; empty asks for none.
    secret: str = ""
    #: Name of an input -> dotted path into the body; empty takes the body's own names.
    mapping: dict[str, str] = Field(default_factory=dict, sa_column=_json())
    #: Values for inputs that a request does not bring.
    input_data: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    enabled: bool = True
    last_at: float | None = None
    last_run_id: str | None = None
    calls: int = 0
    created_at: float


class WebhookSignature(SQLModel, table=True):
    """A signature with a time that was taken: a request that brings it again is a repetition."""

    __tablename__ = "webhook_signature"
    digest: str = Field(primary_key=True)
    #: When its time alone has it refused.
    expires_at: float = Field(index=True)


class Approval(SQLModel, table=True):
    """A question of a run to a person."""

    __tablename__ = "approval"
    run_id: str = Field(primary_key=True)
    node_id: str = Field(primary_key=True)
    workflow_id: str | None = Field(default=None, index=True)
    workflow_name: str = ""
    message: str = ""
    form: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    #: open, decided or withdrawn
    status: str = Field(default="open", index=True)
    #: {"approved", "comment", "value", "by"}
    decision: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    asked_at: float
    decided_at: float | None = None


class Batch(SQLModel, table=True):
    """Many inputs through one workflow."""

    __tablename__ = "batch"
    id: str = Field(primary_key=True)
    workflow_id: str = Field(index=True)
    workflow_name: str = ""
    revision: int
    #: Names of the inputs, in the order of the table that came in.
    columns: list[str] = Field(default_factory=list, sa_column=_json())
    concurrency: int = 4
    #: running, completed or cancelled
    status: str = Field(default="running", index=True)
    created_at: float
    finished_at: float | None = None


class BatchRow(SQLModel, table=True):
    """One input of a batch, and what came of it."""

    __tablename__ = "batch_row"
    batch_id: str = Field(primary_key=True, foreign_key="batch.id")
    ordinal: int = Field(primary_key=True)
    input_data: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    run_id: str | None = None
    #: queued, running, completed, failed or cancelled
    status: str = "queued"
    outputs: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    duration_ms: float | None = None
    #: Tokens, calls and cost of its run, as far as they are known.
    usage: dict[str, float] = Field(default_factory=dict, sa_column=_json())
