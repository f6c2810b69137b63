"""Pages of web servers as files."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from app.engine.context import NodeContext, PageReader, Web
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Document, Documents, Table
from app.nodes.ports import text_of
from app.nodes.together import each

#: Pages asked for at once.
_AT_ONCE = 2


class FetchPages(Node["FetchPages.Config"]):
    """Fetch pages from the web: those of a list of addresses, or of a sitemap.

    Only hosts that the server's settings name may be asked (`http_allow`, and `http_allow_private`
    for this machine and your own network). Pages of a sitemap are asked for slowly, on its own
    host, and as its robots.txt allows. They are not read yet: “Extract text” does that.
    """

    type, version, title, family, icon = "fetch_pages", 1, "Fetch pages", "documents", "language"
    #: What is there may differ every time.
    cacheable = False
    timeout_s = 3_600.0
    #: Says which hosts may be asked, where a server has registered the node.
    policy: ClassVar[Web | None] = None

    class Config(NodeConfig):
        """Settings of fetching."""

        name: str = Field(
            "urls",
            min_length=1,
            max_length=64,
            description="Key of the addresses in `input_data`: a list, or text with one a line.",
        )
        urls: str = Field(
            "",
            max_length=50_000,
            title="Addresses",
            description="Addresses used when a run brings none of its own, one a line.",
            json_schema_extra={"widget": "textarea"},
        )
        sitemap: str = Field(
            "",
            max_length=2_000,
            description="Address of a sitemap whose pages are fetched too, such as "
            "https://example.com/sitemap.xml.",
        )
        include: list[str] = Field(
            default_factory=list,
            max_length=50,
            title="Only paths like",
            description="Patterns of the paths of a sitemap that count, such as docs/**.",
        )
        exclude: list[str] = Field(
            default_factory=list,
            max_length=50,
            title="But not paths like",
            description="Patterns of the paths of a sitemap that are left out.",
        )
        max_pages: int = Field(
            100, ge=1, le=2_000, title="Most pages", description="Further ones are left out."
        )
        max_kb: int = Field(
            20_000, ge=1, le=50_000, title="Largest page (KB)", description="In kilobytes."
        )
        pause: float = Field(
            0.5,
            ge=0,
            le=60,
            title="Pause (seconds)",
            description="Between two requests to the same server.",
        )
        on_error: Literal["fail", "skip"] = Field(
            "skip",
            title="When a page cannot be fetched",
            description="It stops the run, or is left out.",
        )

    class Outputs(NodeOutputs):
        """The pages."""

        documents: Documents = Field(description="The pages as files, not read yet.")
        failures: Table = Field(description="Pages that could not be fetched, and why.")

    async def run(self, ctx: NodeContext) -> Outputs:
        """Fetch them."""
        config = self.config
        pages = getattr(ctx.world, "pages", None)
        if pages is None:
            raise RagloomError("Pages cannot be fetched here.", code="no_pages")
        reader: PageReader = pages.reader(max_bytes=config.max_kb * 1_000, pause_s=config.pause)
        try:
            return await self._fetched(reader, ctx)
        finally:
            await reader.close()

    async def _fetched(self, reader: PageReader, ctx: NodeContext) -> Outputs:
        config = self.config
        given = ctx.input_data.get(config.name)
        urls = dict.fromkeys(addresses(given if given else config.urls, config.name))
        # A sitemap is somebody else's list: what it may lead to is checked more strictly.
        listed: Sequence[str] = ()
        if config.sitemap.strip() and not given and len(urls) < config.max_pages:
            listed = await reader.sitemap(
                config.sitemap.strip(),
                include=config.include,
                exclude=config.exclude,
                max_pages=config.max_pages - len(urls),
            )
        wanted = [(url, "") for url in list(urls)[: config.max_pages]]
        wanted += [(url, config.sitemap.strip()) for url in listed if url not in urls]
        if not wanted:
            raise NodeFailed(
                "There are no pages to fetch.",
                code="missing_input",
                fix="Write addresses or a sitemap into the node's settings, or send them as "
                f"input_data.{config.name}.",
            )
        results = await each(
            wanted,
            lambda page: reader.page(page[0], sitemap=page[1]),
            ctx,
            at_once=_AT_ONCE,
            name=lambda page: page[0],
            on_error=config.on_error,
        )
        failures = tuple(
            (url, result.message, result.fix)
            for (url, _), result in zip(wanted, results, strict=True)
            if isinstance(result, RagloomError)
        )
        found = tuple(result for result in results if isinstance(result, Document))
        if not found and isinstance(results[0], RagloomError):
            raise results[0]
        return self.Outputs(
            documents=Documents(items=found),
            failures=Table(columns=("url", "message", "fix"), rows=failures),
        )

    @classmethod
    def allowed_by(cls, web: Web) -> builtins.type[FetchPages]:
        """The node as a server registers it: validation knows which hosts may be asked."""
        return type(cls.__name__, (cls,), {"policy": web, "__doc__": cls.__doc__})

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return (config.name,)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """Its addresses are of hosts that may be asked."""
        if cls.policy is None:
            return []
        asked = [*text_of(config, "urls").split(), text_of(config, "sitemap").strip()]
        found: dict[str, tuple[str, str, str, str]] = {}
        for url in asked[:100]:
            if url:
                try:
                    cls.policy.check(url)
                except RagloomError as error:
                    found.setdefault(error.message, (error.code, error.message, error.fix, "error"))
        return list(found.values())[:5]

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        count = len(text_of(config, "urls").split())
        words = ["1 page" if count == 1 else f"{count} pages"] if count else []
        sitemap = text_of(config, "sitemap").strip().partition("://")[2]
        if sitemap:
            words.append(f"sitemap of {sitemap.split('/')[0][:50]}")
        return ", ".join(words) or "addresses of the run"


def addresses(value: Any, name: str) -> list[str]:
    """The addresses in a list, or in text with one a line. Raises NodeFailed “bad_input”."""
    pieces = value.split() if isinstance(value, str) else value
    if not isinstance(pieces, list | tuple) or not all(isinstance(p, str) for p in pieces):
        raise NodeFailed(
            f"The input “{name}” names no addresses.",
            code="bad_input",
            fix='Send a list such as ["https://example.com/"], or text with one address a line.',
        )
    return [piece.strip() for piece in pieces if piece.strip()]
