"""What is embedded of a text: its words, since the bars and lines drawn around them say nothing."""

from __future__ import annotations

import re

_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_RULE = re.compile(r"\|(?:[ \t]*:?-+:?[ \t]*\|)+")
_BAR = re.compile(r"(?<!\\)\|")
_DRAWN = re.compile(r"([=*_~.-])\1{3,}")


def as_words(text: str) -> str:
    """Return `text` with rows of Markdown tables as their filled cells, and drawn lines short."""
    text = _DRAWN.sub(r"\1\1\1", text)
    if not _ROW.search(text):
        return text
    lines = (_words(line) if _ROW.fullmatch(line) else line for line in text.split("\n"))
    return "\n".join(line for line in lines if line is not None) or text


def _words(row: str) -> str | None:
    if _RULE.fullmatch(row):
        return None
    cells = (cell.strip() for cell in _BAR.split(row))
    return " ".join(cell.replace("\\|", "|") for cell in cells if cell) or row


def with_text(embed_text: str | None, before: str, after: str) -> str | None:
    """Return what is embedded once a chunk's text is another: the same words stay in front.

    None: the text as it is. What is embedded stays where it does not end with the text.
    """
    words = as_words(after)
    if embed_text is None:
        return None if words == after else words
    for tail in (as_words(before), before):
        if embed_text.endswith(tail):
            return embed_text.removesuffix(tail) + words
    return embed_text
