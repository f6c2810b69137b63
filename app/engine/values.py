"""The values that travel along wires: one pydantic model per port type.

Values are frozen: a branch may hand the same object to several nodes that run at once.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class PortValue(BaseModel):
    """Base of every port type; a port annotated with it takes any value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Name of the port type in files, forms and messages.
    type_name: ClassVar[str] = "Any"
    #: One line for tooltips and reference pages.
    type_help: ClassVar[str] = "Any value."


class Text(PortValue):
    """Plain text."""

    type_name, type_help = "Text", "Plain text."
    text: str


class Number(PortValue):
    """A number."""

    type_name, type_help = "Number", "A number."
    value: float


class Flag(PortValue):
    """Yes or no."""

    type_name, type_help = "Flag", "Yes or no."
    value: bool


class Json(PortValue):
    """Any JSON data."""

    type_name, type_help = "Json", "Any JSON data."
    data: Any = None


class Table(PortValue):
    """Rows under named columns."""

    type_name, type_help = "Table", "Rows under named columns."
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...] = ()


class Query(PortValue):
    """A question on its way to retrieval, with what preprocessing found out about it."""

    type_name, type_help = "Query", "A question, with what preprocessing found out about it."
    #: What retrieval searches for.
    text: str
    #: What the person typed.
    original: str
    language: str | None = None
    #: acronym -> expansion, as written into `text`.
    expansions: dict[str, str] = Field(default_factory=dict)
    #: misspelt word -> correction, as written into `text`.
    corrections: dict[str, str] = Field(default_factory=dict)
    entities: tuple[Entity, ...] = ()
    filters: dict[str, Any] = Field(default_factory=dict)


class Entity(BaseModel):
    """A name, number, date or term found in a text."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    kind: str


class Box(BaseModel):
    """A rectangle on a page, in fractions (0..1) of its width and height from the top left."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    page: int = Field(ge=1)
    x0: float
    y0: float
    x1: float
    y1: float


class Chunk(BaseModel):
    """A passage of a document. `content` is the source text, whatever was embedded."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    chunk_id: str
    document_id: str
    document_name: str
    content: str
    #: Score of the last stage that ordered the chunks; larger is better.
    score: float | None = None
    #: Score at each stage: "semantic" (cosine), "keyword" (BM25), "hybrid" (fused), "rerank", …
    scores: dict[str, float] = Field(default_factory=dict)
    #: Page, slide or sheet number, from 1.
    page: int | None = None
    headings: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    #: Character offsets of `content` in the document's extracted text.
    start: int | None = None
    end: int | None = None
    #: The text to embed where it differs from `content` (heading path in front).
    embed_text: str | None = None
    language: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Chunks(PortValue):
    """Passages, best first."""

    type_name, type_help = "Chunks", "Passages of documents, best first."
    items: tuple[Chunk, ...] = ()
    #: Knowledge base and commit they came from, where retrieved.
    knowledge_base_id: str | None = None
    commit: str | None = None


class Citation(BaseModel):
    """The passage that supports a sentence; `number` is what the reader sees in brackets."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(ge=1)
    chunk_id: str
    document_id: str
    document_name: str
    knowledge_base_id: str | None = None
    page: int | None = None
    headings: tuple[str, ...] = ()
    #: Of what is said in subtitles: when the passage begins, such as “00:12:34”.
    time: str = ""
    #: The sentence or span of the chunk that supports the answer, verbatim.
    quote: str
    score: float | None = None


class AnswerSentence(BaseModel):
    """One sentence of an answer and the numbers of its citations."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    citations: tuple[int, ...] = ()


class Answer(PortValue):
    """An answer, sentence by sentence, with numbered citations."""

    type_name, type_help = "Answer", "An answer whose sentences cite passages."
    text: str
    sentences: tuple[AnswerSentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    #: True where nothing in the passages supports an answer and the text says so.
    abstained: bool = False
    #: 0..1, how well the passages support the answer.
    confidence: float = Field(0.0, ge=0, le=1)
    model: str = ""
    question: str = ""
    usage: dict[str, float] = Field(default_factory=dict)


class Check(BaseModel):
    """One check of a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    passed: bool
    score: float = Field(ge=0, le=1)
    reason: str


class Verdict(PortValue):
    """What validation found: pass or fail, how sure, and why."""

    type_name, type_help = "Verdict", "Pass or fail of an answer, with reasons."
    passed: bool
    confidence: float = Field(ge=0, le=1)
    checks: tuple[Check, ...] = ()
    reasons: tuple[str, ...] = ()


class Block(BaseModel):
    """A heading, paragraph, list, table, code or image block of an extracted document."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    text: str
    page: int | None = None
    level: int | None = None
    boxes: tuple[Box, ...] = ()
    #: Of a table: its rows, the header first.
    cells: tuple[tuple[str, ...], ...] = ()
    #: Natural language (ISO 639-1), where it was found paragraph by paragraph.
    language: str | None = None
    #: Of code: the name of its language.
    info: str = ""


class Document(BaseModel):
    """A file, before extraction (no blocks) or after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    document_id: str
    filename: str
    #: SHA-256 of the original's bytes, its name in the blob folder.
    blob: str
    size: int = Field(ge=0)
    media_type: str = ""
    title: str = ""
    language: str | None = None
    pages: int | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


class Documents(PortValue):
    """Files, or the documents extracted from them."""

    type_name, type_help = "Documents", "Files, or the documents extracted from them."
    items: tuple[Document, ...] = ()


class Values(PortValue):
    """A list of values. `to_items` and `from_items` (app/engine/items.py) take it apart."""

    type_name, type_help = "Values", "A list of values, each of any type."
    #: Each as `{"type": "Text", "value": {"text": "…"}}`.
    items: tuple[dict[str, Any], ...] = ()


Query.model_rebuild()

#: Every built-in port type by name.
PORT_TYPES: dict[str, type[PortValue]] = {
    t.type_name: t
    for t in (
        PortValue,
        Text,
        Number,
        Flag,
        Json,
        Table,
        Query,
        Documents,
        Chunks,
        Answer,
        Verdict,
        Values,
    )
}


def accepts(source: type[PortValue], target: type[PortValue]) -> bool:
    """Whether an output of type `source` may be wired to an input of type `target`.

    A type fits itself, its bases, and the open type `PortValue`. An output whose type is open
    (a merge of anything) fits everywhere; the runner checks the value when it arrives.
    Conversions are nodes of their own.
    """
    return source is PortValue or issubclass(source, target)
