"""Measuring how well cited passages support the sentences of an answer; shared by two nodes."""

from __future__ import annotations

from collections.abc import Mapping

from app.engine.context import Models
from app.engine.values import Answer, Citation
from app.retrieval.support import Support, best_quote, support


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
        texts = list(dict.fromkeys(passages.get(c.chunk_id, c.quote) for c in cited))
        similarity = 0.0
        verbatim = support(sentence.text, texts, 0.0)
        if texts and verbatim.score < 1.0:
            quotes = [best_quote(sentence.text, text) for text in texts]
            readings = list(dict.fromkeys([*quotes, *texts]))
            similarity = max(await models.rerank(sentence.text, readings, model=model))
        found.append(support(sentence.text, texts, similarity))
    return found
