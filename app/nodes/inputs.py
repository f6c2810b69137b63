"""What a run is given: a question, a text, a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed
from app.engine.sandbox_words import kind
from app.engine.values import Documents, Query, Text
from app.nodes.files import FileRef, read_files


def _given(ctx: NodeContext, *names: str) -> Any:
    """The first of `names` that the run was given a value for."""
    return next((ctx.input_data[n] for n in names if ctx.input_data.get(n) not in (None, "")), None)


def _as_text(value: Any, name: str) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        value = value["text"]
    if not isinstance(value, str):
        raise NodeFailed(
            f"The input “{name}” is {kind(value)}, not a text.",
            code="bad_input",
            fix=f'Send it as a string: {{"{name}": "…"}}.',
            found=type(value).__name__,
        )
    return value


class Question(Node["Question.Config"]):
    """The question a run is asked.

    It is typed into the run bar, or sent as `input_data` over REST. Everything that searches or
    answers starts from here.
    """

    type, version, title, family, icon = "question", 1, "Question", "inputs", "help_outline"

    class Config(NodeConfig):
        """Settings of the question."""

        name: str = Field(
            "question",
            min_length=1,
            max_length=64,
            description="Key of the question in `input_data`; “query” is understood as well.",
        )
        default: str = Field(
            "",
            max_length=10_000,
            description="Asked when a run brings no question of its own.",
            json_schema_extra={"widget": "textarea"},
        )
        max_length: int = Field(
            4_000, ge=1, le=100_000, description="Longest question accepted, in characters."
        )

    class Outputs(NodeOutputs):
        """The question."""

        query: Query

    async def run(self, ctx: NodeContext) -> Outputs:
        """Read the question."""
        name = self.config.name
        value = _given(ctx, name, "question", "query")
        text = (self.config.default if value is None else _as_text(value, name)).strip()
        if not text:
            raise NodeFailed(
                "The run has no question.",
                code="missing_input",
                fix=f"Type one into the run bar, or send it as input_data.{name}.",
            )
        if len(text) > self.config.max_length:
            raise NodeFailed(
                f"The question has {len(text):,} characters; at most "
                f"{self.config.max_length:,} are accepted.",
                code="input_too_long",
                fix="Shorten it, or raise “max length” in the question's settings.",
                found=len(text),
                expected=self.config.max_length,
            )
        return self.Outputs(query=Query(text=text, original=text))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return tuple(dict.fromkeys((config.name, "question", "query")))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return _shorten(config.get("default") or "asked when the workflow runs")


class TextInput(Node["TextInput.Config"]):
    """A text given to the run, or written into the workflow.

    Use it for instructions, a draft to work on, or any value that a prompt needs.
    """

    type, version, title, family, icon = "text_input", 1, "Text", "inputs", "notes"

    class Config(NodeConfig):
        """Settings of the text."""

        name: str = Field(
            "text", min_length=1, max_length=64, description="Key of the text in `input_data`."
        )
        default: str = Field(
            "",
            max_length=200_000,
            description="Used when a run brings no text of its own.",
            json_schema_extra={"widget": "textarea"},
        )
        required: bool = Field(False, description="Fail when there is no text at all.")

    class Outputs(NodeOutputs):
        """The text."""

        text: Text

    async def run(self, ctx: NodeContext) -> Outputs:
        """Read the text."""
        name = self.config.name
        value = _given(ctx, name)
        text = self.config.default if value is None else _as_text(value, name)
        if self.config.required and not text.strip():
            raise NodeFailed(
                f"The run has no text “{name}”.",
                code="missing_input",
                fix=f"Type it into the run bar, or send it as input_data.{name}.",
            )
        return self.Outputs(text=Text(text=text))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return (config.name,)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return _shorten(config.get("default") or f"“{config.get('name') or 'text'}” of the run")


class FileInput(Node["FileInput.Config"]):
    """One file given to the run, read into text.

    Ask questions about a file without putting it into a knowledge base: wire the documents into
    a chunk node, or the text into a prompt.
    """

    type, version, title, family, icon = "file_input", 1, "File", "inputs", "attach_file"
    timeout_s = 300.0

    class Config(NodeConfig):
        """Settings of the file."""

        name: str = Field(
            "file", min_length=1, max_length=64, description="Key of the file in `input_data`."
        )
        file: FileRef | None = Field(
            None,
            description="The file used when a run brings none of its own.",
            json_schema_extra={"widget": "files"},
        )

    class Outputs(NodeOutputs):
        """The file's contents."""

        documents: Documents
        text: Text

    async def run(self, ctx: NodeContext) -> Outputs:
        """Read the file."""
        value = _given(ctx, self.config.name)
        files = read_files(value, self.config.name) if value is not None else ()
        if not files and self.config.file:
            files = (self.config.file.document(),)
        if not files:
            raise NodeFailed(
                "The run has no file.",
                code="missing_input",
                fix=f"Choose one in the run bar, or send it as input_data.{self.config.name}.",
            )
        document = await ctx.world.files.extract(files[0], {})
        text = "\n\n".join(block.text for block in document.blocks)
        return self.Outputs(documents=Documents(items=(document,)), text=Text(text=text))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return (config.name,)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        file = config.get("file")
        return _shorten(str(file["filename"])) if file else "a file of the run"


def _shorten(text: str, limit: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
