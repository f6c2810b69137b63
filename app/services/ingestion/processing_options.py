"""What processing can do here: file types, strategies, checks and embedders, added ones too."""

from __future__ import annotations

from typing import Any

from app.services.ingestion.processing import KnowledgeConfig


def processing_options() -> dict[str, Any]:
    """What `config` and `processing_config` may name, in words for people. Blocks (imports).

    `{"extractors", "chunkers", "validators", "embedders", "problems", "config_schema"}`, where
    problems are the packages that could not be loaded.
    """
    from app.documents import media
    from app.documents.chunk import chunker_help, failed_chunkers
    from app.documents.detect import extensions_of
    from app.documents.embed import embedder_names, failed_embedders
    from app.documents.extract import added_media_types, failed_entry_points
    from app.documents.quality import (
        failed_validators,
        repairable,
        usual_action,
        validator_help,
    )

    added = added_media_types()
    types = sorted({*media.EXTENSIONS.values(), *added})
    mending = set(repairable())
    return {
        "extractors": [
            {
                "media_type": media_type,
                "name": media.NAMES.get(media_type, media_type),
                "extensions": extensions_of(media_type),
                "added": media_type in added,
            }
            for media_type in types
        ],
        "chunkers": [
            {"name": name, "description": words} for name, words in chunker_help().items()
        ],
        "validators": [
            {
                "name": name,
                "description": words,
                "action": usual_action(name),
                "actions": ["flag", "drop", *(["repair"] if name in mending else [])],
            }
            for name, words in validator_help().items()
        ],
        "embedders": [{"name": name} for name in ["default", "multilingual", *embedder_names()]],
        "problems": [
            {"kind": kind, "name": name, "message": message}
            for kind, failed in (
                ("extractor", failed_entry_points()),
                ("chunker", failed_chunkers()),
                ("validator", failed_validators()),
                ("embedder", failed_embedders()),
            )
            for name, message in failed.items()
        ],
        "config_schema": KnowledgeConfig.model_json_schema(),
    }
