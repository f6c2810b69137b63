"""Asking a language model for anything, and using any text as the question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from app.engine.context import NodeContext, World
from app.engine.items import plain
from app.engine.node import Node, NodeConfig, NodeOutputs, Port
from app.engine.problems import NodeFailed
from app.engine.values import Answer, Chunk, Chunks, Documents, PortValue, Query, Text
from app.nodes.language_models import Timeout, complete
from app.nodes.ports import (
    MAX_PORTS,
    TAKEN,
    InputSpec,
    as_text,
    check_names,
    entries,
    spec_ports,
)
from app.nodes.prompts import passage, place_in_document
from app.nodes.template import MAX_SOURCE, checked_template, render

_INPUTS = [InputSpec(name="text", required=True)]
_HELP = "A value that the templates can name."


class Passages(list[dict[str, Any]]):
    """Passages as a template sees them: a list to go through, or written whole as one text."""

    def __init__(self, chunks: tuple[Chunk, ...]) -> None:
        super().__init__(passage_data(n, c) for n, c in enumerate(chunks, start=1))
        self._chunks = chunks

    def __str__(self) -> str:
        return "\n\n".join(passage(n, c) for n, c in enumerate(self._chunks, start=1))


def passage_data(number: int, chunk: Chunk) -> dict[str, Any]:
    """What templates know of a passage."""
    return {
        "number": number,
        "content": chunk.content,
        "document_name": chunk.document_name,
        "page": chunk.page,
        "place": place_in_document(chunk),
        "headings": list(chunk.headings),
        "score": chunk.score,
        "language": chunk.language,
        "metadata": dict(chunk.metadata),
    }


def in_template(value: Any) -> Any:
    """A value as templates see it: text where it is text, a list of passages, else its data."""
    if isinstance(value, list | tuple):
        return [in_template(item) for item in value]
    if isinstance(value, Chunks):
        return Passages(value.items)
    if isinstance(value, Text | Query | Answer | Documents):
        return as_text(value)
    return plain(value) if isinstance(value, PortValue) else value


class AskModel(Node["AskModel.Config"]):
    """Have a language model do what you write: translate, rewrite, summarise, decide.

    The prompt and the system message are templates over the inputs, which have the names you give
    them: {{ text }}, or {% for p in passages %} through passages. For answers that rest on passages
    and cite them use “Generate”.
    """

    type, version, title, family, icon = (
        "ask_model", 1, "Ask a model", "generation", "smart_toy",
    )  # fmt: skip
    timeout_s = 600.0

    class Config(NodeConfig):
        """Settings of the request."""

        model: str = Field(
            "",
            max_length=300,
            description="Name of a model of litellm, such as “gpt-4o-mini” or “ollama/llama3.1”.",
            json_schema_extra={"widget": "llm_model"},
        )
        prompt: str = Field(
            "{{ text }}",
            min_length=1,
            max_length=MAX_SOURCE,
            description="What is asked: a template over the inputs.",
            json_schema_extra={"widget": "template"},
        )
        system: str = Field(
            "",
            max_length=MAX_SOURCE,
            title="System message",
            description="Who the model is and what it must heed: a template as well.",
            json_schema_extra={"widget": "template"},
        )
        inputs: list[InputSpec] = Field(
            _INPUTS, max_length=MAX_PORTS, description="The inputs, by name."
        )
        temperature: float = Field(0.3, ge=0, le=2, description="0 is sober, higher is freer.")
        max_tokens: int = Field(
            2_000,
            ge=1,
            le=32_000,
            title="Longest reply (tokens)",
            description="Longest reply, in tokens.",
        )
        timeout: Timeout = 120.0

        @model_validator(mode="after")
        def _sound(self) -> Self:
            check_names((given.name for given in self.inputs), TAKEN)
            for source in (self.prompt, self.system):
                checked_template(source)
            return self

    class Outputs(NodeOutputs):
        """The reply."""

        text: Text = Field(description="What the model replied.")

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Ask."""
        config = self.config
        if not config.model.strip():
            raise _no_model()
        names: dict[str, Any] = {
            spec.name: in_template(value)
            for spec in config.inputs
            if (value := inputs.get(spec.name)) is not None
        }
        names["variables"] = dict(ctx.variables)
        messages = []
        for role, source in (("system", config.system), ("user", config.prompt)):
            written = await asyncio.to_thread(render, source, names) if source.strip() else ""
            if written.strip():
                messages.append({"role": role, "content": written})
        written = await complete(
            ctx,
            messages or [{"role": "user", "content": " "}],
            model=config.model,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            timeout_s=config.timeout,
            on_piece=ctx.token,
        )
        return self.Outputs(text=Text(text=written.strip()))

    async def fingerprint(self, world: World) -> str:
        """The model behind the name."""
        model = self.config.model.strip()
        return world.models.fingerprint(model, "llm") if model else ""

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The inputs by name."""
        return spec_ports(entries(config, "inputs", _INPUTS), _HELP)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """A model must be chosen."""
        if str(config.get("model") or "").strip():
            return []
        error = _no_model()
        return [(error.code, error.message, error.fix, "warning")]

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        model = str(config.get("model") or "").strip()[:60]
        return f"asks {model}" if model else "no model chosen yet"


class AsQuestion(Node["AsQuestion.Config"]):
    """Search for a text that another step wrote.

    Retrieve and rerank take a question; this node makes one of any text, such as a question that a
    model rewrote. The original question, where wired, stays the one that is answered.
    """

    type, version, title, family, icon = "as_question", 1, "Use as question", "text", "live_help"

    class Config(NodeConfig):
        """Settings of the question."""

        max_length: int = Field(
            2_000,
            ge=1,
            le=100_000,
            title="Longest question",
            description="What is longer is cut, in characters.",
        )

    class Outputs(NodeOutputs):
        """The question."""

        query: Query = Field(description="The text, as a question.")

    async def run(
        self,
        text: Annotated[PortValue, "Text, or anything that can be read as text."],
        ctx: NodeContext,
        original: Annotated[Query | None, "The question as a person asked it."] = None,
    ) -> Outputs:
        """Make a question of it."""
        found = " ".join(as_text(text).split())[: self.config.max_length].strip()
        if not found:
            raise NodeFailed(
                "The text that should become the question is empty.",
                code="missing_input",
                fix="Look at the step that writes it, or wire the question itself.",
            )
        if original is None:
            return self.Outputs(query=Query(text=found, original=found))
        return self.Outputs(query=original.model_copy(update={"text": found}))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return "any text, as a question"


def _no_model() -> NodeFailed:
    return NodeFailed(
        "No language model is chosen.",
        code="needs_model",
        fix="Choose one in the settings, such as “gpt-4o-mini” or “ollama/llama3.1”.",
    )
