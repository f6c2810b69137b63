"""A real server in a process of its own, and the same application in this one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.services.container import Services

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running `ragloom serve`."""

    process: subprocess.Popen[str]
    data: Path
    url: str
    key: str
    link: str
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if self.reader is not None and self.process.stdout is not None:
            self.reader.join(60)
            self.process.stdout.close()
        return code


def start_server(data: Path, *flags: str, **environment: str) -> Server:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAGLOOM_", "PYTEST"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port=0", "--data", data, "--no-demo", *flags],
        cwd=ROOT,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    # A server that never says its link is ended, so that nothing waits for it for ever.
    patience = threading.Timer(200, process.kill)
    patience.daemon = True
    patience.start()
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        found = re.match(r"Open ((http://[^/]+)/\S*\?token=\S+)", line)
        if found:
            patience.cancel()
            # Keep reading, so that the server never waits for a full pipe.
            reader = threading.Thread(target=_drain, args=(process, lines), daemon=True)
            reader.start()
            key = (data / "api_key").read_text().strip()
            return Server(process, data, found[2], key, found[1], lines, reader)
    patience.cancel()
    raise AssertionError(f"the server did not start: exit {process.wait(10)}, {lines}")


def _drain(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(line.rstrip() for line in process.stdout)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.stop()


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """REST with a key, over the application in this process."""
    app = create_app(services.settings, services, ui=False)
    _, secret = await services.keys.create("tests")
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport,
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {secret}"},
        ) as client,
    ):
        yield client


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """REST over services of its own."""
    async with client_of(services) as client:
        yield client
