"""Whether the stored workflows that a graph runs inside its nodes are there, and end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from app.engine.body import SETTING
from app.engine.graph import Graph, NodeSpec
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import Registry

#: A stored workflow and a revision of it; None for its newest.
Named = tuple[str, int | None]
#: Reads a stored workflow: (file, number of the revision).
Read = Callable[[str, int | None], Awaitable[tuple[dict[str, Any], int]]]
#: Workflows looked at in all, and workflows inside each other; the engine allows no more.
_MOST, _DEEPEST = 200, 8


class SubWorkflows:
    """Looks at every stored workflow that nodes name, once each."""

    def __init__(self, registry: Registry, read: Read) -> None:
        self._registry = registry
        self._read = read
        self._sound: set[Named] = set()

    async def problems(self, graph: Graph, workflow_id: str = "") -> list[Problem]:
        """Problems of nodes that run a stored workflow; `workflow_id` is the graph's own."""
        found = []
        for spec in graph.nodes.values():
            title = spec.title or spec.type
            for named in self._named(spec, 0):
                wrong = await self._look(named, (workflow_id,))
                if wrong is not None:
                    found.append(
                        Problem(
                            code=wrong[0],
                            message=f"The workflow inside “{title}” {wrong[1]}.",
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
            graph = Graph.parse((await self._read(*named))[0])
        except InvalidWorkflow as error:
            return "missing_workflow", f"cannot be read: {error.message.rstrip('.')}"
        except RagloomError as error:
            return "missing_workflow", f"is not there: {error.message.rstrip('.')}"
        for spec in graph.nodes.values():
            for inner in self._named(spec, 0):
                wrong = await self._look(inner, (*path, named[0]))
                if wrong is not None:
                    return wrong
        self._sound.add(named)
        return None

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
