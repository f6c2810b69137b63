"""Any workflow file, as a graph and a report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from app.engine.graph import Graph, migrate
from app.engine.problems import InvalidWorkflow, RagloomError
from app.engine.registry import Registry
from app.services.importers import dify, flowise, langflow, ragflow
from app.services.importers.build import ImportReport, build
from app.services.importers.detect import NAMES, check, decode, detect
from app.services.importers.source import Source
from app.services.workflows import seed_form

log = logging.getLogger(__name__)
MAX_BYTES = 10 * 1024 * 1024

_READERS: dict[str, Callable[[Any], Source]] = {
    "ragflow": ragflow.read,
    "dify": dify.read,
    "langflow": langflow.read,
    "flowise": flowise.read,
}


def import_file(
    data: bytes | str | Mapping[str, Any],
    registry: Registry,
    *,
    max_bytes: int = MAX_BYTES,
    called: str = "",
) -> tuple[Graph, ImportReport]:
    """The graph of a workflow file of any known system, and what became of it. Blocks (CPU).

    `called` is the name of one that has none, such as that of its file.

    Raises InvalidWorkflow, with a sentence, for what cannot be read.
    """
    decoded = decode(data, max_bytes) if isinstance(data, bytes | str) else check(dict(data))
    known = detect(decoded)
    if known == "ragloom":
        return _own(decoded, registry)
    if known == "seed":
        graph, notes = seed_form.convert(decoded, registry)
        return graph, _plain_report(graph, "seed", len(graph.edges), notes)
    try:
        return convert(decoded, known, registry, called)
    except RagloomError:
        raise
    except Exception as error:  # a shape that nobody thought of must not take the page down
        log.warning("A %s file could not be imported: %r", known, error)
        raise InvalidWorkflow(
            f"This looks like a workflow of {NAMES[known]}, but it is built in a way that cannot "
            "be read.",
            code="unreadable",
            fix="Export it again with a current version, or remove what is unusual in it.",
        ) from error


def convert(
    data: Any, known: str, registry: Registry, called: str = ""
) -> tuple[Graph, ImportReport]:
    """`import_file` for decoded data of a known system."""
    source = _READERS[known](data)
    if not source.steps:
        raise InvalidWorkflow(
            f"This workflow of {NAMES[known]} has no nodes.",
            code="empty_graph",
            fix="Choose another file.",
        )
    graph, report = build(source, registry)
    name = graph.name.strip() or " ".join(called.split()) or f"Workflow from {NAMES[known]}"
    graph.name = name[:120]
    # What was built is read once more as a file, so that nothing else can ever be kept.
    return Graph.parse(graph.dump()), report


def _own(data: Any, registry: Registry) -> tuple[Graph, ImportReport]:
    graph = Graph.parse(data)
    notes = [problem.message for problem in migrate(graph, registry)]
    edges = data["edges"]
    return graph, _plain_report(graph, "ragloom", len(edges), notes)


def _plain_report(graph: Graph, known: str, edges: int, notes: list[str]) -> ImportReport:
    unknown = sum(node.type == "placeholder" for node in graph.nodes.values())
    return ImportReport(
        format=known,
        mapped=len(graph.nodes) - unknown,
        placeholders=unknown,
        edges_in=edges,
        edges_out=len(graph.edges),
        notes=notes,
    )
