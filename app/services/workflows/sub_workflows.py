"""Workflows inside nodes: their ports where a file leaves them out, and whether they are there, and end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from app.engine.body import SETTING, Interface, interface_of
from app.engine.graph import Graph, NodeSpec
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import Registry
from app.services.threads import call

#: A stored workflow and a revision of it; None for its newest.
Named = tuple[str, int | None]
#: Reads a stored workflow: (file, number of the revision).
Read = Callable[[str, int | None], Awaitable[tuple[dict[str, Any], int]]]
#: Workflows looked at in all, and workflows inside each other; the engine allows no more.
_MOST, _DEEPEST = 200, 8


class SubWorkflows:
    """Looks at every stored workflow that nodes name, once each; for one look at one graph."""

    def __init__(self, registry: Registry, read: Read) -> None:
        self._registry = registry
        self._read = read
        self._sound: set[Named] = set()
        #: What stored workflows take and give; None for those that cannot be read.
        self._ports: dict[Named, Interface | None] = {}

    async def complete(self, graph: Graph, depth: int = 0) -> None:
        """Write down what each workflow inside takes and gives, where the settings do not say it.

        The ports of a node follow from that; files written by hand or by a program leave it out,
        or leave it empty, as it is before a workflow is chosen. What is wrong with a workflow
        inside is told by `problems` and by validation; stored ones beyond `_MOST` stay as they are.
        """
        for spec in await call(self._lacking, graph):
            body = spec.config[SETTING]
            held, name, revision = body.get("graph"), body.get("workflow"), body.get("revision")
            ports = None
            if isinstance(held, Mapping):
                if depth < _DEEPEST:
                    ports = await self._embedded(body, held, depth)
            elif not held and isinstance(name, str) and name:
                ports = await self._stored((name, revision if isinstance(revision, int) else None))
            if ports is not None and not _told(body):
                body["interface"] = await call(ports.model_dump, mode="json")

    def _lacking(self, graph: Graph) -> list[NodeSpec]:
        """Nodes whose settings hold a workflow and leave ports out, or one inside it does."""
        found = []
        for spec in graph.nodes.values():
            cls, body = self._registry.get(spec.type), spec.config.get(SETTING)
            if cls is not None and cls.has_body and isinstance(body, dict) and _lacks(body):
                found.append(spec)
        return found

    async def _embedded(
        self, body: dict[str, Any], held: Mapping[str, Any], depth: int
    ) -> Interface | None:
        """What a workflow within the settings takes and gives, once those inside it are done."""
        try:
            inside = await call(Graph.parse, held)
        except RagloomError:
            return None
        await self.complete(inside, depth + 1)
        body["graph"] = await call(inside.dump)
        return await call(interface_of, inside, self._registry)

    async def _stored(self, named: Named) -> Interface | None:
        if named not in self._ports:
            if len(self._ports) >= _MOST:
                return None
            self._ports[named] = None
            try:
                inside = await call(Graph.parse, (await self._read(*named))[0])
            except RagloomError:
                return None
            self._ports[named] = await call(interface_of, inside, self._registry)
        return self._ports[named]

    async def problems(self, graph: Graph, workflow_id: str = "") -> list[Problem]:
        """Problems of nodes that run a stored workflow; `workflow_id` is the graph's own."""
        found = []
        for spec, named_inside in await call(self._inside, graph):
            for named in named_inside:
                wrong = await self._look(named, (workflow_id,))
                if wrong is not None:
                    found.append(
                        Problem(
                            code=wrong[0],
                            message=f"The workflow inside “{spec.title or spec.type}” {wrong[1]}.",
                            fix="Choose another workflow or revision in the node's settings.",
                            node=spec.id,
                            field=SETTING,
                            found=named[0],
                        )
                    )
                    break
        return found

    async def _look(self, named: Named, path: tuple[str, ...]) -> tuple[str, str] | None:
        """Code and words for what keeps it from running."""
        if named[0] in path:
            return "recursive_workflow", "contains itself"
        if named in self._sound or len(self._sound) >= _MOST or len(path) > _DEEPEST:
            return None
        try:
            graph = await call(Graph.parse, (await self._read(*named))[0])
        except InvalidWorkflow as error:
            return "missing_workflow", f"cannot be read: {error.message.rstrip('.')}"
        except RagloomError as error:
            return "missing_workflow", f"is not there: {error.message.rstrip('.')}"
        for _, named_inside in await call(self._inside, graph):
            for inner in named_inside:
                wrong = await self._look(inner, (*path, named[0]))
                if wrong is not None:
                    return wrong
        self._sound.add(named)
        return None

    def _inside(self, graph: Graph) -> list[tuple[NodeSpec, list[Named]]]:
        """The stored workflows that each node of a graph runs, those without any left out."""
        found = ((spec, list(self._named(spec, 0))) for spec in graph.nodes.values())
        return [(spec, named) for spec, named in found if named]

    def _named(self, spec: NodeSpec, depth: int) -> Iterator[Named]:
        """The stored workflows that a node runs, also those that its embedded one does."""
        cls = self._registry.get(spec.type)
        body = spec.config.get(SETTING)
        if cls is None or not cls.has_body or spec.disabled or not isinstance(body, Mapping):
            return
        graph, name, revision = body.get("graph"), body.get("workflow"), body.get("revision")
        if isinstance(graph, Mapping):
            if depth < _DEEPEST:
                try:
                    inside = Graph.parse(graph)
                except InvalidWorkflow:
                    return  # said of the node already
                for inner in inside.nodes.values():
                    yield from self._named(inner, depth + 1)
        elif isinstance(name, str) and name:
            yield name, revision if isinstance(revision, int) else None


def _told(body: Mapping[str, Any]) -> bool:
    """Whether its settings name ports; any other shape than a mapping is a problem told there.

    Empty ones do not: that is the default, which a program that sets the workflow may leave there.
    """
    ports = body.get("interface")
    return ports is not None and (not isinstance(ports, Mapping) or any(ports.values()))


def _lacks(body: Any, depth: int = 0) -> bool:
    """Whether settings that hold a workflow, or those of one inside it, name no ports."""
    if not isinstance(body, Mapping) or depth > _DEEPEST:
        return False
    held = body.get("graph")
    nodes = held.get("nodes") if isinstance(held, Mapping) else None
    configs = [n.get("config") for n in nodes or () if isinstance(n, Mapping)]
    return not _told(body) or any(
        _lacks(config.get(SETTING), depth + 1) for config in configs if isinstance(config, Mapping)
    )
