"""Filling a knowledge base: a check of the chunks, and the index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from app.documents.quality import DEFAULT_ACTIONS
from app.engine.context import IndexReport, NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed
from app.engine.values import Chunk as ChunkValue
from app.engine.values import Chunks, Document, Documents, Json, Table
from app.nodes.knowledge_bases import knowledge_base_problems, no_knowledge_base


class QualityCheck(Node["QualityCheck.Config"]):
    """Find chunks that nobody should find, and flag them, mend them or leave them out.

    Checks look for chunks without words, repeated or nearly repeated in the same document, in
    damaged characters, in menus and notices, too short or too long, in an unexpected language,
    with code that cannot be parsed, or without technical terms. What was found is reported for
    each document.
    """

    type, version, title, family, icon = (
        "quality_check", 2, "Check quality", "documents", "rule",
    )  # fmt: skip
    timeout_s = 600.0

    class Config(NodeConfig):
        """Settings of the check."""

        enabled: bool = Field(True, description="Off passes everything on.")
        validators: dict[str, Literal["flag", "drop", "repair"]] = Field(
            dict(DEFAULT_ACTIONS),
            max_length=50,
            title="Checks",
            description="Which checks run, and what happens to a chunk they find: flag reports it, "
            "drop leaves it out, repair mends its text or, where that fails, leaves it out.",
            json_schema_extra={"widget": "validators"},
        )
        min_chunk_length: int = Field(
            1,
            ge=0,
            le=4_096,
            title="Shortest chunk (characters)",
            description="“Min length” finds chunks of fewer characters, and those without words.",
        )
        max_chunk_length: int = Field(
            20_000,
            ge=1,
            le=1_000_000,
            title="Longest chunk (characters)",
            description="“Max length” finds chunks of more characters.",
        )
        languages: list[str] = Field(
            default_factory=list,
            max_length=50,
            description="“Language” finds chunks in others than these (ISO 639-1); empty: any.",
        )

    class Outputs(NodeOutputs):
        """What was kept."""

        chunks: Chunks = Field(description="The chunks that are worth keeping.")
        dropped: Table = Field(description="What was left out, and why.")
        report: Json = Field(description="For each document (by id): what was found.")

    async def run(
        self, chunks: Annotated[Chunks, "The chunks to check."], ctx: NodeContext
    ) -> Outputs:
        """Check every chunk."""
        if not self.config.enabled:
            return self.Outputs(
                chunks=chunks, dropped=Table(columns=_DROPPED), report=Json(data={})
            )
        try:
            kept, rows, reports = await asyncio.to_thread(self._checked, chunks.items)
        except ValueError as error:
            raise NodeFailed(
                f"The chunks could not be checked: {error}.",
                code="bad_setting",
                fix="Choose other checks in the node's settings.",
            ) from error
        return self.Outputs(
            chunks=chunks.model_copy(update={"items": kept}),
            dropped=Table(columns=_DROPPED, rows=rows),
            report=Json(data=reports),
        )

    def _checked(
        self, chunks: Sequence[ChunkValue]
    ) -> tuple[tuple[ChunkValue, ...], tuple[tuple[Any, ...], ...], dict[str, Any]]:
        """What is kept, the rows of what is not, and each document's report."""
        from app.documents.quality import QualityConfig, check, summary

        by_document: dict[str, list[int]] = {}
        for index, chunk in enumerate(chunks):
            by_document.setdefault(chunk.document_id, []).append(index)
        settings = QualityConfig(
            validators=self.config.validators,
            min_chunk_length=self.config.min_chunk_length,
            max_chunk_length=self.config.max_chunk_length,
            languages=tuple(self.config.languages),
        )
        kept: dict[int, ChunkValue] = {}
        rows: list[tuple[Any, ...]] = []
        reports: dict[str, Any] = {}
        for document_id, indices in by_document.items():
            own = [chunks[index] for index in indices]
            report = check([_passage(chunk) for chunk in own], settings)
            reports[document_id] = summary(report, [chunk.start for chunk in own])
            why = {f.index: f.reason for f in report.findings if f.action == "drop"}
            rows += (
                (own[i].document_name, own[i].page, why[i], " ".join(own[i].content[:80].split()))
                for i in sorted(why)
            )
            told: dict[int, list[str]] = {}
            for finding in report.findings:
                if finding.action == "flag":
                    told.setdefault(finding.index, []).append(finding.reason)
            for i in report.kept:
                kept[indices[i]] = _flagged(_repaired(own[i], report.repaired.get(i)), told.get(i))
        return tuple(kept[index] for index in sorted(kept)), tuple(rows), reports

    @classmethod
    def migrate(cls, config: dict[str, Any], from_version: int) -> dict[str, Any]:
        """Version 1 called the shortest chunk min_chunk_size."""
        if "min_chunk_size" in config:
            config["min_chunk_length"] = config.pop("min_chunk_size")
        return config

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        if not config.get("enabled", True):
            return "off"
        count = len(config.get("validators", DEFAULT_ACTIONS))
        return f"{count} check{'s' * (count != 1)} of every chunk"


_DROPPED = ("document", "page", "reason", "start")


