"""The workflow that fills a knowledge base, as run for every file that is uploaded."""

from __future__ import annotations

from typing import Any

from app.engine.events import Event, NodeProgress, NodeStarted
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.services.processing import Processing

#: Node of the workflow -> stage of the task while it runs.
_STAGES = {"extract": "extract", "chunk": "chunk", "quality": "quality", "index": "embed"}


def ingestion_graph(
    kb_id: str, ref: str, processing: Processing, *, timeout_s: float | None = None
) -> Graph:
    """Files → extract → chunk → check → index, with the settings of one upload."""
    nodes = (
        NodeSpec("files", "files", title="Files"),
        NodeSpec(
            "extract",
            "extract",
            title="Extract text",
            config={"strategy": processing.extraction_strategy},
        ),
        NodeSpec(
            "chunk",
            "chunk",
            title="Chunk",
            config={
                "strategy": processing.chunking_strategy,
                "chunk_size": processing.chunk_size,
                "chunk_overlap": processing.chunk_overlap,
            },
        ),
        NodeSpec(
            "quality",
            "quality_check",
            title="Check quality",
            config={
                "enabled": processing.quality_control,
                "min_chunk_size": processing.min_chunk_size,
            },
        ),
        NodeSpec(
            "index",
            "index",
            title="Embed and index",
            config={"knowledge_base": kb_id, "ref": ref, "processing": processing.identity()},
            timeout_s=timeout_s,
        ),
    )
    edges = (
        EdgeSpec("files", "documents", "extract", "documents"),
        EdgeSpec("extract", "documents", "chunk", "documents"),
        EdgeSpec("chunk", "chunks", "quality", "chunks"),
        EdgeSpec("extract", "documents", "index", "documents"),
        EdgeSpec("quality", "chunks", "index", "chunks"),
    )
    return Graph(
        name="Ingestion",
        outputs={"report": ("index", "report")},
        nodes={node.id: node for node in nodes},
        edges=list(edges),
    )


def stage_of(event: Event) -> tuple[str, int, int] | None:
    """(stage, done, total) that an event of the run tells, if any."""
    if isinstance(event, NodeStarted) and event.node_id in _STAGES:
        return _STAGES[event.node_id], 0, 0
    if isinstance(event, NodeProgress) and event.node_id in _STAGES:
        embedded = event.node_id == "index" and event.total > 0 and event.done >= event.total
        return ("index" if embedded else _STAGES[event.node_id]), event.done, event.total
    return None


def first_row(outputs: dict[str, Any]) -> dict[str, Any]:
    """The only line of the report that the run of one file ends with."""
    table = outputs["report"]
    return dict(zip(table["columns"], table["rows"][0], strict=True))
