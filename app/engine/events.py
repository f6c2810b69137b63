"""A run as a stream of typed events; page, REST and history are three readers of it."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.engine.problems import Problem


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    run_id: str
    #: Seconds since the epoch.
    at: float = Field(default_factory=time.time)


class RunStarted(_Event):
    """The graph was accepted; nodes follow."""

    kind: Literal["run_started"] = "run_started"
    node_ids: tuple[str, ...]


class _NodeEvent(_Event):
    #: Inside a body: “outer/inner”, or “outer[item]/inner” where it runs once per item.
    node_id: str
    #: Title and type of a node inside a body, which the workflow itself does not list.
    title: str = ""
    type: str = ""


class NodeStarted(_NodeEvent):
    """A node's inputs are complete and it runs now."""

    kind: Literal["node_started"] = "node_started"
    attempt: int = 1


class TokenEvent(_Event):
    """A piece of streamed output."""

    kind: Literal["token"] = "token"
    node_id: str
    text: str


class NodeProgress(_Event):
    """How far a long node is."""

    kind: Literal["node_progress"] = "node_progress"
    node_id: str
    done: int
    total: int
    message: str = ""


class NodeWaiting(_NodeEvent):
    """A node waits for a person's decision; it goes on when that is there."""

    kind: Literal["node_waiting"] = "node_waiting"
    message: str
    #: What the person is asked for, as JSON Schema or as the node likes.
    form: dict[str, Any] = Field(default_factory=dict)


class NodeFinished(_NodeEvent):
    """A node's outputs are there. Values are JSON data of the port values, by port."""

    kind: Literal["node_finished"] = "node_finished"
    duration_ms: float
    cached: bool = False
    #: Why it ran, or why it did not have to: "config.top_k 5 → 8", "same inputs and settings".
    reason: str = ""
    signature: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    #: Name of the port type of each output that has a value.
    types: dict[str, str] = Field(default_factory=dict)
    #: prompt_tokens, completion_tokens, cost_usd and calls, of the node and what runs inside it.
    usage: dict[str, float] = Field(default_factory=dict)
    #: What reusing results spared: usage, and `ms`.
    saved: dict[str, float] = Field(default_factory=dict)
    #: `Signature.dump()` for whoever keeps results; not part of the JSON data.
    signature_parts: dict[str, Any] | None = Field(None, exclude=True, repr=False)


class NodeSkipped(_NodeEvent):
    """A node did not run: its branch was not taken, or it is disabled."""

    kind: Literal["node_skipped"] = "node_skipped"
    reason: str


class NodeFailedEvent(_NodeEvent):
    """A node failed for good, after its retries."""

    kind: Literal["node_failed"] = "node_failed"
    duration_ms: float
    problem: Problem
    inputs: dict[str, Any] = Field(default_factory=dict)
    usage: dict[str, float] = Field(default_factory=dict)


class RunFinished(_Event):
    """The last event of every run."""

    kind: Literal["run_finished"] = "run_finished"
    status: Literal["completed", "failed", "cancelled"]
    duration_ms: float
    #: Named outputs of the graph, JSON data.
    outputs: dict[str, Any] = Field(default_factory=dict)
    problem: Problem | None = None
    #: Totals over the nodes.
    usage: dict[str, float] = Field(default_factory=dict)
    saved: dict[str, float] = Field(default_factory=dict)


Event = Annotated[
    RunStarted
    | NodeStarted
    | TokenEvent
    | NodeProgress
    | NodeWaiting
    | NodeFinished
    | NodeSkipped
    | NodeFailedEvent
    | RunFinished,
    Field(discriminator="kind"),
]
