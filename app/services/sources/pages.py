"""Pages of web servers for nodes: fetched as sources fetch them, and kept as unread files."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.values import Document
from app.services.problems import in_own_words
from app.services.sources.readers import allowed_hosts
from app.services.sources.web import Crawler, marked_name, page_name
from app.services.threads import call
from app.services.web import WebService
from storage.blobs import Blobs


class WebPages:
    """Serves the engine's `Pages`."""

    def __init__(self, web: WebService, blobs: Blobs) -> None:
        self._web = web
        self._blobs = blobs

    def reader(self, *, max_bytes: int, pause_s: float) -> WebPageReader:
        """Something that reads the pages of one run; to be closed."""
        return WebPageReader(Crawler(self._web, max_bytes=max_bytes, pause_s=pause_s), self._blobs)


class WebPageReader:
    """Serves the engine's `PageReader`."""

    def __init__(self, crawler: Crawler, blobs: Blobs) -> None:
        self._crawler = crawler
        self._blobs = blobs
        #: Names of documents -> the address that has it.
        self._names: dict[str, str] = {}

    async def sitemap(
        self, url: str, *, include: Sequence[str], exclude: Sequence[str], max_pages: int
    ) -> list[str]:
        """Addresses of the pages on the sitemap's host."""
        found = await self._crawler.sitemap(
            url, include=include, exclude=exclude, max_pages=max_pages
        )
        return found.urls

    async def page(self, url: str, *, sitemap: str = "") -> Document:
        """A page as a file that is not read yet."""
        hosts = allowed_hosts(sitemap, ()) if sitemap else ()
        page = await self._crawler.page(url, hosts=hosts, robots=bool(sitemap))
        with in_own_words():
            blob = await call(self._blobs.put_bytes, page.body)
        name = page_name(url, page.media_type)
        if self._names.setdefault(name, url) != url:
            name = marked_name(name, url)
        return Document(
            document_id=blob[:32],
            filename=name,
            blob=blob,
            size=len(page.body),
            media_type=page.media_type,
            metadata={"url": url},
        )

    async def close(self) -> None:
        """Ask for nothing more."""
        await self._crawler.close()
