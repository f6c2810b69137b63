"""Settings of knowledge bases and uploads, as people and other platforms write them.

Engines and strategies that are not available here are replaced by the nearest one, and a warning
says so; keys and values nobody knows are errors that list the known ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.engine.problems import Problem, RagloomError
from app.engine.unfit import unfit
from app.services.ingestion.pipeline_config import ALIASES, flatten
from app.services.ingestion.pipeline_ref import PipelineRef
from app.services.languages import unknown_languages

#: Part of every version's identity: raised when the same settings would give other chunks.
PIPELINE_VERSION = 2

_SEARCH_ENGINES = ("embedded", "tantivy")
_VECTOR_STORES = ("embedded", "chroma")
#: Names of strategies on other platforms -> the same one here.
_SAME = {
    "fixed_size": "fixed",
    "structure_aware": "document_aware",
    "heading": "document_aware",
    "markdown": "document_aware",
    "code_aware": "document_aware",
    "hierarchical": "parent_child",
    "table": "table_rows",
    "qa": "question_answer",
    "slide": "page",
    "presentation": "page",
}
#: Names of strategies on other platforms -> the one here that comes nearest, which is said.
_NEAR = {"paragraph": "recursive", "general": "recursive", "naive": "recursive"}
_EXTRACTION = ("comprehensive", "fast", "auto")

Action = Literal["flag", "drop", "repair"]


def _default_validators() -> dict[str, Action]:
    from app.documents.quality import DEFAULT_ACTIONS

    return dict(DEFAULT_ACTIONS)


class Processing(BaseModel):
    """How a file becomes chunks. Sizes are in tokens of the embedding model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    extraction_strategy: Literal["comprehensive", "fast", "auto"] = Field(
        "comprehensive",
        description="“comprehensive” also looks for tables in PDF files; “fast” takes the text "
        "alone.",
    )
    ocr: Literal["off", "auto", "force"] = Field(
        "off",
        description="Text recognition: “auto” reads images and pages without text, “force” reads "
        "every page as an image.",
    )
    chunking_strategy: str = Field(
        "recursive",
        min_length=1,
        max_length=64,
        description="“recursive” cuts at headings, paragraphs and sentences; “document_aware” at "
        "every heading, with tables and code kept whole; “sentence” at sentences; “semantic” "
        "where the topic changes; “fixed” at a length; “parent_child” finds small chunks and "
        "returns the larger ones they stand in; “table_rows” makes a chunk of each row; "
        "“question_answer” of each question with its answer; “page” of each page or slide.",
    )
    chunk_size: int = Field(400, ge=16, le=8_192, description="Most tokens of a chunk.")
    chunk_overlap: int = Field(
        50, ge=0, le=4_096, description="Tokens that a chunk repeats of the one before."
    )
    parent_size: int = Field(
        1_200,
        ge=16,
        le=32_768,
        description="parent_child: most tokens of a parent. page: most tokens of a page that is "
        "kept whole.",
    )
    breakpoint_percentile: float = Field(
        90.0,
        ge=50,
        le=99.9,
        description="semantic: a change of topic is a distance above this percentile.",
    )
    breakpoint_model: str = Field(
        "default",
        min_length=1,
        max_length=300,
        description="semantic: embedding model that compares sentences.",
    )
    heading_context: bool = Field(
        True, description="Embed each chunk with the headings it stands under."
    )
    preserve_code_blocks: bool = Field(
        False, description="Keep a code block whole up to twice the size of a chunk."
    )
    split_languages: bool = Field(
        False,
        description="Find the language of each paragraph, and cut where it changes.",
    )
    languages: list[str] = Field(
        [],
        max_length=50,
        description="Languages expected in the documents (ISO 639-1): split_languages chooses "
        "among them, and the language validator finds what is in another.",
    )
    quality_control: bool = Field(
        True, description="Check chunks before they are indexed; off keeps everything."
    )
    validators: dict[str, Action] = Field(
        default_factory=_default_validators,
        max_length=50,
        description="Which checks run, and whether what they find is flagged, dropped or "
        "repaired; a list of names takes the usual action of each.",
    )
    min_chunk_length: int = Field(
        1, ge=0, le=4_096, description="min_length: fewest characters of a chunk."
    )
    max_chunk_length: int = Field(
        20_000, ge=1, le=1_000_000, description="max_length: most characters of a chunk."
    )

    @model_validator(mode="before")
    @classmethod
    def _older(cls, values: Any) -> Any:
        """Settings that were stored under an older name."""
        if isinstance(values, Mapping) and "min_chunk_size" in values:
            values = dict(values)
            values.setdefault("min_chunk_length", values.pop("min_chunk_size"))
        return values

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
    values, warnings = flatten(config, model.model_fields)
    problems = [_unknown_key(key, model, where) for key in values if key not in model.model_fields]
    values = {key: value for key, value in values.items() if key in model.model_fields}
    for key, read in (("chunking_strategy", _strategy), ("validators", _validators)):
        if key in values:
            values[key], found = read(values[key], where, warnings)
            problems += found
    extraction = values.get("extraction_strategy")
    if isinstance(extraction, str) and extraction.lower() not in _EXTRACTION:
        problems.append(_unknown_value("extraction_strategy", extraction, _EXTRACTION, where))
    elif isinstance(extraction, str):
        values["extraction_strategy"] = extraction.lower()
    languages = values.get("languages")
    if isinstance(languages, list):
        named = [code for code in languages if isinstance(code, str)]
        problems += unknown_languages(named, f"{where}.languages")
    if problems:
        raise _invalid(problems, where)
    return values, warnings


