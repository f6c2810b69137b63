"""Follow-up questions: does adding the topic of the question before find the right passage?

XQuAD's English questions over their 240 paragraphs (`SHARED_DATA/xquad/en`). Two questions about
one paragraph that share a name become a dialogue by putting “it” for the name in the second. The
price is measured too: questions that stand on their own, asked behind one about something else.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
from itertools import permutations
from pathlib import Path

import numpy as np

from app.documents.embed import load_embedder
from app.retrieval.entities import find_entities
from app.retrieval.followup import complete_question

FOLDER = (
    Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[1].parent / "shared/data"))
    / "xquad"
    / "en"
)
SHIFTS = 400


def main() -> None:
    """Print the share of questions whose passage comes first, and among the first three."""
    passages, questions = _read()
    embedder = load_embedder()
    vectors = embedder.embed(passages, "passage")

    def shares(asked: list[str], gold: list[int]) -> str:
        scores = embedder.embed(asked, "query") @ vectors.T
        ranks = (scores > scores[np.arange(len(gold)), gold][:, None]).sum(axis=1)
        return f"first {np.mean(ranks == 0):.3f}, among three {np.mean(ranks < 3):.3f}"

    random.seed(0)
    dialogues = _dialogues(questions)
    gold = [place for place, *_ in dialogues]
    print(f"{len(dialogues)} follow-ups over {len(passages)} passages")
    print("  with the name  ", shares([second for _, _, second, _ in dialogues], gold))
    print("  with “it”      ", shares([follow for *_, follow in dialogues], gold))
    completed = [complete_question(follow, [first]) for _, first, _, follow in dialogues]
    print("  completed      ", shares(completed, gold))
    shifts = _shifts(questions)
    gold = [place for place, *_ in shifts]
    completed = [complete_question(question, [first]) for _, first, question in shifts]
    changed = sum(c != question for c, (*_, question) in zip(completed, shifts, strict=True))
    print(f"{len(shifts)} questions about something else, {changed} of them changed")
    print("  as asked       ", shares([question for *_, question in shifts], gold))
    print("  completed      ", shares(completed, gold))


def _read() -> tuple[list[str], list[list[str]]]:
    """Passages, and the questions of each."""
    with gzip.open(FOLDER / "corpus.jsonl.gz", "rt") as lines:
        corpus = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    with gzip.open(FOLDER / "queries.jsonl.gz", "rt") as lines:
        queries = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    places = {name: at for at, name in enumerate(corpus)}
    questions: list[list[str]] = [[] for _ in corpus]
    for line in (FOLDER / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, passage, *_ = line.split("\t")
        questions[places[passage]].append(queries[query])
    return list(corpus.values()), questions


def _dialogues(questions: list[list[str]]) -> list[tuple[int, str, str, str]]:
    """(passage, first question, second question, second with “it”), each second once."""
    found: dict[str, tuple[int, str, str, str]] = {}
    for place, group in enumerate(questions):
        for first, second in permutations(group, 2):
            shared = _names(first) & _names(second)
            if not shared:
                continue
            name = re.escape(max(shared, key=len))
            follow = re.sub(rf"\b{name}(?:’s|'s)", "its", second)
            follow = re.sub(rf"\b{name}", "it", follow)
            if follow != second:
                found.setdefault(second, (place, first, second, follow))
    return list(found.values())


def _shifts(questions: list[list[str]]) -> list[tuple[int, str, str]]:
    """(passage, a question about another passage, a question about this one)."""
    pairs = []
    for place, group in enumerate(questions):
        for question in group:
            other = random.choice([g for at, g in enumerate(questions) if at != place and g])
            pairs.append((place, random.choice(other), question))
    return random.sample(pairs, SHIFTS)


def _names(question: str) -> set[str]:
    return {e.text for e in find_entities(question) if e.kind in ("name", "term")}


if __name__ == "__main__":
    main()
