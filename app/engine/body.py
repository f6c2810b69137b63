"""Workflows inside nodes: the settings that hold one, and what it takes and gives."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.engine.graph import Graph
from app.engine.registry import Registry

#: Node type inside a body that hands out a value of the node around it.
INLET = "inlet"
#: Node type that runs a body once, and its setting that holds the body.
WORKFLOW = "workflow"
SETTING = "body"


class InterfaceInput(BaseModel):
    """A value that a body takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1, max_length=200, description="Name of the input.")
    type: str = Field("Any", max_length=200, description="Name of its port type.")
    required: bool = Field(True, description="Whether it has to be connected.")


class InterfaceOutput(BaseModel):
    """A value that a body gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1, max_length=200, description="Name of the result.")
    type: str = Field("Any", max_length=200, description="Name of its port type.")


class Interface(BaseModel):
    """What a body takes and gives: the ports of the node around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    inputs: tuple[InterfaceInput, ...] = ()
    outputs: tuple[InterfaceOutput, ...] = ()


class Body(BaseModel):
    """A workflow inside a node: embedded, or a stored one at a revision."""

    model_config = ConfigDict(extra="forbid")
    graph: dict[str, Any] | None = Field(None, description="The workflow, as a ragloom/1 file.")
    workflow: str = Field("", max_length=200, description="Id of a stored workflow.")
    revision: int | None = Field(
        None, ge=1, le=10**9, description="Its revision; empty for the latest."
    )
    interface: Interface = Field(
        default_factory=Interface, description="What the workflow takes and gives."
    )


def interface_of(graph: Graph, registry: Registry) -> Interface:
    """What a workflow takes (inlets and input nodes) and gives (named results)."""
    raise NotImplementedError


def collapse(graph: Graph, node_ids: list[str], registry: Registry) -> Graph:
    """Put nodes into the body of one new node."""
    raise NotImplementedError


def expand(graph: Graph, node_id: str, registry: Registry) -> Graph:
    """Put the nodes of a body back into the workflow."""
    raise NotImplementedError