def _strategy(value: Any, where: str, warnings: list[str]) -> tuple[Any, list[Problem]]:
    from app.documents.chunk import chunker_names

    if not isinstance(value, str):
        return value, []
    known = chunker_names()
    name = value if value in known else value.lower().replace("-", "_")
    name = _SAME.get(name, name)
    if name in _NEAR and name not in known:
        warnings.append(
            f"chunking_strategy “{value}” is called “{_NEAR[name]}” here, which cuts at headings, "
            "paragraphs and sentences."
        )
        name = _NEAR[name]
    if name in known:
        return name, []
    return value, [_unknown_value("chunking_strategy", value, known, where)]


def _validators(value: Any, where: str, warnings: list[str]) -> tuple[Any, list[Problem]]:
    from app.documents.quality import repairable, usual_action, validator_names

    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        value = {name: usual_action(name) for name in value}
    if not isinstance(value, Mapping):
        return value, []
    known = validator_names()
    problems = [_unknown_value("validators", n, known, where) for n in value if n not in known]
    problems += [
        Problem(
            code="bad_value",
            message=f"{where}.validators: “{name}” finds what nothing can repair.",
            fix=f"Use “flag” or “drop”; “repair” is for: {', '.join(repairable())}.",
            found=name,
        )
        for name, action in value.items()
        if action == "repair" and name in known and name not in repairable()
    ]
    return dict(value), problems


def _parse(model: type[Any], values: Mapping[str, Any], where: str) -> Any:
    try:
        parsed = cast(Processing, model(**values))
    except ValidationError as error:
        problems = [
            Problem(
                code="bad_value",
                message=f"{where}.{item['loc'][0]}: {unfit(item)}.",
                fix=model.model_fields[str(item["loc"][0])].description or "",
                found=item["input"],
            )
            for item in error.errors()
        ]
        raise _invalid(problems, where) from None
    if problem := _misfit(parsed, where):
        raise _invalid([problem], where)
    return parsed


def _misfit(parsed: Processing, where: str) -> Problem | None:
    """Settings that do not go together."""
    size = parsed.chunk_size
    if parsed.chunk_overlap >= size:
        return Problem(
            code="bad_value",
            message=f"{where}.chunk_overlap ({parsed.chunk_overlap}) must be smaller than "
            f"chunk_size ({size}).",
            fix="Lower chunk_overlap or raise chunk_size.",
            found=parsed.chunk_overlap,
        )
    if parsed.chunking_strategy == "parent_child" and parsed.parent_size < size:
        return Problem(
            code="bad_value",
            message=f"{where}.parent_size ({parsed.parent_size}) must not be smaller than "
            f"chunk_size ({size}).",
            fix="Raise parent_size or lower chunk_size.",
            found=parsed.parent_size,
        )
    return None


def _unknown_key(key: str, model: type[BaseModel], where: str) -> Problem:
    known = [*model.model_fields, *(a for a, n in ALIASES.items() if n in model.model_fields)]
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
