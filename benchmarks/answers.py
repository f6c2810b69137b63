"""Extractive answers over real questions: found, left unanswered, made up; and how to calibrate.

XQuAD (English) has 1,190 questions with an answer span each. Each is asked twice over the five
nearest passages: as they are, and without every passage that holds the answer; those left are
mostly of the same article, which is the hardest kind of unanswerable question. `--fit` prints the
logistic regressions behind `app/retrieval/confidence.py` and `app/retrieval/support.py`. Needs the
folder `../shared/data`; says so where it is absent.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.documents.embed import load_embedder
from app.retrieval import confidence, support
from app.retrieval.candidates import Passage
from app.retrieval.extractive import ABSTAIN_BELOW, extract_answer
from app.retrieval.metrics import mean
from app.retrieval.rerank import load_cross_encoder
from app.retrieval.sentences import split_sentences

DATA = Path(__file__).parents[2] / "shared" / "data"
_TOP = 5


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """Records of a JSON Lines file, packed or not."""
    plain = folder / f"{name}.jsonl"
    packed = folder / f"{name}.jsonl.gz"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    return [json.loads(line) for line in data.splitlines()]


def relevant(folder: Path) -> dict[str, set[str]]:
    """Query id -> ids of the passages that answer it."""
    found: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, passage, _ = line.split("\t")
        found.setdefault(query, set()).add(passage)
    return found


class Judge:
    """The embedded reranker, timed."""

    def __init__(self) -> None:
        self.model = load_cross_encoder()
        self.pairs = 0

    async def __call__(self, question: str, texts: Sequence[str]) -> list[float]:
        """Score texts against the question."""
        self.pairs += len(texts)
        return self.model.scores(question, texts)


def logistic(x: Sequence[float], good: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset of a logistic regression in which both classes weigh the same."""
    values, truth = np.array(x), np.array(good, dtype=float)
    weight = np.where(truth == 1, 0.5 / truth.sum(), 0.5 / (1 - truth).sum())
    design = np.stack([values, np.ones_like(values)], axis=1)
    beta = np.zeros(2)
    for _ in range(50):  # Newton's method; it settles within ten steps.
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (weight * (p - truth))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design
        beta -= np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
    return float(beta[0]), float(beta[1])


async def questions(count: int, fit: bool) -> None:
    """Ask XQuAD's questions with and without the passages that answer them."""
    folder = DATA / "xquad" / "en"
    corpus, asked = lines(folder, "corpus"), lines(folder, "queries")
    random.Random(1).shuffle(asked)
    embedder, judge = load_embedder(), Judge()
    vectors = embedder.embed([f"{c['title'].replace('_', ' ')}\n{c['text']}" for c in corpus])
    scores: dict[bool, list[float]] = {True: [], False: []}
    right: list[bool] = []
    cited: list[bool] = []
    took: list[float] = []
    for query in asked[:count]:
        order = np.argsort(-(vectors @ embedder.embed([query["text"]], "query")[0]))
        ranked = [corpus[i] for i in order]
        bare = [
            c for c in ranked if not any(a.lower() in c["text"].lower() for a in query["answers"])
        ]
        for answerable, passages in ((True, ranked[:_TOP]), (False, bare[:_TOP])):
            started = time.perf_counter()
            extract = await extract_answer(
                query["text"],
                [Passage(c["text"], (c["title"].replace("_", " "),)) for c in passages],
                judge,
                abstain_below=0.0,
            )
            took.append(time.perf_counter() - started)
            scores[answerable].append(extract.confidence)
            if answerable and extract.confidence >= ABSTAIN_BELOW:
                said = " ".join(s.text for s in extract.sentences).lower()
                right.append(any(a.lower() in said for a in query["answers"]))
                cited += [
                    passages[s.passage]["_id"] == query["corpus_id"] for s in extract.sentences
                ]
    answered = [s >= ABSTAIN_BELOW for s in scores[True]]
    invented = [s >= ABSTAIN_BELOW for s in scores[False]]
    print(f"{count} questions with an answer among {_TOP} passages, and the same without it:")
    print(f"  answered {mean(answered):.0%}, of these with the expected string {mean(right):.0%}")
    print(f"  citations of the right passage {mean(cited):.0%}")
    print(f"  unanswerable ones answered all the same {mean(invented):.0%}")
    print(f"  median {statistics.median(took):.2f} s, {judge.pairs / len(took):.0f} pairs each")
    if fit:
        x = [undo(s) for s in scores[True] + scores[False]]
        slope, offset = logistic(x, [True] * len(scores[True]) + [False] * len(scores[False]))
        print(f"  confidence: slope {slope:.2f}, offset {offset:.2f}")


def undo(chance: float) -> float:
    """The score (a logit) behind a confidence."""
    return (confidence.logit(chance) - confidence._OFFSET) / confidence._SLOPE


async def sentences(count: int, fit: bool) -> None:
    """Judge written answers by their own passages, by the nearest others and by any others."""
    folder = DATA / "claude-docs-rag"
    corpus = {c["_id"]: c["text"] for c in lines(folder, "corpus")}
    asked, truth = lines(folder, "queries"), relevant(folder)
    chance = random.Random(3)
    chance.shuffle(asked)
    embedder, judge = load_embedder(), Judge()
    ids = list(corpus)
    vectors = embedder.embed([corpus[i] for i in ids])
    found: dict[str, list[float]] = {"own": [], "near": [], "any": []}
    for query in asked[:count]:
        own = truth[query["_id"]]
        for sentence in split_sentences(query["answer"]):
            order = np.argsort(-(vectors @ embedder.embed([sentence], "query")[0]))
            near = [ids[i] for i in order if ids[i] not in own][:2]
            for kind, chosen in (("own", own), ("near", near), ("any", chance.sample(ids, 2))):
                passages = [corpus[i] for i in chosen]
                quotes = [support.best_quote(sentence, p) for p in passages]
                close = max(await judge(sentence, [*quotes, *passages]))
                found[kind].append(support.support(sentence, passages, close).score)
    print(f"{len(found['own'])} sentences of reference answers that count as supported:")
    for kind, words in (("own", "their own"), ("near", "the nearest other"), ("any", "any other")):
        share = mean([s >= support.SUPPORTED for s in found[kind]])
        print(f"  by {words} passages {share:.0%}")
    if fit:
        both = [*found["own"], *found["near"], *found["any"]]
        x = [(confidence.logit(s) - support._OFFSET) / support._SLOPE for s in both]
        slope, offset = logistic(x, [i < len(found["own"]) for i in range(len(x))])
        print(f"  support: slope {slope:.2f}, offset {offset:.2f}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"not measured: the real questions are not at {DATA}")
        return
    asyncio.run(questions(options.questions, options.fit))
    asyncio.run(sentences(max(10, options.questions // 3), options.fit))


if __name__ == "__main__":
    main()
