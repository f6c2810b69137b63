"""Whether passages speak of technical things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.documents.quality import Passage, QualityConfig

#: Words that look like names in programs or like terms: snake_case, camelCase, dotted.names, calls(),
#: --options, /paths, ACRONYMS, words with digits (utf8, v1.2, 10ms), `quoted code`.
_TERM = re.compile(
    r"`[^`\n]+`"
    r"|\b\w+(?:_\w+)+\b"
    r"|\b[a-z]+[A-Z]\w*\b|\b(?:[A-Z][a-z0-9]+){2,}\b"
    r"|\b[A-Za-z]\w*(?:(?:\.|::|->)[A-Za-z]\w*)+(?:\(\))?"
    r"|\b[A-Za-z_]\w*\(\)"
    r"|(?<!\w)--?[a-z][\w-]+"
    r"|(?<![\w/])(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]+)*"
    r"|\b[A-Z]{2,}s?\b"
    r"|\b(?!\d+(?:st|nd|rd|th|s)\b)(?=\w*[A-Za-z])(?=\w*\d)[\w.]+\b"
)
_WORD = re.compile(r"\w+")


def technical_terms(
    passages: Sequence[Passage], config: QualityConfig
) -> Iterable[tuple[int, str]]:
    """Find chunks without a single word that looks like an identifier or a technical term.

    Meant for collections of technical documents, where such a chunk is a preface or an
    advertisement; code is technical as it stands.
    """
    for i, passage in enumerate(passages):
        if "code" in passage.kinds or "```" in passage.text or _TERM.search(passage.text):
            continue
        yield i, f"no technical term among {len(_WORD.findall(passage.text)):,} words"
