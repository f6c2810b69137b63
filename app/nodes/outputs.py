"""What a workflow hands back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.values import Answer, Chunks, PortValue, Verdict


class AnswerOutput(Node["AnswerOutput.Config"]):
    """The answer of the workflow, with its citations.

    Wire the passages it was written from as well, and whoever calls the workflow gets the
    context together with the answer.
    """

    type, version, title, family, icon = "answer_output", 1, "Answer", "outputs", "chat"
    named_by = {"answer": "name"}

    class Config(NodeConfig):
        """Settings of the output."""

        name: str = Field(
            "answer",
            min_length=1,
            max_length=64,
            description="Name of the result for those who call the workflow.",
        )

    class Outputs(NodeOutputs):
        """What came in."""

        answer: Answer
        chunks: Chunks | None = None
        verdict: Verdict | None = None

    async def run(
        self,
        answer: Answer,
        ctx: NodeContext,
        chunks: Chunks | None = None,
        verdict: Verdict | None = None,
    ) -> Outputs:
        """Pass on the answer."""
        return self.Outputs(answer=answer, chunks=chunks, verdict=verdict)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"returned as “{config.get('name') or 'answer'}”"


class Output(Node["Output.Config"]):
    """A result of the workflow, of any kind.

    Give it a name under which the page shows it and REST returns it.
    """

    type, version, title, family, icon = "output", 1, "Output", "outputs", "output"
    named_by = {"value": "name"}

    class Config(NodeConfig):
        """Settings of the output."""

        name: str = Field(
            "result",
            min_length=1,
            max_length=64,
            description="Name of the result for those who call the workflow.",
        )

    class Outputs(NodeOutputs):
        """What came in."""

        value: Annotated[PortValue, SameAs("value")]

    async def run(self, value: PortValue, ctx: NodeContext) -> Outputs:
        """Pass on the value."""
        return self.Outputs(value=value)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"returned as “{config.get('name') or 'result'}”"
