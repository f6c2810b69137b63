"""Between reading and cutting: documents on their ways, and what is known about them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs, OpenOutputs, Port
from app.engine.values import Document, Documents
from app.nodes.ports import Item, check_names, entries, make_port, text_of
from app.nodes.template import MAX_SOURCE, checked_template, render

OTHERS = "others"
_NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"
#: Fields of a document itself; all others are its metadata.
_OWN = ("title", "language")
_MAX_VALUE = 10_000


class Route(Item):
    """One way for documents."""

    name: str = Field(
        min_length=1, max_length=60, pattern=r"^[^>]+$", description="Name of the output."
    )
    types: list[str] = Field(
        [],
        max_length=50,
        description="Endings of file names, such as pdf or docx, or media types, such as image/*.",
    )
    languages: list[str] = Field(
        [], max_length=50, description="Languages of documents that were read, such as en or de."
    )
    filenames: list[str] = Field(
        [],
        max_length=50,
        title="File names",
        description="Patterns of names, with * for anything: invoices/*, *-draft.*.",
    )

    def takes(self, document: Document) -> bool:
        """Whether a document goes this way: it fits each list that is not empty."""
        name, media = document.filename.casefold(), document.media_type.casefold()
        ending, language = PurePosixPath(name).suffix, (document.language or "").casefold()
        types = [wanted.casefold().strip() for wanted in self.types]
        fits = (
            not types
            or any(t.lstrip("*.") == ending.lstrip(".") for t in types)
            or any("/" in t and fnmatchcase(media, t) for t in types)
        )
        if self.languages:
            fits = fits and language in (wanted.casefold().strip() for wanted in self.languages)
        if self.filenames:
            patterns = (pattern.casefold().strip() for pattern in self.filenames)
            fits = fits and any(fnmatchcase(name, pattern) for pattern in patterns)
        return fits


class RouteDocuments(Node["RouteDocuments.Config"]):
    """Send documents different ways: by the type of the file, its language or its name.

    Each way is an output with the documents that fit it; a document takes the first way it fits,
    and “others” where it fits none. A way that no document takes is skipped. Bring the chunks of
    several ways together with “Merge”, set to concatenate.
    """

    type, version, title, family, icon = (
        "route_documents", 1, "Sort documents", "documents", "alt_route",
    )  # fmt: skip

    class Config(NodeConfig):
        """Settings of the ways."""

        routes: list[Route] = Field(
            [Route(name="pdf", types=["pdf"])],
            min_length=1,
            max_length=20,
            title="Ways",
            description="The ways, in the order in which they are tried.",
        )

        @field_validator("routes")
        @classmethod
        def _distinct(cls, routes: list[Route]) -> list[Route]:
            check_names((route.name for route in routes), (OTHERS,))
            return routes

    class Outputs(OpenOutputs):
        """The documents, by way."""

    async def run(
        self, documents: Annotated[Documents, "Documents, read or not."], ctx: NodeContext
    ) -> Outputs:
        """Sort."""
        ways: dict[str, list[Document]] = {}
        for document in documents.items:
            way = next((r.name for r in self.config.routes if r.takes(document)), OTHERS)
            ways.setdefault(way, []).append(document)
        return self.Outputs(**{name: Documents(items=tuple(found)) for name, found in ways.items()})

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """One output for each way, and “others”."""
        rows = entries(config, "routes", [Route(name="pdf", types=["pdf"])])
        names = [text_of(row, "name") for row in rows]
        ports = {
            name: make_port(name, "Documents", help="Documents that fit this way.")
            for name in names
            if name and ">" not in name
        }
        ports[OTHERS] = make_port(OTHERS, "Documents", help="Documents that fit no way.")
        return ports

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """A way needs something to tell its documents by."""
        for row in entries(config, "routes"):
            if not any(row.get(key) for key in ("types", "languages", "filenames")):
                name = text_of(row, "name")
                message = f"The way “{name}” takes every document that comes to it."
                fix = "Say which file types, languages or file names go this way."
                return [("empty_route", message, fix, "warning")]
        return []

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        rows = entries(config, "routes", [Route(name="pdf", types=["pdf"])])
        text = " · ".join([*(text_of(row, "name") for row in rows), OTHERS])
        return text if len(text) < 70 else f"{text[:69]}…"


class SetMetadata(Node["SetMetadata.Config"]):
    """Write facts about documents into their metadata, where filters of a search find them.

    A value is a text or a template over the document: {{ document.filename }},
    {{ document.metadata.author }}; {{ folder }} is the folder it lay in. The fields “title” and “language” change the document itself.
    """

    type, version, title, family, icon = (
        "set_metadata", 1, "Set metadata", "documents", "sell",
    )  # fmt: skip

    class Config(NodeConfig):
        """Settings of the facts."""

        fields: dict[str, str] = Field(
            default_factory=dict,
            max_length=50,
            description="Name of each field, and its value or a template for it.",
            json_schema_extra={"widget": "key_value"},
        )
        mode: Literal["replace", "fill"] = Field(
            "replace",
            title="Where there is a value already",
            description="“replace” writes over it; “fill” leaves it as it is.",
        )

        @field_validator("fields")
        @classmethod
        def _sound(cls, fields: dict[str, str]) -> dict[str, str]:
            for name, source in fields.items():
                if not re.match(_NAME, name):
                    raise ValueError(
                        f"“{name[:60]}” is no name of a field: use letters, digits, _ . and -"
                    )
                if len(source) > MAX_SOURCE:
                    raise ValueError(f"the value of {name} is too long")
                try:
                    checked_template(source)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            return fields

    class Outputs(NodeOutputs):
        """The documents."""

        documents: Documents = Field(description="The documents with these facts.")

    async def run(
        self, documents: Annotated[Documents, "Documents, read or not."], ctx: NodeContext
    ) -> Outputs:
        """Write."""
        items = await asyncio.to_thread(
            lambda: tuple(self._changed(d, ctx) for d in documents.items)
        )
        return self.Outputs(documents=Documents(items=items))

    def _changed(self, document: Document, ctx: NodeContext) -> Document:
        known = document.model_dump(mode="json", exclude={"blocks"})
        folder = str(PurePosixPath(document.filename).parent)
        names = {
            "document": known,
            "folder": "" if folder == "." else folder,
            "variables": dict(ctx.variables),
        }
        own: dict[str, str | None] = {}
        metadata = dict(document.metadata)
        for name, source in self.config.fields.items():
            there = known.get(name) if name in _OWN else metadata.get(name)
            if self.config.mode == "fill" and there not in (None, "", []):
                continue
            value = render(source, names).strip()[:_MAX_VALUE]
            if name in _OWN:
                own[name] = value if name == "title" else value.lower() or None
            else:
                metadata[name] = value
        return document.model_copy(update={**own, "metadata": metadata})

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        fields = config.get("fields")
        names = [name for name in fields if isinstance(name, str)] if fields else []
        return f"sets {', '.join(names)}"[:79] if names else "no fields yet"
