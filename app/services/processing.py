"""Settings of knowledge bases and uploads, as people and other platforms write them.

Engines and strategies that are not available here are replaced by the nearest one, and a warning
says so; keys and values nobody knows are errors that list the known ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.engine.problems import Problem, RagloomError
from app.services.pipeline_ref import PipelineRef

#: Part of every version's identity: raised when the same settings would give other chunks.
PIPELINE_VERSION = 1

Chunker = Literal["recursive", "fixed", "sentence"]

_SEARCH_ENGINES = ("embedded", "tantivy")
_VECTOR_STORES = ("embedded", "chroma")
#: Strategies of other platforms -> the one here that comes nearest.
_STRATEGIES: dict[str, Chunker] = {
    "recursive": "recursive",
    "fixed": "fixed",
    "fixed_size": "fixed",
    "semantic": "recursive",
    "document_aware": "recursive",
    "structure_aware": "recursive",
    "markdown": "recursive",
    "sentence": "sentence",
    "paragraph": "recursive",
    "hierarchical": "recursive",
    "code_aware": "recursive",
    "general": "recursive",
    "naive": "recursive",
}
_EXACT = {"recursive", "fixed", "fixed_size", "sentence"}
_EXTRACTION = ("comprehensive", "fast", "auto")
_ALIASES = {
    "overlap": "chunk_overlap",
    "chunker": "chunking_strategy",
    "strategy": "chunking_strategy",
    "extractor": "extraction_strategy",
    "min_chunk_length": "min_chunk_size",
    "embedder": "embedding_model",
}


class Processing(BaseModel):
    """How a file becomes chunks. Sizes are in tokens of the embedding model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    extraction_strategy: Literal["comprehensive", "fast", "auto"] = Field(
        "comprehensive",
        description="“comprehensive” also looks for tables in PDF files; “fast” takes the text "
        "alone.",
    )
    chunking_strategy: str = Field(
        "recursive",
        description="“recursive” cuts at headings, paragraphs and sentences; “sentence” at "
        "sentences; “fixed” at a length.",
    )
    chunk_size: int = Field(400, ge=16, le=8_192, description="Most tokens of a chunk.")
    chunk_overlap: int = Field(
        50, ge=0, le=4_096, description="Tokens that a chunk repeats of the one before."
    )
    quality_control: bool = Field(
        True, description="Leave out chunks without meaning and repeated ones."
    )
    min_chunk_size: int = Field(
        1, ge=0, le=4_096, description="Chunks of fewer characters are left out."
    )

    def identity(self) -> dict[str, Any]:
        """What decides which chunks a file becomes; kept with each version of a document."""
        return {"pipeline": PIPELINE_VERSION, **self.model_dump()}


class KnowledgeConfig(Processing):
    """`config` of a knowledge base: how its files are processed unless an upload says otherwise."""

    embedding_model: str = Field(
        "default", min_length=1, description="Name of the embedding model."
    )
    language_models: dict[str, str] = Field(
        {},
        max_length=50,
        description="Embedding models of languages (ISO 639-1), “*” for every other one; what is "
        "in none of them is embedded by embedding_model.",
    )
    embedding_batch_size: int | None = Field(
        None,
        ge=1,
        le=2_048,
        description="Most texts that a provider of an embedding model is sent at once.",
    )
    search_engine: str = Field("embedded", description="Keyword search engine.")
    vector_store: str = Field("embedded", description="Vector store.")
    languages: list[str] = Field(
        [], max_length=50, description="Languages expected in the documents, for information."
    )
    pipeline: PipelineRef | None = Field(
        None,
        description="A workflow that takes files in, as {“workflow_id”, “revision”}; null for "
        "the standard one.",
    )

    def processing(self) -> Processing:
        """The part that an upload can override."""
        return Processing(**{name: getattr(self, name) for name in Processing.model_fields})


