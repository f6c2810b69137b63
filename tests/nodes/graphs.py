"""Workflows of real nodes, written in a line or two, and what came of running them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodes_world import SmallWorld

from app.engine.events import Event, RunFinished
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import Problem
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.validation import validate
from app.nodes import register_all


def graph_of(
    nodes: Mapping[str, Any],
    wires: str = "",
    outputs: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Graph:
    """`nodes`: id -> type or (type, settings); `wires`: "a.text>b.text"; outputs: "a.text"."""
    ends = {name: tuple(end.split(".", 1)) for name, end in (outputs or {}).items()}
    graph = Graph(outputs=ends)  # type: ignore[arg-type]
    for node_id, given in nodes.items():
        kind, config = (given, {}) if isinstance(given, str) else given
        graph.nodes[node_id] = NodeSpec(id=node_id, type=kind, config=dict(config))
    for wire in wires.split():
        source, target = wire.split(">")
        graph.edges.append(EdgeSpec(*source.split(".", 1), *target.split(".", 1)))
    if variables:
        graph.extra["variables"] = dict(variables)
    return graph


def body_of(
    graph: Graph, inputs: Mapping[str, str] | None = None, outputs: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The setting of a node that holds `graph`; inputs and outputs are name -> type."""
    return {
        "graph": graph.dump(),
        "interface": {
            "inputs": [{"name": n, "type": t, "required": True} for n, t in (inputs or {}).items()],
            "outputs": [{"name": n, "type": t} for n, t in (outputs or {}).items()],
        },
    }


def all_nodes(*more: Any) -> Registry:
    registry = Registry()
    register_all(registry)
    for cls in more:
        registry.register(cls)
    return registry


def problems(graph: Graph, registry: Registry | None = None) -> list[Problem]:
    return validate(graph, registry or all_nodes())


class Outcome:
    """What a run gave."""

    def __init__(self, last: RunFinished, events: list[Event]) -> None:
        self.last = last
        self.events = events
        self.outputs = last.outputs

    @property
    def skipped(self) -> set[str]:
        return {e.node_id for e in self.events if e.kind == "node_skipped"}

    @property
    def failed(self) -> dict[str, Problem]:
        return {e.node_id: e.problem for e in self.events if e.kind == "node_failed"}

    def finished(self, node_id: str) -> Any:
        for event in self.events:
            if event.kind == "node_finished" and event.node_id == node_id:
                return event
        raise AssertionError(f"{node_id} did not finish: {self.failed or self.skipped}")

    def text(self) -> str:
        """Everything that events say, for looking for what they must not."""
        return "\n".join(event.model_dump_json() for event in self.events)


async def run(
    world: SmallWorld,
    graph: Graph,
    registry: Registry | None = None,
    *,
    approvals: Callable[[str, str, str, dict[str, Any]], Awaitable[dict[str, Any]]] | None = None,
    **input_data: Any,
) -> Outcome:
    events: list[Event] = []
    runner = Runner(registry or all_nodes(), world, approvals=approvals)
    last = await runner.run(graph, input_data, "run-1", events.append)
    return Outcome(last, events)
