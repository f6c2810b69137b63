"""Everything that is wrong with a workflow, at once, each with what would mend it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import networkx as nx
from pydantic import ValidationError

from app.engine import expressions
from app.engine.codec import decode_outputs
from app.engine.fits import Fits
from app.engine.graph import EdgeSpec, Graph, NodeSpec, migrated_config
from app.engine.node import Node, Port
from app.engine.problems import Problem, RagloomError
from app.engine.registry import AnyNode, Registry
from app.engine.validation_inside import problems_inside
from app.engine.values import PortValue, accepts
from app.engine.wiring import Wiring, bypass
from app.engine.wording import bad_setting, either, shortened

logger = logging.getLogger(__name__)


def validate(graph: Graph, registry: Registry) -> list[Problem]:
    """Return every problem of `graph`; those of severity "warning" do not stop a run."""
    return validate_wiring(Wiring(graph, registry))


def validate_wiring(wiring: Wiring, depth: int = 0) -> list[Problem]:
    """`validate` for who has, or goes on to use, the wiring of a graph.

    `depth` counts the workflows around it.
    """
    return _Validation(wiring, depth).problems()


def _covers(path: expressions.Path, loc: tuple[int | str, ...]) -> bool:
    """Whether a fault that pydantic found at `loc` lies at an expression.

    Between the parts of the path, `loc` also names the arms of unions.
    """
    rest = iter(loc)
    return all(part in rest for part in path)


class _Validation:
    def __init__(self, wiring: Wiring, depth: int = 0) -> None:
        self.wiring = wiring
        self.depth = depth
        self.graph = wiring.graph
        self.registry = wiring.registry
        self.classes = wiring.classes
        self.wires = wiring.wires
        self.value_types = wiring.registry.value_types()
        self.fits = Fits(wiring)

    def problems(self) -> list[Problem]:
        if not self.graph.nodes:
            return [
                Problem(
                    code="empty_graph",
                    message="The workflow has no nodes.",
                    fix="Add a first node from the palette.",
                )
            ]
        cyclic = self.wiring.order is None
        found = list(self._cycles()) if cyclic else []
        for node in self.graph.nodes.values():
            found += self._node(node)
        found += self._edges()
        found += self._outputs()
        if not cyclic:
            found += self._reachability()
        return found

    def _title(self, node_id: str) -> str:
        return self.wiring.title(node_id)

    # -- structure ------------------------------------------------------------------------

    def _cycles(self) -> Iterable[Problem]:
        skeleton = self.wiring.skeleton
        for component in nx.strongly_connected_components(skeleton):
            first = next(iter(component))
            if len(component) == 1 and not skeleton.has_edge(first, first):
                continue
            steps = nx.find_cycle(skeleton.subgraph(component))
            ids = [source for source, _ in steps]
            path = " → ".join(self._title(n) for n in shortened([*ids, ids[0]]))
            yield Problem(
                code="cycle",
                message=f"These nodes wait for each other: {path}.",
                fix="Remove one of the wires between them.",
                node=ids[0],
                found=ids,
            )

    # -- nodes ----------------------------------------------------------------------------

    def _node(self, node: NodeSpec) -> Iterable[Problem]:
        cls = self.classes.get(node.id)
        if cls is None:
            near = self.fits.similar(node.type, (c.type for c in self.registry))
            yield Problem(
                code="unknown_type",
                message=f"“{node.title or node.id}” is of the type “{node.type}”, "
                "which is not installed here.",
                fix=f"Did you mean “{near}”?"
                if near
                else "Install the package that brings it, or replace the node.",
                node=node.id,
                found=node.type,
                expected=near,
            )
            return
        if not node.disabled and node.pinned is None:
            yield from self._config(node, cls)
            yield from self._required_inputs(node)
        yield from self._given_outputs(node, cls)

    def _config(self, node: NodeSpec, cls: AnyNode) -> Iterable[Problem]:
        title = self._title(node.id)
        if node.version > cls.version:
            yield Problem(
                code="newer_node",
                message=f"“{title}” was made for version {node.version} of its type; "
                f"version {cls.version} is installed.",
                fix="Update Ragloom or the package that brings the node.",
                node=node.id,
                found=node.version,
                expected=cls.version,
            )
            return
        try:
            config = migrated_config(node, cls)
        except Exception as error:  # a node's own code, over settings of any shape
            yield Problem(
                code="migration_failed",
                message=f"The settings of “{title}”, of version {node.version}, could not be "
                f"brought to version {cls.version}: {error!r}.",
                fix="Remove the node and add it again.",
                node=node.id,
                found=node.version,
                expected=cls.version,
            )
            return
        yield from self._settings(node, cls, config)
        if cls.problems.__func__ is not Node.problems.__func__:  # type: ignore[attr-defined]
            yield from self._own_problems(node, cls, config)
        if cls.has_body:
            yield from problems_inside(node.id, title, config, self.registry, self.depth)

    def _settings(self, node: NodeSpec, cls: AnyNode, config: dict[str, Any]) -> Iterable[Problem]:
        written = expressions.find(config)
        title = self._title(node.id)
        try:
            cls.Config.model_validate(config)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                # What an expression gives is checked when it is evaluated.
                if not any(_covers(path, item["loc"]) for path in written):
                    yield bad_setting(node.id, title, cls, item)
        except Exception as error:  # a node's own validators, over an expression's object
            logger.debug("Settings of %s could not be checked: %r", node.id, error)
        if not written:
            return
        names = self.wiring.inputs(node.id)
        for path, source in list(written.items())[: expressions.MAX_EXPRESSIONS]:
            for problem in expressions.check(source, names):
                field = expressions.dotted(path)
                yield problem.model_copy(
                    update={
                        "node": node.id,
                        "field": field,
                        "message": f"“{title}”, setting “{field}”: {problem.message}",
                    }
                )
        if len(written) > expressions.MAX_EXPRESSIONS:
            yield Problem(
                code="too_many_expressions",
                message=f"“{title}” has {len(written):,} expressions in its settings; "
                f"the limit is {expressions.MAX_EXPRESSIONS}.",
                fix="Work some of them out in a node before.",
                node=node.id,
            )

    def _own_problems(
        self, node: NodeSpec, cls: AnyNode, config: dict[str, Any]
    ) -> Iterable[Problem]:
        try:
            found = cls.problems(config)
        except Exception as error:  # a node's own code, over settings of any shape
            logger.debug("%s could not check its settings: %r", node.id, error)
            return
        for code, message, fix, severity in found:
            yield Problem(
                code=code,
                message=message,
                fix=fix,
                node=node.id,
                severity="warning" if severity == "warning" else "error",
            )

    def _required_inputs(self, node: NodeSpec) -> Iterable[Problem]:
        for port in self.wiring.inputs(node.id).values():
            if port.required and not self.wiring.edges_into(node.id, port.name):
                sources = self.fits.sources_for(node.id, port)
                what = "a value" if port.value_type is PortValue else port.type_name
                yield Problem(
                    code="unconnected_input",
                    message=f"“{self._title(node.id)}” needs {what} at its input "
                    f"“{port.name}”, but nothing is connected to it.",
                    fix=f"Connect {either(sources)} to it." if sources else self._add_source(port),
                    node=node.id,
                    port=port.name,
                    expected={"type": port.type_name, "sources": sources},
                )

    def _add_source(self, port: Port) -> str:
        makers = self.fits.makers_of(port.value_type)
        if makers:
            return f"Add a node that gives {port.type_name}, such as {either(makers)}."
        return f"Connect an output of the type {port.type_name} to it."

    def _given_outputs(self, node: NodeSpec, cls: AnyNode) -> Iterable[Problem]:
        fallback = node.on_error.get("fallback") if isinstance(node.on_error, dict) else None
        for what, data in (("pinned", node.pinned), ("fallback", fallback)):
            if data is None:
                continue
            try:
                decode_outputs(
                    cls,
                    data,
                    self.value_types,
                    node.id,
                    self.wiring.types,
                    config=node.config,
                )
            except RagloomError as error:
                yield Problem(
                    code=f"bad_{what}",
                    message=f"The {what} value of “{self._title(node.id)}” does not fit: "
                    f"{error.message}",
                    fix=error.fix,
                    node=node.id,
                    port=error.details.get("port"),
                    field=what,
                )

    # -- edges ----------------------------------------------------------------------------

    def _edges(self) -> Iterable[Problem]:
        seen: set[tuple[str, str, str, str]] = set()
        for edge in self.graph.edges:
            if edge.ends in seen:
                yield Problem(
                    code="duplicate_edge",
                    message=f"{edge.source}.{edge.source_port} is connected to "
                    f"{edge.target}.{edge.target_port} more than once.",
                    fix="Remove the extra wire.",
                    node=edge.target,
                    port=edge.target_port,
                    edge=edge.ends,
                )
                continue
            seen.add(edge.ends)
            yield from self._edge(edge)
        for node_id, ports in self.wires.items():
            for port_name, edges in ports.items():
                port = self.wiring.inputs(node_id).get(port_name)
                if port and not port.many and len({e.ends for e in edges}) > 1:
                    yield self._crowded(node_id, port, edges)

    def _crowded(self, node_id: str, port: Port, edges: list[EdgeSpec]) -> Problem:
        sources = [f"{e.source}.{e.source_port}" for e in edges]
        merges = self.fits.collectors_of(port.value_type)
        return Problem(
            code="too_many_wires",
            message=f"The input “{port.name}” of “{self._title(node_id)}” takes one wire, "
            f"but {len(edges)} lead to it: {', '.join(sources[:5])}.",
            fix="Keep one of them"
            + (f", or join them first with {either(merges)}." if merges else "."),
            node=node_id,
            port=port.name,
            found=sources,
            expected=1,
        )

    def _edge(self, edge: EdgeSpec) -> Iterable[Problem]:
        source_type: type[PortValue] | None = None
        target: Port | None = None
        for node_id, port_name, side in (
            (edge.source, edge.source_port, "output"),
            (edge.target, edge.target_port, "input"),
        ):
            if node_id not in self.graph.nodes:
                yield Problem(
                    code="unknown_node",
                    message=f"A wire ends at the node “{node_id}”, which does not exist.",
                    fix="Remove the wire.",
                    node=edge.target if side == "output" else edge.source,
                    edge=edge.ends,
                    found=node_id,
                )
                continue
            if node_id not in self.classes:
                continue
            look_up = self.wiring.outputs if side == "output" else self.wiring.inputs
            ports = look_up(node_id)
            if port_name not in ports:
                yield Problem(
                    code="unknown_port",
                    message=f"“{self._title(node_id)}” has no {side} “{port_name}”.",
                    fix=f"Its {side}s: {', '.join(ports)}."
                    if ports
                    else f"It has no {side}s; remove the wire.",
                    node=node_id,
                    port=port_name,
                    edge=edge.ends,
                    found=port_name,
                    expected=list(ports),
                )
            elif side == "output":
                source_type = self.wiring.types[node_id, port_name]
            else:
                target = ports[port_name]
        if source_type and target and not accepts(source_type, target.value_type):
            yield self._mismatch(edge, source_type, target)

    def _mismatch(self, edge: EdgeSpec, source: type[PortValue], target: Port) -> Problem:
        inputs = self.fits.inputs_for(edge.target, source)
        sources = self.fits.sources_for(edge.target, target)
        converters = self.fits.converters(source, target.value_type)
        ways = []
        if inputs:
            ways.append(f"connect it to {either([f'{edge.target}.{i}' for i in inputs])}")
        if sources:
            ways.append(f"wire {either(sources)} here instead")
        if converters:
            ways.append(f"put {either(converters)} between the two")
        fix = either(ways) or f"connect an output of the type {target.type_name} instead"
        return Problem(
            code="type_mismatch",
            message=f"{edge.source}.{edge.source_port} gives {source.type_name}, "
            f"but {edge.target}.{edge.target_port} takes {target.type_name}.",
            fix=f"{fix[:1].upper()}{fix[1:]}.",
            node=edge.target,
            port=edge.target_port,
            edge=edge.ends,
            found=source.type_name,
            expected={
                "type": target.type_name,
                "inputs": inputs,
                "sources": sources,
                "converters": converters,
            },
        )

    # -- outputs --------------------------------------------------------------------------

    def _outputs(self) -> Iterable[Problem]:
        for name, (node_id, port) in self.graph.outputs.items():
            cls = self.classes.get(node_id)
            if node_id not in self.graph.nodes:
                reason = f"the node “{node_id}”, which does not exist"
                expected = list(self.graph.nodes)[:10]
            elif cls is not None and port not in self.wiring.outputs(node_id):
                reason = f"“{port}” of “{self._title(node_id)}”, which has no such output"
                expected = list(self.wiring.outputs(node_id))
            else:
                continue
            yield Problem(
                code="unreachable_output",
                message=f"The result “{name}” is taken from {reason}.",
                fix=f"Take it from {either(expected)}, or remove it from the results."
                if expected
                else "Remove it from the results.",
                node=node_id if node_id in self.graph.nodes else None,
                port=port,
                field=f"graph.outputs.{name}",
                found=[node_id, port],
                expected=expected,
            )
        if not self.graph.named_outputs(self.registry) and len(self.classes) == len(
            self.graph.nodes
        ):
            yield Problem(
                code="missing_output",
                message="The workflow gives no result: no node at its end has an output.",
                fix="Name one under graph.outputs, or add an output node.",
                severity="warning",
            )

    def _reachability(self) -> Iterable[Problem]:
        """Results that cannot come because a node is disabled, and nodes no result needs."""
        named = self.graph.outputs
        if not named:
            return
        disabled = any(node.disabled for node in self.graph.nodes.values())
        alive = self._alive() if disabled else self.wiring.types.keys()
        for name, (node_id, port) in named.items():
            if port in self.wiring.outputs(node_id) and (node_id, port) not in alive:
                yield Problem(
                    code="unreachable_output",
                    message=f"The result “{name}” cannot come: a node it depends on is disabled.",
                    fix="Enable the node, or take the result from another one.",
                    node=node_id,
                    port=port,
                    field=f"graph.outputs.{name}",
                    severity="warning",
                )
        acting = [node_id for node_id, cls in self.classes.items() if not cls.cacheable]
        needed = self.graph.needed_for([*(node_id for node_id, _ in named.values()), *acting])
        for node in self.graph.nodes.values():
            if node.id not in needed and not node.disabled:
                yield Problem(
                    code="unused_node",
                    message=f"No result of the workflow needs “{self._title(node.id)}”.",
                    fix="Connect its outputs, name one of them as a result, or remove the node.",
                    node=node.id,
                    severity="warning",
                )

    def _alive(self) -> set[tuple[str, str]]:
        """Output ports that can have a value, going by disabled nodes alone."""
        alive: set[tuple[str, str]] = set()
        for node_id in self.wiring.order or ():
            node, cls = self.graph.nodes[node_id], self.classes.get(node_id)
            if cls is None:
                continue
            arrived = {
                port
                for port, edges in self.wires.get(node_id, {}).items()
                if any(
                    (e.source, e.source_port) in alive or e.source not in self.classes
                    for e in edges
                )
            }
            # What is not wired at all is a problem of its own.
            wired = self.wires.get(node_id, {})
            if node.disabled and node.pinned is None:
                routes = bypass(cls, node.config)
                alive |= {(node_id, out) for out, port in routes.items() if port in arrived}
            elif node.pinned is not None or all(
                port.name in arrived or port.name not in wired
                for port in self.wiring.inputs(node_id).values()
                if port.required
            ):
                alive |= {(node_id, port) for port in self.wiring.outputs(node_id)}
        return alive
