"""Trying a workflow that fills a knowledge base on one document, without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.services.ingestion.kb_pipeline import FILES, of_type


@dataclass(frozen=True, slots=True)
class Trial:
    """A run that only tries: its options and its input."""

    options: RunOptions
    input_data: dict[str, Any]


def can_try(graph: Graph) -> bool:
    """Whether a workflow takes files in and puts them into a knowledge base."""
    return bool(of_type(graph, "files") and of_type(graph, "index"))


def fills(graph: Graph) -> str:
    """Name or id of the knowledge base that a workflow fills; empty where none is chosen."""
    for node in of_type(graph, "index"):
        chosen = node.config.get("knowledge_base")
        if isinstance(chosen, str) and chosen:
            return chosen
    return ""


def trial(graph: Graph, file: Mapping[str, Any], kb: str = "") -> Trial:
    """Run a workflow on one file: everything but the writing of the index, and what needs it.

    `kb` is what the result is compared with where the workflow names no knowledge base.
    """
    settings: dict[str, dict[str, Any]] = {}
    inputs: dict[str, Any] = {}
    for node in of_type(graph, "files"):
        name = node.config.get("name") or FILES
        inputs[name if isinstance(name, str) else FILES] = [dict(file)]
    if kb:
        for node in of_type(graph, "index"):
            if not node.config.get("knowledge_base"):
                settings[node.id] = {**node.config, "knowledge_base": kb}
    return Trial(RunOptions(dry=True, config=settings), inputs)
