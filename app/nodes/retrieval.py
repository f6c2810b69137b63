"""Finding passages, and putting the best ones first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from app.engine.context import NodeContext, SearchRequest, SearchType, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.values import Chunk, Chunks, Query
from app.nodes.knowledge_bases import knowledge_base_problems, no_knowledge_base
from app.retrieval.mmr import mmr

RefName = Annotated[str, Field(min_length=1, max_length=200)]


class Retrieve(Node["Retrieve.Config"]):
    """Find the passages of a knowledge base that fit a question.

    Semantic search compares meanings, keyword search compares words (BM25), hybrid search joins
    both with a weight you set, and adaptive search picks one of them by what the question looks
    like. Filters that came with the question are added to those set here.
    """

    type, version, title, family, icon = "retrieve", 1, "Retrieve", "retrieval", "search"

    class Config(NodeConfig):
        """Settings of the search."""

        knowledge_base: str = Field(
            "",
            max_length=200,
            description="Name or id of the knowledge base to search.",
            json_schema_extra={"widget": "knowledge_base"},
        )
        search_type: SearchType = Field(
            "hybrid",
            description="How to search: by meaning (semantic), by words (keyword), by both "
            "(hybrid), or whichever suits the question (adaptive).",
        )
        k: int = Field(
            10, ge=1, le=200, title="Passages to find (k)", description="How many passages to find."
        )
        semantic_weight: float = Field(
            0.5,
            ge=0,
            le=1,
            multiple_of=0.05,
            title="Weight of meaning",
            description="Share of the semantic side in hybrid search: 0 is words alone, 1 is "
            "meaning alone.",
            json_schema_extra={"widget": "slider"},
        )
        score_threshold: float | None = Field(
            None,
            ge=0,
            le=1_000,
            title="Lowest score",
            description="Leave out passages that score below this. Semantic and hybrid scores "
            "lie between 0 and 1; keyword scores (BM25) have no upper end.",
        )
        expand: Literal["none", "parent"] = Field(
            "none",
            title="Return",
            description="“none” returns the passages that were found; “parent” the larger ones "
            "they stand in, where documents were cut into parents and children.",
        )
        filters: dict[str, Any] = Field(
            default_factory=dict,
            description="Only passages whose fields match, such as filename, page, language or "
            "a metadata field.",
            json_schema_extra={"widget": "filters"},
        )
        ref: RefName = Field(
            "main",
            title="Branch or commit",
            description="Branch or commit of the knowledge base to search.",
            json_schema_extra={"widget": "ref"},
        )

    class Outputs(NodeOutputs):
        """What was found."""

        chunks: Chunks = Field(description="The passages found, best first.")

    async def run(
        self, query: Annotated[Query, "The question to search for."], ctx: NodeContext
    ) -> Outputs:
        """Search."""
        config = self.config
        found = await ctx.world.knowledge.search(
            self._knowledge_base(),
            SearchRequest(
                query=query.text,
                search_type=config.search_type,
                k=config.k,
                semantic_weight=config.semantic_weight,
                score_threshold=config.score_threshold,
                filters={**query.filters, **config.filters},
                ref=config.ref,
                expand=config.expand,
            ),
        )
        ctx.progress(1, 1, f"{found.search_type} search, {found.took_ms:.0f} ms")
        return self.Outputs(
            chunks=Chunks(
                items=found.chunks,
                knowledge_base_id=found.knowledge_base_id,
                commit=found.commit,
            )
        )

    async def fingerprint(self, world: World) -> str:
        """Commit of the knowledge base; the embedding model belongs to it."""
        return ":".join(await world.knowledge.resolve(self._knowledge_base(), self.config.ref))

    def _knowledge_base(self) -> str:
        if not self.config.knowledge_base:
            raise no_knowledge_base()
        return self.config.knowledge_base

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """A knowledge base must be chosen."""
        return knowledge_base_problems(config)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        kind = config.get("search_type", "hybrid")
        name = config.get("knowledge_base") or "no knowledge base yet"
        ref = config.get("ref", "main")
        return f"{config.get('k', 10)} by {kind} search in {name}" + (
            f" at {ref[:12]}" if ref != "main" else ""
        )


class Rerank(Node["Rerank.Config"]):
    """Re-order passages by how well each one answers the question.

    A cross-encoder reads question and passage together: slower than search, and far better at
    telling an answer from a passage about the same thing. Give it more passages than you need
    and keep the best.
    """

    type, version, title, family, icon = "rerank", 1, "Rerank", "retrieval", "sort"

    class Config(NodeConfig):
        """Settings of the reranker."""

        model: str = Field(
            "cross-encoder",
            min_length=1,
            max_length=300,
            description="“cross-encoder” is the built-in ms-marco-MiniLM-L-12-v2 (English); or "
            "the name or folder of any SentenceTransformers cross-encoder.",
            json_schema_extra={"widget": "reranker"},
        )
        top_k: int = Field(
            5, ge=1, le=200, title="Passages to keep (k)", description="How many passages to keep."
        )
        score_threshold: float | None = Field(
            None,
            ge=0,
            le=1,
            title="Lowest score",
            description="Leave out passages that score below this, between 0 and 1.",
        )

    class Outputs(NodeOutputs):
        """What was kept."""

        chunks: Chunks = Field(description="The passages that answer best, best first.")

    async def run(
        self,
        query: Annotated[Query, "The question to compare with."],
        chunks: Annotated[Chunks, "The passages to re-order."],
        ctx: NodeContext,
    ) -> Outputs:
        """Score every passage against the question."""
        passages = [with_headings(chunk) for chunk in chunks.items]
        scores = (
            await ctx.world.models.rerank(query.text, passages, model=self.config.model)
            if passages
            else []
        )
        scored = sorted(zip(chunks.items, scores, strict=True), key=lambda pair: -pair[1])
        least = self.config.score_threshold or 0.0
        kept = tuple(
            rescored(chunk, "rerank", score)
            for chunk, score in scored[: self.config.top_k]
            if score >= least
        )
        return self.Outputs(chunks=chunks.model_copy(update={"items": kept}))

    async def fingerprint(self, world: World) -> str:
        """The model behind the name."""
        return world.models.fingerprint(self.config.model, "rerank")

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"top {config.get('top_k', 5)} by {config.get('model', 'cross-encoder')}"


class Diversify(Node["Diversify.Config"]):
    """Keep passages that are relevant and do not repeat each other.

    Maximal marginal relevance picks the best passage first, and then again and again the one that
    is relevant and least like those already picked.
    """

    type, version, title, family, icon = "diversify", 1, "Diversify", "retrieval", "scatter_plot"

    class Config(NodeConfig):
        """Settings of the choice."""

        top_k: int = Field(
            5, ge=1, le=200, title="Passages to keep (k)", description="How many passages to keep."
        )
        relevance_weight: float = Field(
            0.7,
            ge=0,
            le=1,
            multiple_of=0.05,
            title="Weight of relevance",
            description="1 keeps the order by relevance, 0 cares for variety alone.",
            json_schema_extra={"widget": "slider"},
        )
        embedding_model: str = Field(
            "default",
            min_length=1,
            max_length=300,
            description="Model that compares passages which no knowledge base holds vectors of.",
            json_schema_extra={"widget": "embedding_model"},
        )

    class Outputs(NodeOutputs):
        """What was kept."""

        chunks: Chunks = Field(description="Relevant passages without repetition.")

    async def run(
        self,
        chunks: Annotated[Chunks, "The passages to choose from."],
        ctx: NodeContext,
        query: Annotated[Query | None, "Scores passages that come without a score."] = None,
    ) -> Outputs:
        """Choose."""
        items = chunks.items
        if not items:
            return self.Outputs(chunks=chunks)
        if chunks.knowledge_base_id is not None:
            vectors = await ctx.world.knowledge.vectors(
                chunks.knowledge_base_id, [chunk.chunk_id for chunk in items]
            )
        else:
            vectors = await ctx.world.models.embed(
                [chunk.embed_text or chunk.content for chunk in items],
                kind="passage",
                model=self.config.embedding_model,
            )
        relevance: list[float]
        if all(chunk.score is not None for chunk in items):
            relevance = [chunk.score or 0.0 for chunk in items]
        elif query is not None and chunks.knowledge_base_id is None:
            asked = await ctx.world.models.embed(
                [query.text], kind="query", model=self.config.embedding_model
            )
            relevance = [float(s) for s in vectors @ asked[0]]
        else:
            # Passages come best first, so that their place stands in for a score.
            relevance = [1 / (rank + 1) for rank in range(len(items))]
        picked = mmr(
            relevance, vectors, k=self.config.top_k, relevance_weight=self.config.relevance_weight
        )
        kept = tuple(items[i] for i in picked)
        return self.Outputs(chunks=chunks.model_copy(update={"items": kept}))

    async def fingerprint(self, world: World) -> str:
        """The embedding model behind the name."""
        return world.models.fingerprint(self.config.embedding_model, "embed")

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"{config.get('top_k', 5)} without repetition"


def with_headings(chunk: Chunk) -> str:
    """The passage under its headings, as a model should read it."""
    return "\n".join(part for part in (" › ".join(chunk.headings), chunk.content) if part)


def rescored(chunk: Chunk, stage: Literal["rerank", "support"], score: float) -> Chunk:
    """The chunk with the score of a further stage, earlier ones kept."""
    return chunk.model_copy(
        update={"score": float(score), "scores": {**chunk.scores, stage: float(score)}}
    )
