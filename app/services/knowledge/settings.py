"""What a knowledge base may be called and set to, and when its model may change."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from app.engine.problems import RagloomError
from app.services.ingestion.embeddings import checked_models
from app.services.ingestion.kb_pipeline import SETTING as PIPELINE_SETTING
from app.services.ingestion.kb_pipeline import PipelineChecks
from app.services.ingestion.pipeline_ref import PipelineRef
from app.services.ingestion.processing import KnowledgeConfig, read_knowledge_config
from app.services.models import DEFAULT_EMBEDDER, ModelService
from app.services.threads import call
from app.services.views import KnowledgeBaseStats
from storage import tables
from storage.knowledge import KnowledgeRepository

Warnings = list[str]

_MAX_NAME = 200


class SettingsReader:
    """Reads settings of knowledge bases; what they name has to be there."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        models: ModelService,
        pipelines: PipelineChecks | None,
    ) -> None:
        self._repository = repository
        self._models = models
        self._pipelines = pipelines

    async def read(
        self, config: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> tuple[KnowledgeConfig, Warnings]:
        """What a configuration asks for, checked; `before` is the one it takes the place of."""
        settings, warnings = read_knowledge_config(config)
        chosen = None if settings.pipeline is None else settings.pipeline.model_dump()
        if chosen and self._pipelines and chosen != (before or {}).get(PIPELINE_SETTING):
            pinned = PipelineRef(**await self._pipelines.checked(chosen))
            settings = settings.model_copy(update={PIPELINE_SETTING: pinned})
        if settings.embedding_model == "default":
            settings = settings.model_copy(update={"embedding_model": DEFAULT_EMBEDDER})
        for model in await checked_models(
            self._models, settings.embedding_model, settings.language_models
        ):
            longest = await self._models.max_tokens(model)
            if longest is not None and settings.chunk_size > longest:
                warnings.append(
                    f"chunk_size {settings.chunk_size} is more than {model} reads: it sees the "
                    f"first {longest} tokens of a chunk."
                )
        return settings, warnings

    async def check_model_change(
        self, row: tables.KnowledgeBase, new: KnowledgeConfig, stats: KnowledgeBaseStats
    ) -> None:
        """Documents that are there must have been embedded with the model that is asked for."""
        wanted = await self._models.vector_name(new.embedding_model)
        others = [
            share
            for share in await call(self._repository.shares_at, stats.commit or "")
            if share.embedding.model.vectors != wanted
        ]
        if others or stats.pending_documents:
            raise RagloomError(
                f"“{row.name}” holds documents that were embedded with "
                f"{row.config['embedding_model']}; vectors of “{new.embedding_model}” do not "
                "compare with theirs.",
                code="model_mismatch",
                fix=f"Embed them anew on a branch: POST /api/v1/knowledge_bases/{row.id}/reembed "
                f'with {{"embedding_model": "{new.embedding_model}", "branch": "…"}}. Nothing is '
                "parsed again, and search and uploads on that branch use the other model.",
                stored=row.config["embedding_model"],
                wanted=new.embedding_model,
            )


def checked_name(name: str) -> str:
    """A name in its plain form. Raises RagloomError “invalid_name”."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > _MAX_NAME or any(unicodedata.category(c) == "Cc" for c in name):
        raise RagloomError(
            "A knowledge base needs a name of 1 to 200 characters.",
            code="invalid_name",
            fix="Give it a short name in plain characters.",
            found=name[:50],
        )
    return name
