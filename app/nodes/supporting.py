"""Measuring how well cited passages support the sentences of an answer; shared by two nodes."""

from __future__ import annotations

from collections.abc import Mapping

from app.engine.context import Models
from app.engine.values import Answer, Citation
from app.retrieval.support import Support, support


async def sentence_support(
    answer: Answer, models: Models, *, passages: Mapping[str, str], model: str
) -> list[Support]:
    """Support of each sentence by what it cites.

    `passages` maps chunk ids to their text; a citation whose chunk is not among them is judged by
    its quote. `model` is the reranker that says how close sentence and passage are.
    """
    by_number: dict[int, Citation] = {c.number: c for c in answer.citations}
    found: list[Support] = []
    for sentence in answer.sentences:
        cited = [by_number[n] for n in sentence.citations if n in by_number]
        texts = [passages.get(c.chunk_id, c.quote) for c in cited]
        similarity = 0.0
        if texts and not any(sentence.text in text for text in texts):
            quotes = list(dict.fromkeys([*(c.quote for c in cited), *texts]))
            similarity = max(await models.rerank(sentence.text, quotes, model=model))
        found.append(support(sentence.text, [*texts, *(c.quote for c in cited)], similarity))
    return found
