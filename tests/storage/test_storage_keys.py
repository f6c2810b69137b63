from __future__ import annotations

import pytest

from storage.database import Database
from storage.errors import NotFound
from storage.folder import DataFolder
from storage.keys import KeyRepository


@pytest.fixture
def keys(db: Database) -> KeyRepository:
    return KeyRepository(db)


def test_a_key_opens_until_it_is_revoked(keys: KeyRepository) -> None:
    key, secret = keys.create("ci")
    assert secret.startswith("rl_")
    found = keys.verify(secret)
    assert found is not None
    assert found.id == key.id
    assert keys.list()[0].last_used_at is not None
    for wrong in ("", "rl_", secret[:-1], secret + "x", "\ud800"):
        assert keys.verify(wrong) is None
    keys.revoke("ci")
    assert keys.verify(secret) is None
    with pytest.raises(NotFound):
        keys.revoke("ci")


def test_secrets_are_stored_nowhere(keys: KeyRepository, db: Database, folder: DataFolder) -> None:
    _, secret = keys.create("ci")
    cookie = keys.session_create(days=1)
    db.close()
    stored = b"".join(path.read_bytes() for path in folder.path.iterdir() if path.is_file())
    assert b"ci" in stored
    assert secret.encode() not in stored
    assert cookie.encode() not in stored


def test_a_key_chosen_elsewhere_is_adopted_once(keys: KeyRepository) -> None:
    first = keys.adopt("chosen by hand", "environment")
    again = keys.adopt("chosen by hand", "environment")
    assert first.id == again.id
    assert len(keys.list()) == 1
    keys.revoke(first.id)
    keys.adopt("chosen by hand", "environment")
    assert keys.verify("chosen by hand") is not None


def test_sessions_expire(keys: KeyRepository) -> None:
    cookie = keys.session_create(days=1)
    expired = keys.session_create(days=-1)
    assert keys.session_verify(cookie)
    assert not keys.session_verify(expired)
    assert not keys.session_verify("no such cookie")
    assert not keys.session_verify("")
