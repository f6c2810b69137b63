"""What would fit instead: suggestions that go with a problem."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property

from app.engine.node import Port
from app.engine.values import PortValue, accepts
from app.engine.wiring import Wiring

#: Suggestions of one kind; a person reads no more than that.
_MOST = 3


class Fits:
    """Suggestions over one graph; what they need is worked out on first use."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.registry = wiring.registry

    @cached_property
    def _rank(self) -> dict[str, int]:
        """Place of each node in topological order; empty in a graph with cycles."""
        return {node: rank for rank, node in enumerate(self.wiring.order or ())}

    @cached_property
    def _outputs(self) -> dict[type[PortValue], list[tuple[str, str]]]:
        found: dict[type[PortValue], list[tuple[str, str]]] = {}
        for end, value_type in self.wiring.types.items():
            found.setdefault(value_type, []).append(end)
        return found

    def sources_for(self, node_id: str, port: Port) -> list[str]:
        """Output ports in the graph, as “node.port”, that fit `port` and close no cycle."""
        fitting = []
        limit = self._rank.get(node_id)
        for value_type, ends in self._outputs.items():
            # An output of the open type would fit everything: no help to anybody.
            if value_type is PortValue or not accepts(value_type, port.value_type):
                continue
            for source, source_port in ends:
                if source != node_id and (limit is None or self._rank[source] < limit):
                    fitting.append(f"{source}.{source_port}")
                    if len(fitting) == _MOST:
                        return fitting
        return fitting

    def inputs_for(self, node_id: str, value_type: type[PortValue]) -> list[str]:
        """Free inputs of a node that take `value_type`."""
        return [
            port.name
            for port in self.wiring.inputs(node_id).values()
            if accepts(value_type, port.value_type)
            and (port.many or not self.wiring.edges_into(node_id, port.name))
        ][:_MOST]

    def makers_of(self, value_type: type[PortValue]) -> list[str]:
        """Titles of node types that give `value_type`, those that need nothing first."""
        makers = [
            (bool(cls.input_ports()), f"“{cls.title}”")
            for cls in self.registry
            if any(
                p.value_type is not PortValue and accepts(p.value_type, value_type)
                for p in cls.output_ports().values()
            )
        ]
        return [title for _, title in sorted(makers, key=lambda maker: maker[0])][:_MOST]

    def converters(self, source: type[PortValue], target: type[PortValue]) -> list[str]:
        """Titles of node types that take `source` alone and give `target`."""
        found = []
        for cls in self.registry:
            needed = [p for p in cls.input_ports().values() if p.required]
            if (
                len(needed) == 1
                and needed[0].value_type is not PortValue
                and accepts(source, needed[0].value_type)
                and any(
                    p.value_type is not PortValue and accepts(p.value_type, target)
                    for p in cls.output_ports().values()
                )
            ):
                found.append(f"“{cls.title}”")
        return found[:_MOST]

    def collectors_of(self, value_type: type[PortValue]) -> list[str]:
        """Titles of node types that join several values of `value_type`."""
        return [
            f"“{cls.title}”"
            for cls in self.registry
            if any(p.many and accepts(value_type, p.value_type) for p in cls.input_ports().values())
        ][:_MOST]

    @staticmethod
    def similar(name: str, names: Iterable[str]) -> str | None:
        """The known name closest to a misspelt one."""
        close = difflib.get_close_matches(name[:100], list(names), n=1, cutoff=0.75)
        return close[0] if close else None