def read_knowledge_config(config: Mapping[str, Any]) -> tuple[KnowledgeConfig, list[str]]:
    """Check and normalise the `config` of a knowledge base; returns it and its warnings.

    Raises RagloomError “invalid_config”, naming every key that does not fit.
    """
    values, warnings = _normalise(config, KnowledgeConfig, "config")
    for key, known in (("search_engine", _SEARCH_ENGINES), ("vector_store", _VECTOR_STORES)):
        wanted = values.get(key)
        if isinstance(wanted, str) and wanted.lower() not in known:
            warnings.append(
                f"{key} “{wanted}” is not configured here; the embedded one "
                f"({known[1]}) is used instead."
            )
        if isinstance(wanted, str):
            values[key] = "embedded"
    return _parse(KnowledgeConfig, values, "config"), warnings


def read_processing(
    config: Mapping[str, Any] | None, base: Processing
) -> tuple[Processing, list[str]]:
    """Check the `processing_config` of an upload on top of the knowledge base's own."""
    values, warnings = _normalise(config or {}, Processing, "processing_config")
    return _parse(Processing, {**base.model_dump(), **values}, "processing_config"), warnings


def stored_processing(values: Mapping[str, Any]) -> Processing:
    """The settings that a file was accepted with."""
    return Processing(**{key: value for key, value in values.items() if key != "warnings"})


def _normalise(
    config: Mapping[str, Any], model: type[BaseModel], where: str
) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems = []
    for key, value in config.items():
        name = _ALIASES.get(key, key)
        if name not in model.model_fields:
            problems.append(_unknown_key(key, model, where))
        elif value is not None:
            values[name] = value
    warnings: list[str] = []
    strategy = values.get("chunking_strategy")
    if isinstance(strategy, str):
        known = _STRATEGIES.get(strategy.lower().replace("-", "_"))
        if known is None:
            problems.append(_unknown_value("chunking_strategy", strategy, _STRATEGIES, where))
        else:
            values["chunking_strategy"] = known
            if strategy.lower() not in _EXACT:
                warnings.append(
                    f"chunking_strategy “{strategy}” is not available here; “{known}” is used, "
                    "which cuts at headings, paragraphs and sentences."
                )
    extraction = values.get("extraction_strategy")
    if isinstance(extraction, str) and extraction.lower() not in _EXTRACTION:
        problems.append(_unknown_value("extraction_strategy", extraction, _EXTRACTION, where))
    elif isinstance(extraction, str):
        values["extraction_strategy"] = extraction.lower()
    if problems:
        raise _invalid(problems, where)
    return values, warnings


def _parse(model: type[Any], values: Mapping[str, Any], where: str) -> Any:
    try:
        parsed = cast(Processing, model(**values))
    except ValidationError as error:
        problems = [
            Problem(
                code="bad_value",
                message=f"{where}.{item['loc'][0]}: {item['msg']}.",
                fix=model.model_fields[str(item["loc"][0])].description or "",
                found=item["input"],
            )
            for item in error.errors()
        ]
        raise _invalid(problems, where) from None
    if parsed.chunk_overlap >= parsed.chunk_size:
        raise _invalid(
            [
                Problem(
                    code="bad_value",
                    message=f"{where}.chunk_overlap ({parsed.chunk_overlap}) must be smaller than "
                    f"chunk_size ({parsed.chunk_size}).",
                    fix="Lower chunk_overlap or raise chunk_size.",
                    found=parsed.chunk_overlap,
                )
            ],
            where,
        )
    return parsed


def _unknown_key(key: str, model: type[BaseModel], where: str) -> Problem:
    known = [*model.model_fields, *(a for a, n in _ALIASES.items() if n in model.model_fields)]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"Did you mean “{near[0]}”? " if near else ""
    return Problem(
        code="unknown_key",
        message=f"{where} has no key “{key}”.",
        fix=f"{hint}Known keys: {', '.join(model.model_fields)}.",
        found=key,
        expected=list(model.model_fields),
    )


def _unknown_value(key: str, value: str, known: Any, where: str) -> Problem:
    return Problem(
        code="unknown_value",
        message=f"{where}.{key} “{value}” is not known.",
        fix=f"Use one of: {', '.join(known)}.",
        found=value,
        expected=list(known),
    )


def _invalid(problems: list[Problem], where: str) -> RagloomError:
    return RagloomError(
        " ".join(problem.message for problem in problems),
        code="invalid_config",
        fix=" ".join(dict.fromkeys(problem.fix for problem in problems if problem.fix)),
        problems=problems,
        where=where,
    )
