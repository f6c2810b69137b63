"""Nodes that misbehave on a real server: each run ends and says why, and nothing else suffers."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.bad_nodes import FOLDER, workflow

ROOT = Path(__file__).parents[2]
CAP = 600

#: How it misbehaves -> what the step says. None of these keeps the server from answering.
CASES = {
    "raise": ("node_error", "failed with ValueError: wrong number of legs"),
    "hang": ("timeout", "took longer than 1 s"),
    "hang_in_threads": ("timeout", "took longer than 1 s"),
    "spin_in_a_thread": ("timeout", "took longer than 1 s"),
    "wrong": ("bad_output", "gave Number at its output “text”"),
    "much": ("output_too_large", "gave more than 64 MB"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[httpx.Client]:
    data = folder / "data"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAGLOOM_", "PYTEST"))}
    command = [sys.executable, "-m", "tests.crash.bad_server", "serve", "--port=0", "--no-demo"]
    process = subprocess.Popen(
        [*command, "--data", str(data)],
        cwd=ROOT,
        env={**clean, FOLDER: str(folder), "RAGLOOM_MAX_RUN_MEMORY_MB": str(CAP)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"Open (http://[^/]+)/\S*\?token=\S+", line):
            break
    else:
        pytest.fail(f"the server did not start: {lines}")
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    key = (data / "api_key").read_text().strip()
    client = httpx.Client(
        base_url=found[1], headers={"Authorization": f"Bearer {key}"}, timeout=120
    )
    with client:
        until(lambda: client.get("/ready").status_code == 200)
        yield client
    process.send_signal(signal.SIGTERM)
    # Threads that hang in a node do not keep the server from ending.
    assert process.wait(60) == 0, lines
    reader.join(60)
    process.stdout.close()
    assert not [line for line in lines if "ERROR" in line or "CRITICAL" in line], lines


def until(condition: Any, seconds: float = 120) -> Any:
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)
    return found


class Pulse:
    """Asks the server whether it is there, over and over, as long as it lasts."""

    def __init__(self, url: str) -> None:
        self.took: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url,))

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while not self._over.is_set():
                began = time.perf_counter()
                assert client.get("/health").status_code == 200
                self.took.append(time.perf_counter() - began)
                time.sleep(0.02)


def start(server: httpx.Client, graph: dict[str, Any]) -> str:
    answer = server.post(
        "/api/v1/workflow_executions",
        json={"workflow": graph, "input_data": {"text": "hello"}},
        headers={"Prefer": "respond-async"},
    )
    # 200 where it has ended by then.
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["execution_id"])


def ended(server: httpx.Client, run_id: str) -> dict[str, Any]:
    def look() -> Any:
        run = server.get(f"/api/v1/workflow_executions/{run_id}").json()
        return run if run["status"] not in ("running", "queued") else None

    return dict(until(look))


def bad(how: str, **policy: Any) -> dict[str, Any]:
    """A bad node beside a branch that works; one that hangs has a second for it."""
    patience = 1 if CASES.get(how, ("",))[0] == "timeout" else 120
    return workflow(
        f"Bad: {how}",
        {
            "bad": {"type": "bad", "config": {"how": how}, "timeout_s": patience, **policy},
            "text": {"type": "text_input"},
            "out": {"type": "output"},
        },
        "text.text>out.value",
        outputs={"end": ["out", "value"]},
    )


def bad_step(run: dict[str, Any]) -> dict[str, Any]:
    return dict(next(step for step in run["steps"] if step["node_id"] == "bad"))


def quiet(server: httpx.Client, folder: Path, name: str) -> str:
    """A run that waits until it is let go."""
    graph = workflow(
        "Quiet",
        {
            "text": {"type": "text_input"},
            "wait": {"type": "wait", "config": {"name": name}},
            "out": {"type": "output"},
        },
        "text.text>wait.text wait.text>out.value",
        outputs={"end": ["out", "value"]},
    )
    run = start(server, graph)
    until((folder / f"began-{name}").exists)
    return run


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_bad_node_is_told_and_the_server_goes_on(server: httpx.Client, folder: Path) -> None:
    beside = quiet(server, folder, "all")
    with Pulse(str(server.base_url)) as pulse:
        runs = {how: start(server, bad(how, on_error="continue")) for how in CASES}
        results = {how: ended(server, run) for how, run in runs.items()}
    print(
        f"/health beside bad nodes: median {statistics.median(pulse.took) * 1000:.0f} ms, "
        f"worst {max(pulse.took) * 1000:.0f} ms of {len(pulse.took)}"
    )
    for how, (code, words) in CASES.items():
        run, step = results[how], bad_step(results[how])
        assert run["status"] == "failed", how
        assert (step["status"], step["error"]["code"]) == ("failed", code), how
        assert words in step["error"]["message"]
        assert step["error"]["fix"]
        assert run["error"]["message"] == step["error"]["message"]
        assert run["outputs"]["end"] == "hello", how
    (folder / "go-all").touch()
    assert ended(server, beside)["status"] == "completed"


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["eat", "eat_in_a_thread", "eat_at_once"])
def test_a_node_that_eats_memory_is_stopped(server: httpx.Client, folder: Path, how: str) -> None:
    beside = quiet(server, folder, how)
    run = ended(server, start(server, bad(how, timeout_s=120)))
    error = bad_step(run)["error"]
    assert error["code"] == "out_of_memory"
    assert f"more than {CAP} MB of memory" in error["message"]
    assert "raise max_run_memory_mb" in error["fix"]
    assert run["error"]["message"] == error["message"]
    (folder / f"go-{how}").touch()
    other = ended(server, beside)
    assert other["status"] == "completed", other["error"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_node_that_never_lets_go_is_stopped(server: httpx.Client) -> None:
    run = ended(server, start(server, bad("never_let_go", timeout_s=3)))
    assert bad_step(run)["error"]["code"] == "blocked"
    assert "kept the whole server waiting" in bad_step(run)["error"]["fix"]
    run = ended(server, start(server, bad("block", timeout_s=120)))
    assert run["status"] == "completed"
    assert "kept the whole server waiting" in bad_step(run)["reason"]
