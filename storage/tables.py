"""Every table. Times are seconds since the epoch (UTC); JSON columns hold plain data.

A knowledge base follows git's model over documents: a *ref* (branch) points at a *commit*, a commit
at a *manifest*, a manifest at content-addressed *buckets* of document id -> version id. A *version*
owns its chunks; vectors are keyed by model and text, so equal text is never embedded twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


def _json(*, nullable: bool = False) -> Any:
    return Column(JSON, nullable=nullable)


class KnowledgeBase(SQLModel, table=True):
    """A named collection of documents with its settings."""

    __tablename__ = "knowledge_base"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True, index=True)
    description: str = ""
    config: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    warnings: list[str] = Field(default_factory=list, sa_column=_json())
    created_at: float
    updated_at: float


class Ref(SQLModel, table=True):
    """A branch."""

    __tablename__ = "ref"
    knowledge_base_id: str = Field(primary_key=True, foreign_key="knowledge_base.id")
    name: str = Field(primary_key=True)
    commit_id: str
    updated_at: float
    #: {"embedding_model", "language_models"} for what comes to the branch, where it has its own.
    models: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    #: {"status", "models", "author", "started_at", "finished_at", "error"} of its last embedding
    #: anew; what is “running” goes on with the next server.
    reembedding: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))


class Commit(SQLModel, table=True):
    """One change of a knowledge base; id = SHA-256 of its content."""

    __tablename__ = "commit"
    id: str = Field(primary_key=True)
    knowledge_base_id: str = Field(index=True, foreign_key="knowledge_base.id")
    parents: list[str] = Field(default_factory=list, sa_column=_json())
    author: str
    message: str
    created_at: float
    manifest_id: str
    #: {"added": [document ids], "changed": […], "removed": […]}; {"restored": [commit id]} where
    #: an earlier state was brought back.
    summary: dict[str, Any] = Field(default_factory=dict, sa_column=_json())


class Manifest(SQLModel, table=True):
    """Bucket ids by slot; id = SHA-256 of them."""

    __tablename__ = "manifest"
    id: str = Field(primary_key=True)
    buckets: dict[str, str] = Field(default_factory=dict, sa_column=_json())


class ManifestBucket(SQLModel, table=True):
    """document id -> version id for one slot; id = SHA-256 of the entries."""

    __tablename__ = "manifest_bucket"
    id: str = Field(primary_key=True)
    entries: dict[str, str] = Field(default_factory=dict, sa_column=_json())


class Document(SQLModel, table=True):
    """A document's identity within a knowledge base, whatever its versions."""

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("knowledge_base_id", "filename"),)
    id: str = Field(primary_key=True)
    knowledge_base_id: str = Field(index=True, foreign_key="knowledge_base.id")
    filename: str
    created_at: float


class DocumentVersion(SQLModel, table=True):
    """One processing of one content; id = SHA-256 of document id, content hash, config hash."""

    __tablename__ = "document_version"
    id: str = Field(primary_key=True)
    document_id: str = Field(index=True, foreign_key="document.id")
    knowledge_base_id: str = Field(index=True)
    content_hash: str
    config_hash: str
    processing: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    #: Name of the vectors of every chunk that `models` has no other model for.
    embedding_model: str
    #: See `storage.embedding`; None in versions that were made before there were several models.
    models: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    media_type: str = ""
    size: int = 0
    pages: int | None = None
    language: str | None = None
    title: str = ""
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    chunk_count: int = 0
    created_at: float


class Chunk(SQLModel, table=True):
    """A passage of a version; id = first 32 hex digits of SHA-256 of version id and ordinal."""

    __tablename__ = "chunk"
    __table_args__ = (Index("chunk_by_version", "version_id", "ordinal"),)
    id: str = Field(primary_key=True)
    version_id: str = Field(foreign_key="document_version.id")
    document_id: str = Field(index=True)
    ordinal: int
    content: str
    #: What was embedded where it differs from the content.
    embed_text: str | None = None
    #: SHA-256 of the embedded text: key into `vector`.
    text_hash: str = Field(index=True)
    page: int | None = None
    headings: list[str] = Field(default_factory=list, sa_column=_json())
    boxes: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json())
    start: int | None = None
    end: int | None = None
    language: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=_json())


class VersionEdits(SQLModel, table=True):
    """What people corrected in a version; one as it was processed has no row."""

    __tablename__ = "version_edits"
    version_id: str = Field(primary_key=True, foreign_key="document_version.id")
    document_id: str = Field(index=True)
    knowledge_base_id: str = Field(index=True)
    edits: list[dict[str, Any]] = Field(default_factory=list, sa_column=_json())
    #: Rows that are no rows of `chunk`, so that nothing finds them, by ordinal.
    disabled: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    #: Text of the document where the content of a chunk is another, by ordinal.
    sources: dict[str, str] = Field(default_factory=dict, sa_column=_json())


class Vector(SQLModel, table=True):
    """The unit embedding of a text by a model: little-endian float32."""

    __tablename__ = "vector"
    model: str = Field(primary_key=True)
    text_hash: str = Field(primary_key=True)
    dim: int
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class IndexLog(SQLModel, table=True):
    """Append-only: versions to add to or remove from the projections of a knowledge base."""

    __tablename__ = "index_log"
    seq: int | None = Field(default=None, primary_key=True)
    knowledge_base_id: str = Field(index=True)
    #: "add" or "remove"
    op: str
    version_id: str
    created_at: float


class ProjectionCursor(SQLModel, table=True):
    """How far a projection has applied the log of a knowledge base."""

    __tablename__ = "projection_cursor"
    projection: str = Field(primary_key=True)
    knowledge_base_id: str = Field(primary_key=True)
    seq: int = 0


