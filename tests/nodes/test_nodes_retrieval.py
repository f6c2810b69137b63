"""Searching, re-ordering, choosing, and checking answers."""

from __future__ import annotations

import pytest
from nodes_world import SmallWorld, chunk

from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Answer, AnswerSentence, Chunks, Citation, Query
from app.nodes.checks import Validate
from app.nodes.generation import Generate
from app.nodes.retrieval import Diversify, Rerank, Retrieve


def ask(text: str, **fields: object) -> Query:
    return Query(text=text, original=text, **fields)


async def retrieve(world: SmallWorld, query: Query, **config: object) -> Chunks:
    node = Retrieve(Retrieve.Config(knowledge_base="kb", **config))
    return (await node.run(query, world.context())).chunks


@pytest.mark.parametrize("search_type", ["semantic", "keyword", "hybrid", "adaptive"])
async def test_every_kind_of_search_finds_the_passage(filled: SmallWorld, search_type: str) -> None:
    found = await retrieve(filled, ask("When did the workshop open?"), search_type=search_type, k=2)
    assert found.items[0].chunk_id == "c5"
    assert len(found.items) <= 2
    assert (found.knowledge_base_id, found.commit) == ("kb", "commit-0")


async def test_settings_reach_the_search(filled: SmallWorld) -> None:
    query = ask("search", filters={"part": 1, "page": 2})
    found = await retrieve(
        filled, query, filters={"page": 4}, semantic_weight=0.25, score_threshold=0.1, ref="dev"
    )
    (request,) = filled.knowledge.requests
    assert (request.semantic_weight, request.score_threshold, request.ref) == (0.25, 0.1, "dev")
    assert request.filters == {"part": 1, "page": 4}
    assert [c.page for c in found.items] == [4]


async def test_the_result_depends_on_the_commit(filled: SmallWorld) -> None:
    node = Retrieve(Retrieve.Config(knowledge_base="kb"))
    before = await node.fingerprint(filled)
    filled.knowledge.commits += 1
    assert await node.fingerprint(filled) != before


async def test_no_knowledge_base_is_a_clear_problem(world: SmallWorld) -> None:
    with pytest.raises(NodeFailed, match="No knowledge base is chosen"):
        await Retrieve(Retrieve.Config()).run(ask("x"), world.context())
    with pytest.raises(RagloomError, match="nope"):
        await Retrieve(Retrieve.Config(knowledge_base="nope")).run(ask("x"), world.context())


async def test_reranking_puts_the_answer_first(filled: SmallWorld) -> None:
    query = ask("Which constant does reciprocal rank fusion use?")
    chunks = Chunks(items=tuple(filled.knowledge.chunks.values()), knowledge_base_id="kb")
    out = await Rerank(Rerank.Config(top_k=2)).run(query, chunks, filled.context())
    assert len(out.chunks.items) == 2
    first = out.chunks.items[0]
    assert first.chunk_id == "c3"
    assert first.score == first.scores["rerank"] > 0.9
    assert out.chunks.knowledge_base_id == "kb"
    strict = Rerank(Rerank.Config(score_threshold=0.9))
    assert len((await strict.run(query, chunks, filled.context())).chunks.items) == 1
    assert (await strict.run(query, Chunks(), filled.context())).chunks.items == ()


async def test_diversity_leaves_out_what_repeats(world: SmallWorld) -> None:
    items = (
        chunk(0, "Ducks swim in the lake.", score=0.9),
        chunk(1, "Ducks swim in a lake.", score=0.89),
        chunk(2, "The museum opens at nine.", score=0.6),
    )
    node = Diversify(Diversify.Config(top_k=2, relevance_weight=0.5))
    out = await node.run(Chunks(items=items), world.context())
    assert [c.chunk_id for c in out.chunks.items] == ["c0", "c2"]
    unscored = Chunks(items=tuple(c.model_copy(update={"score": None}) for c in items))
    asked = await node.run(unscored, world.context(), query=ask("When does the museum open?"))
    assert asked.chunks.items[0].chunk_id == "c2"
    assert (await node.run(Chunks(), world.context())).chunks.items == ()


