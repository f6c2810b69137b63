"""Keys, links and sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.keys import (
    KeyService,
    leave_link_file,
    page_secret,
    take_link_file,
    write_private,
)
from storage.errors import NotFound
from storage.keys import KeyRepository
from tests.services.running import database


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[KeyRepository]:
    db = database(tmp_path)
    yield KeyRepository(db)
    db.close()


@pytest.fixture
def keys(repository: KeyRepository, tmp_path: Path) -> KeyService:
    return KeyService(repository, tmp_path)


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(keys: KeyService) -> None:
    made, secret = await keys.create("laptop")
    found = await keys.verify(secret)
    assert found is not None
    assert found.key_id == made.key_id
    assert found.last_used_at is not None
    assert secret not in "".join(str(key) for key in await keys.list())
    await keys.revoke("laptop")
    assert await keys.verify(secret) is None
    assert (await keys.list())[0].revoked_at is not None
    with pytest.raises(NotFound):
        await keys.revoke("laptop")
    for wrong in ("", "rl_", "x" * 10_000, "ü"):
        assert await keys.verify(wrong) is None


async def test_the_first_key_is_made_once_and_kept_for_its_owner(
    keys: KeyService, tmp_path: Path
) -> None:
    first = await keys.first_key()
    assert first.created
    assert first.secret is not None
    assert (tmp_path / "api_key").read_text().strip() == first.secret
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o600
    second = await keys.first_key()
    assert (second.secret, second.created) == (first.secret, False)
    assert len(await keys.list()) == 1


async def test_a_configured_key_is_adopted(repository: KeyRepository, tmp_path: Path) -> None:
    keys = KeyService(repository, tmp_path, configured="my-own-key-0123456789")
    for _ in range(2):
        first = await keys.first_key()
        assert (first.secret, first.created) == ("my-own-key-0123456789", False)
    assert len(await keys.list()) == 1
    assert await keys.verify("my-own-key-0123456789") is not None


async def test_no_door_is_opened_beside_keys_that_exist(keys: KeyService, tmp_path: Path) -> None:
    await keys.create("mine")
    assert (await keys.first_key()).secret is None
    assert not (tmp_path / "api_key").exists()


async def test_a_link_works_once(keys: KeyService) -> None:
    token = keys.open_link_token()
    cookie = await keys.redeem(token)
    assert cookie is not None
    assert await keys.session_ok(cookie)
    assert await keys.redeem(token) is None
    for wrong in ("", "x", token + "x", "ü"):
        assert await keys.redeem(wrong) is None
    assert not await keys.session_ok("x")


async def test_a_link_ends_after_a_day(keys: KeyService, monkeypatch: pytest.MonkeyPatch) -> None:
    token = keys.open_link_token()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 25 * 3600)
    assert await keys.redeem(token) is None


async def test_a_key_signs_a_browser_in(keys: KeyService) -> None:
    _, secret = await keys.create("me")
    cookie = await keys.sign_in(secret)
    assert cookie is not None
    assert await keys.session_ok(cookie)
    assert await keys.sign_in("rl_wrong") is None


def test_a_link_left_in_the_folder_is_taken_once(tmp_path: Path) -> None:
    token = leave_link_file(tmp_path)
    newer = leave_link_file(tmp_path)
    assert not take_link_file(tmp_path, token)
    assert not take_link_file(tmp_path, "")
    assert take_link_file(tmp_path, newer)
    assert not take_link_file(tmp_path, newer)
    write_private(tmp_path / "open_link", f"{time.time() - 5:.0f} old")
    assert not take_link_file(tmp_path, "old")
    (tmp_path / "open_link").write_bytes(b"\xff\xfe damaged")
    assert not take_link_file(tmp_path, "damaged")


def test_the_secret_of_the_pages_stays(tmp_path: Path) -> None:
    first = page_secret(tmp_path / "new")
    assert page_secret(tmp_path / "new") == first
    assert (tmp_path / "new" / "page_secret").stat().st_mode & 0o777 == 0o600
