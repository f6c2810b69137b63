"""A server on this machine that speaks the OpenAI protocol and says what a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class OpenAIServer:
    """Streams `reply` word by word; `status` and `delay_s` make it misbehave."""

    def __init__(self) -> None:  # noqa: C901
        self.reply = "Hello."
        self.status = 200
        self.delay_s = 0.0
        #: Replies in turn, before `reply`.
        self.replies: list[str] = []
        #: Reported at the end where the request asks for it.
        self.usage: dict[str, int] | None = None
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                outer.requests.append(json.loads(self.rfile.read(length)))
                time.sleep(outer.delay_s)
                try:
                    if outer.status != 200:
                        self._refuse()
                    else:
                        self._stream()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def _refuse(self) -> None:
                error = {"message": "Incorrect API key provided.", "code": "invalid_api_key"}
                body = json.dumps({"error": error}).encode()
                self.send_response(outer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                reply = outer.replies.pop(0) if outer.replies else outer.reply
                for word in reply.replace(" ", " \0").split("\0"):
                    self._event({"content": word}, None)
                self._event({}, "stop")
                asked = outer.requests[-1].get("stream_options") or {}
                if outer.usage and asked.get("include_usage"):
                    self._data({"choices": [], "usage": outer.usage})
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def _event(self, delta: dict[str, str], finish: str | None) -> None:
                self._data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

            def _data(self, fields: dict[str, Any]) -> None:
                data = {
                    "id": "1",
                    "object": "chat.completion.chunk",
                    "created": 0,
                    "model": "test",
                    **fields,
                }
                self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Closing waits until it looks whether it was closed, by default twice a second.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
