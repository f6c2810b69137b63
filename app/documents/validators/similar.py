"""Passages that say nearly the same as an earlier one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from app.documents.quality import Passage, QualityConfig

if TYPE_CHECKING:
    import numpy as np

#: Resemblance (Jaccard similarity of word 5-grams) from which two texts are near-duplicates: the
#: value Lee et al. 2022, “Deduplicating Training Data Makes Language Models Better”, use.
THRESHOLD = 0.8
_SHINGLE = 5
#: Rows of a band and bands of a signature: pairs of resemblance 0.8 meet in some band with a
#: probability of 1 - (1 - 0.8^5)^20 = 0.9996 (Leskovec et al., Mining of Massive Datasets, 3.4).
_ROWS, _BANDS = 5, 20
#: Fewer words than this resemble each other by chance.
_MIN_WORDS = 12
#: Texts that one band may hold before it says nothing (a template repeated a thousand times).
_MOST_IN_BAND = 50
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


def near_duplicate(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that resemble an earlier one: Broder's shingles, found by MinHash in bands.

    Whatever meets in a band is compared by its true resemblance, so that nothing is found by
    chance. Exact duplicates are found as well.
    """
    import numpy as np

    words: dict[str, int] = {}
    random = np.random.default_rng(20_220)
    factors = random.integers(1, 2**63, size=(_ROWS * _BANDS, 1), dtype=np.uint64) | np.uint64(1)
    offsets = random.integers(0, 2**63, size=(_ROWS * _BANDS, 1), dtype=np.uint64)
    shingles: dict[int, np.ndarray] = {}
    bands: dict[bytes, list[int]] = {}
    for index, passage in enumerate(passages):
        own = _shingles(passage.text, words)
        if own is None:
            continue
        # The upper half of the product is what is well mixed.
        signature = ((own * factors + offsets) >> np.uint64(32)).min(axis=1)
        candidates: set[int] = set()
        for band in range(_BANDS):
            key = bytes([band]) + signature[band * _ROWS : (band + 1) * _ROWS].tobytes()
            held = bands.setdefault(key, [])
            candidates.update(held)
            if len(held) < _MOST_IN_BAND:
                held.append(index)
        shingles[index] = own
        for other in sorted(candidates):
            shared = np.intersect1d(own, shingles[other], assume_unique=True).size
            alike = shared / (own.size + shingles[other].size - shared)
            if alike >= THRESHOLD:
                yield index, f"{alike:.0%} the same as chunk {other + 1}"
                break


def _shingles(text: str, words: dict[str, int]) -> np.ndarray | None:
    """Return the hashes of the word 5-grams of a text, each once; None where it is too short."""
    import numpy as np

    found = _WORD.findall(text.casefold())
    if len(found) < _MIN_WORDS:
        return None
    for word in found:
        if word not in words:
            words[word] = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    codes = np.array([words[word] for word in found], dtype=np.uint64)
    count = len(codes) - _SHINGLE + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(_SHINGLE):
        # Arithmetic modulo 2^64 by an odd constant (Knuth's multiplicative hashing).
        hashes = (hashes + codes[place : place + count]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)
