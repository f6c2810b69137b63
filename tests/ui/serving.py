"""A program of the tests that serves pages, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def serving(program: str, log: Path, path: str) -> Iterator[str]:
    """Address of `program FD`, once it answers at `path`.

    It gets a socket that listens already: nobody can take its port away, and what is asked before
    it is ready waits.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("w") as said:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, str(HERE / program), str(listening.fileno())],
            stdout=said,
            stderr=said,
            env=environment,
            pass_fds=[listening.fileno()],
        )
    try:
        try:
            urllib.request.urlopen(url + path, timeout=100).close()
        except OSError:
            raise AssertionError(f"{program} does not answer: {log.read_text()}") from None
        yield url
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
