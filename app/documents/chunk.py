"""Cutting a document into chunks that know where they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from app.documents.boxes import boxes_of_span, merge_boxes
from app.documents.embed_text import as_words
from app.documents.model import Block, ExtractedDocument, Frozen, Piece, block_starts, full_text
from app.documents.plugins import Plugins, first_line
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
        "recursive",
        description="recursive, fixed, sentence, semantic, document_aware, parent_child, "
        "table_rows, question_answer, page, or a registered chunker.",
    )
    chunk_size: int = Field(256, ge=16, le=8192, description="Most tokens of a chunk.")
    chunk_overlap: int = Field(
        32, ge=0, le=4096, description="Most tokens a chunk shares with the one before it."
    )
    heading_context: bool = Field(
        True, description="Embed each chunk with the headings it stands under."
    )
    parent_size: int = Field(
        1200, ge=16, le=32_768,
        description="parent_child: most tokens of a parent. page: most tokens of a page kept whole.",
    )  # fmt: skip
    preserve_code_blocks: bool = Field(
        False, description="Keep a code block whole up to twice `chunk_size`."
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

    def with_config(self, config: ChunkConfig) -> ChunkInput:
        """The same document to be cut otherwise; what is known of it is not found out again."""
        other = ChunkInput(self.blocks, config, self.tokenizer, self.embed)
        other.__dict__["text"] = self.text
        other.__dict__["starts"] = self.starts
        other.__dict__["tokens"] = self.tokens
        return other


@dataclass(frozen=True, slots=True)
class Cut:
    """A span, and what its chunker knows about it besides."""

    start: int
    end: int
    #: Joins the chunk's metadata.
    metadata: dict[str, Any] = field(default_factory=dict)
    #: Put in front of the text that is embedded.
    before: str = ""


#: Returns the spans of the chunks in order (as pairs or as `Cut`); together they must cover every
#: character but white space.
Chunker = Callable[[ChunkInput], Iterable[Span | Cut]]

_chunkers: Plugins[Chunker] = Plugins("ragloom.chunkers")


def register_chunker(name: str, chunker: Chunker) -> None:
    """Make `chunker` serve the strategy `name`."""
    _chunkers.register(name, chunker)


def chunker_names() -> list[str]:
    """Return every strategy, sorted."""
    _load_builtin()
    return _chunkers.names()


def chunker_help() -> dict[str, str]:
    """Return what each strategy does, in one line (the first of its docstring), by name."""
    return {
        name: first_line(chunker) for name in chunker_names() if (chunker := _chunkers.get(name))
    }


def failed_chunkers() -> dict[str, str]:
    """Return the entry points of chunkers that could not be loaded, and why."""
    return dict(_chunkers.failed)


def chunk(
    document: ExtractedDocument | Sequence[Block],
    config: ChunkConfig | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    embed: Embed | None = None,
) -> list[Piece]:
    """Cut a document (or its blocks) into pieces, in reading order. Blocks (CPU).

    Blocks of different languages never share a piece. `tokenizer` defaults to the embedded
    model's; `embed` is needed by "semantic" only.

    Raises:
        ValueError: the strategy is unknown, needs `embed` and has none, or cut outside the text.
    """
    blocks = document.blocks if isinstance(document, ExtractedDocument) else tuple(document)
    config = config or ChunkConfig()
    _load_builtin()
    chunker = _chunkers.get(config.strategy)
    if chunker is None:
        raise ValueError(
            f"unknown chunking strategy “{config.strategy}”; there are: {', '.join(chunker_names())}"
        )
    whole = ChunkInput(blocks, config, tokenizer or default_tokenizer(), embed)
    runs = language_runs(blocks)
    pieces: list[Piece] = []
    for run in runs:
        source = whole if len(runs) == 1 else _part(whole, run)
        shift = whole.starts[run.start]
        for item in chunker(source):
            cut = item if isinstance(item, Cut) else Cut(*item)
            if not 0 <= cut.start <= cut.end <= len(source.text):
                raise ValueError(
                    f"the strategy “{config.strategy}” cut at {cut.start}..{cut.end} of a text of "
                    f"{len(source.text)} characters"
                )
            piece = _piece(whole, source, cut, shift)
            if piece is not None:
                pieces.append(piece)
    return pieces


def language_runs(blocks: Sequence[Block]) -> list[range]:
    """Return the runs of blocks between changes of language; one without a language joins any."""
    runs: list[range] = []
    start, current = 0, None
    for index, block in enumerate(blocks):
        if block.language is not None and current not in (None, block.language):
            runs.append(range(start, index))
            start = index
        current = block.language or current
    return [*runs, range(start, len(blocks))] if blocks else []


def _part(whole: ChunkInput, run: range) -> ChunkInput:
    return ChunkInput(
        whole.blocks[run.start : run.stop], whole.config, whole.tokenizer, whole.embed
    )


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


def _piece(source: ChunkInput, part: ChunkInput, cut: Cut, shift: int) -> Piece | None:
    """The piece of the whole document (`source`) that a cut of a part of it at `shift` means."""
    start, end = cut.start + shift, cut.end + shift
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
    metadata: dict[str, Any] = {
        "tokens": part.tokens.count(start - shift, end - shift),
        "kinds": sorted({block.kind for block in blocks}),
    }
    if code := [_code(source, i, start, end) for i in inside if source.blocks[i].kind == "code"]:
        metadata["code"] = code
    if time := next((b.info for b in blocks if b.info and b.kind == "paragraph"), ""):
        metadata["time"] = time
    if titles := [_title(source, i, start, end) for i in inside if blocks[i - first].level]:
        metadata["titles"] = titles
    if parent := cut.metadata.get("parent"):
        parent = {**parent, "start": parent["start"] + shift, "end": parent["end"] + shift}
        if shift:
            parent["id"] = f"{shift}:{parent['id']}"
        metadata["parent"] = parent
    return Piece(
        content=trimmed,
        start=start,
        end=end,
        page=next((block.page for block in blocks if block.page is not None), None),
        headings=headings,
        boxes=tuple(merge_boxes(boxes)),
        embed_text=_embed_text(source, first, start, trimmed, headings, cut.before),
        language=next((block.language for block in blocks if block.language is not None), None),
        metadata={**cut.metadata, **metadata},
    )


def _code(source: ChunkInput, index: int, start: int, end: int) -> dict[str, Any]:
    """Where a code block is in a piece: offsets of the document, and whether it is all there."""
    block, at = source.blocks[index], source.starts[index]
    first, last = max(start, at), min(end, at + len(block.text))
    whole = first <= at + _margin(block.text) and last >= at + len(block.text.rstrip())
    return {"start": first, "end": last, "info": block.info, "whole": whole}


def _title(source: ChunkInput, index: int, start: int, end: int) -> dict[str, int]:
    """Where a heading is in a piece (offsets of the document), and its level."""
    block, at = source.blocks[index], source.starts[index]
    last = min(end, at + len(block.text))
    return {"start": max(start, at), "end": last, "level": block.level or 1}


def _margin(text: str) -> int:
    return len(text) - len(text.lstrip())


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    common = paths[0]
    for path in paths[1:]:
        shared = 0
        while shared < min(len(common), len(path)) and common[shared] == path[shared]:
            shared += 1
        common = common[:shared]
    return common


def _embed_text(
    source: ChunkInput,
    first: int,
    start: int,
    content: str,
    headings: tuple[str, ...],
    before: str,
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
    if before:
        context.append(before)
    if (header := _table_header(source.blocks[first], start - source.starts[first])) is not None:
        context.append(header)
    text = "\n".join(map(as_words, [*context, content]))
    return None if text == content else text


def _table_header(block: Block, offset: int) -> str | None:
    """Return the head of the table that the piece starts in the middle of."""
    if block.kind != "table" or offset == 0:
        return None
    lines = block.text.split("\n", 2)
    if len(lines) > 2 and "-" in lines[1] and set(lines[1]) <= set("|-: "):
        return f"{lines[0]}\n{lines[1]}" if offset > len(lines[0]) else None
    # Not written as Markdown: the cells know the header.
    return " | ".join(block.cells[0]) if len(block.cells) > 1 and len(lines) > 1 else None


def _load_builtin() -> None:
    from app.documents.chunkers import BUILTIN

    for name, chunker in BUILTIN.items():
        if not _chunkers.has(name):
            _chunkers.register(name, chunker)
