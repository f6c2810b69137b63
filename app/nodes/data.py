"""From text to data and lists, and back: what mapping over a list needs at either end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from app.engine.context import NodeContext
from app.engine.items import from_items, to_items
from app.engine.node import Node, NodeConfig, NodeOutputs, OpenOutputs, Port
from app.engine.problems import NodeFailed
from app.engine.values import Chunks, Documents, Json, PortValue, Table, Text, Values
from app.nodes.ports import as_text, make_port


class ParseJson(Node["ParseJson.Config"]):
    """Read JSON out of a text.

    Language models often write a few words or a code fence around it; the first complete object
    or list of the text is taken.
    """

    type, version, title, family, icon = "parse_json", 1, "Read JSON", "text", "data_object"

    class Config(NodeConfig):
        """Settings of the reading."""

        strict: bool = Field(
            False, description="The whole text must be JSON, with nothing around it."
        )

    class Outputs(NodeOutputs):
        """The data."""

        data: Json = Field(description="What the text says, as data.")

    async def run(
        self,
        text: Annotated[PortValue, "Text, or anything that can be read as text."],
        ctx: NodeContext,
    ) -> Outputs:
        """Read."""
        source = as_text(text)
        try:
            data = json.loads(source) if self.config.strict else first_json(source)
        except (ValueError, RecursionError):
            data, found = None, False
        else:
            found = True
        if not found:
            raise NodeFailed(
                "The text holds no JSON that can be read.",
                code="bad_json",
                fix="Look at the text; ask the model for JSON alone, or use “Extract data”.",
                found=source[:200],
            )
        return self.Outputs(data=Json(data=data))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return "the whole text" if config.get("strict") is True else "the first JSON in the text"


class SplitText(Node["SplitText.Config"]):
    """Cut a text into a list of texts.

    Use it in front of “Map” to work on every line, paragraph or part by itself.
    """

    type, version, title, family, icon = "split_text", 1, "Split text", "text", "content_cut"

    class Config(NodeConfig):
        """Settings of the cuts."""

        by: Literal["lines", "paragraphs", "separator", "size"] = Field(
            "lines",
            title="Cut at",
            description="Ends of lines, empty lines, a separator of your own, or every so many "
            "characters.",
        )
        separator: str = Field(
            ",", min_length=1, max_length=100, description="Separator only: where to cut."
        )
        size: int = Field(
            2_000, ge=10, le=100_000, description="Size only: most characters of a part."
        )
        trim: bool = Field(True, description="Drop spaces around parts, and empty parts.")
        max_parts: int = Field(
            1_000, ge=1, le=10_000, title="Most parts", description="Fail above this many parts."
        )

    class Outputs(NodeOutputs):
        """The parts."""

        parts: Values = Field(description="A list of texts, in order.")

    async def run(
        self,
        text: Annotated[PortValue, "Text, or anything that can be read as text."],
        ctx: NodeContext,
    ) -> Outputs:
        """Cut."""
        config = self.config
        source = as_text(text)
        if config.by == "lines":
            parts = source.splitlines()
        elif config.by == "paragraphs":
            parts = source.replace("\r\n", "\n").split("\n\n")
        elif config.by == "separator":
            parts = source.split(config.separator)
        else:
            parts = _sized(source, config.size)
        if config.trim:
            parts = [part.strip() for part in parts if part.strip()]
        if len(parts) > config.max_parts:
            raise NodeFailed(
                f"The text falls into {len(parts):,} parts; at most {config.max_parts:,} are "
                "allowed.",
                code="too_many_items",
                fix="Cut it into larger parts, or raise “Most parts”.",
                found=len(parts),
                expected=config.max_parts,
            )
        values = from_items([Text(text=part) for part in parts])
        assert isinstance(values, Values)
        return self.Outputs(parts=values)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        by = config.get("by", "lines")
        if by == "separator":
            return f"at “{str(config.get('separator', ','))[:20]}”"
        return f"every {config.get('size', 2_000)} characters" if by == "size" else f"into {by}"


_TYPES: dict[str, type[PortValue]] = {
    "Text": Text, "Json": Json, "Table": Table, "Chunks": Chunks, "Documents": Documents,
    "Values": Values,
}  # fmt: skip


class Collect(Node["Collect.Config"]):
    """Turn a list into one value.

    Texts are put one under the other, data into a table with a row each, passages and documents
    into one list of them. Use it behind “Map”.
    """

    type, version, title, family, icon = "collect", 1, "Collect", "text", "playlist_add_check"

    class Config(NodeConfig):
        """Settings of the result."""

        into: Literal["Text", "Json", "Table", "Chunks", "Documents", "Values"] = Field(
            "Text", description="What the items become."
        )
        separator: str = Field(
            "\n\n", max_length=200, description="Text only: what stands between two items."
        )
        limit: int = Field(
            10_000, ge=1, le=100_000, description="Take at most this many items, from the first."
        )

    class Outputs(OpenOutputs):
        """The value."""

        value: PortValue = Field(description="The items, as one value.")

    async def run(
        self,
        items: Annotated[list[PortValue], "Lists, or values that become items themselves."],
        ctx: NodeContext,
    ) -> Outputs:
        """Put together."""
        found = [item for value in items for item in to_items(value, ctx.types)]
        found = found[: self.config.limit]
        into = self.config.into
        if into == "Text":
            text = self.config.separator.join(as_text(item) for item in found)
            return self.Outputs(value=Text(text=text))
        value = from_items(found, _TYPES[into])
        if not isinstance(value, _TYPES[into]):
            other = next(item for item in found if not isinstance(item, _TYPES[into]))
            raise NodeFailed(
                f"An item is {other.type_name}, which cannot become {into}.",
                code="type_mismatch",
                fix="Choose another kind of result.",
                found=other.type_name,
                expected=into,
            )
        return self.Outputs(value=value)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The type of the result follows from the settings."""
        return {
            "value": make_port(
                "value",
                config.get("into", "Text"),
                required=True,
                help="The items, as one value.",
            )
        }

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        into = config.get("into", "Text")
        return "into a list" if into == "Values" else f"into {into}"


def first_json(text: str) -> Any:
    """The first complete JSON object or list in a text. Raises ValueError where there is none."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    decoder = json.JSONDecoder()
    at, tries = 0, 0
    while tries < 200:
        starts = [n for n in (text.find("{", at), text.find("[", at)) if n >= 0]
        if not starts:
            break
        at = min(starts)
        try:
            data, _ = decoder.raw_decode(text, at)
        except ValueError:
            at, tries = at + 1, tries + 1
        else:
            return data
    raise ValueError("no JSON")


def _sized(text: str, size: int) -> list[str]:
    parts = []
    while text:
        cut = len(text)
        if cut > size:
            space = text.rfind(" ", size // 2, size)
            cut = space + 1 if space > 0 else size
        parts.append(text[:cut])
        text = text[cut:]
    return parts
