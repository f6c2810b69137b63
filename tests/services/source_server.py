"""A small web site on this machine: pages that can be changed, moved and taken away."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def _opened() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@dataclass
class SitePage:
    """What one path answers."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether an ETag is sent, and asked about.
    tagged: bool = True
    #: Cleared to hold this answer until it is set again.
    gate: threading.Event = field(default_factory=_opened)


class Site:
    """Answers what `pages` holds by path, 404 otherwise; `asked` lists the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, SitePage] = {}
        #: (path, status) of every answer.
        self.asked: list[tuple[str, int]] = []
        self.agents: set[str] = set()
        #: Cleared to hold every answer until it is set again.
        self.open = threading.Event()
        self.open.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.open.wait(30)
                outer.agents.add(self.headers.get("User-Agent", ""))
                page = outer.pages.get(self.path, SitePage(b"Not here.", 404))
                page.gate.wait(30)
                tag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"'
                tagged = page.tagged and page.status == 200
                same = tagged and self.headers.get("If-None-Match") == tag
                status = 304 if same else page.status
                outer.asked.append((self.path, status))
                self.send_response(status)
                body = b"" if same else page.body
                for name, value in page.headers.items():
                    self.send_header(name, value)
                if "Content-Type" not in page.headers:
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                if tagged:
                    self.send_header("ETag", tag)
                if not same:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    """The caller went away, as some tests do."""

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        # Closing waits until it looks whether it was closed, by default twice a second.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def put(self, path: str, text: str | bytes, **more: Any) -> None:
        """Answer `path` with this from now on; a page of HTML when it is text."""
        body = text if isinstance(text, bytes) else _html(text)
        self.pages[path] = SitePage(body, **more)

    def sitemap(self, *paths: str, at: str = "/sitemap.xml", kind: str = "url") -> None:
        """Put up a sitemap of these paths (or whole addresses)."""
        outer = {"url": "urlset", "sitemap": "sitemapindex"}[kind]
        locations = [path if "://" in path else self.url + path for path in paths]
        inner = "".join(f"<{kind}><loc>{location}</loc></{kind}>" for location in locations)
        name = "http://www.sitemaps.org/schemas/sitemap/0.9"
        self.put(at, f'<?xml version="1.0"?><{outer} xmlns="{name}">{inner}</{outer}>'.encode())

    def statuses(self, path: str) -> list[int]:
        """How a path was answered so far."""
        return [status for asked, status in self.asked if asked == path]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _html(text: str) -> bytes:
    title = text.split(".", maxsplit=1)[0]
    return (
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>{text}</p></body></html>"
    ).encode()
