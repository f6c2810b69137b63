"""A private PostgreSQL server on loopback, for tests."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Accounts that PostgreSQL may run as where the tests run as root, which it refuses.
_ACCOUNTS = ("postgres", "nobody")


def programs() -> Path | None:
    """The folder of initdb, or None where PostgreSQL is not installed."""
    for folder in (
        *(Path(found).parent for found in (shutil.which("initdb"),) if found),
        *map(Path, sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)),
    ):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


@contextmanager
def server(bin: Path) -> Iterator[str]:
    """Start a server over an empty folder; yields its URL, and leaves nothing behind."""
    account = _account()
    root = Path(tempfile.mkdtemp(prefix="ragloom-pg-"))
    try:
        if account is not None:
            os.chown(root, account.pw_uid, account.pw_gid)
        data, port = root / "data", _free_port()
        _run(
            account,
            bin / "initdb",
            "-D",
            data,
            "-U",
            "ragloom",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        options = f"-h 127.0.0.1 -p {port} -k {root} -c fsync=off"
        _run(account, bin / "pg_ctl", "-D", data, "-w", "-l", root / "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://ragloom@127.0.0.1:{port}/postgres"
        finally:
            _run(account, bin / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in _ACCOUNTS if name in known)


def _run(account: pwd.struct_passwd | None, *command: Path | str) -> None:
    identity = (
        {}
        if account is None
        else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    )
    subprocess.run(
        [*map(str, command)],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=60,
        **identity,  # type: ignore[call-overload]
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
