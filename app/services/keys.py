"""Who may come in: API keys for programs, one-time links and sessions for browsers."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.services.clock import iso
from app.services.threads import call
from app.services.views import View

if TYPE_CHECKING:
    from storage.keys import KeyRepository
    from storage.tables import ApiKey

KEY_FILE = "api_key"
LINK_FILE = "open_link"
COOKIE_SIGNER_FILE = "page_secret"
#: A link is for now: long enough to find the browser.
LINK_LIFETIME_S = 24 * 3600
_CONFIGURED, _FIRST = "RAGLOOM_API_KEY", "first key"


class KeyView(View):
    """An API key; the secret itself is shown once, when it is made."""

    key_id: str
    name: str
    created_at: str
    last_used_at: str | None = None
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key of a data folder; `secret` only while it may be shown."""

    secret: str | None
    #: True when it was made just now, and is shown for the only time.
    created: bool


class KeyService:
    """Keys are stored hashed; link tokens live in memory and in files only the owner can read."""

    def __init__(
        self,
        keys: KeyRepository,
        folder: Path,
        *,
        configured: str | None = None,
        session_days: int = 30,
    ) -> None:
        self._keys = keys
        self._folder = folder
        self._configured = configured
        self.session_days = session_days
        self._tokens: dict[str, float] = {}

    async def create(self, name: str) -> tuple[KeyView, str]:
        """Make a key; returns it and its secret, which cannot be read again."""
        key, secret = await call(self._keys.create, name)
        return _view(key), secret

    async def revoke(self, key: str) -> None:
        """End a key, by id or name."""
        await call(self._keys.revoke, key)

    async def list(self) -> Keys:
        """All keys, revoked ones too."""
        return [_view(key) for key in await call(self._keys.list)]

    async def verify(self, secret: str) -> KeyView | None:
        """The key with this secret, unless it was revoked."""
        key = await call(self._keys.verify, secret)
        return _view(key) if key else None

    async def first_key(self) -> FirstKey:
        """Make sure there is a key: the configured one, else the one kept, else a new one."""
        return await call(self._first_key)

    def open_link_token(self) -> str:
        """A token that opens the pages once."""
        now = time.time()
        self._tokens = {token: ends for token, ends in self._tokens.items() if ends > now}
        token = secrets.token_urlsafe(24)
        self._tokens[token] = now + LINK_LIFETIME_S
        return token

    async def redeem(self, token: str) -> str | None:
        """Trade a token for a session cookie; None when it is unknown, used or too old."""
        known = self._take(token) or await call(take_link_file, self._folder, token)
        if not known:
            return None
        return await call(self._keys.session_create, self.session_days)

    async def sign_in(self, secret: str) -> str | None:
        """Trade an API key for a session cookie."""
        if await self.verify(secret) is None:
            return None
        return await call(self._keys.session_create, self.session_days)

    async def session_ok(self, cookie: str) -> bool:
        """Whether a browser with this cookie has come in through a link."""
        return await call(self._keys.session_verify, cookie)

    def _take(self, token: str) -> bool:
        ends = self._tokens.pop(token, 0.0)
        return ends > time.time()

    def _first_key(self) -> FirstKey:
        if self._configured:
            if self._keys.verify(self._configured) is None:
                self._keys.adopt(self._configured, _CONFIGURED)
            write_private(self._folder / KEY_FILE, self._configured)
            return FirstKey(self._configured, created=False)
        kept = read_private(self._folder / KEY_FILE)
        if kept and self._keys.verify(kept) is not None:
            return FirstKey(kept, created=False)
        if any(key.revoked_at is None for key in self._keys.list()):
            # Whoever made these keys has them; a new one would be a door nobody asked for.
            return FirstKey(None, created=False)
        _, secret = self._keys.create(_FIRST)
        write_private(self._folder / KEY_FILE, secret)
        return FirstKey(secret, created=True)


def leave_link_file(folder: Path) -> str:
    """Leave a fresh one-time token for the server that owns `folder`; returns the token.

    Whoever can write into the data folder owns it, so this proves enough.
    """
    token = secrets.token_urlsafe(24)
    write_private(folder / LINK_FILE, f"{time.time() + LINK_LIFETIME_S:.0f} {token}")
    return token


def take_link_file(folder: Path, token: str) -> bool:
    """Whether `token` was left in the folder; it is removed by that."""
    path = folder / LINK_FILE
    ends, _, kept = (read_private(path) or "").partition(" ")
    fits = hmac.compare_digest(kept.encode(), token.encode())
    if not kept or not fits or not ends.isdigit():
        return False
    path.unlink(missing_ok=True)
    return float(ends) > time.time()


def page_secret(folder: Path) -> str:
    """What signs the cookies of the pages; the same as long as the data folder lives."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / COOKIE_SIGNER_FILE
    secret = read_private(path)
    if secret is None:
        secret = secrets.token_urlsafe(32)
        write_private(path, secret)
    return secret


def read_private(path: Path) -> str | None:
    """Text of a small file, or None."""
    try:
        return path.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    temporary.replace(path)


Keys = list[KeyView]


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        key_id=key.id,
        name=key.name,
        created_at=iso(key.created_at),
        last_used_at=iso(key.last_used_at) if key.last_used_at else None,
        revoked_at=iso(key.revoked_at) if key.revoked_at else None,
    )
