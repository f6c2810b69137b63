"""Filling a knowledge base: a check of the chunks, and the index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import IndexReport, NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed
from app.engine.values import Chunk as ChunkValue
from app.engine.values import Chunks, Document, Documents, Table
from app.nodes.knowledge_bases import knowledge_base_problems, no_knowledge_base


class QualityCheck(Node["QualityCheck.Config"]):
    """Leave out chunks that nobody should find.

    Chunks without words, with garbled characters, or with the text of another chunk of the same
    document. What was left out is listed with the reason.
    """

    type, version, title, family, icon = (
        "quality_check", 1, "Check quality", "documents", "rule",
    )  # fmt: skip

    class Config(NodeConfig):
        """Settings of the check."""

        enabled: bool = Field(True, description="Off passes everything on.")
        min_chunk_size: int = Field(
            1,
            ge=0,
            le=4_096,
            title="Shortest chunk (characters)",
            description="Chunks of fewer characters are left out.",
        )

    class Outputs(NodeOutputs):
        """What was kept."""

        chunks: Chunks = Field(description="The chunks that are worth keeping.")
        dropped: Table = Field(description="What was left out, and why.")

    async def run(
        self, chunks: Annotated[Chunks, "The chunks to check."], ctx: NodeContext
    ) -> Outputs:
        """Check every chunk."""
        found = await asyncio.to_thread(self._problems, chunks.items)
        kept = tuple(c for i, c in enumerate(chunks.items) if i not in found)
        rows = tuple(
            (c.document_name, c.page, found[i], " ".join(c.content[:80].split()))
            for i, c in enumerate(chunks.items)
            if i in found
        )
        return self.Outputs(
            chunks=chunks.model_copy(update={"items": kept}),
            dropped=Table(columns=("document", "page", "reason", "start"), rows=rows),
        )

    def _problems(self, chunks: Sequence[ChunkValue]) -> dict[int, str]:
        """Index of each chunk that should go -> why."""
        if not self.config.enabled:
            return {}
        from app.documents.quality import QualityConfig, check

        by_document: dict[str, list[int]] = {}
        for index, chunk in enumerate(chunks):
            by_document.setdefault(chunk.document_id, []).append(index)
        settings = QualityConfig(flag=())
        found: dict[int, str] = {}
        for indices in by_document.values():
            report = check([chunks[i].content for i in indices], settings)
            found |= {indices[f.index]: f.reason for f in report.findings}
        least = self.config.min_chunk_size
        for index, chunk in enumerate(chunks):
            if len(chunk.content) < least:
                found.setdefault(index, f"shorter than {least} characters")
        return found

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        if not config.get("enabled", True):
            return "off"
        return "leaves out empty, garbled and repeated chunks"


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
        reports = []
        for document in documents.items:
            own = by_document[document.document_id]
            reports.append(await self._index(document, own, before, total, ctx))
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
