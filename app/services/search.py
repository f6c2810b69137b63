"""Searching a knowledge base at any branch or commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.context import SearchOutcome, SearchRequest, SearchType
from app.engine.problems import RagloomError
from app.engine.values import Box, Chunk
from app.retrieval.adaptive import choose_search
from app.retrieval.fusion import convex_fusion
from app.services.indexer import Indexer
from app.services.models import ModelService
from app.services.threads import call
from app.services.views import SearchConfig, SearchResponse
from storage import tables
from storage.filters import Candidates
from storage.knowledge import KnowledgeRepository
from storage.search import ChunkSearch

#: Each side of a hybrid search hands in at least this many, so that fusion sees both rankings.
_DEPTH = 50
#: Passages that are read again by the reranker, at least.
_RERANKED = 20


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where and how to search, decided before any index is asked."""

    kb_id: str
    commit: str
    model: str
    search_type: SearchType
    semantic_weight: float
    candidates: Candidates | None
    reason: str = ""


class SearchService:
    """Semantic, keyword, hybrid and adaptive search, with filters and reranking."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        models: ModelService,
        indexer: Indexer,
        *,
        max_query_chars: int,
    ) -> None:
        self._repository = repository
        self._models = models
        self._indexer = indexer
        self._max_query_chars = max_query_chars
        self._chunks: ChunkSearch | None = None

    async def search(self, kb: str, query: str, config: SearchConfig) -> SearchResponse:
        """Search as REST asks for it; `metadata` says how it was done."""
        started = time.perf_counter()
        wanted = max(config.k, _RERANKED) if config.rerank else config.k
        request = SearchRequest(
            query=query,
            search_type=config.search_type,
            k=wanted,
            semantic_weight=config.semantic_weight,
            # With a reranker the threshold means its scores.
            score_threshold=None if config.rerank else config.score_threshold,
            filters=config.filters,
            ref=config.ref,
            target_languages=tuple(config.target_languages),
        )
        plan, chunks = await self._run(kb, request)
        if config.rerank:
            chunks = await self._rerank(query, chunks, config)
        metadata: dict[str, Any] = {
            "search_type": plan.search_type,
            "took_ms": round((time.perf_counter() - started) * 1000, 2),
            "commit": plan.commit,
            "ref": config.ref,
            "knowledge_base_id": plan.kb_id,
            "total": len(chunks),
            "reranked": config.rerank,
        }
        if plan.search_type == "hybrid":
            metadata["semantic_weight"] = plan.semantic_weight
        if plan.reason:
            metadata["reason"] = plan.reason
        return SearchResponse(results=list(chunks), metadata=metadata)

    async def run(self, kb: str, request: SearchRequest) -> SearchOutcome:
        """Search as nodes ask for it."""
        started = time.perf_counter()
        plan, chunks = await self._run(kb, request)
        return SearchOutcome(
            chunks=tuple(chunks),
            knowledge_base_id=plan.kb_id,
            commit=plan.commit,
            search_type=plan.search_type,
            took_ms=(time.perf_counter() - started) * 1000,
        )

    async def _run(self, kb: str, request: SearchRequest) -> tuple[_Plan, list[Chunk]]:
        query = self._checked(request.query)
        plan = await call(self._plan, kb, request)
        depth = request.k if plan.search_type != "hybrid" else max(_DEPTH, request.k * 2)
        semantic: Mapping[str, float] = {}
        keyword: Mapping[str, float] = {}
        if plan.search_type == "hybrid":
            semantic, keyword = await asyncio.gather(
                self._semantic(plan, query, depth), self._keyword(plan, query, depth)
            )
        elif plan.search_type == "semantic":
            semantic = await self._semantic(plan, query, depth)
        else:
            keyword = await self._keyword(plan, query, depth)
        ranked = _ranked(plan, semantic, keyword)
        if request.score_threshold is not None:
            ranked = [pair for pair in ranked if pair[1] >= request.score_threshold]
        ranked = ranked[: request.k]
        sides = {"semantic": semantic, "keyword": keyword}
        if plan.search_type == "hybrid":
            sides["hybrid"] = dict(ranked)
        return plan, await call(self._hydrate, ranked, sides)

    def _checked(self, query: str) -> str:
        query = query.strip()
        if not query:
            raise RagloomError(
                "The query is empty.", code="empty_query", fix="Type what to search for."
            )
        if len(query) > self._max_query_chars:
            raise RagloomError(
                f"The query has {len(query):,} characters; at most {self._max_query_chars:,} are "
                "accepted.",
                code="query_too_long",
                fix="Shorten it, or raise max_query_chars.",
            )
        return query

    def _plan(self, kb: str, request: SearchRequest) -> _Plan:
        row = self._repository.find(kb)
        commit = self._repository.resolve(row.id, request.ref)
        candidates = self._repository.candidates(
            commit.id, request.filters, request.target_languages
        )
        search_type, weight, reason = request.search_type, request.semantic_weight, ""
        if search_type == "adaptive":
            choice = choose_search(request.query)
            search_type, weight = choice.search_type, choice.semantic_weight
            reason = choice.reason
        return _Plan(
            kb_id=row.id,
            commit=commit.id,
            model=row.config["embedding_model"],
            search_type=search_type,
            semantic_weight=weight,
            candidates=candidates,
            reason=reason,
        )

    async def _semantic(self, plan: _Plan, query: str, depth: int) -> dict[str, float]:
        model = await self._models.vector_name(plan.model)
        vectors = await self._models.embed([query], kind="query", model=plan.model)
        stores = await self._stores()
        found = await call(
            stores.semantic, plan.kb_id, plan.commit, model, vectors[0], depth, plan.candidates
        )
        return dict(found)

    async def _keyword(self, plan: _Plan, query: str, depth: int) -> dict[str, float]:
        stores = await self._stores()
        found = await call(stores.keyword, plan.kb_id, plan.commit, query, depth, plan.candidates)
        return dict(found)

    async def _stores(self) -> ChunkSearch:
        if self._chunks is None:
            projector = await self._indexer.projector()
            self._chunks = ChunkSearch(self._repository, projector.vectors, projector.keywords)
        return self._chunks

    async def _rerank(
        self, query: str, chunks: Sequence[Chunk], config: SearchConfig
    ) -> list[Chunk]:
        if not chunks:
            return []
        scores = await self._models.rerank(query, [chunk.content for chunk in chunks])
        order = sorted(range(len(chunks)), key=lambda i: -scores[i])
        threshold = config.score_threshold
        return [
            chunks[i].model_copy(
                update={"score": scores[i], "scores": {**chunks[i].scores, "rerank": scores[i]}}
            )
            for i in order[: config.k]
            if threshold is None or scores[i] >= threshold
        ]

    def _hydrate(
        self, ranked: Sequence[tuple[str, float]], sides: Mapping[str, Mapping[str, float]]
    ) -> list[Chunk]:
        rows = self._repository.chunks_by_ids([chunk_id for chunk_id, _ in ranked])
        documents = self._repository.documents(list({row.document_id for row in rows}))
        names = {document.id: document.filename for document in documents}
        score = dict(ranked)
        return [
            chunk_value(
                row,
                names[row.document_id],
                score[row.id],
                {side: float(of[row.id]) for side, of in sides.items() if row.id in of},
            )
            for row in rows
        ]


def _ranked(
    plan: _Plan, semantic: Mapping[str, float], keyword: Mapping[str, float]
) -> list[tuple[str, float]]:
    if plan.search_type == "hybrid":
        return convex_fusion(semantic, keyword, semantic_weight=plan.semantic_weight)
    return list((semantic or keyword).items())


def chunk_value(
    row: tables.Chunk, filename: str, score: float | None, scores: dict[str, float]
) -> Chunk:
    """A stored chunk as it travels along wires."""
    return Chunk(
        chunk_id=row.id,
        document_id=row.document_id,
        document_name=filename,
        content=row.content,
        score=None if score is None else float(score),
        scores=scores,
        page=row.page,
        headings=tuple(row.headings),
        boxes=tuple(Box(**box) for box in row.boxes),
        start=row.start,
        end=row.end,
        embed_text=row.embed_text,
        language=row.language,
        metadata=row.meta,
    )
