"""File systems that are really full or really read-only, mounted for the test alone."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def mounted(script: str, *command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command where the mounts of a script are seen, and nobody else sees them."""
    line = f"{script} && exec {shlex.join(command)}"
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", line],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(autouse=True)
def may_mount(tmp_path: Path) -> None:
    try:
        tried = mounted(f"mount -t tmpfs none {shlex.quote(str(tmp_path))}", "true")
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if tried.returncode:
        pytest.skip(f"this user may not mount: {tried.stderr.strip()}")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_full_disk_pauses_the_job_until_there_is_room(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mount = f"mount -t tmpfs -o size=24m none {shlex.quote(str(data))}"
    done = mounted(mount, sys.executable, "-m", "tests.crash.small_disk", str(data))
    assert done.stdout.splitlines() == ["paused storage_full", "completed success"], done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_data_folder_that_is_read_only_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    place = shlex.quote(str(data))
    mount = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    done = mounted(mount, sys.executable, "-m", "app", "jobs", "list", "--data", str(data))
    assert done.returncode == 5, done.stderr
    assert "read-only" in done.stderr
    assert "Traceback" not in done.stderr
