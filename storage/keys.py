"""API keys and browser sessions. Only hashes are stored; a secret is shown once, when made."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from sqlalchemy import delete
from sqlmodel import col, select

from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id
from storage.tables import ApiKey, UiSession

_PREFIX = "rl_"
_SECRET_BYTES = 32
#: `last_used_at` is this coarse, so that reading over the API does not write each time.
_LAST_USED_STEP_S = 60.0
_DAY_S = 86_400.0

_Keys = list[ApiKey]


class KeyRepository:
    """API keys and UI sessions in SQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, name: str) -> tuple[ApiKey, str]:
        """Make a key; returns its row and the secret, which is kept nowhere."""
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        return self.adopt(secret, name), secret

    def adopt(self, secret: str, name: str) -> ApiKey:
        """Accept a secret chosen elsewhere; the same secret again is the same key, usable again."""
        with self._db.write() as session:
            key = session.exec(select(ApiKey).where(col(ApiKey.key_hash) == _hash(secret))).first()
            if key is None:
                key = ApiKey(
                    id=new_id("key"), name=name, key_hash=_hash(secret), created_at=time.time()
                )
                session.add(key)
            key.revoked_at = None
        return key

    def verify(self, secret: str) -> ApiKey | None:
        """The key that a secret belongs to, unless it was revoked."""
        digest = _hash(secret)
        with self._db.read() as session:
            key = session.exec(select(ApiKey).where(col(ApiKey.key_hash) == digest)).first()
        if key is None or key.revoked_at is not None:
            return None
        # The index lookup compares hashes, whose timing tells nothing about the secret.
        if not hmac.compare_digest(key.key_hash, digest):
            return None
        now = time.time()
        if key.last_used_at is None or now - key.last_used_at > _LAST_USED_STEP_S:
            with self._db.write() as session:
                row = session.get(ApiKey, key.id)
                if row is not None:
                    row.last_used_at = key.last_used_at = now
        return key

    def revoke(self, id_or_name: str) -> ApiKey:
        """Refuse a key from now on; by name it is all keys of that name. Raises NotFound."""
        query = select(ApiKey).where(
            (col(ApiKey.id) == id_or_name) | (col(ApiKey.name) == id_or_name),
            col(ApiKey.revoked_at).is_(None),
        )
        with self._db.write() as session:
            keys = session.exec(query).all()
            if not keys:
                raise NotFound("key", id_or_name)
            for key in keys:
                key.revoked_at = time.time()
        return keys[0]

    def list(self) -> _Keys:
        """All keys, revoked ones too, oldest first."""
        with self._db.read() as session:
            return list(session.exec(select(ApiKey).order_by(col(ApiKey.created_at))).all())

    def session_create(self, days: float) -> str:
        """Start a browser session; returns its cookie."""
        cookie = secrets.token_urlsafe(_SECRET_BYTES)
        now = time.time()
        with self._db.write() as session:
            session.exec(delete(UiSession).where(col(UiSession.expires_at) < now))
            session.add(UiSession(id=_hash(cookie), created_at=now, expires_at=now + days * _DAY_S))
        return cookie

    def session_verify(self, cookie: str) -> bool:
        """Whether a cookie belongs to a session that has not expired."""
        with self._db.read() as session:
            row = session.get(UiSession, _hash(cookie))
        return row is not None and row.expires_at > time.time()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
