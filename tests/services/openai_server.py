"""A chat server on this machine that speaks the OpenAI protocol, well or badly on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["The ", "tide ", "is ", "high", "."]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = body["model"]
        if self.path.endswith("/embeddings"):
            return self._embed(body)
        if model.startswith("status-"):
            return self._refuse(int(model.removeprefix("status-")))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if model == "silent":
            time.sleep(30)
            return None
        if model == "wordless":
            self._event(model, {"role": "assistant", "content": ""}, "length")
            self.wfile.write(b"data: [DONE]\n\n")
            return None
        for word in WORDS:
            self._event(model, {"role": "assistant", "content": word}, None)
            if model == "stalls":
                time.sleep(30)
            if model in ("stalls", "breaks-off"):
                return None
        self._event(model, {}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")
        return None

    def _event(self, model: str, delta: dict[str, Any], finish: str | None) -> None:
        data = {
            "id": "chat-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _embed(self, body: dict[str, Any]) -> None:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        model = body["model"]
        if model.startswith("status-"):
            return self._refuse(int(model.removeprefix("status-")))
        if model.startswith("at-most-") and len(texts) > int(model.removeprefix("at-most-")):
            return self._refuse(400)
        rows = [
            {"object": "embedding", "index": i, "embedding": [3.0, 4.0, float(len(text) % 2)]}
            for i, text in enumerate(texts)
        ]
        return self._json(
            200,
            {
                "object": "list",
                "model": body["model"],
                "data": rows,
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            },
        )

    def _refuse(self, status: int) -> None:
        self._json(status, {"error": {"message": "no secret-key", "type": "error", "code": None}})

    def _json(self, status: int, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def openai_server(port: int = 0) -> Iterator[str]:
    """Run the server; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True  # a stalled answer holds nobody up at the end
    # Closing waits until it looks whether it was closed, by default twice a second.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
