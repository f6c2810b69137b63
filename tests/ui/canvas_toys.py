"""Small node types, one per family, for the tests of the editor and the canvas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import NodeContext
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.registry import Registry
from app.engine.values import Answer, Chunks, PortValue, Query, Text, Verdict


class ToyQuestion(Node[NodeConfig]):
    """The question a person asks."""

    type, title, family, icon = "question", "Question", "inputs", "help_outline"

    class Outputs(NodeOutputs):
        """Outputs."""

        query: Query

    async def run(self, ctx: NodeContext) -> NodeOutputs:
        """Not run here."""
        raise AssertionError


class RetrieveConfig(NodeConfig):
    """Settings."""

    k: int = Field(10, ge=1, le=100, description="How many passages.")
    note: str = Field("", description="Anything.")


class ToyRetrieve(Node[RetrieveConfig]):
    """Find passages."""

    type, title, family, icon = "retrieve", "Retrieve", "retrieval", "search"
    Config = RetrieveConfig

    class Outputs(NodeOutputs):
        """Outputs."""

        chunks: Chunks

    async def run(self, query: Query, ctx: NodeContext) -> NodeOutputs:
        """Not run here."""
        raise AssertionError

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """Say what it does."""
        return f"top {config.get('k', 10)} by meaning"


class ToyRerank(Node[NodeConfig]):
    """Re-order passages."""

    type, title, family, icon = "rerank", "Rerank", "retrieval", "sort"

    class Outputs(NodeOutputs):
        """Outputs."""

        chunks: Chunks

    async def run(self, query: Query, chunks: Chunks, ctx: NodeContext) -> NodeOutputs:
        """Not run here."""
        raise AssertionError


class ToyGenerate(Node[NodeConfig]):
    """Write an answer."""

    type, title, family, icon = "generate", "Generate answer", "generation", "edit_note"

    class Outputs(NodeOutputs):
        """Outputs."""

        answer: Answer

    async def run(
        self, query: Query, chunks: Chunks, ctx: NodeContext, hint: Text | None = None
    ) -> NodeOutputs:
        """Not run here."""
        raise AssertionError


class ToyValidate(Node[NodeConfig]):
    """Check an answer."""

    type, title, family, icon = "validate", "Validate", "checks", "fact_check"

    class Outputs(NodeOutputs):
        """Outputs."""

        answer: Answer
        verdict: Verdict

    async def run(self, answer: Answer, chunks: Chunks, ctx: NodeContext) -> NodeOutputs:
        """Not run here."""
        raise AssertionError


class ToyMerge(Node[NodeConfig]):
    """Pass on whatever arrives first."""

    type, title, family, icon = "merge", "Merge", "logic", "call_merge"

    class Outputs(NodeOutputs):
        """Outputs."""

        value: Annotated[PortValue, SameAs("values")]

    async def run(self, values: list[PortValue], ctx: NodeContext) -> NodeOutputs:
        """Not run here."""
        raise AssertionError


def registry() -> Registry:
    """All of them."""
    known = Registry()
    for cls in (ToyQuestion, ToyRetrieve, ToyRerank, ToyGenerate, ToyValidate, ToyMerge):
        known.register(cls)
    return known


def wire(text: str) -> EdgeSpec:
    """`question.query > retrieve.query` as a wire."""
    source, target = (part.strip().rsplit(".", 1) for part in text.split(">"))
    return EdgeSpec(source[0], source[1], target[0], target[1])


def answering() -> Graph:
    """question → retrieve → generate."""
    return Graph(
        name="answering",
        outputs={"answer": ("generate", "answer")},
        nodes={
            "question": NodeSpec("question", "question", position=(0.0, 0.0)),
            "retrieve": NodeSpec("retrieve", "retrieve", config={"k": 5}, position=(336.0, 0.0)),
            "generate": NodeSpec("generate", "generate", position=(672.0, 0.0)),
        },
        edges=[
            wire("question.query > retrieve.query"),
            wire("question.query > generate.query"),
            wire("retrieve.chunks > generate.chunks"),
        ],
    )
