"""Problems of the workflows that nodes hold, as problems of these nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.engine.graph import Graph
from app.engine.problems import InvalidWorkflow, Problem
from app.engine.registry import Registry

#: Workflows inside of each other.
MAX_DEPTH = 8
#: Problems of one workflow that are told on the node around it.
_MOST = 5


def bodies_in(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Workflows that settings hold: data of a ragloom/1 file by the path of the setting."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in config.items():
        graph = value.get("graph") if isinstance(value, Mapping) else None
        if isinstance(graph, Mapping) and "nodes" in graph:
            found[str(name)] = graph
    return found


def problems_inside(
    node_id: str,
    title: str,
    config: Mapping[str, Any],
    registry: Registry,
    depth: int,
) -> Iterable[Problem]:
    """What keeps the workflows inside a node from running, told on the node."""
    from app.engine.validation import validate_wiring
    from app.engine.wiring import Wiring

    for name, data in bodies_in(config).items():
        if depth >= MAX_DEPTH:
            yield Problem(
                code="too_deep",
                message=f"“{title}” lies {MAX_DEPTH} workflows deep; no more may be inside of "
                "each other.",
                fix="Put steps of the inner workflows side by side instead.",
                node=node_id,
                field=f"{name}.graph",
            )
            continue
        try:
            graph = Graph.parse(data)
        except InvalidWorkflow as error:
            problems = list(error.problems)
        else:
            problems = validate_wiring(Wiring(graph, registry), depth + 1)
        told = [problem for problem in problems if problem.severity == "error"][:_MOST]
        for problem in told:
            yield Problem(
                code="problem_inside",
                message=f"Inside “{title}”: {problem.message}",
                fix=problem.fix,
                node=node_id,
                field=f"{name}.graph",
                found={"code": problem.code, "node": problem.node, "port": problem.port},
            )
