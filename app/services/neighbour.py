"""The server that already holds a data folder: where it is, and the key to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.engine.problems import RagloomError
from app.services.keys import KEY_FILE, KeyService, leave_link_file, read_private
from app.services.threads import call
from app.settings import Settings
from storage.database import Database
from storage.errors import DataFolderInUse
from storage.folder import DataFolder
from storage.keys import KeyRepository


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A running server."""

    url: str
    key: str


def find_neighbour(settings: Settings) -> Neighbour | None:
    """The server that holds the data folder, or None when the folder is free.

    Raises DataFolderInUse when another process holds it that serves nobody, and RagloomError
    “unauthorized” when no key to the server is at hand.
    """
    folder = DataFolder(settings.data)
    holder = folder.holder()
    if holder is None:
        return None
    if holder.url is None:
        raise DataFolderInUse(folder.path, holder.pid, None)
    configured = settings.api_key.get_secret_value() if settings.api_key else None
    key = configured or read_private(folder.path / KEY_FILE)
    if key is None:
        raise RagloomError(
            f"A server at {holder.url} holds the data folder, and there is no key to it here.",
            code="unauthorized",
            fix="Set RAGLOOM_API_KEY to one of its keys; `ragloom keys create` makes one.",
        )
    return Neighbour(holder.url, key)


def fresh_link(settings: Settings) -> str:
    """A one-time link to the pages of the running server. Raises RagloomError “not_running”."""
    folder = DataFolder(settings.data)
    holder = folder.holder()
    if holder is None or holder.url is None:
        raise RagloomError(
            f"No server is running over the data folder {folder.path}.",
            code="not_running",
            fix="Start one with `ragloom serve`; name its folder with --data.",
        )
    return f"{holder.url}/?token={leave_link_file(folder.path)}"


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncIterator[KeyService]:
    """The keys of a data folder, whether or not a server runs over it."""
    folder = DataFolder(settings.data)
    running = await call(folder.holder) is not None
    if not running:
        await call(folder.lock)
    url = settings.database_url.get_secret_value() if settings.database_url else folder.db_url
    database = Database(url)
    try:
        if not running:
            await call(database.upgrade)
        yield KeyService(KeyRepository(database), folder.path)
    finally:
        await call(database.close)
        await call(folder.release)
