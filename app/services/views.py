"""What services hand to pages, REST and the command line: plain models, no tables."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.engine.values import Box, Chunk

T = TypeVar("T")


class View(BaseModel):
    """Base of every view."""

    model_config = ConfigDict(extra="forbid")


class Page(View, Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int


class KnowledgeBaseView(View):
    """A knowledge base in a list."""

    knowledge_base_id: str
    name: str
    description: str = ""
    config: dict[str, Any] = {}
    #: Settings that were replaced by what is available here, in words.
    warnings: list[str] = []
    document_count: int = 0
    chunk_count: int = 0
    created_at: str
    updated_at: str


class KnowledgeBaseStats(View):
    """Sizes and state of a knowledge base; `index_size` in bytes."""

    knowledge_base_id: str
    document_count: int
    chunk_count: int
    index_size: int
    last_updated: str
    embedding_model: str
    languages: dict[str, int]
    commit: str | None
    #: On all branches.
    commits: int
    branches: list[str]
    pending_documents: int
    failed_documents: int = Field(
        description="Documents that could not be read or stored, encrypted ones that wait for "
        "their password among them."
    )
    #: True while projections still catch up with the log.
    indexing: bool


class KnowledgeBaseHealth(View):
    """What of a knowledge base needs somebody; `size` in bytes."""

    #: Documents that could not be read or stored, locked ones among them.
    failed: int = 0
    #: Of those that failed, encrypted ones that wait for their password.
    locked: int = 0
    pending: int = 0
    #: Jobs that wait until somebody, or the system, lets them go on.
    paused: int = 0
    indexing: bool = False
    size: int = 0


DocumentStatus = Literal["queued", "processing", "ready", "error", "cancelled"]


class DocumentView(View):
    """A document at a ref, or on its way in."""

    document_id: str
    filename: str
    status: DocumentStatus
    stage: str = ""
    #: 0..1 within the stage.
    progress: float | None = None
    media_type: str = ""
    size: int = 0
    pages: int | None = None
    chunk_count: int = 0
    language: str | None = None
    title: str = ""
    metadata: dict[str, Any] = {}
    #: {"code", "message", "fix"}
    error: dict[str, Any] | None = None
    version_id: str | None = None
    #: Settings it was made with, and the model that embedded it.
    processing: dict[str, Any] = {}
    embedding_model: str = ""
    created_at: str
    updated_at: str


class ChunkView(View):
    """A chunk as stored."""

    chunk_id: str
    document_id: str
    document_name: str
    ordinal: int
    content: str
    page: int | None = None
    headings: list[str] = []
    boxes: list[Box] = []
    start: int | None = None
    end: int | None = None
    language: str | None = None
    metadata: dict[str, Any] = {}
    #: Left out of every search by a person.
    disabled: bool = False


class DocumentText(View):
    """The extracted text of a document; `start` and `end` of its chunks are offsets in it."""

    document_id: str
    filename: str
    text: str
    chunks: list[ChunkView]


class BranchView(View):
    """A branch: pages call every one but `main` a copy."""

    branch: str
    commit: str = Field(description="Its newest commit.")
    updated_at: str
    embedding_model: str = Field(description="What comes to it is embedded by this model.")
    language_models: dict[str, str] = {}
    document_count: int
    only_here: int = Field(description="Documents on it that `main` does not have.")
    in_use: bool = Field(description="Whether search, workflows and pages use it: `main`.")
    taken_over: bool = Field(
        description="Whether `main` holds all that it does, so that deleting it loses nothing."
    )


class DeletedBranch(View):
    """A branch that is gone; one that starts at its commit holds all of it again."""

    branch: str
    commit: str = Field(description="Its last commit, which can still be searched by its id.")
    models: dict[str, Any] | None = Field(None, exclude=True)
    reembedding: dict[str, Any] | None = Field(None, exclude=True)


class CommitView(View):
    """A commit of a knowledge base."""

    commit_id: str
    parents: list[str]
    author: str
    message: str
    created_at: str
    added: int = 0
    changed: int = 0
    removed: int = 0


class DocumentCommitView(CommitView):
    """A commit that touched a document, and the version it left; None where it removed it."""

    version_id: str | None = None


class PassageView(ChunkView):
    """A chunk beside its pages: with the document's text at its place, where that is another."""

    source: str | None = None


class PassageWindow(View):
    """Some chunks of a document, disabled ones too, and how many there are."""

    version_id: str
    total: int
    items: list[PassageView]


class CorrectionView(View):
    """What a correction of chunks did: its commit, and the chunks that came of it.

    Ids of chunks belong to a version. Restoring `previous_version_id` undoes the correction.
    """

    commit: CommitView
    document_id: str
    version_id: str
    previous_version_id: str
    chunks: list[ChunkView] = []


