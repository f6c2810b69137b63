"""Telling languages apart, paragraph by paragraph."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.values import Block, Document, Documents, Table


class SplitLanguages(Node["SplitLanguages.Config"]):
    """Tell which language each paragraph of a document is in.

    Chunks are then cut where the language changes, each is embedded by the model of its language,
    and a search can be limited to some languages. The language that most of a document is in
    becomes its own.
    """

    type, version, title, family, icon = (
        "split_languages", 1, "Split by language", "documents", "translate",
    )  # fmt: skip
    timeout_s = 600.0

    class Config(NodeConfig):
        """Settings of the languages."""

        languages: list[str] = Field(
            [],
            max_length=50,
            description="Languages (ISO 639-1, such as en or de) to choose among; empty: those "
            "that are found.",
        )

        @field_validator("languages")
        @classmethod
        def _codes(cls, languages: list[str]) -> list[str]:
            codes = [code.strip().lower() for code in languages]
            if wrong := next((c for c in codes if not (c.isalpha() and 2 <= len(c) <= 3)), None):
                raise ValueError(f"“{wrong[:30]}” is no code of a language; use en, de, zh, …")
            return codes

    class Outputs(NodeOutputs):
        """The documents, with languages."""

        documents: Documents = Field(description="The documents, each block with its language.")
        languages: Table = Field(
            description="For each document and language: blocks and characters."
        )

    async def run(
        self, documents: Annotated[Documents, "Documents that were read."], ctx: NodeContext
    ) -> Outputs:
        """Tell the languages of each document."""
        total = len(documents.items)
        items: list[Document] = []
        rows: list[tuple[Any, ...]] = []
        for done, document in enumerate(documents.items, start=1):
            item, found = await asyncio.to_thread(self._split, document)
            items.append(item)
            rows += ((document.filename, code, *counts) for code, counts in found)
            ctx.progress(done, total, document.filename)
        return self.Outputs(
            documents=Documents(items=tuple(items)),
            languages=Table(
                columns=("document", "language", "blocks", "characters"), rows=tuple(rows)
            ),
        )

    def _split(self, document: Document) -> tuple[Document, list[tuple[str, tuple[int, int]]]]:
        """The document with languages, and (blocks, characters) of each. Blocks (CPU)."""
        from app.documents.model import Block as Read
        from app.documents.segments import segment

        read = [Read.model_validate(block.model_dump()) for block in document.blocks]
        codes = [block.language for block in segment(read, self.config.languages)]
        blocks: list[Block] = []
        count: Counter[str] = Counter()
        length: Counter[str] = Counter()
        for block, code in zip(document.blocks, codes, strict=True):
            blocks.append(block.model_copy(update={"language": code}))
            if code is not None:
                count[code] += 1
                length[code] += len(block.text)
        changes: dict[str, Any] = {"blocks": tuple(blocks)}
        if length:
            changes["language"] = length.most_common(1)[0][0]
        told = [(code, (count[code], chars)) for code, chars in length.most_common()]
        return document.model_copy(update=changes), told

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        languages = config.get("languages")
        named = [code for code in languages if isinstance(code, str)] if languages else []
        return f"among {', '.join(named)}"[:79] if named else "every language that is found"
