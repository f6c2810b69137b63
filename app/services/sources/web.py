"""Pages and sitemaps of web servers, read politely: robots.txt, pauses, few questions at once."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from app.documents import media
from app.engine.context import WebRequest, WebResponse
from app.services.ingestion.uploads import safe_filename
from app.services.sources.folder import Globs
from app.services.sources.robots import AGENT, MAX_BYTES, Robots
from app.services.sources.sitemap import MAX_BYTES as MAX_SITEMAP_BYTES
from app.services.sources.sitemap import Sitemap, read_sitemap
from app.services.threads import call
from app.services.web import WebService
from app.services.web_address import WebError, fits, parse_url

_TIMEOUT_S = 60.0
#: Sitemaps that one index leads to, and how deep indexes lie in one another.
_MAX_SITEMAPS = 500
_MAX_INDEX_DEPTH = 3
#: Times a busy server is asked again, and the longest wait before that.
_RETRIES = 2
_MAX_WAIT_S = 30.0
_DEFAULT_WAIT_S = 5.0
_BUSY = (429, 503)
_MAX_QUERY = 80
_OCTETS = ("", "application/octet-stream", "binary/octet-stream", media.TEXT)
_EXTENSIONS = {
    media.HTML: ".html",
    media.MARKDOWN: ".md",
    media.TEXT: ".txt",
    "text/x-rst": ".rst",
    "application/x-ipynb+json": ".ipynb",
    media.PDF: ".pdf",
    media.DOCX: ".docx",
    media.PPTX: ".pptx",
    media.XLSX: ".xlsx",
}


@dataclass(frozen=True, slots=True)
class WebPage:
    """What an address answered; without a body where it has not changed."""

    url: str
    unchanged: bool = False
    body: bytes = b""
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(slots=True)
class PageList:
    """Addresses of a sitemap, and what was left out of it."""

    urls: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    #: False where a limit or a failure cut it short.
    whole: bool = True
    #: Sitemaps that could not be read, in words.
    problems: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What was left out, in words."""
        return [
            *(f"{number:,} × {reason}" for reason, number in self.left_out.most_common(20)),
            *self.problems[:20],
        ]


