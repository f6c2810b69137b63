"""Workflows inside nodes: the settings that hold one, and what it takes and gives."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.engine.graph import Graph, NodeSpec
from app.engine.node import input_ports, output_ports
from app.engine.registry import AnyNode, Registry
from app.engine.values import Documents, PortValue
from app.engine.wiring import Wiring

log = logging.getLogger(__name__)

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
    wiring = Wiring(graph, registry)
    inputs: dict[str, InterfaceInput] = {}
    for spec in graph.nodes.values():
        taken = _inlet(spec) if spec.type == INLET else _input(spec, registry)
        if taken is None or spec.disabled or spec.pinned is not None:
            continue
        known = inputs.get(taken.name)
        if known is not None:  # several nodes read the same value
            same = taken.type if taken.type == known.type else PortValue.type_name
            required = known.required or taken.required
            taken = InterfaceInput(name=taken.name, type=same, required=required)
        inputs[taken.name] = taken
    outputs = tuple(
        InterfaceOutput(name=name, type=wiring.types.get(end, PortValue).type_name)
        for name, end in graph.named_outputs(registry).items()
    )
    return Interface(inputs=tuple(inputs.values()), outputs=outputs)


def reads_run_input(spec: NodeSpec, registry: Registry) -> bool:
    """Whether a node without inputs takes its value from what the run was given."""
    cls = registry.get(spec.type)
    if cls is None or input_ports(cls, spec.config):
        return False
    return spec.type == INLET or _reads(spec, cls) != ()


def has_value(spec: NodeSpec) -> bool:
    """Whether a node that reads an input has a value of its own, for runs that bring none."""
    return any(spec.config.get(key) for key in ("default", "file", "files"))


def collapse(
    graph: Graph,
    node_ids: Iterable[str],
    registry: Registry,
    *,
    title: str = "",
    node_id: str | None = None,
) -> Graph:
    """A graph in which these nodes lie in the body of one new node of the type “workflow”.

    Nodes that read what the run was given stay outside and are wired to the new node, so that
    the run still asks for it. `node_id` is the new node's id. Raises RagloomError when the nodes
    cannot be put together, with the reason.
    """
    from app.engine.collapsing import collapsed

    return collapsed(graph, node_ids, registry, title=title, node_id=node_id)


def expand(graph: Graph, node_id: str, registry: Registry) -> Graph:
    """A graph in which the nodes of a body stand in the place of the node that holds them.

    Raises RagloomError when the body cannot be taken apart, with the reason.
    """
    from app.engine.expanding import expanded

    return expanded(graph, node_id, registry)


def _inlet(spec: NodeSpec) -> InterfaceInput | None:
    name, type_name = spec.config.get("name", "value"), spec.config.get("value_type", "Any")
    if not isinstance(name, str) or not name or not isinstance(type_name, str):
        return None
    return InterfaceInput(
        name=name[:200],
        type=type_name[:200] or PortValue.type_name,
        required=spec.config.get("required") is not False,
    )


def _input(spec: NodeSpec, registry: Registry) -> InterfaceInput | None:
    """The input that a node reads by name from the input data of a run."""
    cls = registry.get(spec.type)
    if cls is None or "name" not in cls.Config.model_fields or input_ports(cls, spec.config):
        return None
    fields = cls.Config.model_fields
    name = spec.config.get("name", fields["name"].default)
    if not isinstance(name, str) or not name or name not in (_reads(spec, cls) or ()):
        return None
    must = spec.config.get("required", fields["required"].default) if "required" in fields else True
    # What comes in is read as text or data, so that a question may be a text or a query; only
    # files have to be files.
    files = any(p.value_type is Documents for p in output_ports(cls, spec.config).values())
    return InterfaceInput(
        name=name[:200],
        type=Documents.type_name if files else PortValue.type_name,
        required=bool(must) and not has_value(spec),
    )


def _reads(spec: NodeSpec, cls: AnyNode) -> tuple[str, ...] | None:
    try:
        return cls.reads(cls.Config.model_validate(spec.config))
    except Exception:  # a node's own code, over settings of any shape
        log.debug("What %s (%s) reads is not known", spec.id, spec.type, exc_info=True)
        return None


def steps_inside(graph: Mapping[str, Any]) -> int:
    """Nodes of a workflow inside another one, without the inlets that stand for its inputs."""
    nodes = graph.get("nodes")
    return sum(n.get("type") != INLET for n in nodes) if isinstance(nodes, list) else 0
