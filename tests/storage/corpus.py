"""Documents made of words, with embeddings that follow from their text: no model is needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.ids import text_hash
from storage.knowledge import KnowledgeRepository
from storage.projections import Projector
from storage.search import ChunkSearch
from storage.tables import Chunk, Commit, DocumentVersion

MODEL = "test/words"
DIM = 64


def embed(text: str) -> np.ndarray:
    """Sum of one random direction for each word: texts that share words are near each other."""
    total = np.zeros(DIM, "f4")
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(DIM).astype("f4")
    return total / max(float(np.linalg.norm(total)), 1e-9)


@dataclass(frozen=True)
class Stores:
    projector: Projector
    search: ChunkSearch


@dataclass
class Corpus:
    """A knowledge base that is filled with texts."""

    knowledge: KnowledgeRepository
    name: str = "corpus"
    kb: str = ""

    def __post_init__(self) -> None:
        self.kb = self.kb or self.knowledge.create(self.name).id

    @classmethod
    def existing(cls, knowledge: KnowledgeRepository, name: str = "corpus") -> Corpus:
        """The knowledge base of that name, made when there is none."""
        found = [base.id for base in knowledge.list()[0] if base.name == name]
        return cls(knowledge, name, *found)

    def put(
        self,
        filename: str,
        texts: Sequence[str],
        *,
        ref: str = "main",
        facts: dict[str, Any] | None = None,
        chunk_facts: Sequence[dict[str, Any]] | None = None,
        vectors: dict[str, np.ndarray] | None = None,
    ) -> tuple[Commit, str]:
        """Commit a document whose chunks are `texts`."""
        document = self.knowledge.ensure_document(self.kb, filename)
        version = DocumentVersion(
            id="",
            document_id=document.id,
            knowledge_base_id=self.kb,
            content_hash=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
            config_hash="default",
            embedding_model=MODEL,
            created_at=time.time(),
            **(facts or {}),
        )
        extra = chunk_facts or [{} for _ in texts]
        chunks = [
            Chunk(
                id="",
                version_id="",
                document_id="",
                ordinal=0,
                content=text,
                text_hash="",
                **more,
            )
            for text, more in zip(texts, extra, strict=True)
        ]
        if vectors is None:
            known = self.knowledge.known_vectors(MODEL, [text_hash(text) for text in texts])
            vectors = {text_hash(t): embed(t) for t in texts if text_hash(t) not in known}
        return self.knowledge.commit_document(
            self.kb, ref, version, chunks, vectors, MODEL, "tester", f"Add {filename}"
        )

    def remove(self, filename: str, ref: str = "main") -> Commit:
        document = self.knowledge.ensure_document(self.kb, filename)
        return self.knowledge.remove_document(self.kb, ref, document.id, "tester", "Remove")

    def head(self, ref: str = "main") -> str:
        return self.knowledge.resolve(self.kb, ref).id

    def texts(self, hits: Sequence[tuple[str, float]]) -> list[str]:
        rows = self.knowledge.chunks_by_ids([id for id, _ in hits])
        return [row.content for row in rows]
