"""What a run is asked to do with a graph: which nodes run, and what stands in for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.engine.cache import json_text
from app.engine.codec import decode, decode_outputs, tag
from app.engine.graph import Graph
from app.engine.options import KEPT, RunOptions
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import Registry
from app.engine.signature import digest
from app.engine.values import PortValue
from app.engine.wiring import Wiring

if TYPE_CHECKING:
    from app.engine.plan import Fixed


@dataclass(slots=True)
class Asked:
    """A part of a graph to run."""

    #: The graph with the settings and pins of the run, without wires that are stood in for.
    wiring: Wiring
    #: Nodes that run, and disabled ones that pass on what these need.
    running: set[str]
    #: Nodes whose outputs are given, and those outputs.
    given: dict[str, Fixed]
    #: node -> input port -> (value or list of values, key), in place of wires.
    inputs: dict[str, dict[str, tuple[Any, str]]]
    #: What is given, and pinned nodes that feed what runs; in the order of the graph.
    standing_in: list[str] = field(default_factory=list)
    #: Whether the whole graph is asked for.
    whole: bool = True
    problems: list[Problem] = field(default_factory=list)


def ask(graph: Graph, registry: Registry, options: RunOptions) -> Asked:
    """Apply options to a graph, which is changed. Raises InvalidWorkflow for unknown nodes."""
    _check_names(graph, options)
    for node_id, settings in options.config.items():
        node = graph.nodes[node_id]
        node.config = {**node.config, **settings}
    if options.inputs:
        graph.edges = [
            e for e in graph.edges if e.target_port not in options.inputs.get(e.target, ())
        ]
    wiring = Wiring(graph, registry)
    for node_id, outputs in options.pin.items():
        graph.nodes[node_id].pinned = _typed(wiring, node_id, outputs)
    problems: list[Problem] = []
    inputs = _inputs(wiring, options, problems)
    whole = options.targets is None and options.start_from is None and options.only is None
    running = _part(graph, options)
    given_ids = {
        node_id
        for node_id, outputs in options.given.items()
        # A disabled node has no outputs of its own; it passes on what is given before it.
        if node_id in wiring.classes and (outputs or not graph.nodes[node_id].disabled)
    }
    if options.start_from is None and options.only is None:
        given_ids &= running
        running -= given_ids
    else:
        given_ids -= running
    needed = _behind(graph, running, given_ids)
    # A disabled node is not run, it passes values on: it may stand between what is given and
    # what runs.
    running |= {n for n in needed if graph.nodes[n].disabled and graph.nodes[n].pinned is None}
    pinned = {n for n in needed if graph.nodes[n].pinned is not None}
    given = _given(wiring, options, given_ids, needed, problems)
    asked = Asked(wiring, running, given, inputs, whole=whole, problems=problems)
    present = running | given.keys() | pinned
    asked.standing_in = [n for n in graph.nodes if n in present and n not in running]
    if not whole:
        problems += _missing(asked, present, every=options.start_from is not None)
    return asked


def _typed(wiring: Wiring, node_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs to pin, with their types named: those of a past step do not say them."""
    cls, config = wiring.classes.get(node_id), wiring.graph.nodes[node_id].config
    if cls is None:
        return dict(data)
    types = wiring.registry.value_types()
    try:
        outputs = decode_outputs(cls, data, types, node_id, wiring.types, config=config, guess=True)
    except RagloomError:  # validation says what is wrong with it
        return dict(data)
    return {port: tag(value) for port, value in outputs.items() if value is not None}


def _check_names(graph: Graph, options: RunOptions) -> None:
    unknown = [t for t in options.targets or () if t not in graph.nodes]
    if unknown:
        raise InvalidWorkflow(
            f"There is no node “{unknown[0]}” to run to.",
            fix=f"Nodes: {', '.join(list(graph.nodes)[:10])}.",
        )
    # Outputs may be given of nodes that were removed since.
    wanted = options.mentioned() - options.given.keys()
    unknown = sorted(node for node in wanted if node not in graph.nodes)
    if unknown:
        raise InvalidWorkflow(
            f"The options of the run speak of the node “{unknown[0]}”, which does not exist.",
            fix=f"Nodes: {', '.join(list(graph.nodes)[:10])}.",
        )


def _part(graph: Graph, options: RunOptions) -> set[str]:
    """Nodes asked for, whether they can run or not."""
    part = set(graph.nodes)
    if options.only is not None:
        part = set(options.only)
    if options.start_from is not None:
        part &= _after(graph, options.start_from)
    if options.targets is not None:
        stops = {n.id for n in graph.nodes.values() if n.pinned is not None} | options.given.keys()
        part &= graph.needed_for(options.targets, stop_at=stops)
    return part


