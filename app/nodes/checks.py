"""Judging an answer before it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.values import Answer, Check, Chunks, Query, Verdict
from app.nodes.retrieval import with_headings
from app.nodes.supporting import sentence_support
from app.retrieval.confidence import PASSAGE_SHARE, confidence, logit
from app.retrieval.lexical import is_latin, lexical_scores
from app.retrieval.support import SUPPORTED, Support

#: From this chance on, an answer counts as one to the question.
RELEVANT = 0.5


class Validate(Node["Validate.Config"]):
    """Check an answer: is each sentence supported, and does it answer the question?

    Every sentence is compared with the passages it cites, and the answer with the question. The
    verdict passes when all checks do and the confidence reaches the threshold; it says why. The
    answer itself is passed on unchanged.
    """

    type, version, title, family, icon = "validate", 1, "Validate", "checks", "fact_check"

    class Config(NodeConfig):
        """Settings of the checks."""

        check_factuality: bool = Field(
            True,
            title="Check every sentence",
            description="Every sentence must be supported by the passages it cites.",
        )
        check_relevance: bool = Field(
            True, title="Check the relevance", description="The answer must answer the question."
        )
        confidence_threshold: float = Field(
            0.7,
            ge=0,
            le=1,
            title="Lowest confidence",
            description="Least confidence to pass, between 0 and 1.",
            json_schema_extra={"widget": "slider"},
        )
        model: str = Field(
            "cross-encoder",
            min_length=1,
            max_length=300,
            description="Cross-encoder that compares.",
            json_schema_extra={"widget": "reranker"},
        )

    class Outputs(NodeOutputs):
        """The answer and what was found."""

        answer: Answer = Field(description="The answer, unchanged.")
        verdict: Verdict = Field(description="Pass or fail, with reasons.")

    async def run(
        self,
        answer: Annotated[Answer, "The answer to check."],
        ctx: NodeContext,
        query: Annotated[Query | None, "The question; the answer's own if absent."] = None,
        chunks: Annotated[
            Chunks | None, "The passages in full; the quotes of the citations if absent."
        ] = None,
    ) -> Outputs:
        """Check."""
        if answer.abstained:
            verdict = Verdict(
                passed=False,
                confidence=0.0,
                checks=(
                    Check(name="answered", passed=False, score=0.0, reason="No answer was given."),
                ),
                reasons=("The passages hold no answer, and the answer says so.",),
            )
            return self.Outputs(answer=answer, verdict=verdict)
        checks = []
        passages = {c.chunk_id: with_headings(c) for c in chunks.items} if chunks else {}
        if self.config.check_factuality:
            supports = await sentence_support(
                answer, ctx.world.models, passages=passages, model=self.config.model
            )
            checks.append(_factuality(answer, supports))
        if self.config.check_relevance:
            question = (query.text if query else answer.question).strip()
            checks.append(await self._relevance(question, answer, passages, ctx))
        return self.Outputs(answer=answer, verdict=self._verdict(answer, checks))

    async def _relevance(
        self, question: str, answer: Answer, passages: Mapping[str, str], ctx: NodeContext
    ) -> Check:
        if not question:
            return Check(
                name="relevance",
                passed=False,
                score=0.0,
                reason="There is no question to judge by.",
            )
        answers = _readings(answer)
        cited = list(dict.fromkeys(passages.get(c.chunk_id, c.quote) for c in answer.citations))
        if is_latin(question):
            asked = await ctx.world.models.rerank(
                question, [*answers, *cited], model=self.config.model
            )
            scores = [logit(p) for p in asked]
            score = max(scores[: len(answers)])
            score += PASSAGE_SHARE * max(scores[len(answers) :], default=0.0)
        else:
            score = max(lexical_scores(question, answers))
        chance = confidence(score)
        passed = chance >= RELEVANT
        reason = (
            "It answers the question." if passed else "It does not seem to answer the question."
        )
        return Check(name="relevance", passed=passed, score=chance, reason=reason)

    def _verdict(self, answer: Answer, checks: Sequence[Check]) -> Verdict:
        least = self.config.confidence_threshold
        sure = min([c.score for c in checks], default=answer.confidence)
        enough = sure >= least
        reasons = [check.reason for check in checks if not check.passed]
        if not enough:
            reasons.append(f"The confidence of {sure:.2f} is below {least:.2f}.")
        passed = enough and all(check.passed for check in checks)
        return Verdict(
            passed=passed,
            confidence=sure,
            checks=(
                *checks,
                Check(
                    name="confidence",
                    passed=enough,
                    score=sure,
                    reason=f"{sure:.2f} of the {least:.2f} that are asked for.",
                ),
            ),
            reasons=tuple(reasons or [check.reason for check in checks]),
        )

    async def fingerprint(self, world: World) -> str:
        """The model behind the name."""
        return world.models.fingerprint(self.config.model, "rerank")

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        names = {"check_factuality": "support", "check_relevance": "relevance"}
        on = [word for key, word in names.items() if config.get(key, True)]
        return ", ".join([*on, f"confidence ≥ {config.get('confidence_threshold', 0.7):g}"])


def _readings(answer: Answer) -> list[str]:
    """The answer as a whole, its sentences, and each under the heading of what it cites."""
    headings = {c.number: ": ".join(c.headings[-2:]) for c in answer.citations}
    sentences = [sentence.text for sentence in answer.sentences] or [answer.text]
    found = [" ".join(sentences), *sentences]
    for sentence in answer.sentences:
        heading = next((headings[n] for n in sentence.citations if headings.get(n)), "")
        if heading:
            found.append(f"{heading}. {sentence.text}")
    return list(dict.fromkeys(found))


def _factuality(answer: Answer, supports: Sequence[Support]) -> Check:
    reasons = []
    for sentence, found in zip(answer.sentences, supports, strict=True):
        if found.supported:
            continue
        said = sentence.text if len(sentence.text) <= 120 else f"{sentence.text[:119]}…"
        if not sentence.citations:
            reasons.append(f"“{said}” cites no passage.")
        elif found.missing_numbers:
            numbers = ", ".join(found.missing_numbers)
            reasons.append(f"“{said}”: {numbers} is not in the passages it cites.")
        else:
            reasons.append(f"“{said}” is not supported by the passages it cites.")
    score = min((s.score for s in supports), default=0.0)
    passed = bool(supports) and score >= SUPPORTED
    if not supports:
        reasons.append("The answer has no sentences.")
    return Check(
        name="factuality",
        passed=passed,
        score=score,
        reason=" ".join(reasons) or "Every sentence is supported by the passages it cites.",
    )
