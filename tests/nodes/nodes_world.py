"""A small real world for nodes: real models over a knowledge base kept in memory."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from app.documents.embed import Embedder, load_embedder, tokenizer_of
from app.documents.extract import extract
from app.documents.tokens import Tokenizer
from app.engine.context import IndexReport, NodeContext, SearchOutcome, SearchRequest
from app.engine.events import Event, TokenEvent
from app.engine.problems import RagloomError
from app.engine.values import Block, Box, Chunk, Document
from app.retrieval.adaptive import choose_search
from app.retrieval.fusion import convex_fusion
from app.retrieval.glossary import build_glossary
from app.retrieval.rerank import CrossEncoder, load_cross_encoder
from app.services.providers import stream_chat


@cache
def embedder() -> Embedder:
    return load_embedder()


@cache
def reranker() -> CrossEncoder:
    return load_cross_encoder()


class RealModels:
    """The embedded models, and litellm for every other name."""

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"], model: str = "default"
    ) -> np.ndarray:
        return await asyncio.to_thread(embedder().embed, texts, kind)

    async def tokenizer(self, model: str = "default") -> Tokenizer:
        return tokenizer_of(embedder())

    async def rerank(
        self, query: str, passages: Sequence[str], *, model: str = "default"
    ) -> Sequence[float]:
        return await asyncio.to_thread(reranker().scores, query, passages)

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        model: str,
        temperature: float,
        max_tokens: int,
        timeout_s: float,
        response_format: Mapping[str, Any] | None = None,
        on_usage: Callable[[Mapping[str, float]], None] | None = None,
    ) -> AsyncIterator[str]:
        return stream_chat(
            messages,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout_s=timeout_s,
            response_format=response_format,
            on_usage=on_usage,
        )

    def fingerprint(self, model: str, kind: Literal["embed", "rerank", "llm"]) -> str:
        return f"{kind}:{model}"


class MemoryKnowledge:
    """One knowledge base, "kb"; every indexed document is a commit."""

    def __init__(self) -> None:
        self.chunks: dict[str, Chunk] = {}
        self.stored: dict[str, np.ndarray] = {}
        self.commits = 0
        self.requests: list[SearchRequest] = []

    async def resolve(self, kb: str, ref: str = "main") -> tuple[str, str]:
        if kb != "kb":
            raise RagloomError(f"There is no knowledge base “{kb}”.", code="not_found")
        return "kb", f"commit-{self.commits}"

    async def search(self, kb: str, request: SearchRequest) -> SearchOutcome:
        kb_id, commit = await self.resolve(kb, request.ref)
        self.requests.append(request)
        kind, weight = request.search_type, request.semantic_weight
        if kind == "adaptive":
            choice = choose_search(request.query)
            kind, weight = choice.search_type, choice.semantic_weight
        ids = [c for c in self.chunks if self._fits(self.chunks[c], request.filters)]
        asked = embedder().embed([request.query], "query")[0]
        semantic = {c: float(self.stored[c] @ asked) for c in ids} if kind != "keyword" else {}
        keyword = self._keyword(request.query, ids) if kind != "semantic" else {}
        if kind == "hybrid":
            ranked = convex_fusion(semantic, keyword, semantic_weight=weight)
        else:
            ranked = sorted((semantic or keyword).items(), key=lambda pair: -pair[1])
        least = request.score_threshold
        kept = [(c, s) for c, s in ranked if least is None or s >= least][: request.k]
        found = tuple(
            self.chunks[c].model_copy(update={"score": s, "scores": {kind: s}}) for c, s in kept
        )
        return SearchOutcome(
            chunks=found, knowledge_base_id=kb_id, commit=commit, search_type=kind, took_ms=0.0
        )

    async def vectors(self, kb: str, chunk_ids: Sequence[str]) -> np.ndarray:
        return np.stack([self.stored[c] for c in chunk_ids])

    async def glossary(self, kb: str, ref: str = "main") -> Mapping[str, str]:
        return build_glossary(c.content for c in self.chunks.values())

    async def vocabulary(self, kb: str, ref: str = "main") -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for chunk in self.chunks.values():
            counts.update(set(re.findall(r"[^\W\d_]+", chunk.content.lower())))
        return counts

    async def index(
        self,
        kb: str,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        ref: str = "main",
        processing: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexReport:
        await self.resolve(kb, ref)
        texts = [c.embed_text or c.content for c in chunks]
        vectors = await asyncio.to_thread(embedder().embed, texts, "passage")
        for done, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True), start=1):
            self.chunks[chunk.chunk_id] = chunk
            self.stored[chunk.chunk_id] = vector
            if progress:
                progress(done, len(chunks))
        self.commits += 1
        return IndexReport(
            document_id=document.document_id,
            filename=document.filename,
            change="added",
            chunks=len(chunks),
            embedded=len(chunks),
            commit=f"commit-{self.commits}",
        )

    def _keyword(self, query: str, ids: Sequence[str]) -> dict[str, float]:
        wanted = set(re.findall(r"\w+", query.lower()))
        counts = {
            c: float(len(wanted & set(re.findall(r"\w+", self.chunks[c].content.lower()))))
            for c in ids
        }
        return {c: n for c, n in counts.items() if n}

    @staticmethod
    def _fits(chunk: Chunk, filters: Mapping[str, Any]) -> bool:
        values = {"filename": chunk.document_name, "page": chunk.page, **chunk.metadata}
        return all(values.get(name) == wanted for name, wanted in filters.items())


class FolderFiles:
    """Originals in a folder, under their hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes) -> dict[str, Any]:
        sha = hashlib.sha256(data).hexdigest()
        (self.folder / f"{sha}{Path(name).suffix}").write_bytes(data)
        return {"filename": name, "blob": sha, "size": len(data)}

    async def path(self, blob: str) -> Path:
        return next(self.folder.glob(f"{blob}*"))

    async def extract(self, document: Document, options: Mapping[str, Any]) -> Document:
        from app.documents.errors import DocumentError

        try:
            read = await asyncio.to_thread(extract, await self.path(document.blob))
        except DocumentError as error:
            raise RagloomError(str(error), code="unreadable", fix="Mend the file.") from error
        blocks = tuple(
            Block(
                kind=b.kind,
                text=b.text,
                page=b.page,
                level=b.level,
                boxes=tuple(Box(**box.model_dump()) for box in b.boxes),
            )
            for b in read.blocks
        )
        return document.model_copy(
            update={"blocks": blocks, "title": read.title, "media_type": read.media_type}
        )


class SmallWorld:
    """All of it."""

    def __init__(self, folder: Path) -> None:
        self.knowledge = MemoryKnowledge()
        self.models = RealModels()
        self.files = FolderFiles(folder)

    def context(self, **input_data: Any) -> Watched:
        return Watched(self, input_data)


class Watched(NodeContext):
    """A context that keeps what the node told its watchers."""

    def __init__(self, world: SmallWorld, input_data: Mapping[str, Any]) -> None:
        self.events: list[Event] = []
        super().__init__("run", "node", world, input_data, self.events.append)

    @property
    def streamed(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TokenEvent))


def chunk(number: int, content: str, **fields: Any) -> Chunk:
    return Chunk(
        **{
            "chunk_id": f"c{number}",
            "document_id": f"d{number}",
            "document_name": f"file{number}.md",
            "content": content,
            **fields,
        }
    )
