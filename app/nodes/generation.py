"""Writing the answer: quoted from the passages, or by any language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.documents.media import time_of
from app.engine.context import NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.values import Answer, AnswerSentence, Chunk, Chunks, Citation, Query, Text
from app.nodes.language_models import Instructions, Timeout, chat, complete
from app.nodes.prompts import (
    ABSTAIN_TEXT,
    SYSTEM_PROMPT,
    is_abstention,
    read_sentences,
    strip_markers,
    user_message,
    with_full_stop,
)
from app.nodes.supporting import sentence_support
from app.retrieval.candidates import Passage
from app.retrieval.extractive import ABSTAIN_BELOW, REVISION, extract_answer
from app.retrieval.support import best_quote

EXTRACTIVE = "extractive"


class Generate(Node["Generate.Config"]):
    """Answer the question from the passages, with citations.

    “extractive” needs no language model: it quotes the one to three sentences that answer best,
    and says so when none does. Any other name is a model of litellm, such as
    `anthropic/claude-sonnet-4-5`, `gpt-4o-mini` or `ollama/llama3.1`; it is told to use nothing but
    the passages and to cite them.
    """

    type, version, title, family, icon = "generate", 1, "Generate", "generation", "auto_awesome"
    timeout_s = 300.0

    class Config(NodeConfig):
        """Settings of the answer."""

        model: str = Field(
            EXTRACTIVE,
            min_length=1,
            max_length=300,
            description="“extractive” quotes the passages; anything else is a model of litellm.",
            json_schema_extra={"widget": "llm_model"},
        )
        temperature: float = Field(
            0.1, ge=0, le=2, description="Language models only: 0 is sober, higher is freer."
        )
        max_tokens: int = Field(
            500,
            ge=1,
            le=32_000,
            title="Longest answer (tokens)",
            description="Language models only: longest answer, in tokens.",
        )
        max_sentences: int = Field(
            3,
            ge=1,
            le=10,
            title="Most sentences",
            description="Extractive only: at most this many sentences.",
        )
        include_citations: bool = Field(
            True,
            title="Cite the passages",
            description="Cite the passages: numbers in the text, and quotes behind them.",
        )
        abstain_below: float = Field(
            ABSTAIN_BELOW,
            ge=0,
            le=1,
            title="Give no answer below",
            description="Extractive only: give no answer when the best sentence scores less.",
            json_schema_extra={"widget": "slider"},
        )
        instructions: Instructions = Field(
            "", description="Language models only: what else to heed, such as tone or length."
        )
        timeout: Timeout = 60.0
        reranker: str = Field(
            "cross-encoder",
            min_length=1,
            max_length=300,
            description="Cross-encoder that judges which sentences answer, and how well the "
            "passages support a language model's answer.",
            json_schema_extra={"widget": "reranker"},
        )

    class Outputs(NodeOutputs):
        """The answer."""

        answer: Answer = Field(description="Sentences with numbered citations.")

    async def run(
        self,
        query: Annotated[Query, "The question."],
        chunks: Annotated[Chunks, "The passages to answer from."],
        ctx: NodeContext,
        prompt: Annotated[
            Text | None, "Language models only: a prompt of your own, passages and all."
        ] = None,
    ) -> Outputs:
        """Answer."""
        if not chunks.items and prompt is None:
            answer = self._abstain(query, 0.0)
            ctx.token(answer.text)
        elif self.config.model == EXTRACTIVE:
            answer = await self._quote(query, chunks, ctx)
        else:
            answer = await self._ask(query, chunks, ctx, prompt)
        return self.Outputs(answer=answer)

    async def _quote(self, query: Query, chunks: Chunks, ctx: NodeContext) -> Answer:
        async def score(question: str, texts: Sequence[str]) -> Sequence[float]:
            return await ctx.world.models.rerank(question, texts, model=self.config.reranker)

        extract = await extract_answer(
            query.text,
            [
                Passage(c.content, c.headings, c.document_name, c.scores.get("rerank"))
                for c in chunks.items
            ],
            score,
            max_sentences=self.config.max_sentences,
            abstain_below=self.config.abstain_below,
        )
        if not extract.sentences:
            answer = self._abstain(query, extract.confidence)
            ctx.token(answer.text)
            return answer
        sentences, citations, written = [], [], []
        for number, picked in enumerate(extract.sentences, start=1):
            text = with_full_stop(picked.text)
            chunk = chunks.items[picked.passage]
            citations.append(_citation(number, chunk, chunks, picked.quote, picked.confidence))
            sentences.append(AnswerSentence(text=text, citations=(number,)))
            written.append(f"{text} [{number}]" if self.config.include_citations else text)
            ctx.token(written[-1] if number == 1 else f" {written[-1]}")
        return self._finish(
            query, " ".join(written), sentences, citations, confidence=extract.confidence
        )

    async def _ask(
        self, query: Query, chunks: Chunks, ctx: NodeContext, prompt: Text | None
    ) -> Answer:
        config = self.config
        asked = prompt.text if prompt is not None else user_message(query.original, chunks.items)
        usage: dict[str, float] = {}
        written = await complete(
            ctx,
            chat((SYSTEM_PROMPT, config.instructions), asked),
            model=config.model,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            timeout_s=config.timeout,
            on_piece=ctx.token,
            usage=usage,
        )
        written = written.strip()
        if is_abstention(written):
            return self._abstain(query, 0.0).model_copy(update={"usage": usage})
        read = read_sentences(written, len(chunks.items))
        numbers = list(dict.fromkeys(n for sentence in read for n in sentence.numbers))
        citations = []
        for number in numbers:
            chunk = chunks.items[number - 1]
            claim = " ".join(s.text for s in read if number in s.numbers)
            citations.append(
                _citation(number, chunk, chunks, best_quote(claim, chunk.content), chunk.score)
            )
        sentences = [AnswerSentence(text=s.text, citations=s.numbers) for s in read]
        draft = self._finish(query, written, sentences, citations, confidence=0.0)
        supports = await sentence_support(
            draft,
            ctx.world.models,
            passages={c.chunk_id: c.content for c in chunks.items},
            model=config.reranker,
        )
        confidence = sum(s.score for s in supports) / len(supports) if supports else 0.0
        text = written if config.include_citations else strip_markers(written)
        answer = self._finish(query, text, sentences, citations, confidence=confidence)
        return answer.model_copy(update={"usage": usage})

    def _abstain(self, query: Query, confidence: float) -> Answer:
        return Answer(
            text=ABSTAIN_TEXT,
            sentences=(AnswerSentence(text=ABSTAIN_TEXT),),
            abstained=True,
            confidence=confidence,
            model=self.config.model,
            question=query.original,
        )

    def _finish(
        self,
        query: Query,
        text: str,
        sentences: Sequence[AnswerSentence],
        citations: Sequence[Citation],
        *,
        confidence: float,
    ) -> Answer:
        return Answer(
            text=text,
            sentences=tuple(sentences),
            citations=tuple(citations),
            confidence=min(1.0, max(0.0, confidence)),
            model=self.config.model,
            question=query.original,
        )

    async def fingerprint(self, world: World) -> str:
        """The models behind the names, and the way sentences are chosen."""
        models = world.models
        judge = models.fingerprint(self.config.reranker, "rerank")
        if self.config.model == EXTRACTIVE:
            return f"{judge}|{REVISION}"
        return f"{judge}|{models.fingerprint(self.config.model, 'llm')}"

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        model = config.get("model", EXTRACTIVE)
        if model == EXTRACTIVE:
            return f"quotes up to {config.get('max_sentences', 3)} sentences"
        return f"written by {model}"


def _citation(
    number: int, chunk: Chunk, chunks: Chunks, quote: str, score: float | None
) -> Citation:
    return Citation(
        number=number,
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        document_name=chunk.document_name,
        knowledge_base_id=chunks.knowledge_base_id,
        page=chunk.page,
        headings=chunk.headings,
        time=time_of(chunk.metadata),
        quote=quote,
        score=score,
    )