class TaskView(View):
    """One file of a job, while it is on its way and after."""

    task_id: str = Field("", exclude=True)
    document_id: str
    filename: str
    status: Literal["queued", "running", "success", "error", "cancelled"]
    stage: str = ""
    done: int = 0
    total: int = 0
    change: str = ""
    chunks_created: int = 0
    processing_time: float = 0.0
    error_message: str | None = None
    error: dict[str, Any] | None = None


class JobProgress(View):
    """How far a job is; rates and time are None while too little is known."""

    total: int = 0
    done: int = 0
    failed: int = Field(
        0, description="Files that could not be read or stored, locked ones among them."
    )
    locked: int = Field(
        0, description="Of those that failed, encrypted ones that wait for their password."
    )
    cancelled: int = 0
    #: Stage -> files that are in it now.
    stages: dict[str, int] = {}
    #: Over the last minute.
    files_per_s: float | None = None
    chunks_per_s: float | None = None
    #: Seconds until nothing is left to do, at these rates.
    eta_s: float | None = None


JobStatus = Literal["queued", "running", "paused", "completed", "failed", "cancelled"]


class JobView(View):
    """A batch of files on its way into a knowledge base."""

    job_id: str
    knowledge_base_id: str
    #: upload, or reprocess: documents that are there, with other settings
    kind: str = "upload"
    branch: str = "main"
    author: str = ""
    status: JobStatus
    #: Left empty in lists.
    results: list[TaskView] = []
    progress: JobProgress = JobProgress()
    #: {"code", "message", "fix"} where the system paused it.
    reason: dict[str, Any] | None = None
    #: When a paused job goes on by itself; None: when a person resumes it.
    resumes_at: str | None = None
    created_at: str
    finished_at: str | None = None
    #: Settings that were replaced by what is available here, in words.
    warnings: list[str] = []


class SearchConfig(View):
    """`config` of a search request (DESIGN 12)."""

    model_config = ConfigDict(extra="forbid")
    search_type: Literal["semantic", "keyword", "hybrid", "adaptive"] = "hybrid"
    k: int = Field(10, ge=1, le=200)
    semantic_weight: float = Field(0.5, ge=0, le=1)
    score_threshold: float | None = None
    rerank: bool = False
    filters: dict[str, Any] = {}
    include_metadata: bool = True
    ref: str = "main"
    target_languages: list[str] = []
    #: “parent”: of chunks that were cut as parts of a larger passage, that passage is returned.
    expand: Literal["none", "parent"] = "none"


class SearchResponse(View):
    """`results` are chunks; REST leaves out what the contract does not name."""

    results: list[Chunk]
    metadata: dict[str, Any]


class WorkflowView(View):
    """A workflow; `graph` (the file `ragloom/1`) is left out of lists."""

    workflow_id: str
    name: str
    description: str = ""
    revision: int
    created_at: str
    updated_at: str
    node_count: int = 0
    graph: dict[str, Any] | None = None
    #: Notes of a conversion from another form.
    warnings: list[str] = []
    last_run: dict[str, Any] | None = None


class StepView(View):
    """One node of an execution; `inputs` and `outputs` by port, JSON data."""

    node_id: str
    name: str
    type: str
    status: Literal["running", "waiting", "completed", "failed", "skipped", "cancelled"]
    started_at: str | None = None
    duration_ms: float | None = None
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    cached: bool = False
    reason: str = ""
    #: True where inputs or outputs were too large to keep whole.
    truncated: bool = False
    #: Tokens, calls and cost; and what a reused result saved of them, with `ms`.
    usage: dict[str, float] = {}
    saved: dict[str, float] = {}
    #: {"message", "form"} while a person is asked.
    waiting: dict[str, Any] | None = None


class ExecutionView(View):
    """One run of a workflow."""

    execution_id: str
    workflow_id: str | None
    workflow_name: str = ""
    revision: int | None = None
    trigger: str
    #: “waiting” while nothing can go on without a person, “interrupted” where the server stopped.
    status: Literal["running", "waiting", "completed", "failed", "cancelled", "interrupted"]
    input_data: dict[str, Any]
    outputs: dict[str, Any]
    error: dict[str, Any] | None = None
    #: What to know about the run that is no error.
    warnings: list[str] = []
    started_at: str
    duration_ms: float | None = None
    #: Sums over its steps.
    usage: dict[str, float] = {}
    saved: dict[str, float] = {}
    #: What it was to run, where not everything; nodes whose outputs were given are listed.
    options: dict[str, Any] = {}
    parent_run: str | None = None
    #: Whether it goes on by itself after the server was stopped.
    durable: bool = False
    #: Left empty in lists.
    steps: list[StepView] = []
    graph: dict[str, Any] | None = None
