"""What every test shares: no network, real stores in a fresh data folder, real documents."""

from __future__ import annotations

import gc
import ipaddress
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from app.services.container import Services
    from app.settings import Settings
    from tests.chromium import Chromium

# Nothing may reach for a model hub or a price list, whichever test imports it first.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["ANONYMIZED_TELEMETRY"] = "False"

ROOT = Path(__file__).resolve().parent.parent


#: Folders of tests that start servers and browsers, and end them.
_LONG = ("crash", "e2e", "deploy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: one of them alone at the end would leave the other workers idle."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)


class NetworkBlocked(RuntimeError):
    """A test tried to leave this machine."""


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # A Unix socket.
    host = address[0]
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection that is not to this machine."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, *args: Any, real: Any = real) -> Any:
            if not _is_local(args[-1]):
                raise NetworkBlocked(f"a test tried to reach {args[-1]!r}")
            return real(self, *args)

        patch.setattr(socket.socket, name, guarded)
    real_lookup = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name,)):
            raise NetworkBlocked(f"a test tried to look up {name!r}")
        return real_lookup(host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", lookup)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="module")
def _settled_memory() -> Iterator[None]:
    """What is there before a module stays: no collection of garbage looks through it again.

    A process that has imported everything takes a second to; the simulated pages collect three
    times a test.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and keys of whoever runs the tests must not decide them."""
    for name in list(os.environ):
        if name.upper().startswith("RAGLOOM_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents next to the repository; tests that need them skip without."""
    folder = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real documents are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database as the migrations leave it: whoever copies it need not run them."""
    from storage.database import Database

    path = tmp_path_factory.mktemp("migrated") / "ragloom.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture
def data_folder(tmp_path: Path, migrated: Path) -> Path:
    """A data folder of its own, holding nothing but an empty database."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated, folder)
    return folder


@pytest.fixture
def settings(data_folder: Path) -> Settings:
    """Settings of a server without the demonstration."""
    from app.settings import load_settings

    return load_settings(environ={}, data=data_folder, demo=False, port=0)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """Everything open over an empty data folder: real database, indexes and models."""
    from app.services.container import Services

    opened = await Services.open(settings, background=False)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser of this process; tests take it by `browser`."""
    from tests.chromium import Chromium

    made = Chromium()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """A real browser, awake for this module."""
    chromium.wake()
    yield chromium.browser
    chromium.rest()
