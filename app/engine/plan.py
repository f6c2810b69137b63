"""A workflow made ready to run: checked, migrated, settings read, order known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx

from app.engine.codec import Outputs, decode_outputs
from app.engine.graph import Graph, NodeSpec, migrate
from app.engine.node import Node, NodeConfig, Port
from app.engine.problems import InvalidWorkflow, Problem
from app.engine.registry import AnyNode, Registry
from app.engine.validation import validate_wiring
from app.engine.values import PortValue
from app.engine.wiring import Wiring, bypass


@dataclass(slots=True)
class Inlet:
    """An input port and the outputs wired to it, in the order of the file."""

    port: Port
    sources: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class PlannedNode:
    """A node with everything its runs share."""

    spec: NodeSpec
    cls: AnyNode
    title: str
    config: NodeConfig
    #: Settings with defaults filled in, as JSON text.
    config_json: str
    inlets: tuple[Inlet, ...]
    output_ports: tuple[Port, ...]
    context_parameter: str | None
    has_fingerprint: bool
    #: Keys of `input_data` it reads; None for all.
    reads: tuple[str, ...] | None
    timeout_s: float
    #: Output port -> input port whose value it passes on while disabled.
    bypass: Mapping[str, str] | None
    pinned: Outputs | None
    fallback: Outputs | None
    #: Nodes it waits for, and nodes that wait for it.
    waits_for: int = 0
    dependents: list[str] = field(default_factory=list)

    def make(self) -> Node[Any]:
        """A fresh node, for one attempt."""
        return self.cls(self.config)


@dataclass(slots=True)
class Plan:
    """Nodes in topological order, and the named results among their outputs."""

    nodes: dict[str, PlannedNode]
    outputs: dict[str, tuple[str, str]]


def make_plan(graph: Graph, registry: Registry, targets: Collection[str] | None = None) -> Plan:
    """Check `graph` and make it ready to run; with `targets`, only them and what they need.

    Raises InvalidWorkflow with every problem that is in the way.
    """
    unknown = [t for t in targets or () if t not in graph.nodes]
    if unknown:
        raise InvalidWorkflow(
            f"There is no node “{unknown[0]}” to run to.",
            fix=f"Nodes: {', '.join(list(graph.nodes)[:10])}.",
        )
    # The caller may go on editing; settings are replaced on change, so they can be shared.
    graph = replace(graph, nodes={i: replace(node) for i, node in graph.nodes.items()})
    migrate(graph, registry)
    wiring = Wiring(graph, registry)
    needed = set(graph.nodes)
    if targets is not None:
        pinned = [n.id for n in graph.nodes.values() if n.pinned is not None]
        needed = graph.needed_for(targets, stop_at=pinned)
    _refuse([p for p in validate_wiring(wiring) if _stops(p, needed, whole=targets is None)])
    return _build(wiring, needed)


def _stops(problem: Problem, needed: set[str], *, whole: bool) -> bool:
    if problem.severity != "error":
        return False
    if problem.code == "cycle":
        return set(problem.found) <= needed
    return whole or (problem.code != "unreachable_output" and problem.node in needed)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InvalidWorkflow(
            f"The workflow cannot run: {problems[0].message}{more}",
            fix=problems[0].fix,
            problems=problems,
        )


def _build(wiring: Wiring, needed: set[str]) -> Plan:
    value_types = wiring.registry.value_types()
    nodes: dict[str, PlannedNode] = {}
    # With targets, a cycle elsewhere is not in the way; the part that is needed has an order.
    order = wiring.order or nx.topological_sort(wiring.skeleton.subgraph(needed))
    for node_id in order:
        if node_id not in needed:
            continue
        spec, cls = wiring.graph.nodes[node_id], wiring.classes[node_id]
        node = _plan_node(spec, cls, value_types, wiring.types)
        if spec.pinned is None:
            node.inlets = tuple(
                Inlet(
                    port, tuple((e.source, e.source_port) for e in wiring.edges_into(node_id, name))
                )
                for name, port in cls.input_ports().items()
            )
        sources = {source for inlet in node.inlets for source, _ in inlet.sources}
        node.waits_for = len(sources)
        for source in sources:
            nodes[source].dependents.append(node_id)
        nodes[node_id] = node
    outputs = {
        name: end
        for name, end in wiring.graph.named_outputs(wiring.registry).items()
        if end[0] in nodes
    }
    return Plan(nodes, outputs)


def _plan_node(
    spec: NodeSpec,
    cls: AnyNode,
    value_types: Mapping[str, type[PortValue]],
    types: Mapping[tuple[str, str], type[PortValue]],
) -> PlannedNode:
    runs = not spec.disabled and spec.pinned is None
    config = cls.Config.model_validate(spec.config) if runs else cls.Config.model_construct()
    fallback = spec.on_error.get("fallback") if isinstance(spec.on_error, dict) else None

    def given(data: Mapping[str, Any] | None) -> Outputs | None:
        return None if data is None else decode_outputs(cls, data, value_types, spec.id, types)

    return PlannedNode(
        spec=spec,
        cls=cls,
        title=spec.title or cls.title,
        config=config,
        config_json=config.model_dump_json() if runs else "",
        inlets=(),
        output_ports=tuple(cls.output_ports().values()),
        context_parameter=cls.context_parameter(),
        has_fingerprint=cls.fingerprint is not Node.fingerprint,
        reads=cls.reads(config) if runs else (),
        timeout_s=spec.timeout_s or cls.timeout_s,
        bypass=bypass(cls) if spec.disabled else None,
        pinned=given(spec.pinned),
        fallback=given(fallback),
    )
