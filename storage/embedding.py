"""Which embedding model a chunk is embedded by: one for all, or one for each language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from storage.tables import DocumentVersion

#: Stands for every language that has no model of its own, the unknown one among them.
EVERY = "*"


class Model(NamedTuple):
    """An embedding model: as people choose it, and as its vectors are stored."""

    #: Empty where a version does not tell: the knowledge base's own.
    name: str
    vectors: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """The models of a version of a document."""

    model: Model
    #: (language, model), sorted.
    languages: tuple[tuple[str, Model], ...] = ()

    @classmethod
    def of_version(cls, version: DocumentVersion) -> Embedding:
        """As a version was stored."""
        return cls.stored(version.embedding_model, version.models)

    @classmethod
    def stored(cls, vectors: str, data: Mapping[str, Any] | None) -> Embedding:
        """Read back what `data` wrote; None is a version of one model, which has no name."""
        data = data or {}
        languages = data.get("languages", {})
        return cls(
            Model(data.get("name", ""), vectors),
            tuple((language, Model(*languages[language])) for language in sorted(languages)),
        )

    def data(self) -> dict[str, Any]:
        """What a version keeps beside the name of its vectors."""
        return {
            "name": self.model.name,
            "languages": {language: list(model) for language, model in self.languages},
        }

    def of(self, language: str | None) -> Model:
        """The model of a chunk in `language`."""
        found = dict(self.languages)
        return found.get(language or EVERY) or found.get(EVERY) or self.model

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model that a chunk may be embedded by."""
        found = [model for _, model in self.languages]
        if EVERY not in dict(self.languages):
            found.insert(0, self.model)
        return tuple(dict.fromkeys(found))

    @property
    def key(self) -> str:
        """What decides the vectors, as a string: part of a version's identity."""
        if not self.languages:
            return self.model.vectors
        languages = {language: model.vectors for language, model in self.languages}
        return json.dumps([self.model.vectors, languages], sort_keys=True)


@dataclass(frozen=True, slots=True)
class Share:
    """The models of a version and, where they differ by language, the language it is in."""

    embedding: Embedding
    #: Language of chunks that tell none; None where it makes no difference.
    spoken: str | None = None

    @classmethod
    def of(cls, embedding: Embedding, language: str | None) -> Share:
        """The share of a version in `language`."""
        return cls(embedding, language if embedding.languages else None)

    @property
    def single(self) -> str | None:
        """Name of the vectors of all its chunks; None where they may differ."""
        return None if self.embedding.languages else self.embedding.model.vectors

    def vectors(self, language: str | None) -> str:
        """Name of the vectors of a chunk in `language`."""
        return self.embedding.of(language or self.spoken).vectors
