"""Searching a knowledge base at any branch or commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.documents.language import detect_language
from app.engine.context import SearchOutcome, SearchRequest, SearchType
from app.engine.problems import RagloomError
from app.engine.values import Box, Chunk
from app.retrieval.adaptive import choose_search
from app.retrieval.fusion import RRF_K, convex_fusion, reciprocal_rank_fusion
from app.services.knowledge.expand import CHILDREN_PER_PARENT, expand_parents
from app.services.knowledge.indexer import Indexer
from app.services.languages import check_languages
from app.services.models import DEFAULT_EMBEDDER, ModelService
from app.services.threads import call
from app.services.views import SearchConfig, SearchResponse
from storage.ancestry import Place
from storage.embedding import EVERY, Model
from storage.errors import REEMBED
from storage.filters import Candidates
from storage.knowledge import KnowledgeRepository
from storage.lru import Lru
from storage.search import ChunkSearch, Hits

if TYPE_CHECKING:
    import numpy as np
    from sqlalchemy import Row

#: Each side of a hybrid search hands in at least this many, so that fusion sees both rankings.
_DEPTH = 50
#: Passages that are read again by the reranker, at least.
_RERANKED = 20
_MOST_NAMES = 100_000
_MOST_BRANCHES = 1_000


@dataclass(frozen=True, slots=True)
class _How:
    """Which indexes are asked, and how much they hand in."""

    search_type: SearchType
    semantic_weight: float
    depth: int
    reason: str = ""

    @classmethod
    def of(cls, query: str, request: SearchRequest) -> _How:
        """As asked for; adaptive search looks at the query."""
        search_type, weight, reason = request.search_type, request.semantic_weight, ""
        if search_type == "adaptive":
            choice = choose_search(query)
            search_type, weight = choice.search_type, choice.semantic_weight
            reason = choice.reason
        depth = max(_DEPTH, request.k * 2) if search_type == "hybrid" else request.k
        return cls(search_type, weight, depth, reason)

    @property
    def semantic(self) -> bool:
        """Whether the vectors are asked."""
        return self.search_type != "keyword"

    @property
    def keyword(self) -> bool:
        """Whether the words are asked."""
        return self.search_type != "semantic"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where and how to search."""

    kb_id: str
    commit: str
    #: The models that embedded what is searched.
    models: tuple[Model, ...]
    candidates: Candidates | None
    how: _How


