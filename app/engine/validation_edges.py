"""Problems of edges: ends that do not exist, types that do not fit, too many on one input."""

from __future__ import annotations

from collections.abc import Iterable

from app.engine.fits import Fits
from app.engine.graph import EdgeSpec
from app.engine.node import Port
from app.engine.problems import Problem
from app.engine.values import PortValue, accepts
from app.engine.wiring import Wiring
from app.engine.wording import either


class EdgeChecks:
    """Checks the edges of one graph."""

    def __init__(self, wiring: Wiring, fits: Fits) -> None:
        self.wiring = wiring
        self.graph = wiring.graph
        self.fits = fits

    def problems(self) -> Iterable[Problem]:
        """What is wrong with any of them."""
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
        for node_id, ports in self.wiring.wires.items():
            for port_name, edges in ports.items():
                port = self.wiring.inputs(node_id).get(port_name)
                if port and not port.many and len({e.ends for e in edges}) > 1:
                    yield self._crowded(node_id, port, edges)

    def _crowded(self, node_id: str, port: Port, edges: list[EdgeSpec]) -> Problem:
        sources = [f"{e.source}.{e.source_port}" for e in edges]
        merges = self.fits.collectors_of(port.value_type)
        return Problem(
            code="too_many_wires",
            message=f"The input “{port.name}” of “{self.wiring.title(node_id)}” takes one wire, "
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
            if node_id not in self.wiring.classes:
                continue
            look_up = self.wiring.outputs if side == "output" else self.wiring.inputs
            ports = look_up(node_id)
            if port_name not in ports:
                yield Problem(
                    code="unknown_port",
                    message=f"“{self.wiring.title(node_id)}” has no {side} “{port_name}”.",
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
