"""Which model embeds what comes to a branch, and the embedding of what has no vector yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from app.services.languages import check_languages
from app.services.models import DEFAULT_EMBEDDER, ModelService
from app.services.threads import call
from storage import ids
from storage.embedding import EVERY, Embedding, Model
from storage.errors import ModelMismatch
from storage.knowledge import KnowledgeRepository

if TYPE_CHECKING:
    import numpy as np

#: Texts handed to the embedder at once: small enough for progress to move.
_GROUP = 64

#: Name of the vectors -> text hash -> unit vector.
Vectors = dict[str, "dict[str, np.ndarray]"]
#: Called with (texts that have their vector, all of them).
Progress = Callable[[int, int], None]


class Text(NamedTuple):
    """A text to embed, and the language that decides by which model."""

    text: str
    language: str | None


class Embeddings:
    """Embeds texts by the models of a branch, none of them twice."""

    def __init__(self, repository: KnowledgeRepository, models: ModelService) -> None:
        self._repository = repository
        self._models = models
        #: Length of a model's vectors, as stored or first given.
        self._dims: dict[str, int] = {}

    async def of_branch(self, kb_id: str, ref: str) -> Embedding:
        """The models for what comes to a branch: its own, else those of the knowledge base."""
        return await self.chosen(await call(self._repository.models_of, kb_id, ref))

    async def chosen(self, settings: Mapping[str, Any]) -> Embedding:
        """The models that `embedding_model` and `language_models` name. Raises ModelUnavailable."""
        languages = settings.get("language_models") or {}
        return Embedding(
            await self._model(settings["embedding_model"]),
            tuple([(name, await self._model(languages[name])) for name in sorted(languages)]),
        )

    async def _model(self, name: str) -> Model:
        name = DEFAULT_EMBEDDER if name == "default" else name
        return Model(name, await self._models.vector_name(name))

    async def missing(
        self,
        embedding: Embedding,
        texts: Iterable[Text],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        keep: bool = False,
    ) -> Vectors:
        """Embed those of `texts` that have no vector of their model yet.

        With `keep` each group is stored as soon as it is there, so that an end in the middle costs
        little. Raises ModelMismatch, ModelUnavailable, RagloomError “provider_error” and the like.
        """
        by_model, missing = await call(self._wanted, embedding, texts)
        found: Vectors = {model.vectors: {} for model in by_model}
        total = sum(map(len, by_model.values()))
        done = total - sum(map(len, missing.values()))
        for model, keys in missing.items():
            for at in range(0, len(keys), _GROUP):
                if progress:
                    progress(done, total)
                group = keys[at : at + _GROUP]
                rows = await self._models.embed(
                    [by_model[model][key] for key in group],
                    kind="passage",
                    model=model.name,
                    batch_size=batch_size,
                )
                await self._check(model, rows.shape[1])
                vectors = dict(zip(group, rows, strict=True))
                if keep:
                    await call(self._repository.keep_vectors, model.vectors, vectors)
                found[model.vectors].update(vectors)
                done += len(group)
        if progress:
            progress(done, total)
        return found

    def _wanted(
        self, embedding: Embedding, texts: Iterable[Text]
    ) -> tuple[dict[Model, dict[str, str]], dict[Model, list[str]]]:
        """Texts by their hash, and the hashes that have no vector yet, by model."""
        by_model: dict[Model, dict[str, str]] = {}
        for text, language in texts:
            by_model.setdefault(embedding.of(language), {})[ids.text_hash(text)] = text
        missing: dict[Model, list[str]] = {}
        for model, keyed in by_model.items():
            known = self._repository.known_vectors(model.vectors, list(keyed))
            missing[model] = [key for key in keyed if key not in known]
        return by_model, missing

    async def _check(self, model: Model, dim: int) -> None:
        """Vectors of one name are of one length."""
        if model.vectors not in self._dims:
            stored = await call(self._repository.vector_dim, model.vectors)
            self._dims[model.vectors] = stored or dim
        if self._dims[model.vectors] != dim:
            raise ModelMismatch(model.name, self._dims[model.vectors], dim)


async def checked_models(
    models: ModelService, embedding_model: str, language_models: Mapping[str, str]
) -> list[str]:
    """The models that are named, each once, all of which can be used here.

    Raises RagloomError “invalid_config” for what is no language, ModelUnavailable.
    """
    check_languages((key for key in language_models if key != EVERY), "language_models")
    named = list(dict.fromkeys([embedding_model, *language_models.values()]))
    for model in named:
        await models.check(model, "embed")
    return named
