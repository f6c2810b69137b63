"""The nodes that come with the product, one family per file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.engine.registry import Registry


def register_all(registry: Registry) -> None:
    """Register every built-in node, in the order in which a palette lists them."""
    from app.nodes import (
        checks,
        documents,
        generation,
        indexing,
        inputs,
        logic,
        outputs,
        retrieval,
        text,
    )

    for cls in (
        inputs.Question,
        inputs.TextInput,
        inputs.FileInput,
        text.Preprocess,
        text.Prompt,
        retrieval.Retrieve,
        retrieval.Rerank,
        retrieval.Diversify,
        generation.Generate,
        checks.Validate,
        logic.Condition,
        logic.Merge,
        documents.Files,
        documents.Extract,
        documents.Chunk,
        indexing.QualityCheck,
        indexing.Index,
        outputs.AnswerOutput,
        outputs.Output,
    ):
        registry.register(cls)