def _passage(chunk: ChunkValue) -> Any:
    from app.documents.quality import CodeSpan, Passage

    start = chunk.start or 0
    code = tuple(
        CodeSpan(span["start"] - start, span["end"] - start, span["info"], span["whole"])
        for span in chunk.metadata.get("code", ())
    )
    kinds = tuple(chunk.metadata.get("kinds", ()))
    return Passage(chunk.content, chunk.language, kinds, code)


def _flagged(chunk: ChunkValue, reasons: list[str] | None) -> ChunkValue:
    """The chunk with what was found wrong with it in its metadata, where filters find it."""
    if not reasons:
        return chunk
    return chunk.model_copy(update={"metadata": {**chunk.metadata, "quality": reasons}})


def _repaired(chunk: ChunkValue, text: str | None) -> ChunkValue:
    """The chunk with a mended text; its source stays in the metadata, its offsets as they are."""
    if text is None:
        return chunk
    from app.documents.embed_text import with_text

    return chunk.model_copy(
        update={
            "content": text,
            "embed_text": with_text(chunk.embed_text, chunk.content, text),
            "metadata": {**chunk.metadata, "source_text": chunk.content},
        }
    )


class Index(Node["Index.Config"]):
    """Embed chunks and put them into a knowledge base.

    Each document becomes one commit. Text whose embedding is known already is not embedded again,
    and a document that did not change makes no commit. Where a run only tries, nothing is written,
    and the report tells which chunks would change and how much would be embedded.
    """

    type, version, title, family, icon = "index", 1, "Embed and index", "documents", "storage"
    cacheable = False
    timeout_s = 3_600.0

    class Config(NodeConfig):
        """Settings of indexing."""

        knowledge_base: str = Field(
            "",
            max_length=200,
            description="Name or id of the knowledge base to fill.",
            json_schema_extra={"widget": "knowledge_base"},
        )
        ref: str = Field(
            "main",
            min_length=1,
            max_length=200,
            title="Branch",
            description="Branch that receives the commits.",
            json_schema_extra={"widget": "ref"},
        )
        processing: dict[str, Any] = Field(
            default_factory=dict,
            description="Settings the chunks were made with, kept with each document.",
        )

    class Outputs(NodeOutputs):
        """What was done."""

        report: Table = Field(
            description="For each document: change, chunks, commit; what would change in a run "
            "that only tries."
        )

    async def run(
        self,
        documents: Annotated[Documents, "The documents the chunks come from."],
        chunks: Annotated[Chunks, "The chunks to index."],
        ctx: NodeContext,
        quality: Annotated[
            Json | None, "What the quality check found, kept with each document."
        ] = None,
    ) -> Outputs:
        """Index document by document."""
        if not self.config.knowledge_base:
            raise no_knowledge_base()
        by_document: dict[str, list[ChunkValue]] = {d.document_id: [] for d in documents.items}
        for chunk in chunks.items:
            if chunk.document_id not in by_document:
                raise NodeFailed(
                    f"A chunk of {chunk.document_name} came without its document.",
                    code="missing_input",
                    fix="Wire the documents that the chunks were cut from into this node.",
                )
            by_document[chunk.document_id].append(chunk)
        before, total = 0, len(chunks.items)
        ctx.progress(0, total)
        found = quality.data if quality is not None and isinstance(quality.data, dict) else {}
        reports = []
        for document in documents.items:
            own = by_document[document.document_id]
            told = _with_quality(document, found.get(document.document_id))
            reports.append(await self._index(told, own, before, total, ctx))
            before += len(own)
            ctx.progress(before, total, document.filename)
        return self.Outputs(report=_report(reports))

    async def _index(
        self,
        document: Document,
        chunks: Sequence[ChunkValue],
        before: int,
        total: int,
        ctx: NodeContext,
    ) -> IndexReport:
        def progress(done: int, _of: int) -> None:
            ctx.progress(before + min(done, len(chunks)), total, document.filename)

        return await ctx.world.knowledge.index(
            self.config.knowledge_base,
            document,
            chunks,
            ref=self.config.ref,
            processing=self.config.processing,
            progress=progress,
        )

    async def fingerprint(self, world: World) -> str:
        """Always run: its effect is outside the graph."""
        return ""

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """A knowledge base must be chosen."""
        return knowledge_base_problems(config)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        name = config.get("knowledge_base") or "no knowledge base yet"
        ref = config.get("ref", "main")
        return f"into {name}" + (f" on {ref}" if ref != "main" else "")


def _with_quality(document: Document, report: Any) -> Document:
    if not report:
        return document
    metadata = {**document.metadata, "quality": report}
    return document.model_copy(update={"metadata": metadata})


def _report(reports: Sequence[IndexReport]) -> Table:
    if any(report.preview is not None for report in reports):
        return _previews(reports)
    columns = ("document_id", "filename", "change", "chunks", "embedded", "commit")
    return Table(
        columns=columns,
        rows=tuple(tuple(getattr(report, column) for column in columns) for report in reports),
    )


#: What a run that only tries tells of each document.
_WOULD = (
    "filename", "would be", "chunks", "same", "changed", "added", "removed", "to embed", "tokens",
)  # fmt: skip


def _previews(reports: Sequence[IndexReport]) -> Table:
    rows = tuple(
        (
            report.filename, report.change, report.chunks, p.same, p.changed, p.added, p.removed,
            p.to_embed, p.tokens,
        )
        for report in reports
        if (p := report.preview) is not None
    )  # fmt: skip
    return Table(columns=_WOULD, rows=rows)