def _after(graph: Graph, start: str) -> set[str]:
    """A node and everything that depends on it."""
    follow: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.target in graph.nodes:
            follow.setdefault(edge.source, []).append(edge.target)
    found: set[str] = set()
    todo = [start]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo.extend(follow.get(node, ()))
    return found


def _behind(graph: Graph, running: set[str], given: set[str]) -> set[str]:
    """Nodes outside of `running` whose values it needs, through disabled ones."""
    if len(running) == len(graph.nodes):
        return set()
    sources: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.source in graph.nodes:
            sources.setdefault(edge.target, []).append(edge.source)
    todo = [
        source
        for node in running
        if graph.nodes[node].pinned is None
        for source in sources.get(node, ())
    ]
    found: set[str] = set()
    while todo:
        node = todo.pop()
        if node in found or node in running:
            continue
        found.add(node)
        spec = graph.nodes[node]
        if spec.disabled and spec.pinned is None and node not in given:
            todo.extend(sources.get(node, ()))
    return found - given


def _given(
    wiring: Wiring,
    options: RunOptions,
    node_ids: set[str],
    needed: set[str],
    problems: list[Problem],
) -> dict[str, Fixed]:
    from app.engine.plan import Fixed

    types = wiring.registry.value_types()
    given = {}
    for node_id in (n for n in wiring.graph.nodes if n in node_ids):
        spec, cls = wiring.graph.nodes[node_id], wiring.classes[node_id]
        data = {p: d for p, d in options.given[node_id].items() if p in wiring.outputs(node_id)}
        try:
            outputs = decode_outputs(
                cls, data, types, node_id, wiring.types, config=spec.config, guess=True
            )
        except RagloomError as error:
            problems.append(
                Problem(
                    code="bad_given",
                    message=f"The result given for “{spec.title or cls.title}” does not fit: "
                    f"{error.message}",
                    fix="Run the workflow from an earlier node.",
                    node=node_id,
                    port=error.details.get("port"),
                )
            )
            continue
        key = options.given_keys.get(node_id, "")
        nothing = bool(outputs) and all(value is None for value in outputs.values())
        reason = "skipped in an earlier run" if nothing else KEPT
        given[node_id] = Fixed(outputs, reason, key, skipped=nothing)
    return given


def _inputs(
    wiring: Wiring, options: RunOptions, problems: list[Problem]
) -> dict[str, dict[str, tuple[Any, str]]]:
    types = wiring.registry.value_types()
    inputs: dict[str, dict[str, tuple[Any, str]]] = {}
    for node_id, by_port in options.inputs.items():
        ports = wiring.inputs(node_id)
        for name, data in by_port.items():
            try:
                if name not in ports:
                    raise RagloomError(
                        f"there is no input “{name}”.",
                        fix=f"Its inputs: {', '.join(ports) or 'none'}.",
                    )
                port = ports[name]
                items = data if port.many and isinstance(data, list) else [data]
                values = [
                    decode(name, item, port.value_type, types, guess=True)
                    for item in items
                    if item is not None
                ]
            except RagloomError as error:
                problems.append(
                    Problem(
                        code="bad_input",
                        message=f"A value given to “{node_id}” does not fit: {error.message}",
                        fix=error.fix,
                        node=node_id,
                        port=name,
                    )
                )
                continue
            value: Any = values if port.many else next(iter(values), None)
            inputs.setdefault(node_id, {})[name] = (value, _key(values))
    return inputs


def _key(values: list[PortValue]) -> str:
    if not values:
        return ""
    return digest("input", *(f"{v.type_name}:{json_text(v).decode()}" for v in values))


def _missing(asked: Asked, present: set[str], *, every: bool) -> list[Problem]:
    """Inputs of nodes that run which only nodes outside of the run could fill.

    With `every`, each wire has to bring what it brought before, needed or not.
    """
    wiring = asked.wiring
    found = []
    for node_id in asked.running:
        spec = wiring.graph.nodes[node_id]
        if spec.disabled or spec.pinned is not None:
            continue
        given: Mapping[str, Any] = asked.inputs.get(node_id, {})
        for port in wiring.inputs(node_id).values():
            edges = wiring.edges_into(node_id, port.name)
            if not (port.required or every) or port.name in given or not edges:
                continue
            absent = [edge.source for edge in edges if edge.source not in present]
            # A node of a type that is not known gave nothing before, either.
            lost = [source for source in absent if source in wiring.classes] if every else []
            if lost or (port.required and len(absent) == len(edges)):
                source = lost[0] if lost else absent[0]
                title = wiring.title(source)
                found.append(
                    Problem(
                        code="missing_value",
                        message=f"“{wiring.title(node_id)}” needs what “{title}” gives, which is "
                        "not part of this run.",
                        fix=f"Run “{title}” first, pin its outputs, or type the input in.",
                        node=node_id,
                        port=port.name,
                        found=source,
                    )
                )
    return found
