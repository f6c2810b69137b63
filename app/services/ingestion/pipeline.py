"""The workflow that fills a knowledge base, as run for every file that is uploaded."""

from __future__ import annotations

from typing import Any

from app.engine.events import Event, NodeProgress, NodeStarted
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import RagloomError
from app.services.ingestion.processing import Processing

#: Type of a node -> stage of the task while it runs.
_STAGES = {
    "extract": "extract",
    # Named by what follows, so that the bar of a file never goes back.
    "split_languages": "chunk: languages",
    "chunk": "chunk",
    "quality_check": "quality",
    "enrich": "embed: enrich",
    "index": "embed",
}
#: Settings that the nodes know by the same name.
_CUTTING = (
    "chunk_size", "chunk_overlap", "parent_size", "breakpoint_percentile", "breakpoint_model",
    "heading_context", "preserve_code_blocks", "split_languages", "languages",
)  # fmt: skip
_CHECKING = ("validators", "min_chunk_length", "max_chunk_length", "languages")


def ingestion_graph(
    kb_id: str,
    ref: str,
    processing: Processing,
    *,
    model: str = "default",
    timeout_s: float | None = None,
) -> Graph:
    """Files → extract → chunk → check → index, with the settings of one upload.

    `model` is the knowledge base's embedding model, in whose tokens chunks are measured.
    """
    nodes = (
        NodeSpec("files", "files", title="Files"),
        NodeSpec(
            "extract",
            "extract",
            title="Extract text",
            config={"strategy": processing.extraction_strategy, "ocr": processing.ocr},
        ),
        NodeSpec(
            "chunk",
            "chunk",
            title="Chunk",
            config={
                "strategy": processing.chunking_strategy,
                "token_model": model,
                **{name: getattr(processing, name) for name in _CUTTING},
            },
            timeout_s=timeout_s,
        ),
        NodeSpec(
            "quality",
            "quality_check",
            title="Check quality",
            version=2,
            config={
                "enabled": processing.quality_control,
                **{name: getattr(processing, name) for name in _CHECKING},
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
        EdgeSpec("quality", "report", "index", "quality"),
    )
    return Graph(
        name="Ingestion",
        outputs={"report": ("index", "report")},
        nodes={node.id: node for node in nodes},
        edges=list(edges),
    )


def stage_of(event: Event, graph: Graph) -> tuple[str, int, int] | None:
    """(stage, done, total) that an event of a run of `graph` tells, if any."""
    if not isinstance(event, NodeStarted | NodeProgress):
        return None
    node = graph.nodes.get(event.node_id)
    stage = _STAGES.get(node.type) if node is not None else None
    if node is None or stage is None:
        return None
    if isinstance(event, NodeStarted):
        return stage, 0, 0
    embedded = node.type == "index" and event.total > 0 and event.done >= event.total
    return ("index" if embedded else stage), event.done, event.total


def first_row(outputs: dict[str, Any]) -> dict[str, Any]:
    """The only line of the report that the run of one file ends with.

    Raises RagloomError “left_out” where the workflow did not come to its last step.
    """
    table = outputs.get("report")
    if not table or not table["rows"]:
        raise RagloomError(
            "The pipeline left this file out: no step passed it on to the index.",
            code="left_out",
            fix="Look at the pipeline's conditions, and try it on this file.",
        )
    return dict(zip(table["columns"], table["rows"][0], strict=True))