class Crawler:
    """Asks web servers for pages, as few times and as slowly as they want it."""

    def __init__(self, web: WebService, *, max_bytes: int, pause_s: float = 0.0) -> None:
        """`max_bytes` is the largest page; `pause_s` lies between requests to one host."""
        self._web = web
        self._max_bytes = max_bytes
        self._pause_s = pause_s
        self._robots: dict[str, asyncio.Task[Robots]] = {}
        #: Host -> when it may be asked next.
        self._free_at: dict[str, float] = {}

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._robots.values():
            task.cancel()
        await asyncio.gather(*self._robots.values(), return_exceptions=True)

    async def page(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        hosts: Sequence[str] = (),
        robots: bool = False,
    ) -> WebPage:
        """Fetch one address, unless it is as its marks say.

        `hosts`: where its redirects may lead (anywhere if empty). With `robots`, robots.txt is
        respected. Raises WebError: “gone” for a page that is no more, “robots”, “other_host”,
        “http_error”, and those of `WebService.fetch`.
        """
        if robots:
            await self._ask_robots(url)
        marks: dict[str, tuple[str]] = {}
        if etag:
            marks["If-None-Match"] = (etag,)
        if last_modified:
            marks["If-Modified-Since"] = (last_modified,)
        answer = await self._get(url, self._max_bytes, marks)
        if hosts and not on_hosts(answer.url, hosts):
            raise WebError(
                f"{url} leads to another host, {place_of(answer.url)}.",
                code="other_host",
                fix="Allow that host in the settings of the source.",
                found=place_of(answer.url),
            )
        if robots and answer.url != url:
            await self._ask_robots(answer.url)
        if answer.status == 304 and marks:
            return WebPage(url, unchanged=True, etag=etag, last_modified=last_modified)
        if answer.status in (404, 410):
            raise WebError(
                f"There is no page at {url} (status {answer.status}).",
                code="gone",
                fix="Check the address.",
                found=answer.status,
            )
        if answer.status != 200:
            raise WebError(
                f"{url} answered with status {answer.status}.",
                code="http_error",
                fix="Open it in a browser without signing in: only what is public can be read.",
                found=answer.status,
            )
        headers = answer.headers
        return WebPage(
            url,
            body=answer.body,
            media_type=headers.get("content-type", "").partition(";")[0].strip().lower()[:200],
            etag=headers.get("etag", "")[:1_000],
            last_modified=headers.get("last-modified", "")[:200],
        )

    async def sitemap(
        self,
        url: str,
        *,
        hosts: Sequence[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        max_pages: int,
    ) -> PageList:
        """Addresses of the pages that a sitemap, or an index of sitemaps, lists.

        Those on its own host and on `hosts`, whose paths fit the patterns. Raises WebError where
        the sitemap itself cannot be read.
        """
        found = PageList()
        places = [place_of(url), *hosts]
        wanted, unwanted = Globs(include), Globs(exclude)
        seen_pages: set[str] = set()
        seen, level = {url}, [url]
        for depth in range(_MAX_INDEX_DEPTH + 1):
            below: list[str] = []
            for address in level:
                sitemap = await self._read_sitemap(address, found, is_root=depth == 0)
                found.whole &= sitemap.whole
                for page in sitemap.pages:
                    self._take(page, found, places, wanted, unwanted, seen_pages, max_pages)
                below += self._inner(sitemap, found, places, seen)
            level = below
        if level:
            found.whole = False
            found.left_out["sitemap too deep inside others"] += len(level)
        return found

    def _take(
        self,
        address: str,
        found: PageList,
        places: Sequence[str],
        wanted: Globs,
        unwanted: Globs,
        seen: set[str],
        max_pages: int,
    ) -> None:
        try:
            parsed = parse_url(address)
        except WebError:
            found.left_out["address that cannot be asked"] += 1
            return
        page, path = str(parsed), parsed.path.lstrip("/")
        if page in seen:
            return
        seen.add(page)
        if not on_hosts(page, places):
            found.left_out[f"on another host, {place_of(page)}"] += 1
        elif unwanted.match(path) or (wanted and not wanted.match(path)):
            found.left_out["not chosen by the patterns"] += 1
        elif len(found.urls) >= max_pages:
            found.whole = False
            found.left_out["beyond the limit of the source"] += 1
        else:
            found.urls.append(page)

    def _inner(
        self, sitemap: Sitemap, found: PageList, places: Sequence[str], seen: set[str]
    ) -> list[str]:
        """Sitemaps that an index leads to and that were not read yet."""
        inner = []
        for address in sitemap.sitemaps:
            try:
                allowed = on_hosts(address, places)
            except WebError:
                allowed = False
            if address in seen:
                continue
            if not allowed or len(seen) >= _MAX_SITEMAPS:
                found.whole = False
                found.left_out["sitemap on another host, or one too many"] += 1
                continue
            seen.add(address)
            inner.append(address)
        return inner

    async def _read_sitemap(self, url: str, found: PageList, *, is_root: bool) -> Sitemap:
        try:
            answer = await self._get(url, MAX_SITEMAP_BYTES, {})
            if answer.status != 200:
                raise WebError(
                    f"The sitemap {url} answered with status {answer.status}.",
                    code="http_error",
                    fix="Check the address; many sites name theirs in /robots.txt.",
                    found=answer.status,
                )
            return await call(read_sitemap, answer.body)
        except WebError as error:
            if is_root:
                raise
            found.whole = False
            found.problems.append(f"{url}: {error.message}")
            return Sitemap()

    async def _ask_robots(self, url: str) -> None:
        parsed = parse_url(url)
        robots = await self._robots_of(url)
        path = parsed.raw_path.decode("ascii", "replace")
        if not robots.allows(path):
            raise WebError(
                f"The robots.txt of {place_of(url)} does not let {path[:200]} be read.",
                code="robots",
                fix="Leave the page out with a pattern, or ask whoever runs the site.",
            )

    async def _robots_of(self, url: str) -> Robots:
        parsed = parse_url(url)
        root = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
        if root not in self._robots:
            self._robots[root] = asyncio.create_task(self._read_robots(root), name="robots")
        # Whoever stops waiting must not stop it for the others.
        return await asyncio.shield(self._robots[root])

    async def _read_robots(self, root: str) -> Robots:
        try:
            answer = await self._get(f"{root}/robots.txt", MAX_BYTES, {})
        except WebError:
            return Robots.nothing()
        if answer.status >= 500 or answer.status == 429:
            return Robots.nothing()
        if answer.status != 200:
            return Robots()
        return await call(Robots.parse, answer.body.decode("utf-8", "replace"))

    async def _get(self, url: str, max_bytes: int, headers: dict[str, tuple[str]]) -> WebResponse:
        for attempt in range(_RETRIES + 1):
            await self._turn(url)
            answer = await self._web.fetch(
                WebRequest(
                    url=url,
                    headers={"User-Agent": (f"{AGENT.capitalize()}/1",), **headers},
                    timeout_s=_TIMEOUT_S,
                    max_bytes=max_bytes,
                )
            )
            if answer.status not in _BUSY or attempt == _RETRIES:
                break
            waits = answer.headers.get("retry-after", "")
            wait_s = float(waits) if re.fullmatch(r"\d{1,6}", waits) else _DEFAULT_WAIT_S
            self._free_at[place_of(url)] = time.monotonic() + min(wait_s, _MAX_WAIT_S)
        return answer

    async def _turn(self, url: str) -> None:
        """Wait until the host may be asked."""
        parsed = parse_url(url)
        place = place_of(url)
        robots = self._robots.get(f"{parsed.scheme}://{parsed.netloc.decode('ascii')}")
        pause = self._pause_s
        if robots is not None and robots.done() and not robots.cancelled():
            pause = max(pause, robots.result().delay_s)
        now = time.monotonic()
        at = max(now, self._free_at.get(place, 0.0))
        self._free_at[place] = at + pause
        if at > now:
            await asyncio.sleep(at - now)


def place_of(url: str) -> str:
    """Host of an address, with its port where that is an unusual one. Raises WebError."""
    parsed = parse_url(url)
    host = parsed.raw_host.decode("ascii").lower().rstrip(".")
    return host if parsed.port in (None, 80, 443) else f"{host}:{parsed.port}"


def on_hosts(url: str, hosts: Sequence[str]) -> bool:
    """Whether an address is on one of these (“example.com”, “*.example.com”, “host:8000”)."""
    parsed = parse_url(url)
    host = parsed.raw_host.decode("ascii").lower().strip("[]").rstrip(".")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    return any(fits(entry, host, port) for entry in hosts)


def page_name(url: str, media_type: str = "") -> str:
    """A name for the document of a page: its host and path, with the extension of what it is.

    `https://example.com/guide/start?lang=en` → `example.com/guide/start (lang=en).html`.
    """
    parsed = parse_url(url)
    path = unquote(parsed.path)
    parts = [part for part in path.split("/") if part.strip(". ")]
    last = "index" if path.endswith("/") or not parts else parts.pop()
    suffix = PurePosixPath(last).suffix.lower()
    kind = media_type.partition(";")[0].strip().lower()
    kind = media.HTML if kind == "application/xhtml+xml" else kind
    if kind not in _OCTETS or suffix not in media.EXTENSIONS:
        own = media.EXTENSIONS.get(suffix) or mimetypes.guess_type("x" + suffix)[0]
        if own != kind:
            suffix = _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or suffix
            suffix = suffix or ".html"
    stem = last[: -len(suffix)] if last.lower().endswith(suffix) and suffix else last
    query = unquote(parsed.query.decode("ascii", "replace")).replace("/", "-")
    if len(query) > _MAX_QUERY:
        query = f"{query[:_MAX_QUERY]}… {_mark(query)}"
    shown = f"{stem} ({query}){suffix}" if query else stem + suffix
    host = place_of(url).replace(":", "_").strip("[]")
    return bounded_name("/".join([host, *parts, shown]))


def bounded_name(name: str) -> str:
    """The name as the knowledge base takes it; long ones stay apart from each other."""
    safe = safe_filename(name)
    if len(name.encode("utf-8", "replace")) <= 255:
        return safe
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    mark = f" {_mark(name)}{suffix}"
    cut = name.encode("utf-8", "replace")[: 255 - len(mark.encode())].decode("utf-8", "ignore")
    return safe_filename(cut.removesuffix(suffix) + mark)


def marked_name(name: str, key: str) -> str:
    """Another name for an item whose own is taken by another one of its source."""
    path = PurePosixPath(name)
    return bounded_name(str(path.with_name(f"{path.stem} {_mark(key)}{path.suffix}")))


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
