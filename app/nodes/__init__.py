"""The nodes that come with the product, one family per file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.engine.context import Web
    from app.engine.registry import Registry


def register_all(registry: Registry, web: Web | None = None) -> None:
    """Register every built-in node, in the order in which a palette lists them.

    With `web`, validation knows which hosts a workflow may ask.
    """
    from app.nodes import (
        asking,
        bodies,
        checks,
        classify,
        conversation,
        data,
        documents,
        enriching,
        generation,
        indexing,
        inputs,
        languages,
        logic,
        outputs,
        people,
        placeholder,
        preparing,
        retrieval,
        rounds,
        sources,
        structured,
        text,
        variables,
    )
    from app.nodes import web as web_nodes

    for cls in (
        inputs.Question,
        inputs.TextInput,
        inputs.FileInput,
        conversation.ChatHistory,
        variables.Variable,
        bodies.Inlet,
        text.Preprocess,
        text.Prompt,
        asking.AsQuestion,
        data.SplitText,
        data.ParseJson,
        data.Collect,
        retrieval.Retrieve,
        retrieval.Rerank,
        retrieval.Diversify,
        generation.Generate,
        asking.AskModel,
        structured.ExtractData,
        checks.Validate,
        logic.Condition,
        logic.Switch,
        classify.Classify,
        logic.Merge,
        rounds.Map,
        rounds.Loop,
        bodies.Attempt,
        bodies.SubWorkflow,
        people.Approval,
        variables.Compute,
        web_nodes.HttpRequest if web is None else web_nodes.HttpRequest.allowed_by(web),
        placeholder.Placeholder,
        documents.Files,
        sources.FetchPages if web is None else sources.FetchPages.allowed_by(web),
        documents.Extract,
        languages.SplitLanguages,
        preparing.RouteDocuments,
        preparing.SetMetadata,
        documents.Chunk,
        indexing.QualityCheck,
        enriching.Enrich,
        indexing.Index,
        outputs.AnswerOutput,
        outputs.Output,
    ):
        registry.register(cls)
