"""Whether this machine has what the product needs, one finding for each thing."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.services.problems import explain
from app.services.views import View
from app.settings import Settings
from storage.folder import DataFolder

if TYPE_CHECKING:
    from app.documents.model_files import Carrier

_MIN_PYTHON = (3, 11)
_LOW_DISK, _LITTLE_DISK = 200 * 1024**2, 2 * 1024**3


class Finding(View):
    """What was looked at, how it is, and what to do where it is not well."""

    name: str
    state: Literal["ok", "warning", "error"]
    message: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything; yields each finding as soon as it is there."""
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("Python", _python),
        ("Data folder", _data_folder),
        ("Lock", _lock),
        ("Disk space", _disk),
        ("Port", _port),
        ("Embedding model", _embedder),
        ("Multilingual model", _multilingual),
        ("Reranking model", _reranker),
        ("Pages", _pages),
    )
    for name, check in checks:
        try:
            finding = check(settings)
        except Exception as error:
            report = explain(error)
            finding = Finding(name=name, state="error", message=report.message, fix=report.fix)
        yield finding.model_copy(update={"name": name})


def _ok(message: str) -> Finding:
    return Finding(name="", state="ok", message=message)


def _python(settings: Settings) -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _MIN_PYTHON:
        return Finding(
            name="", state="error", message=f"{found} is too old.", fix="Install Python 3.11."
        )
    return _ok(found)


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data.resolve()
    place = folder
    while not place.exists():
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            name="",
            state="error",
            message=f"{place} cannot be written to: {error.strerror}.",
            fix="Change its owner, or choose another folder with --data.",
        )
    return _ok(str(folder) if folder.exists() else f"{folder} (made at the first start)")


def _lock(settings: Settings) -> Finding:
    holder = DataFolder(settings.data).holder() if settings.data.exists() else None
    if holder is None:
        return _ok("No server is running over the data folder")
    return _ok(f"A server is running: process {holder.pid}, {holder.url or 'starting'}")


def _disk(settings: Settings) -> Finding:
    place = settings.data.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"{free / 1024**3:.1f} GB free"
    if free < _LITTLE_DISK:
        state: Literal["warning", "error"] = "error" if free < _LOW_DISK else "warning"
        return Finding(name="", state=state, message=f"Only {said}.", fix="Free some space.")
    return _ok(said)


def _port(settings: Settings) -> Finding:
    holder = DataFolder(settings.data).holder() if settings.data.exists() else None
    if holder is not None and holder.url and holder.url.endswith(f":{settings.port}"):
        return _ok(f"{settings.port} is the running server's")
    place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(place[0], place[1]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place[4])
        except OSError as error:
            return Finding(
                name="",
                state="error",
                message=f"{settings.host}:{settings.port} cannot be used: {error.strerror}.",
                fix="Stop what uses it, or choose another with --port.",
            )
    return _ok(f"{settings.host}:{settings.port} is free")


def _embedder(settings: Settings) -> Finding:
    from app.documents.model_files import BGE_SMALL

    return _carried("bge-small-en-v1.5", BGE_SMALL)


def _multilingual(settings: Settings) -> Finding:
    from app.documents.model_files import E5_SMALL

    return _carried("multilingual-e5-small", E5_SMALL)


def _carried(name: str, carrier: Carrier) -> Finding:
    from app.documents.model_files import embedded_file

    size = sum(embedded_file(file, carrier).stat().st_size for file in carrier.hashes)
    return _ok(f"{name}, {size / 1_048_576:.0f} MB, checksums match")


def _reranker(settings: Settings) -> Finding:
    from app.retrieval.rerank import load_cross_encoder

    model = load_cross_encoder("default")
    return _ok(f"{getattr(model, 'name', 'ms-marco-MiniLM-L-12-v2')}, checksums match")


def _pages(settings: Settings) -> Finding:
    built = Path(str(resources.files("app"))) / "ui" / "canvas" / "dist" / "index.js"
    if not built.is_file():
        return Finding(
            name="",
            state="error",
            message="The canvas was not built into this installation.",
            fix="Install the package again with `pip install .`, which builds it.",
        )
    return _ok("The canvas is built in")
