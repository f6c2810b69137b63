"""Settings of knowledge bases and uploads, in the words of other platforms too."""

from __future__ import annotations

import pytest

from app.engine.problems import RagloomError
from app.services.processing import Processing, read_knowledge_config, read_processing


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
    assert processing.chunking_strategy == "recursive"
    assert (processing.chunk_size, processing.chunk_overlap) == (800, 100)
    assert "semantic" in warnings[0]
    assert read_processing({"chunking_strategy": "document_aware"}, Processing())[1]
    assert read_processing({"chunking_strategy": "fixed"}, Processing())[1] == []


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
