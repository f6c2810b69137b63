"""Values of this toolkit. Field names are those of the engine's port values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

BlockKind = Literal["heading", "paragraph", "list", "table", "code", "image"]

#: What stands between two blocks in a document's text.
BLOCK_SEPARATOR = "\n\n"


class Frozen(BaseModel):
    """Base: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(Frozen):
    """A rectangle on a page, in fractions (0..1) of its width and height from the top left."""

    page: int = Field(ge=1)
    x0: float
    y0: float
    x1: float
    y1: float


class Block(Frozen):
    """A run of text of one kind. Tables are Markdown tables; list items are lines; the text of an
    image is its caption, its description and what was read in it."""

    kind: BlockKind
    text: str
    #: Page, slide or sheet number, from 1; None where the format does not say.
    page: int | None = None
    #: Of a heading, from 1.
    level: int | None = None
    #: One a line of text where the format has a layout.
    boxes: tuple[Box, ...] = ()
    #: Of a table: its rows, the header first; a cell that spans several stands in each.
    cells: tuple[tuple[str, ...], ...] = ()
    #: Natural language (ISO 639-1), where it was found paragraph by paragraph.
    language: str | None = None
    #: Of code: the language's name as the source gives it; of what is said in subtitles: the time
    #: (hh:mm:ss) at which it begins.
    info: str = ""


class ExtractedDocument(Frozen):
    """A file as text: blocks in reading order and what the file says about itself."""

    media_type: str
    title: str = ""
    language: str | None = None
    pages: int | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    @property
    def text(self) -> str:
        """The extracted text that offsets refer to."""
        return full_text(self.blocks)


class Piece(Frozen):
    """A chunk: `content` is exactly the characters `start`..`end` of the document's text."""

    content: str
    start: int
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    #: What to embed where it differs from `content`: heading path (and table header) in front.
    embed_text: str | None = None
    language: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


def full_text(blocks: Sequence[Block]) -> str:
    """Return the text of a document: its blocks' texts with an empty line between them."""
    return BLOCK_SEPARATOR.join(block.text for block in blocks)


def block_starts(blocks: Sequence[Block]) -> list[int]:
    """Return the offset in `full_text(blocks)` at which each block starts."""
    starts, offset = [], 0
    for block in blocks:
        starts.append(offset)
        offset += len(block.text) + len(BLOCK_SEPARATOR)
    return starts
