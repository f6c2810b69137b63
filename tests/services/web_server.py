"""A web server on this machine that answers as its path says."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def _answer(path: str, rest: str, echo: bytes) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers."""
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = {
        "/to": (302, echo, {"Location": rest}),
        "/keep": (307, echo, {"Location": rest}),
        "/gzip": (200, gzip.compress(echo), {"Content-Encoding": "gzip"}),
        "/brotli": (200, echo, {"Content-Encoding": "br"}),
        "/large": (200, b"x" * 3_000_000, {}),
        "/latin": (
            200,
            "Grüße".encode("latin-1"),
            {"Content-Type": "text/plain; charset=iso-8859-1"},
        ),
        "/cut": (200, echo, {"Content-Length": "99999"}),
    }
    if path == "/bomb":
        return 200, gzip.compress(b"0" * 30_000_000), {"Content-Encoding": "gzip"}
    if path == "/status":
        return int(rest), b"No such thing.", {"Content-Type": "text/plain"}
    return answers.get(path, (200, echo, {}))


class WebServer:
    """`/echo` repeats the request; `/to?…` redirects there; others misbehave on purpose."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length).decode()
                seen = {
                    "method": self.command,
                    "path": self.path,
                    "headers": {n.lower(): v for n, v in self.headers.items()},
                    "body": body,
                }
                outer.requests.append(seen)
                path, _, rest = self.path.partition("?")
                if path == "/slow":
                    time.sleep(float(rest))
                status, data, more = _answer(path, rest, json.dumps(seen).encode())
                self.send_response(status)
                common = {"Content-Type": "application/json", "Content-Length": str(len(data))}
                for name, value in {**common, **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    """The caller went away, as some tests do."""

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """A handshake that fails is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        # Closing waits until it looks whether it was closed, by default twice a second.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
