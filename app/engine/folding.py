"""What putting nodes into a body and taking them out of it have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from app.engine.graph import Graph, NodeSpec
from app.engine.problems import RagloomError
from app.engine.registry import Registry

#: An output port: (node id, port).
End = tuple[str, str]


class CannotFold(RagloomError):
    """Nodes cannot be put into a body, or a body cannot be taken apart."""

    code = "cannot_fold"


def name_results(graph: Graph, expected: dict[str, End], registry: Registry) -> None:
    """See that the results keep their names; they are named where they would not by themselves."""
    if graph.outputs or graph.named_outputs(registry) != expected:
        graph.outputs = expected


def middle(specs: list[NodeSpec]) -> tuple[float, float] | None:
    """Where nodes lie on average; None where none has a place."""
    places = [spec.position for spec in specs if spec.position is not None]
    if not places:
        return None
    count = len(places)
    return (sum(x for x, _ in places) / count, sum(y for _, y in places) / count)


def free(wanted: str, taken: Collection[Any]) -> str:
    """A name that is not taken, as close to the wanted one as can be."""
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"
