"""Problems as data: code, place, what was found, what would fit; sentences come second."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """One thing that is wrong, where it is, and what would mend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: Stable, snake_case: "cycle", "unknown_type", "unconnected_input", "type_mismatch", …
    code: str
    #: What happened and why, one sentence for a person.
    message: str
    #: What to do now, one sentence.
    fix: str = ""
    node: str | None = None
    port: str | None = None
    #: Path of the setting inside the node's config, or of the key inside a file: "top_k".
    field: str | None = None
    #: (source node, source port, target node, target port)
    edge: tuple[str, str, str, str] | None = None
    found: Any = None
    expected: Any = None
    #: "error" stops a run; "warning" does not.
    severity: str = "error"


class RagloomError(Exception):
    """An error a person can act on. `code` is stable; doors (HTTP, CLI, page) map it once."""

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fix: str = "",
        problems: tuple[Problem, ...] | list[Problem] = (),
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fix = fix
        self.problems = tuple(problems)
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class InvalidWorkflow(RagloomError):
    """The graph cannot run; `problems` says all of why."""

    code = "invalid_workflow"


class NodeFailed(RagloomError):
    """A node says in plain words why it cannot go on."""

    code = "node_failed"


class ModelUnavailable(RagloomError):
    """A model cannot be had here; the fix names the ways to get it and the embedded one."""

    code = "model_unavailable"
