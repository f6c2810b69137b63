"""Cutting a document into chunks that know where they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from app.documents.boxes import boxes_of_span, merge_boxes
from app.documents.model import Block, ExtractedDocument, Frozen, Piece, block_starts, full_text
from app.documents.plugins import Plugins
from app.documents.tokens import Span, TokenIndex, Tokenizer, default_tokenizer

if TYPE_CHECKING:
    import numpy as np

#: Turns texts into unit vectors, shape (n, dim); blocks.
Embed = Callable[[Sequence[str]], "np.ndarray"]

#: The heading path in front of `embed_text` is cut from the left to this share of `chunk_size`.
HEADING_SHARE = 0.25


class ChunkConfig(Frozen):
    """How to cut. Sizes are tokens of the embedding model."""

    strategy: str = Field(
        "recursive", description="recursive, fixed, sentence, semantic, or a registered chunker."
    )
    chunk_size: int = Field(256, ge=16, le=8192, description="Most tokens of a chunk.")
    chunk_overlap: int = Field(
        32, ge=0, le=4096, description="Most tokens a chunk shares with the one before it."
    )
    heading_context: bool = Field(
        True, description="Embed each chunk with the headings it stands under."
    )
    breakpoint_percentile: float = Field(
        90.0, ge=50, le=99.9,
        description="semantic: a change of topic is a distance above this percentile.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _overlap_below_size(self) -> ChunkConfig:
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError(
                f"chunk_overlap ({self.chunk_overlap}) must be smaller than "
                f"chunk_size ({self.chunk_size})"
            )
        return self


@dataclass(frozen=True)
class ChunkInput:
    """What a chunker works on. Offsets are characters of `text`."""

    blocks: Sequence[Block]
    config: ChunkConfig
    tokenizer: Tokenizer
    embed: Embed | None = None

    @cached_property
    def text(self) -> str:
        """The document's text."""
        return full_text(self.blocks)

    @cached_property
    def starts(self) -> list[int]:
        """Where each block starts."""
        return block_starts(self.blocks)

    @cached_property
    def tokens(self) -> TokenIndex:
        """The text's tokens."""
        return TokenIndex(self.text, self.tokenizer)

    @cached_property
    def paths(self) -> list[tuple[str, ...]]:
        """The headings each block stands under; a heading's own path ends with itself."""
        return heading_paths(self.blocks)


#: Returns the spans of the chunks; together they must cover every character but white space.
Chunker = Callable[[ChunkInput], Iterable[Span]]

_chunkers: Plugins[Chunker] = Plugins("ragloom.chunkers")


def register_chunker(name: str, chunker: Chunker) -> None:
    """Make `chunker` serve the strategy `name`."""
    _chunkers.register(name, chunker)


def chunker_names() -> list[str]:
    """Return every strategy, sorted."""
    _load_builtin()
    return _chunkers.names()


def chunk(
    document: ExtractedDocument | Sequence[Block],
    config: ChunkConfig | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    embed: Embed | None = None,
) -> list[Piece]:
    """Cut a document (or its blocks) into pieces, in reading order. Blocks (CPU).

    `tokenizer` defaults to the embedded model's; `embed` is needed by "semantic" only.

    Raises:
        ValueError: the strategy is unknown, or needs `embed` and has none.
    """
    blocks = document.blocks if isinstance(document, ExtractedDocument) else tuple(document)
    config = config or ChunkConfig()
    _load_builtin()
    chunker = _chunkers.get(config.strategy)
    if chunker is None:
        raise ValueError(
            f"unknown chunking strategy “{config.strategy}”; there are: {', '.join(chunker_names())}"
        )
    source = ChunkInput(blocks, config, tokenizer or default_tokenizer(), embed)
    pieces = (_piece(source, start, end) for start, end in chunker(source))
    return [piece for piece in pieces if piece is not None]


def heading_paths(blocks: Sequence[Block]) -> list[tuple[str, ...]]:
    """Return, for each block, the headings above it, outermost first."""
    paths: list[tuple[str, ...]] = []
    stack: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind == "heading":
            level = block.level or 1
            while stack and stack[-1][0] >= level:
                stack.pop()
            stack.append((level, " ".join(block.text.split())))
        paths.append(tuple(title for _, title in stack))
    return paths


def _piece(source: ChunkInput, start: int, end: int) -> Piece | None:
    content = source.text[start:end]
    trimmed = content.strip()
    if not trimmed:
        return None
    start += len(content) - len(content.lstrip())
    end = start + len(trimmed)
    first = max(0, bisect_right(source.starts, start) - 1)
    last = max(0, bisect_right(source.starts, end - 1) - 1)
    inside = range(first, last + 1)
    blocks = [source.blocks[i] for i in inside]
    body = [i for i in inside if source.blocks[i].kind != "heading"] or list(inside)
    headings = _common([source.paths[i] for i in body])
    boxes = [
        box
        for i in inside
        for box in boxes_of_span(source.blocks[i], start - source.starts[i], end - source.starts[i])
    ]
    return Piece(
        content=trimmed,
        start=start,
        end=end,
        page=next((block.page for block in blocks if block.page is not None), None),
        headings=headings,
        boxes=tuple(merge_boxes(boxes)),
        embed_text=_embed_text(source, first, start, trimmed, headings),
        metadata={
            "tokens": source.tokens.count(start, end),
            "kinds": sorted({block.kind for block in blocks}),
        },
    )


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    common = paths[0]
    for path in paths[1:]:
        shared = 0
        while shared < min(len(common), len(path)) and common[shared] == path[shared]:
            shared += 1
        common = common[:shared]
    return common


def _embed_text(
    source: ChunkInput, first: int, start: int, content: str, headings: tuple[str, ...]
) -> str | None:
    """Put in front of `content` what it needs to be understood alone."""
    context: list[str] = []
    if source.config.heading_context:
        lines = set(content.split("\n"))
        path = [title for title in headings if title not in lines]
        budget = int(source.config.chunk_size * HEADING_SHARE)
        while path and len(source.tokenizer.spans(" > ".join(path))) > budget:
            path.pop(0)
        if path:
            context.append(" > ".join(path))
    if (header := _table_header(source.blocks[first], start - source.starts[first])) is not None:
        context.append(header)
    return "\n".join([*context, content]) if context else None


def _table_header(block: Block, offset: int) -> str | None:
    """Return the head of the Markdown table that the piece starts in the middle of."""
    if block.kind != "table" or offset == 0:
        return None
    lines = block.text.split("\n", 2)
    if len(lines) < 3 or not lines[1].startswith("| ---") or offset <= len(lines[0]):
        return None
    return f"{lines[0]}\n{lines[1]}"


def _load_builtin() -> None:
    from app.documents.chunkers import BUILTIN

    for name, chunker in BUILTIN.items():
        if _chunkers.get(name) is None:
            _chunkers.register(name, chunker)