class Job(SQLModel, table=True):
    """A batch of files on its way into a knowledge base."""

    __tablename__ = "job"
    id: str = Field(primary_key=True)
    knowledge_base_id: str = Field(index=True)
    branch: str = "main"
    #: upload, or reprocess: documents that are there, with other settings
    kind: str = "upload"
    #: queued, running, paused, completed, failed or cancelled
    status: str = Field(default="queued", index=True)
    author: str = ""
    created_at: float
    finished_at: float | None = None
    #: Set while nothing more of it is begun.
    paused_at: float | None = None
    #: {"code", "message", "fix"} where the system paused it; a person needs no reason.
    reason: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    #: When it goes on by itself; None: when a person says so.
    retry_at: float | None = None
    #: Pauses by the system since a file of it went well: each is longer than the one before.
    pauses: int = 0


class Task(SQLModel, table=True):
    """One file of a job."""

    __tablename__ = "task"
    __table_args__ = (Index("task_by_job", "job_id", "status"),)
    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="job.id")
    knowledge_base_id: str = Field(index=True)
    document_id: str = Field(index=True)
    filename: str
    blob: str
    size: int
    media_type: str = ""
    processing: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    ordinal: int
    #: queued, running, success, error or cancelled
    status: str = Field(default="queued", index=True)
    #: extract, chunk, quality, embed, index
    stage: str = ""
    done: int = 0
    total: int = 0
    #: "added", "updated" or "unchanged" once it succeeded
    change: str = ""
    chunks_created: int = 0
    processing_time: float = 0.0
    #: {"code", "message", "fix"} where it failed
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    attempts: int = 0
    #: Times its job was paused over it: those with fewer go first.
    deferred: int = 0
    updated_at: float


class Workflow(SQLModel, table=True):
    """A workflow's identity and its newest revision."""

    __tablename__ = "workflow"
    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    description: str = ""
    revision: int
    created_at: float
    updated_at: float
    #: Set while it can still be brought back.
    deleted_at: float | None = Field(default=None, index=True)


class WorkflowRevision(SQLModel, table=True):
    """One saved state of a workflow: the file `ragloom/1`."""

    __tablename__ = "workflow_revision"
    workflow_id: str = Field(primary_key=True, foreign_key="workflow.id")
    number: int = Field(primary_key=True)
    graph: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    author: str = ""
    message: str = ""
    #: What people call it; empty for one that was only saved.
    name: str = ""
    #: The revision whose graph this one brought back.
    restored_from: int | None = None
    #: How many nodes and wires differ from the revision before, by kind of change.
    summary: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    created_at: float


class Run(SQLModel, table=True):
    """One execution of a graph."""

    __tablename__ = "run"
    __table_args__ = (Index("run_by_workflow", "workflow_id", "started_at"),)
    id: str = Field(primary_key=True)
    workflow_id: str | None = Field(default=None, index=True)
    workflow_name: str = ""
    revision: int | None = None
    #: page, api, cli, schedule, webhook, batch, chat or background
    trigger: str
    #: running, waiting (for a person), completed, failed, cancelled or interrupted
    status: str = Field(default="running", index=True)
    graph: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    input_data: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    outputs: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    started_at: float = Field(index=True)
    duration_ms: float | None = None
    #: Whether it goes on by itself after the server was stopped.
    durable: bool = False
    #: The server that runs it: see `Worker`.
    owner: str = ""
    #: Times it was taken up again without getting any further, and the steps it had then.
    attempts: int = 0
    progress: int = 0
    #: The run whose results it began with.
    parent_run: str | None = None
    #: What to run and what to take as given: like the payload of a step.
    options: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    #: What to know about it that is no error.
    warnings: list[str] = Field(default_factory=list, sa_column=_json())
    #: Tokens, calls and cost; and what reused results saved of them, with `ms`.
    usage: dict[str, float] = Field(default_factory=dict, sa_column=_json())
    saved: dict[str, float] = Field(default_factory=dict, sa_column=_json())


class RunStep(SQLModel, table=True):
    """One node of a run. Inputs and outputs larger than the cap live in blobs."""

    __tablename__ = "run_step"
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    node_id: str = Field(primary_key=True)
    ordinal: int
    name: str = ""
    type: str = ""
    #: running, waiting, completed, failed, skipped or cancelled
    status: str
    started_at: float | None = None
    duration_ms: float | None = None
    #: {"value": data} or {"blob": sha, "size": bytes, "preview": text}
    inputs: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    outputs: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    cached: bool = False
    reason: str = ""
    signature: str = Field(default="", index=True)
    #: Name of the port type of each output, to read values of open ports back.
    types: dict[str, str] = Field(default_factory=dict, sa_column=_json())
    #: Everything the result depends on, to say what changed since; None where too large.
    signature_parts: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    usage: dict[str, float] = Field(default_factory=dict, sa_column=_json())
    saved: dict[str, float] = Field(default_factory=dict, sa_column=_json())
    #: {"message", "form"} while a person is asked.
    waiting: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    #: The node of the graph whose body it belongs to; empty for nodes of the graph itself.
    inside: str = ""


class ApiKey(SQLModel, table=True):
    """An API key, stored as the SHA-256 of its 32 random bytes."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    name: str
    key_hash: str = Field(unique=True)
    created_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None


class UiSession(SQLModel, table=True):
    """A browser that opened the page through a link; id = SHA-256 of its cookie."""

    __tablename__ = "ui_session"
    id: str = Field(primary_key=True)
    created_at: float
    expires_at: float
