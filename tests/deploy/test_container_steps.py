"""The Dockerfile holds no step that is not a script, and the scripts do what the image needs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"


def test_the_image_is_built_by_scripts_and_runs_without_privileges() -> None:
    """RUN lines call the scripts below; the user is not root; data is a volume; health is checked."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    runs = re.findall(r"^RUN (.+)$", text, re.M)
    steps = [step.strip().split()[0] for line in runs for step in line.split("&&")]
    own = {"deploy/docker/build-wheel.sh", "/opt/ragloom/install.sh"}
    assert set(steps) <= own | {"rm", "useradd", "install"}
    assert own <= set(steps)
    assert re.search(r"^USER (?!root)\w+", text, re.M)
    assert re.search(r"^VOLUME /data", text, re.M)
    assert "HEALTHCHECK" in text
    for script in DOCKER.glob("*.sh"):
        assert os.access(script, os.X_OK), script


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_the_image_give_a_healthy_server(tmp_path: Path) -> None:
    """Build the wheel, install it elsewhere, serve from there, and ask the health check."""
    wheels = tmp_path / "wheels"
    subprocess.run(
        [str(DOCKER / "build-wheel.sh"), str(wheels)], cwd=ROOT, check=True, timeout=600,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    (wheel,) = wheels.glob("ragloom-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "site")
    assert "app/ui/canvas/dist/index.js" in names
    assert any(name.startswith("storage/migrations/versions/") for name in names)
    assert "app/demo/documents/handbook.pdf" in names
    assert not any("node_modules" in name for name in names)

    # The packages of this environment, but Ragloom itself from the wheel and not from here.
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RAGLOOM_")},
        "PYTHONPATH": f"{tmp_path / 'site'}:{sysconfig.get_path('purelib')}",
        "RAGLOOM_PORT": "0",
        "RAGLOOM_DATA": str(tmp_path / "data"),
        "RAGLOOM_DEMO": "0",
    }
    server = subprocess.Popen(
        [sys.executable, "-S", "-m", "app", "serve"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        links = (re.search(r":(\d+)/start\?token=", line) for line in server.stdout)
        found = next((link for link in links if link), None)
        assert found, "the server printed no link"
        environment["RAGLOOM_PORT"] = found[1]
        deadline = time.monotonic() + 180
        healthy = 1
        while healthy and time.monotonic() < deadline:
            time.sleep(0.5)
            healthy = subprocess.run(
                [sys.executable, str(DOCKER / "healthcheck.py")], env=environment, check=False,
                stderr=subprocess.DEVNULL,
            ).returncode  # fmt: skip
        assert healthy == 0
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        server.stdout.close()