def _children(k: int, expand: str) -> int:
    """How many chunks to find so that about `k` passages come of them."""
    return k * CHILDREN_PER_PARENT if expand == "parent" else k


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
        #: Names of the embedding models of a branch, as they were at its last search.
        self._known_models: Lru[tuple[str, str], tuple[str, ...]] = Lru(_MOST_BRANCHES)
        self._names: dict[str, str] = {}

    async def search(self, kb: str, query: str, config: SearchConfig) -> SearchResponse:
        """Search as REST asks for it; `metadata` says how it was done."""
        started = time.perf_counter()
        check_languages(config.target_languages, "target_languages")
        kept = _children(config.k, config.expand)
        wanted = max(kept, _RERANKED) if config.rerank else kept
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
            chunks = await self._rerank(query, chunks, config, kept)
        if config.expand == "parent":
            chunks = await call(expand_parents, self._repository, chunks, config.k)
        metadata: dict[str, Any] = {
            "search_type": plan.how.search_type,
            "took_ms": round((time.perf_counter() - started) * 1000, 2),
            "commit": plan.commit,
            "ref": config.ref,
            "knowledge_base_id": plan.kb_id,
            "total": len(chunks),
            "reranked": config.rerank,
        }
        if plan.how.semantic:
            metadata["embedding_models"] = [model.name for model in plan.models]
        if plan.how.search_type == "hybrid":
            metadata["semantic_weight"] = plan.how.semantic_weight
        if plan.how.reason:
            metadata["reason"] = plan.how.reason
        return SearchResponse(results=list(chunks), metadata=metadata)

    async def run(self, kb: str, request: SearchRequest) -> SearchOutcome:
        """Search as nodes ask for it."""
        started = time.perf_counter()
        if request.expand == "parent":
            wider = request.model_copy(update={"k": _children(request.k, request.expand)})
            plan, chunks = await self._run(kb, wider)
            chunks = await call(expand_parents, self._repository, chunks, request.k)
        else:
            plan, chunks = await self._run(kb, request)
        return SearchOutcome(
            chunks=tuple(chunks),
            knowledge_base_id=plan.kb_id,
            commit=plan.commit,
            search_type=plan.how.search_type,
            took_ms=(time.perf_counter() - started) * 1000,
        )

    async def _run(self, kb: str, request: SearchRequest) -> tuple[_Plan, list[Chunk]]:
        query = self._checked(request.query)
        how = _How.of(query, request)
        stores = await self._stores()
        # The query is embedded while the words are looked up; that needs the models' names, which
        # seldom change.
        guess = (self._known_models.peek((kb, request.ref)) or ()) if how.semantic else ()
        early = {name: asyncio.create_task(self._embed(query, name)) for name in guess}
        try:
            # The embedder gets going before the look-up takes the interpreter: it needs it least.
            await asyncio.sleep(0)
            plan, keyword = await call(self._look_up, stores, kb, query, request, how)
            embedded: list[tuple[str, np.ndarray]] = []
            if how.semantic:
                self._known_models.put((kb, request.ref), tuple(m.name for m in plan.models))
                embedded = await self._embedded(query, plan.models, early)
            return plan, await call(self._finish, stores, plan, request, keyword, embedded)
        finally:
            for task in early.values():
                task.cancel()

    async def _embedded(
        self,
        query: str,
        models: Sequence[Model],
        early: Mapping[str, asyncio.Task[tuple[str, np.ndarray]]],
    ) -> list[tuple[str, np.ndarray]]:
        """The query as each model has it. Raises RagloomError “model_mismatch”."""
        found = await asyncio.gather(
            *(early.get(model.name) or self._embed(query, model.name) for model in models)
        )
        for model, (vectors, _) in zip(models, found, strict=True):
            if vectors != model.vectors:
                raise RagloomError(
                    f"The documents were embedded with “{model.vectors}”; “{model.name}” is "
                    f"“{vectors}” now.",
                    code="model_mismatch",
                    fix=REEMBED,
                )
        return found

    def _names_of(self, document_ids: set[str]) -> Mapping[str, str]:
        """File names of documents; they never change, so most are known from earlier searches."""
        if unknown := document_ids - self._names.keys():
            if len(self._names) > _MOST_NAMES:
                self._names, unknown = {}, document_ids
            for document in self._repository.documents(list(unknown)):
                self._names[document.id] = document.filename
        return self._names

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

    def _look_up(
        self, stores: ChunkSearch, kb: str, query: str, request: SearchRequest, how: _How
    ) -> tuple[_Plan, dict[str, float]]:
        """Decide where to search, and search for the words."""
        place = self._repository.locate(kb, request.ref)
        if place is None:  # the ref is a commit, or one of both is not there
            base = self._repository.find(kb)
            commit = self._repository.resolve(base.id, request.ref)
            place = Place(base.id, base.config, commit.id)
        plan = _Plan(
            kb_id=place.kb_id,
            commit=place.commit_id,
            models=self._models_at(place, request, query) if how.semantic else (),
            candidates=self._repository.candidates(
                place.commit_id, request.filters, request.target_languages
            ),
            how=how,
        )
        if not how.keyword:
            return plan, {}
        hits = stores.keyword(plan.kb_id, plan.commit, query, how.depth, plan.candidates)
        return plan, dict(hits)

    def _models_at(self, place: Place, request: SearchRequest, query: str) -> tuple[Model, ...]:
        found: dict[str, Model] = {}
        languages = request.target_languages
        for name, vectors in self._repository.models_at(place.commit_id, languages):
            # Two names of one model are asked once; older versions tell none.
            if name or vectors not in found:
                found[vectors] = Model(name or self._unnamed(place, vectors), vectors)
        if len(found) < 2:
            return tuple(found.values())
        # The first of equal ranks wins: that of a model which reads the query's language, since
        # the best of one that does not may be anything.
        spoken = detect_language(query) or EVERY
        own = {model.vectors for model in self._repository.models_at(place.commit_id, [spoken])}
        return tuple(sorted(found.values(), key=lambda model: model.vectors not in own))

    def _unnamed(self, place: Place, vectors: str) -> str:
        """The model of a version from before versions told theirs."""
        if vectors == self._models.fingerprint(DEFAULT_EMBEDDER, "embed"):
            return DEFAULT_EMBEDDER
        return str(place.config["embedding_model"])

    def _finish(
        self,
        stores: ChunkSearch,
        plan: _Plan,
        request: SearchRequest,
        keyword: Mapping[str, float],
        embedded: Sequence[tuple[str, np.ndarray]],
    ) -> list[Chunk]:
        """Search for the meaning, join both sides, and read the chunks."""
        how, least = plan.how, request.score_threshold
        found = [
            stores.semantic(plan.kb_id, plan.commit, model, vector, how.depth, plan.candidates)
            for model, vector in embedded
        ]
        if how.search_type == "semantic" and least is not None:
            # A threshold means cosines, also where ranks decide the order.
            found, least = [[hit for hit in hits if hit[1] >= least] for hits in found], None
        cosines = {id: score for hits in found for id, score in hits}
        sides: dict[str, Mapping[str, float]] = {"semantic": cosines, "keyword": keyword}
        semantic = dict(_by_rank(found)) if len(found) > 1 else cosines
        if how.search_type == "hybrid":
            ranked = convex_fusion(semantic, keyword, semantic_weight=how.semantic_weight)
            sides["hybrid"] = dict(ranked)
        else:
            ranked = list((semantic if how.semantic else keyword).items())
        if least is not None:
            ranked = [pair for pair in ranked if pair[1] >= least]
        return self._hydrate(ranked[: request.k], sides)

    async def _embed(self, query: str, model: str) -> tuple[str, np.ndarray]:
        """(name under which vectors are stored, vector of the query)."""
        vectors = await self._models.embed([query], kind="query", model=model)
        return await self._models.vector_name(model), vectors[0]

    async def _stores(self) -> ChunkSearch:
        if self._chunks is None:
            projector = await self._indexer.projector()
            self._chunks = ChunkSearch(self._repository, projector.vectors, projector.keywords)
        return self._chunks

    async def _rerank(
        self, query: str, chunks: Sequence[Chunk], config: SearchConfig, kept: int
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
            for i in order[:kept]
            if threshold is None or scores[i] >= threshold
        ]

    def _hydrate(
        self, ranked: Sequence[tuple[str, float]], sides: Mapping[str, Mapping[str, float]]
    ) -> list[Chunk]:
        rows = self._repository.chunks_by_ids([chunk_id for chunk_id, _ in ranked])
        names = self._names_of({row.document_id for row in rows})
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


def _by_rank(lists: Sequence[Hits]) -> list[tuple[str, float]]:
    """One list of what several models found, whose cosines do not compare; the first scores 1."""
    fused = reciprocal_rank_fusion([[id for id, _ in hits] for hits in lists])
    return [(id, score * (RRF_K + 1)) for id, score in fused]


def chunk_value(
    row: Row[Any], filename: str, score: float | None, scores: dict[str, float]
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
