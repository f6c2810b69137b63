"""How a knowledge base names the stored workflow that its files go through."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PipelineRef(BaseModel):
    """A stored workflow that takes files in, in place of the standard one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    workflow_id: str = Field(min_length=1, max_length=200, description="Id of the workflow.")
    revision: int | None = Field(
        None, ge=1, description="Its revision; the newest at the time where none is given."
    )
