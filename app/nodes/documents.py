"""Reading documents: files, their text, chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from app.engine.context import NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Chunk as ChunkValue
from app.engine.values import Chunks, Document, Documents, Table
from app.nodes.cutting import WITHOUT_MODEL, ThreadEmbed, cut
from app.nodes.files import FileRef, read_files
from app.nodes.together import each

#: Files read at once: parsing has worker processes of its own, and few of them.
_AT_ONCE = 2


class Files(Node["Files.Config"]):
    """Files to put into a knowledge base.

    Choose them here, or send them with the run.
    """

    type, version, title, family, icon = "files", 1, "Files", "documents", "folder_open"

    class Config(NodeConfig):
        """Settings of the files."""

        name: str = Field(
            "files", min_length=1, max_length=64, description="Key of the files in `input_data`."
        )
        files: list[FileRef] = Field(
            default_factory=list,
            max_length=1_000,
            description="Files used when a run brings none of its own.",
            json_schema_extra={"widget": "files"},
        )

    class Outputs(NodeOutputs):
        """The files."""

        documents: Documents = Field(description="The files, not read yet.")

    async def run(self, ctx: NodeContext) -> Outputs:
        """List the files."""
        name = self.config.name
        value = ctx.input_data.get(name)
        items = read_files(value, name) if value else ()
        items = items or tuple(ref.document() for ref in self.config.files)
        if not items:
            raise NodeFailed(
                "There are no files.",
                code="missing_input",
                fix="Add some beside Run or in the node's settings; a program sends them as "
                f"input_data.{name}.",
            )
        return self.Outputs(documents=Documents(items=items))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return (config.name,)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        count = len(config.get("files") or ())
        if not count:
            return "files of the run"
        return "1 file" if count == 1 else f"{count} files"


class Extract(Node["Extract.Config"]):
    """Read files into headings, paragraphs, lists and tables.

    PDF, Office files, HTML, Markdown, LaTeX, e-books, mails, notebooks, subtitles, JSON, text, and
    images with text recognition on; page, slide and sheet numbers are kept, and times of subtitles.
    Each file is read in a process of its own with limits, so that a broken one harms nothing else.
    """

    type, version, title, family, icon = "extract", 1, "Extract text", "documents", "description"
    timeout_s = 1_800.0

    class Config(NodeConfig):
        """Settings of reading."""

        strategy: Literal["comprehensive", "fast", "auto"] = Field(
            "comprehensive",
            title="How thoroughly to read",
            description="“comprehensive” also looks for tables in PDF files; “fast” takes the "
            "text alone; “auto” looks for tables where there are signs of one.",
        )
        ocr: Literal["off", "auto", "force"] = Field(
            "off",
            title="Text recognition (OCR)",
            description="“auto” reads images and pages without a text layer, “force” reads every "
            "page as an image. Slow.",
        )
        on_error: Literal["fail", "skip"] = Field(
            "fail",
            title="When a file cannot be read",
            description="A file that cannot be read stops the run, or is left out.",
        )

    class Outputs(NodeOutputs):
        """What was read."""

        documents: Documents = Field(description="The documents with their text.")
        failures: Table = Field(description="Files that could not be read, and why.")

    async def run(
        self, documents: Annotated[Documents, "The files to read."], ctx: NodeContext
    ) -> Outputs:
        """Read every file."""
        options = {"extraction_strategy": self.config.strategy, "ocr": self.config.ocr}
        results = await each(
            documents.items,
            lambda document: ctx.world.files.extract(document, options),
            ctx,
            at_once=_AT_ONCE,
            name=lambda document: document.filename,
            on_error=self.config.on_error,
        )
        failures = tuple(
            (document.filename, result.message, result.fix)
            for document, result in zip(documents.items, results, strict=True)
            if isinstance(result, RagloomError)
        )
        return self.Outputs(
            documents=Documents(items=tuple(r for r in results if isinstance(r, Document))),
            failures=Table(columns=("filename", "message", "fix"), rows=failures),
        )

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        words = {"comprehensive": "text and tables", "fast": "text alone", "auto": "as needed"}
        return words.get(config.get("strategy", "comprehensive"), "")


class Chunk(Node["Chunk.Config"]):
    """Cut documents into passages of a size that can be searched and cited.

    Every chunk knows its document, page, headings and place in the text.
    """

    type, version, title, family, icon = "chunk", 1, "Chunk", "documents", "content_cut"
    timeout_s = 600.0

    class Config(NodeConfig):
        """Settings of cutting. Sizes are in tokens of the embedding model."""

        strategy: str = Field(
            "recursive",
            min_length=1,
            max_length=64,
            title="Where to cut",
            description="“recursive” cuts at headings, paragraphs and sentences; “document_aware” "
            "at every heading, with tables and code kept whole; “sentence” at sentences; "
            "“semantic” where the topic changes; “fixed” at a length; “parent_child” makes small "
            "chunks that know the larger one they stand in; “table_rows” a chunk of each row; "
            "“question_answer” of each question with its answer; “page” of each page or slide.",
            json_schema_extra={"widget": "chunker"},
        )
        chunk_size: int = Field(
            400, ge=16, le=8_192, title="Chunk size (tokens)", description="Most tokens of a chunk."
        )
        chunk_overlap: int = Field(
            50,
            ge=0,
            le=4_096,
            title="Overlap (tokens)",
            description="Tokens that a chunk repeats of the one before.",
        )
        token_model: str = Field(
            "default",
            min_length=1,
            max_length=300,
            title="Tokens of",
            description="Embedding model whose tokens are counted: the one of the knowledge base.",
            json_schema_extra={"widget": "embedding_model"},
        )
        parent_size: int = Field(
            1_200,
            ge=16,
            le=32_768,
            title="Parent size (tokens)",
            description="Most tokens of a parent, or of a page that is kept whole.",
            json_schema_extra={"shown_for": {"strategy": ["parent_child", "page"]}},
        )
        breakpoint_percentile: float = Field(
            90.0,
            ge=50,
            le=99.9,
            title="Change of topic (percentile)",
            description="Two sentences further apart than this share of all neighbours are two "
            "topics. Lower makes more, smaller chunks.",
            json_schema_extra={"shown_for": {"strategy": ["semantic"]}},
        )
        breakpoint_model: str = Field(
            "default",
            min_length=1,
            max_length=300,
            title="Model that compares sentences",
            description="Embedding model by which changes of topic are found.",
            json_schema_extra={
                "widget": "embedding_model",
                "shown_for": {"strategy": ["semantic"]},
            },
        )
        heading_context: bool = Field(
            True,
            title="Embed with headings",
            description="Embed each chunk with the headings it stands under in front.",
        )
        preserve_code_blocks: bool = Field(
            False,
            title="Keep code whole",
            description="Keep a code block whole up to twice the size of a chunk.",
        )
        split_languages: bool = Field(
            False,
            title="Split by language",
            description="Find the language of each paragraph, and cut where it changes.",
        )
        languages: list[str] = Field(
            default_factory=list,
            max_length=50,
            description="Languages (ISO 639-1) to choose among when splitting; empty: any.",
            json_schema_extra={"shown_for": {"split_languages": [True]}},
        )

        @model_validator(mode="after")
        def _fits(self) -> Chunk.Config:
            if self.chunk_overlap >= self.chunk_size:
                raise ValueError("chunk_overlap must be smaller than chunk_size")
            if self.strategy == "parent_child" and self.parent_size < self.chunk_size:
                raise ValueError("parent_size must not be smaller than chunk_size")
            return self

    class Outputs(NodeOutputs):
        """The chunks."""

        chunks: Chunks = Field(description="The passages, in reading order.")

    async def run(
        self, documents: Annotated[Documents, "Documents that were read."], ctx: NodeContext
    ) -> Outputs:
        """Cut every document."""
        total = len(documents.items)
        chunks: list[ChunkValue] = []
        embed = ThreadEmbed(ctx.world.models, self.config.breakpoint_model)
        tokens = await ctx.world.models.tokenizer(self.config.token_model)
        try:
            for done, document in enumerate(documents.items, start=1):
                chunks.extend(await asyncio.to_thread(cut, document, self.config, embed, tokens))
                ctx.progress(done, total, document.filename)
        finally:
            embed.stop()
        return self.Outputs(chunks=Chunks(items=tuple(chunks)))

    async def fingerprint(self, world: World) -> str:
        """The model that compares sentences, where one does."""
        if self.config.strategy in WITHOUT_MODEL:
            return ""
        return world.models.fingerprint(self.config.breakpoint_model, "embed")

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        size, overlap = config.get("chunk_size", 400), config.get("chunk_overlap", 50)
        return f"{config.get('strategy', 'recursive')}, {size} tokens, {overlap} overlap"
