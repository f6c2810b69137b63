"""Judging an answer before it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.values import Answer, Check, Chunks, Query, Verdict
from app.nodes.supporting import sentence_support
from app.retrieval.support import SUPPORTED, Support

#: A question and an answer that score at least this belong together.
RELEVANT = 0.3


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
            True, description="Every sentence must be supported by the passages it cites."
        )
        check_relevance: bool = Field(True, description="The answer must answer the question.")
        confidence_threshold: float = Field(
            0.7,
            ge=0,
            le=1,
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
        if self.config.check_factuality:
            passages = {c.chunk_id: c.content for c in chunks.items} if chunks else {}
            supports = await sentence_support(
                answer, ctx.world.models, passages=passages, model=self.config.model
            )
            checks.append(_factuality(answer, supports))
        if self.config.check_relevance:
            question = (query.text if query else answer.question).strip()
            checks.append(await self._relevance(question, answer, ctx))
        return self.Outputs(answer=answer, verdict=self._verdict(answer, checks))

    async def _relevance(self, question: str, answer: Answer, ctx: NodeContext) -> Check:
        if not question:
            return Check(
                name="relevance",
                passed=False,
                score=0.0,
                reason="There is no question to compare with.",
            )
        sentences = [sentence.text for sentence in answer.sentences] or [answer.text]
        readings = list(dict.fromkeys([" ".join(sentences), *sentences]))
        score = max(await ctx.world.models.rerank(question, readings, model=self.config.model))
        passed = score >= RELEVANT
        reason = (
            "It answers the question." if passed else "It does not seem to answer the question."
        )
        return Check(name="relevance", passed=passed, score=score, reason=reason)

    def _verdict(self, answer: Answer, checks: Sequence[Check]) -> Verdict:
        least = self.config.confidence_threshold
        confidence = min([c.score for c in checks], default=answer.confidence)
        enough = confidence >= least
        reasons = [check.reason for check in checks if not check.passed]
        if not enough:
            reasons.append(f"The confidence of {confidence:.2f} is below {least:.2f}.")
        passed = enough and all(check.passed for check in checks)
        return Verdict(
            passed=passed,
            confidence=confidence,
            checks=(
                *checks,
                Check(
                    name="confidence",
                    passed=enough,
                    score=confidence,
                    reason=f"{confidence:.2f} of the {least:.2f} that are asked for.",
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
