"""From a cross-encoder's scores to how sure one may be; see `docs/how-answers-are-judged.md`."""

from __future__ import annotations

import math

#: A passage's own logit counts this much beside that of the sentence taken from it.
PASSAGE_SHARE = 0.3
#: confidence = sigmoid(slope · score + offset): a logistic regression over questions with an
#: answer among the passages and the same questions without it, both kinds weighing the same.
_SLOPE, _OFFSET = 0.47, -0.65
#: The score at which the confidence is one half.
EVEN = -_OFFSET / _SLOPE


def logit(p: float) -> float:
    """Inverse of the sigmoid: what the model said before it was squeezed into 0..1."""
    p = min(max(p, 1e-9), 1 - 1e-9)
    return math.log(p / (1 - p))


def sigmoid(x: float) -> float:
    """``1 / (1 + e^-x)`` without overflow."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def confidence(score: float) -> float:
    """Chance, 0..1, that a sentence with this score (a logit) answers the question."""
    return sigmoid(_SLOPE * score + _OFFSET)
