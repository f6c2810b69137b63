"""A workflow made ready to run: checked, migrated, settings read, order known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx

from app.engine.asked import Asked, ask
from app.engine.codec import Outputs, decode_outputs
from app.engine.expressions import Path, find, names_in
from app.engine.graph import Graph, NodeSpec, migrate
from app.engine.node import Node, NodeConfig, Port
from app.engine.options import PINNED, RunOptions
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import AnyNode, Registry
from app.engine.validation import validate_wiring
from app.engine.values import PortValue
from app.engine.wiring import Wiring, bypass


@dataclass(slots=True)
class Inlet:
    """An input port and the outputs wired to it, in the order of the file."""

    port: Port
    sources: tuple[tuple[str, str], ...]
    #: Stands in for the wires: the value (a list where the port takes many), and its key.
    given: Any = None
    given_key: str = ""


@dataclass(slots=True)
class Fixed:
    """Outputs used instead of running a node."""

    outputs: Outputs
    reason: str
    #: What they count as in the signatures of later nodes; empty for their content.
    key: str = ""
    #: Whether the node was skipped where the outputs come from.
    skipped: bool = False


@dataclass(slots=True)
class PlannedNode:
    """A node with everything its runs share."""

    spec: NodeSpec
    cls: AnyNode
    title: str
    #: None where settings are expressions: they are read when its inputs are there.
    config: NodeConfig | None
    #: Settings with defaults filled in, as JSON text.
    config_json: str
    expressions: Mapping[Path, str]
    inlets: tuple[Inlet, ...]
    output_ports: tuple[Port, ...]
    context_parameter: str | None
    has_fingerprint: bool
    #: Keys of `input_data`, and names of variables, that it reads; None for all.
    reads: tuple[str, ...] | None
    reads_variables: tuple[str, ...] | None
    timeout_s: float
    #: Output port -> input port whose value it passes on while disabled.
    bypass: Mapping[str, str] | None
    fixed: Fixed | None
    fallback: Outputs | None
    #: Nodes it waits for, and nodes that wait for it.
    waits_for: int = 0
    dependents: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Nodes in topological order, and the named results among their outputs."""

    nodes: dict[str, PlannedNode]
    outputs: dict[str, tuple[str, str]]
    #: Nodes whose kept results are not used.
    fresh: frozenset[str] = frozenset()
    #: Values that the workflow's nodes share, by name.
    variables: Mapping[str, Any] = field(default_factory=dict)


def make_plan(
    graph: Graph,
    registry: Registry,
    options: RunOptions | Collection[str] | None = None,
    *,
    targets: Collection[str] | None = None,
) -> Plan:
    """Check `graph` and make it ready to run; `options` say which part of it, and how.

    A collection of node ids, there or as `targets`, stands for `RunOptions(targets=…)`. Raises
    InvalidWorkflow with every problem that is in the way.
    """
    if not isinstance(options, RunOptions):
        ends = options if targets is None else targets
        options = RunOptions(targets=None if ends is None else tuple(ends))
    # The caller may go on editing; settings are replaced on change, so they can be shared.
    graph = replace(graph, nodes={i: replace(node) for i, node in graph.nodes.items()})
    migrate(graph, registry)
    asked = ask(graph, registry, options)
    problems = [
        problem
        for problem in validate_wiring(asked.wiring)
        if _stops(problem, asked, whole=asked.whole)
    ]
    problems += asked.problems
    _refuse(problems)
    return _build(asked, options)


def _stops(problem: Problem, asked: Asked, *, whole: bool) -> bool:
    if problem.severity != "error" or problem.node in asked.given:
        return False
    if problem.code == "cycle":
        return set(problem.found) <= asked.running
    if problem.code == "unconnected_input" and problem.port in asked.inputs.get(
        problem.node or "", {}
    ):
        return False
    return whole or (problem.code != "unreachable_output" and problem.node in asked.running)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InvalidWorkflow(
            f"The workflow cannot run: {problems[0].message}{more}",
            fix=problems[0].fix,
            problems=problems,
        )


