"""Ports as they stand in one graph: unknown nodes included, pass-through types resolved."""

from __future__ import annotations

from collections.abc import Iterable

from app.engine.graph import EdgeSpec, Graph
from app.engine.node import Port
from app.engine.registry import AnyNode, Registry
from app.engine.values import PortValue, accepts
from app.engine.wiring import Wiring

from .ops import Ends, Refused


class Sockets:
    """Looks up ports and their types in a graph. Built per graph; cheap to throw away."""

    def __init__(self, graph: Graph, registry: Registry) -> None:
        self.graph = graph
        self.registry = registry
        self._wiring = Wiring(graph, registry)
        self._wired_inputs: dict[str, list[str]] = {}
        self._wired_outputs: dict[str, list[str]] = {}
        for edge in graph.edges:
            self._wired_inputs.setdefault(edge.target, []).append(edge.target_port)
            self._wired_outputs.setdefault(edge.source, []).append(edge.source_port)

    def node_class(self, node: str) -> AnyNode | None:
        """Class of a node, None where its type is not installed."""
        spec = self.graph.nodes.get(node)
        return self.registry.get(spec.type) if spec else None

    def inputs(self, node: str) -> dict[str, Port]:
        """Declared input ports, then those that only wires mention."""
        declared = self._wiring.inputs(node)
        return {**declared, **_inferred(declared, self._wired_inputs.get(node, ()))}

    def outputs(self, node: str) -> dict[str, Port]:
        """Declared output ports, then those that only wires mention."""
        declared = self._wiring.outputs(node)
        return {**declared, **_inferred(declared, self._wired_outputs.get(node, ()))}

    def wires_into(self, node: str, port: str) -> list[EdgeSpec]:
        """Wires that end at an input."""
        return self._wiring.edges_into(node, port)

    def output_type(self, node: str, port: str) -> type[PortValue]:
        """Type an output really gives: one that passes on an input has the type of its source."""
        return self._wiring.types.get((node, port), PortValue)

    def leads_to(self, start: str, goal: str) -> bool:
        """Whether wires lead from one node to another."""
        follow: dict[str, set[str]] = {}
        for edge in self.graph.edges:
            follow.setdefault(edge.source, set()).add(edge.target)
        seen, todo = set(), [start]
        while todo:
            node = todo.pop()
            if node == goal:
                return True
            if node not in seen:
                seen.add(node)
                todo.extend(follow.get(node, ()))
        return False

    def title(self, node: str) -> str:
        """What a person calls the node."""
        spec = self.graph.nodes[node]
        cls = self.registry.get(spec.type)
        return spec.title or (cls.title if cls else spec.type)

    def check(self, ends: Ends) -> None:
        """Raise Refused, with the reason, when a wire between these ports makes no sense."""
        source, source_port, target, target_port = ends
        for node in (source, target):
            if node not in self.graph.nodes:
                raise Refused(f"There is no node “{node}” any more.", fix="Undo, or draw it anew.")
        if source == target:
            raise Refused(f"“{self.title(source)}” cannot feed itself.")
        outputs, inputs = self.outputs(source), self.inputs(target)
        if source_port not in outputs and self.node_class(source) is not None:
            raise Refused(
                f"“{self.title(source)}” has no output “{source_port}”.",
                fix=_choices("Its outputs are", outputs),
            )
        if target_port not in inputs and self.node_class(target) is not None:
            raise Refused(
                f"“{self.title(target)}” has no input “{target_port}”.",
                fix=_choices("Its inputs are", inputs),
            )
        if self.leads_to(target, source):
            raise Refused(
                f"This would make a loop: “{self.title(target)}” already leads to "
                f"“{self.title(source)}”.",
                fix="A workflow runs in one direction.",
            )
        self._check_types(ends, inputs)

    def _check_types(self, ends: Ends, inputs: dict[str, Port]) -> None:
        source, source_port, target, target_port = ends
        wanted = inputs[target_port].value_type if target_port in inputs else PortValue
        given = self.output_type(source, source_port)
        if not accepts(given, wanted):
            fitting = [n for n, p in inputs.items() if accepts(given, p.value_type)]
            raise Refused(
                f"{given.type_name} does not fit: “{target_port}” of “{self.title(target)}” "
                f"takes {wanted.type_name}.",
                fix=f"Use its input “{fitting[0]}”." if fitting else "",
                found=given.type_name,
                expected=wanted.type_name,
            )


def fitting_ports(cls: AnyNode, side: str, value_type: type[PortValue]) -> list[str]:
    """Ports of a node class that could take a wire from a port of that side and type."""
    if side == "source":
        return [n for n, p in cls.input_ports().items() if accepts(value_type, p.value_type)]
    return [n for n, p in cls.output_ports().items() if accepts(p.value_type, value_type)]


def _inferred(declared: dict[str, Port], named: Iterable[str]) -> dict[str, Port]:
    return {
        name: Port(name=name, value_type=PortValue, required=False)
        for name in sorted(set(named) - set(declared))
    }


def _choices(intro: str, ports: dict[str, Port]) -> str:
    return f"{intro} {', '.join(ports)}." if ports else ""
