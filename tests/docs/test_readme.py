"""Every command of the README does what it says; examples of the how-to work."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
#: The first starts a server by `make`.
pytestmark = pytest.mark.timeout(400)


def blocks(page: Path) -> list[str]:
    """The shell blocks of a page, in order."""
    return re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), re.S)


def block_with(word: str) -> str:
    """The README's block that holds `word`."""
    return next(block for block in blocks(ROOT / "README.md") if word in block)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a person who has just installed Ragloom; no proxy, a data folder of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("RAGLOOM_")}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAGLOOM_DATA": str(tmp_path_factory.mktemp("readme") / "data"),
        "RAGLOOM_PORT": "0",
        "no_proxy": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def served(environment: dict[str, str]) -> Iterator[str]:
    """`make run`, as the README says; its link."""
    command = ["make", "run", f"VENV={BIN.parent}"]
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        link = next((w for line in server.stdout for w in line.split() if "?token=" in w), None)
        assert link, "the server printed no link"
        url = link.partition("/start")[0]
        environment["RAGLOOM_PORT"] = url.rpartition(":")[2]
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=30):
                    break
            except OSError:
                time.sleep(0.2)
        yield link
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
        if server.stdout:
            server.stdout.close()


def bash(script: str, environment: dict[str, str]) -> str:
    """Run a block as a person would paste it; returns all that it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_first_screen_starts_the_product(served: str, environment: dict[str, str]) -> None:
    """`make run` prints a link, and the link opens the page."""
    assert "make run" in block_with("make run")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(served, timeout=60) as page:
        assert page.status == 200
        assert b"Ragloom" in page.read()


@pytest.mark.slow
def test_the_commands_of_the_command_line_work(served: str, environment: dict[str, str]) -> None:
    """Ingest, search, run and doctor, while the server holds the data folder."""
    for line in block_with("ragloom ingest").splitlines():
        printed = bash(line, environment)
        assert printed.strip(), line


@pytest.mark.slow
def test_the_rest_call_works(served: str, environment: dict[str, str]) -> None:
    """A key is made and the list of workflows is read with it."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = block_with("curl").replace(":8080", f":{environment['RAGLOOM_PORT']}")
    assert '"items"' in bash(script, environment)


def test_make_knows_its_commands() -> None:
    """The four commands a newcomer meets exist."""
    for target in ("run", "test", "check", "bench"):
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_node_of_the_how_to_works() -> None:
    """The worked example declares a node that the registry takes."""
    from app.engine.describe import node_type
    from app.engine.registry import Registry

    text = (ROOT / "docs" / "how-to.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code
    module = type(sys)("how_to_example")
    sys.modules["how_to_example"] = module
    try:
        exec(code.group(1), module.__dict__)
        registry = Registry()
        registry.register(module.Shout)
        assert node_type(module.Shout)["outputs"][0]["type"] == "Text"
    finally:
        del sys.modules["how_to_example"]


def test_the_handbook_names_the_settings_as_they_are() -> None:
    """The demo's sheet of settings holds today's defaults."""
    from openpyxl import load_workbook

    from app.settings import Settings

    book = load_workbook(ROOT / "app" / "demo" / "documents" / "settings.xlsx", read_only=True)
    rows = list(book["Settings"].iter_rows(min_row=2, values_only=True))
    book.close()
    assert rows
    for name, default, _, words in rows:
        field = Settings.model_fields[str(name)]
        assert (str(field.default), field.description) == (str(default), words)
