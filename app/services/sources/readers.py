"""How the items of each kind of source are listed, compared with what is known, and read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.engine.problems import RagloomError
from app.services.ingestion.uploads import IncomingFile
from app.services.sources.folder import Roots, file_pieces, file_sha, find_files
from app.services.sources.views import SourceSettings
from app.services.sources.web import Crawler, bounded_name, page_name, place_of
from app.services.threads import call
from app.services.web_address import parse_url
from storage.sources import Known


@dataclass(frozen=True, slots=True)
class Found:
    """An item that a source lists."""

    key: str
    size: int = 0
    stamp: str = ""


@dataclass(slots=True)
class Items:
    """What a source lists."""

    found: list[Found] = field(default_factory=list)
    #: What was left out, in words.
    notes: list[str] = field(default_factory=list)
    #: False where something may be there that is not listed: then nothing is taken for gone.
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """An item that was looked at; without a file where it is what is known already."""

    #: What its document is called when it is new.
    filename: str
    file: IncomingFile | None = None
    sha: str = ""
    size: int = 0
    etag: str = ""
    last_modified: str = ""
    stamp: str = ""


class Reader(Protocol):
    """Reads the items of one source."""

    #: Items looked at side by side.
    at_once: int

    async def list(self) -> Items:
        """What there is. Raises RagloomError where the source cannot be reached."""

    async def read(self, item: Found, known: Known | None) -> Read:
        """Look at one item; `known` is None to read it whatever is known.

        Raises RagloomError or OSError where that one cannot be read.
        """

    async def close(self) -> None:
        """Let go of what is open."""


class FolderReader:
    """Files below a folder."""

    at_once = 2

    def __init__(
        self,
        location: str,
        prefix: str,
        settings: SourceSettings,
        roots: Roots,
        *,
        max_file_bytes: int,
    ) -> None:
        self._location = location
        self._prefix = prefix
        self._settings = settings
        self._roots = roots
        self._max_file_bytes = max_file_bytes
        self._root = Path(location)

    async def list(self) -> Items:
        """Files in the order of their paths."""
        # Looked at anew each time: settings change, drives come and go.
        self._root = await call(self._roots.check, self._location)
        settings = self._settings
        try:
            listing = await call(
                find_files,
                self._root,
                settings.include,
                settings.exclude,
                max_files=settings.max_items,
                max_bytes=settings.max_mb * 1024 * 1024,
                max_file_bytes=self._max_file_bytes,
                refused=self._roots.refused,
            )
        except OSError as error:
            raise RagloomError(
                f"The folder {self._root} cannot be read: {error.strerror or error}.",
                code="no_folder",
                fix="Let the user that runs the server read it.",
            ) from error
        found = [Found(file.key, file.size, file.stamp) for file in listing.files]
        return Items(found, listing.notes(), listing.whole)

    async def read(self, item: Found, known: Known | None) -> Read:
        """Compare size and time, then the content."""
        name = bounded_name(f"{self._prefix}/{item.key}")
        path = self._root / item.key
        if known is not None and known.sha and known.stamp == item.stamp:
            return Read(name, sha=known.sha, size=known.size, stamp=known.stamp)
        sha = await call(file_sha, path, self._root)
        same = known is not None and known.sha == sha
        file = None if same else IncomingFile(name, chunks=file_pieces(path, self._root))
        return Read(name, file, sha=sha, size=item.size, stamp=item.stamp)

    async def close(self) -> None:
        """Nothing is open."""


class UrlReader:
    """One page or file of a web server."""

    at_once = 1

    def __init__(self, location: str, crawler: Crawler) -> None:
        self._location = location
        self._crawler = crawler

    async def list(self) -> Items:
        """The address itself."""
        return Items([Found(str(parse_url(self._location)))])

    async def read(self, item: Found, known: Known | None) -> Read:
        """Ask for it, unless it is what is known."""
        return await read_page(self._crawler, item, known)

    async def close(self) -> None:
        """Stop asking."""
        await self._crawler.close()


class SitemapReader:
    """The pages that a sitemap lists."""

    at_once = 2

    def __init__(self, location: str, settings: SourceSettings, crawler: Crawler) -> None:
        self._location = location
        self._settings = settings
        self._crawler = crawler
        self._hosts = allowed_hosts(location, settings.hosts)

    async def list(self) -> Items:
        """Addresses in the order of the sitemap."""
        settings = self._settings
        pages = await self._crawler.sitemap(
            self._location,
            hosts=settings.hosts,
            include=settings.include,
            exclude=settings.exclude,
            max_pages=settings.max_items,
        )
        return Items([Found(url) for url in pages.urls], pages.notes(), pages.whole)

    async def read(self, item: Found, known: Known | None) -> Read:
        """Ask for a page as robots.txt allows, unless it is what is known."""
        return await read_page(self._crawler, item, known, hosts=self._hosts, robots=True)

    async def close(self) -> None:
        """Stop asking."""
        await self._crawler.close()


def allowed_hosts(location: str, hosts: Sequence[str]) -> list[str]:
    """Where the pages of a sitemap may be: on its own host and those that were named."""
    return [place_of(location), *hosts]


async def read_page(
    crawler: Crawler,
    item: Found,
    known: Known | None,
    *,
    hosts: Sequence[str] = (),
    robots: bool = False,
) -> Read:
    """Fetch a page, unless it is what is known. Raises WebError, “gone” for one that is no more."""
    asked = known if known is not None and known.sha else None
    page = await crawler.page(
        item.key,
        etag=asked.etag if asked else "",
        last_modified=asked.last_modified if asked else "",
        hosts=hosts,
        robots=robots,
    )
    if page.unchanged and asked is not None:
        return Read(
            asked.filename,
            sha=asked.sha,
            size=asked.size,
            etag=asked.etag,
            last_modified=asked.last_modified,
        )
    sha = hashlib.sha256(page.body).hexdigest()
    same = asked is not None and asked.sha == sha
    name = page_name(item.key, page.media_type)
    return Read(
        name,
        None if same else IncomingFile(name, data=page.body, media_type=page.media_type),
        sha=sha,
        size=len(page.body),
        etag=page.etag,
        last_modified=page.last_modified,
    )
