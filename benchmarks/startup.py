"""From the command to /health and to the first page, and memory when idle with stores open.

The reference beside it is the time the interpreter needs to import the web framework alone.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

import psutil

RUNS = 3


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(url: str, started: float, limit_s: float = 60) -> float:
    """Seconds from `started` until `url` answers 200."""
    while time.perf_counter() - started < limit_s:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return time.perf_counter() - started
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(url)


def one(folder: Path) -> tuple[float, float, float, float]:
    """(seconds to /health, to the first page, to /ready, MB resident when idle)."""
    port = free_port()
    started = time.perf_counter()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "app",
            "serve",
            "--port",
            str(port),
            "--data",
            str(folder),
            "--no-demo",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        health = wait_for(f"http://127.0.0.1:{port}/health", started)
        link = next(
            word for line in server.stdout or () for word in line.split() if "token=" in word
        )
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(link, timeout=30) as page:
            page.read()
        first_page = time.perf_counter() - started
        ready = wait_for(f"http://127.0.0.1:{port}/ready", started)
        time.sleep(2)
        processes = [
            psutil.Process(server.pid),
            *psutil.Process(server.pid).children(recursive=True),
        ]
        memory = sum(p.memory_info().rss for p in processes) / 2**20
        return health, first_page, ready, memory
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    """Print medians."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import nicegui"], check=True)
    floor = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        one(Path(folder) / "warm")
        runs = [one(Path(folder) / f"data{i}") for i in range(RUNS)]
    health, page, ready, memory = (median(run[i] for run in runs) for i in range(4))
    print(
        f"/health after {health:.2f} s (target 3), first page {page:.2f} s (target 4), "
        f"/ready {ready:.2f} s; importing nicegui alone {floor:.2f} s"
    )
    print(f"idle with stores open: {memory:.0f} MB (target 300)")


if __name__ == "__main__":
    main()