def _build(asked: Asked, options: RunOptions) -> Plan:
    wiring = asked.wiring
    value_types = wiring.registry.value_types()
    nodes: dict[str, PlannedNode] = {}
    for node_id in _order(asked):
        spec, cls = wiring.graph.nodes[node_id], wiring.classes[node_id]
        node = _plan_node(spec, cls, value_types, wiring, asked.given.get(node_id))
        if node.fixed is None:
            given = asked.inputs.get(node_id, {})
            node.inlets = tuple(
                Inlet(port, (), *given[name])
                if name in given
                else Inlet(
                    port,
                    tuple(
                        (e.source, e.source_port)
                        for e in wiring.edges_into(node_id, name)
                        if e.source in nodes
                    ),
                )
                for name, port in wiring.inputs(node_id).items()
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
    fresh = {*options.fresh, *((options.start_from,) if options.start_from is not None else ())}
    variables = wiring.graph.extra.get("variables")
    return Plan(
        nodes,
        outputs,
        frozenset(fresh),
        variables if isinstance(variables, Mapping) else {},
    )


def _order(asked: Asked) -> list[str]:
    order = asked.wiring.order
    if order is None:
        # A cycle elsewhere is not in the way; the part that runs has an order.
        order = list(nx.topological_sort(asked.wiring.skeleton.subgraph(asked.running)))
    # What is given waits for nothing, and anything may take it.
    return [*asked.standing_in, *(node for node in order if node in asked.running)]


def _plan_node(
    spec: NodeSpec,
    cls: AnyNode,
    value_types: Mapping[str, type[PortValue]],
    wiring: Wiring,
    given: Fixed | None,
) -> PlannedNode:
    fixed = given
    if fixed is None and spec.pinned is not None:
        fixed = Fixed(_decode(spec, cls, spec.pinned, value_types, wiring), PINNED)
    runs = not spec.disabled and fixed is None
    expressions = find(spec.config) if runs else {}
    config = None if expressions else cls.Config.model_construct()
    if runs and not expressions:
        config = cls.Config.model_validate(spec.config)
    config_json = config.model_dump_json() if runs and config is not None else ""
    fallback = spec.on_error.get("fallback") if isinstance(spec.on_error, dict) else None
    return PlannedNode(
        spec=spec,
        cls=cls,
        title=spec.title or cls.title,
        config=config,
        config_json=config_json,
        expressions=expressions,
        inlets=(),
        output_ports=tuple(wiring.outputs(spec.id).values()),
        context_parameter=cls.context_parameter(),
        has_fingerprint=cls.fingerprint is not Node.fingerprint,
        reads=_reads(cls, config, expressions) if runs else (),
        reads_variables=_reads_variables(cls, config, config_json)
        if runs and config is not None
        else (),
        timeout_s=spec.timeout_s or cls.timeout_s,
        bypass=bypass(cls, spec.config) if spec.disabled and fixed is None else None,
        fixed=fixed,
        fallback=None if fallback is None else _decode(spec, cls, fallback, value_types, wiring),
    )


def _reads(
    cls: AnyNode, config: NodeConfig | None, expressions: Mapping[Path, str]
) -> tuple[str, ...] | None:
    if config is not None:
        return cls.reads(config)
    own = cls.reads.__func__ is not Node.reads.__func__  # type: ignore[attr-defined]
    named = any("input" in names_in(source) for source in expressions.values())
    return None if own or named else cls.reads(cls.Config.model_construct())


def _reads_variables(cls: AnyNode, config: NodeConfig, text: str) -> tuple[str, ...] | None:
    own = cls.reads_variables.__func__ is not Node.reads_variables.__func__  # type: ignore[attr-defined]
    if own or cls.has_body:
        return cls.reads_variables(config)
    return None if "variables" in text else ()


def _decode(
    spec: NodeSpec,
    cls: AnyNode,
    data: Mapping[str, Any],
    value_types: Mapping[str, type[PortValue]],
    wiring: Wiring,
) -> Outputs:
    try:
        return decode_outputs(cls, data, value_types, spec.id, wiring.types, config=spec.config)
    except RagloomError as error:
        raise InvalidWorkflow(
            f"An output given for “{spec.title or cls.title}” does not fit: {error.message}",
            fix=error.fix,
        ) from error
