"""Settings of knowledge bases and uploads, in the words of other platforms too."""

from __future__ import annotations

from typing import Any

import pytest

from app.documents.language import _VARIANTS, _all_languages
from app.engine.problems import RagloomError
from app.services.ingestion.processing import (
    KnowledgeConfig,
    Processing,
    read_knowledge_config,
    read_processing,
    stored_processing,
)
from app.services.languages import check_languages, unknown_languages


def test_engines_that_are_not_here_are_replaced_and_said_so() -> None:
    config, warnings = read_knowledge_config(
        {
            "embedding_model": "default",
            "chunk_size": 500,
            "chunk_overlap": 50,
            "search_engine": "elasticsearch",
            "vector_store": "milvus",
        }
    )
    assert (config.search_engine, config.vector_store) == ("embedded", "embedded")
    assert len(warnings) == 2
    assert "elasticsearch" in warnings[0]
    assert "tantivy" in warnings[0]
    assert read_knowledge_config({"search_engine": "tantivy"})[1] == []


def test_processing_takes_other_names_and_strategies() -> None:
    processing, warnings = read_processing(
        {
            "extraction_strategy": "comprehensive",
            "chunking_strategy": "semantic",
            "quality_control": True,
            "chunk_size": 800,
            "overlap": 100,
        },
        Processing(),
    )
    assert processing.chunking_strategy == "semantic"
    assert (processing.chunk_size, processing.chunk_overlap) == (800, 100)
    assert warnings == []
    same, warnings = read_processing({"chunking_strategy": "Hierarchical"}, Processing())
    assert (same.chunking_strategy, warnings) == ("parent_child", [])
    near, warnings = read_processing({"chunking_strategy": "naive"}, Processing())
    assert near.chunking_strategy == "recursive"
    assert "naive" in warnings[0]
    assert read_processing({"use_ocr": True, "min_chunk_size": 9}, Processing())[0] == Processing(
        ocr="auto", min_chunk_length=9
    )


#: The pipeline for technical documents as the platform it comes from writes it.
TECHNICAL: dict[str, Any] = {
    "name": "technical_documents",
    "description": "Pipeline for technical documentation with code extraction",
    "file_types": ["pdf", "md", "rst", "ipynb"],
    "extraction": {
        "extract_code_blocks": True,
        "preserve_formatting": True,
        "extract_tables": True,
        "extract_images": True,
    },
    "chunking": {
        "strategy": "semantic",
        "chunk_size": 800,
        "overlap": 100,
        "preserve_code_blocks": True,
    },
    "embedding": {"model": "text-embedding-ada-002", "batch_size": 50},
    "quality_control": {
        "validators": ["min_length", "code_syntax", "technical_terms"],
        "min_chunk_length": 100,
        "max_chunk_length": 2000,
    },
}
EXPECTED = Processing(
    chunking_strategy="semantic",
    chunk_size=800,
    chunk_overlap=100,
    preserve_code_blocks=True,
    validators={"min_length": "drop", "code_syntax": "flag", "technical_terms": "flag"},
    min_chunk_length=100,
    max_chunk_length=2000,
)


@pytest.mark.parametrize(
    "config", [TECHNICAL, {"custom_pipeline": TECHNICAL}, {"pipeline": TECHNICAL}]
)
def test_a_nested_pipeline_is_taken_as_it_stands(config: dict[str, Any]) -> None:
    settings, warnings = read_knowledge_config(config)
    assert settings.processing() == EXPECTED
    assert settings.embedding_model == "text-embedding-ada-002"
    assert [warning.split(":")[0] for warning in warnings] == [
        "file_types",
        "preserve_formatting",
        "extract_images",
    ]
    assert settings.embedding_batch_size == 50
    upload, warnings = read_processing(config, Processing())
    assert upload == EXPECTED
    assert any("text-embedding-ada-002" in warning for warning in warnings)


def test_a_nested_pipeline_changes_what_was_there_before() -> None:
    before = read_knowledge_config({"chunk_size": 200})[0].model_dump()
    settings, _ = read_knowledge_config({**before, **TECHNICAL})
    assert settings.processing() == EXPECTED
    off, _ = read_processing({"quality_control": {"enabled": False}}, Processing())
    assert off == Processing(quality_control=False)
    text_only, warnings = read_processing({"extraction": {"extract_tables": False}}, Processing())
    assert text_only.extraction_strategy == "fast"
    assert warnings


def test_settings_stored_under_an_older_name_are_read() -> None:
    assert KnowledgeConfig(**{"min_chunk_size": 7}).min_chunk_length == 7
    assert stored_processing({"min_chunk_size": 7, "warnings": ["x"]}).min_chunk_length == 7


def test_an_upload_overrides_what_it_names_only() -> None:
    base = Processing(chunk_size=300, chunk_overlap=10)
    processing, _ = read_processing({"chunk_size": 200}, base)
    assert (processing.chunk_size, processing.chunk_overlap) == (200, 10)
    assert read_processing(None, base)[0] == base


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"chunksize": 1}, "Did you mean “chunk_size”"),
        ({"zzz": 1, "yyy": 2}, "“zzz”"),
        ({"chunking_strategy": "psychic"}, "psychic"),
        ({"extraction_strategy": "ocr9"}, "comprehensive"),
        ({"chunk_size": 1}, "chunk_size"),
        ({"chunk_size": "many"}, "chunk_size"),
        ({"chunk_size": 50, "chunk_overlap": 50}, "smaller"),
        ({"chunking_strategy": "parent_child", "parent_size": 100}, "parent_size"),
        ({"validators": ["min_length", "psychic"]}, "psychic"),
        ({"validators": {"duplicate": "repair"}}, "nothing can repair"),
        ({"validators": {"duplicate": "explode"}}, "validators"),
        ({"validators": 3}, "validators"),
        ({"extraction": {"zzz": 1}}, "“zzz”"),
    ],
)
def test_what_nobody_knows_is_an_error_that_lists_the_known(
    config: dict[str, object], said: str
) -> None:
    with pytest.raises(RagloomError) as caught:
        read_processing(config, Processing())
    assert caught.value.code == "invalid_config"
    assert said in str(caught.value)


def test_identity_depends_on_every_setting() -> None:
    assert Processing().identity() == Processing().identity()
    assert Processing().identity() != Processing(quality_control=False).identity()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("german", "de"), ("ger", "de"), ("Deutsch", "de"), ("DE", "de"), ("en-US", "en"),
        ("pt_BR", "pt"), ("englisch", "en"), ("fra", "fr"), ("jp", "ja"), ("xx", "xh"),
    ],
)  # fmt: skip
def test_an_unknown_language_is_refused_with_the_closest_one(written: str, meant: str) -> None:
    with pytest.raises(RagloomError) as caught:
        read_processing({"languages": ["fr", written]}, Processing())
    assert f"“{written}” is no language known here" in caught.value.message
    assert f"Did you mean “{meant}”" in caught.value.fix
    with pytest.raises(RagloomError, match="language_models"):
        check_languages([written], "language_models")


def test_what_the_detector_finds_is_a_language() -> None:
    identifier = _all_languages()
    found = {_VARIANTS.get(str(code), str(code)) for code in identifier.nb_classes} - {"zxx"}
    assert unknown_languages(found, "languages") == []
