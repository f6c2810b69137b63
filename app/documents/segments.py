"""Which language each block of a document is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.documents.language import MIN_LETTERS, SAMPLE, detect_language
from app.documents.model import Block

#: Kinds whose text is in a language; the others are in that of what stands around them.
_PROSE = frozenset({"heading", "paragraph", "list", "image"})
#: Letters of a block from which it says that a language is in use in the document.
_WITNESS = 40
#: Letters all witnesses of a language need together: below, a list of names passes for Latin.
_EVIDENCE = 50
#: Letters below which a block follows its neighbours where these agree.
_SHORT = 60
#: Letters of a script of its own weigh as much as this many of the alphabet (a Chinese character
#: is about a syllable or a word).
_DENSE = 3


def segment(blocks: Sequence[Block], candidates: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return the blocks with `language` set (ISO 639-1; None where the whole text says nothing).

    First the languages in use are found by the longer paragraphs (or are `candidates`); then each
    block is put into one of them. Short blocks follow their neighbours where these agree, headings
    without a language of their own go with what follows, code and tables with what comes before.
    A language that a block has already is kept. Blocks (CPU: milliseconds a paragraph).
    """
    weights = [_weight(block) for block in blocks]
    known = tuple(sorted(set(candidates)))
    seen: dict[int, str] = {}
    if not known:
        known, seen = _in_use(blocks, weights)
    found = [
        block.language
        or (seen[index] if seen.get(index) in known else _language(block, weights[index], known))
        for index, block in enumerate(blocks)
    ]
    _smooth(found, weights)
    _inherit(blocks, found)
    return tuple(
        block if block.language == language else block.model_copy(update={"language": language})
        for block, language in zip(blocks, found, strict=True)
    )


def _weight(block: Block) -> int:
    """Return how many letters speak for a language."""
    if block.kind not in _PROSE:
        return 0
    letters = sum(map(str.isalpha, block.text[:SAMPLE]))
    ascii_letters = sum(c.isascii() and c.isalpha() for c in block.text[:SAMPLE])
    return letters * (1 if ascii_letters > letters / 2 else _DENSE)


def _in_use(
    blocks: Sequence[Block], weights: Sequence[int]
) -> tuple[tuple[str, ...], dict[int, str]]:
    """Return the languages in use, and what each block that speaks for one seems to be in."""
    evidence: Counter[str] = Counter()
    seen: dict[int, str] = {}
    for index, (block, weight) in enumerate(zip(blocks, weights, strict=True)):
        if weight >= _WITNESS and (language := detect_language(block.text)):
            evidence[language] += weight
            seen[index] = language
    sure = {language for language, weight in evidence.items() if weight >= _EVIDENCE}
    if not sure and (language := _of_all(blocks)):
        sure = {language}
    return tuple(sorted(sure)), seen


def _of_all(blocks: Sequence[Block]) -> str | None:
    prose = [block.text for block in blocks if block.kind in _PROSE]
    return detect_language("\n".join(prose or [block.text for block in blocks])[:SAMPLE])


def _language(block: Block, weight: int, known: tuple[str, ...]) -> str | None:
    if not weight:
        return None
    if len(known) == 1:
        return known[0]
    return detect_language(block.text, candidates=known) if weight >= MIN_LETTERS else None


def _smooth(found: list[str | None], weights: Sequence[int]) -> None:
    """Let short blocks between two of one language be in it as well."""
    told = [i for i, language in enumerate(found) if language is not None]
    for before, at, after in zip(told, told[1:], told[2:], strict=False):
        same = found[before] == found[after] != found[at]
        if same and weights[at] < min(_SHORT, weights[before], weights[after]):
            found[at] = found[before]


def _inherit(blocks: Sequence[Block], found: list[str | None]) -> None:
    """Fill in what is not known: headings from what follows, the others from what comes before."""
    following: str | None = None
    for index in range(len(blocks) - 1, -1, -1):
        if found[index] is None and blocks[index].kind == "heading":
            found[index] = following
        following = found[index] or following
    first = next((language for language in found if language is not None), None)
    for index, language in enumerate(found):
        found[index] = first = language or first
