"""Choosing how to search from what the query looks like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.retrieval.entities import find_entities

#: Kinds of entity that must match letter by letter: an embedding blurs them.
_EXACT = frozenset({"url", "email", "term", "version", "money", "code"})
_QUESTION = re.compile(
    r"^\s*(?:who|what|when|where|which|why|how|is|are|can|could|do|does|did|should|would|will|"
    r"explain|describe|summari[sz]e|compare|wer|was|wie|warum|wo|wann|welche\w*|qui|que|quoi|"
    r"comment|pourquoi|où|quand|quel\w*|qué|cómo|dónde|cuándo|por qué|cuál\w*)\b",
    re.I,
)
_OPERATOR = re.compile(r"(?:^|\s)(?:[+-]\w|\w+:\w|AND\b|OR\b|NOT\b)|\*")


@dataclass(frozen=True, slots=True)
class Choice:
    """How to search, and why."""

    search_type: Literal["semantic", "keyword", "hybrid"]
    semantic_weight: float
    reason: str


def choose_search(query: str) -> Choice:
    """Pick keyword search for exact things, semantic for questions in plain words, else hybrid.

    Identifiers, quoted phrases and versions are matched by BM25 and blurred by an embedding; a
    long question in everyday words shares few of them with the passage that answers it. Where
    both hold, hybrid search leans to one side.
    """
    words = re.findall(r"\w+", query)
    kinds = [e.kind for e in find_entities(query)]
    exact = any(kind in _EXACT for kind in kinds)
    asks = bool(_QUESTION.match(query)) or query.rstrip().endswith(("?", "？"))
    rules: tuple[tuple[bool, Choice], ...] = (
        (bool(_OPERATOR.search(query)), Choice("keyword", 0.0, "the query uses search operators")),
        (exact and len(words) <= 4, Choice("keyword", 0.0, "the query is an exact term")),
        (exact, Choice("hybrid", 0.35, "a question about an exact term")),
        (len(words) <= 2 and not asks, Choice("hybrid", 0.4, "one or two keywords")),
        (
            asks and len(words) >= 6 and not kinds,
            Choice("semantic", 1.0, "a question in plain words"),
        ),
        (asks, Choice("hybrid", 0.6, "a question with names or numbers")),
    )
    fallback = Choice("hybrid", 0.5, "a short description")
    return next((choice for holds, choice in rules if holds), fallback)
