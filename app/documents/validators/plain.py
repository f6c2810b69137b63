"""Length, repetition, boilerplate and language of passages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from app.documents.language import detect_language
from app.documents.quality import Passage, QualityConfig


def min_length(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that are too short, or have too few letters and digits to say anything."""
    for i, passage in enumerate(passages):
        if len(passage.text) < config.min_chunk_length:
            yield i, f"shorter than {config.min_chunk_length:,} characters"
            continue
        letters = filter(str.isalnum, passage.text)
        count = sum(1 for _ in islice(letters, config.min_letters))
        if count < config.min_letters:
            yield i, f"{count} letters and digits, fewer than {config.min_letters}"


def max_length(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that are too long."""
    for i, passage in enumerate(passages):
        if len(passage.text) > config.max_chunk_length:
            yield i, f"{len(passage.text):,} characters, more than {config.max_chunk_length:,}"


def duplicate(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that say what an earlier one says, white space, case and marks aside."""
    first: dict[str, int] = {}
    for i, passage in enumerate(passages):
        key = "".join(filter(str.isalnum, passage.text.casefold())) or passage.text
        if first.setdefault(key, i) != i:
            yield i, f"same text as chunk {first[key] + 1}"


_BOILERPLATE = re.compile(
    r"all rights reserved|cookie (?:policy|settings|preferences)|privacy policy|terms of (?:use|service)"
    r"|subscribe to our|sign in|log in|skip to (?:main )?content|jump to content|follow us on"
    r"|this page (?:was )?intentionally (?:left )?blank|copyright ©|© ?\d{4}",
    re.IGNORECASE,
)
#: A line of a notice or menu is not longer than this.
_NOTICE_CHARS = 200


def boilerplate(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that look like menus or legal lines: phrases of those, or rows of short lines."""
    for i, passage in enumerate(passages):
        text = passage.text
        phrases = {match.casefold() for match in _BOILERPLATE.findall(text)}
        if len(phrases) >= 2 or (phrases and len(text) < _NOTICE_CHARS):
            yield i, f"reads like a notice or menu ({', '.join(sorted(phrases))})"
            continue
        lines = [line for line in text.split("\n") if line.strip()]
        short = sum(len(line.split()) <= 3 for line in lines)
        if len(lines) >= 12 and short > 0.9 * len(lines) and "|" not in text:
            yield i, f"{short} of {len(lines)} lines have three words or fewer, as in a menu"


def without_boilerplate(passage: Passage, config: QualityConfig) -> tuple[str, str] | None:
    """Take out the lines of notices and menus."""
    lines = passage.text.split("\n")
    kept = [line for line in lines if len(line) > _NOTICE_CHARS or not _BOILERPLATE.search(line)]
    if len(kept) == len(lines):
        return None
    count = len(lines) - len(kept)
    return "\n".join(kept).strip(), f"{count} line{'s' * (count > 1)} of a notice or menu taken out"


def language(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that are surely in a language other than those asked for."""
    if not config.languages:
        return
    for i, passage in enumerate(passages):
        found = detect_language(passage.text)
        if found is not None and found not in config.languages:
            yield i, f"language {found}, not {' or '.join(config.languages)}"
