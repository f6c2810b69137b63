"""Real prose that is on every machine: the topics of Python's own help."""

from __future__ import annotations

from pydoc_data.topics import topics


def documents() -> dict[str, str]:
    """File name -> text, some 80 pages from a paragraph to a long chapter."""
    return {f"{name}.txt": text.strip() for name, text in sorted(topics.items())}


def passages(words: int) -> list[str]:
    """All of the prose in passages of so many words."""
    everything = " ".join(documents().values()).split()
    return [" ".join(everything[at : at + words]) for at in range(0, len(everything), words)]