async def test_diversity_uses_the_stored_vectors(filled: SmallWorld) -> None:
    found = await retrieve(filled, ask("search"), k=6, search_type="semantic")
    out = await Diversify(Diversify.Config(top_k=3)).run(found, filled.context())
    assert out.chunks.items[0] == found.items[0]
    assert len(out.chunks.items) == 3


PASSAGES = Chunks(
    items=(chunk(0, "The Atlas project was completed in 1987. It cost 40 million dollars."),)
)


def written(*sentences: str, cites: bool = True) -> Answer:
    citation = Citation(
        number=1, chunk_id="c0", document_id="d0", document_name="file0.md",
        quote="The Atlas project was completed in 1987.",
    )  # fmt: skip
    return Answer(
        text=" ".join(sentences),
        sentences=tuple(AnswerSentence(text=s, citations=(1,) if cites else ()) for s in sentences),
        citations=(citation,) if cites else (),
        question="When was the Atlas project completed?",
    )


async def check(world: SmallWorld, answer: Answer, **config: object) -> tuple[bool, str, float]:
    node = Validate(Validate.Config(**config))
    out = await node.run(answer, world.context(), chunks=PASSAGES)
    assert out.answer is answer
    verdict = out.verdict
    return verdict.passed, " ".join(verdict.reasons), verdict.confidence


async def test_a_quoted_answer_passes(world: SmallWorld) -> None:
    query = ask("When was the Atlas project completed?")
    answer = (await Generate(Generate.Config()).run(query, PASSAGES, world.context())).answer
    out = await Validate(Validate.Config()).run(answer, world.context(), query=query)
    assert out.verdict.passed
    assert {c.name for c in out.verdict.checks} == {"factuality", "relevance", "confidence"}
    assert out.verdict.confidence >= 0.7


async def test_a_paraphrase_passes(world: SmallWorld) -> None:
    passed, reasons, _ = await check(world, written("They completed the Atlas project in 1987."))
    assert passed, reasons


async def test_an_invented_number_fails_and_is_named(world: SmallWorld) -> None:
    passed, reasons, _ = await check(world, written("The Atlas project was completed in 1993."))
    assert not passed
    assert "1993 is not in the passages" in reasons


async def test_a_sentence_without_citation_fails(world: SmallWorld) -> None:
    answer = written("The Atlas project was completed in 1987.", cites=False)
    passed, reasons, _ = await check(world, answer)
    assert not passed
    assert "cites no passage" in reasons


async def test_an_unsupported_sentence_fails(world: SmallWorld) -> None:
    answer = written(
        "The Atlas project was completed in 1987.", "The mayor danced with a penguin all night."
    )
    passed, reasons, _ = await check(world, answer)
    assert not passed
    assert "penguin" in reasons


async def test_an_answer_to_another_question_fails(world: SmallWorld) -> None:
    answer = written("The Atlas project was completed in 1987.")
    node = Validate(Validate.Config())
    out = await node.run(answer, world.context(), query=ask("Which fruit do ducks like best?"))
    assert not out.verdict.passed
    assert "does not seem to answer the question" in " ".join(out.verdict.reasons)
    alone = Validate(Validate.Config(check_relevance=False))
    out = await alone.run(answer, world.context(), query=ask("Which fruit do ducks like best?"))
    assert out.verdict.passed


async def test_an_abstention_fails_with_its_reason(world: SmallWorld) -> None:
    answer = Answer(text="…", abstained=True, question="Why?")
    passed, reasons, confidence = await check(world, answer)
    assert (passed, confidence) == (False, 0.0)
    assert "hold no answer" in reasons


async def test_without_checks_the_answers_own_confidence_counts(world: SmallWorld) -> None:
    answer = written("Anything.").model_copy(update={"confidence": 0.6})
    config = {"check_factuality": False, "check_relevance": False}
    assert (await check(world, answer, **config))[0] is False
    assert (await check(world, answer, confidence_threshold=0.5, **config))[0] is True
