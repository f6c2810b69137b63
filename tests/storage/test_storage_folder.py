from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.blobs import Blobs
from storage.errors import DataFolderInUse, NotFound, StorageFull, TooLarge
from storage.folder import DataFolder, Holder

HOLD = """
import sys, time
from pathlib import Path
from storage.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
folder.lock(url="http://127.0.0.1:8080")
print("locked", flush=True)
time.sleep(60)
"""


def test_a_second_owner_is_told_who_has_the_folder(tmp_path: Path) -> None:
    with _holder(tmp_path / "data") as process:
        folder = DataFolder(tmp_path / "data")
        with pytest.raises(DataFolderInUse) as refused:
            folder.lock()
        assert refused.value.pid == process.pid
        assert refused.value.url == "http://127.0.0.1:8080"
        assert str(process.pid) in refused.value.message
        assert folder.holder() == Holder(process.pid, "http://127.0.0.1:8080")
        process.kill()
        process.wait()
        # A killed owner leaves the folder free, though its name is still written there.
        assert folder.holder() is None
        folder.lock()
        assert folder.holder() == Holder(os.getpid(), None)
        folder.release()
        assert folder.holder() is None


def test_the_lock_holds_within_one_process_too(folder: DataFolder) -> None:
    with pytest.raises(DataFolderInUse):
        DataFolder(folder.path).lock()


def test_a_folder_nobody_used_has_no_holder(tmp_path: Path) -> None:
    assert DataFolder(tmp_path / "new").holder() is None
    assert not (tmp_path / "new").exists()


def test_the_data_folder_is_private(folder: DataFolder) -> None:
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_a_forked_child_does_not_keep_the_folder(tmp_path: Path) -> None:
    code = HOLD.replace("time.sleep(60)", "import os\nif os.fork() == 0: time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        process.wait(timeout=20)
        folder = DataFolder(tmp_path / "data")
        # The child lets go as its first act, which may come after its parent's end.
        ends = time.monotonic() + 20
        while not _locked(folder):
            assert time.monotonic() < ends, "the child kept the folder"
            time.sleep(0.01)
        folder.release()
    finally:
        os.killpg(process.pid, 9)
        process.stdout.close()


def _locked(folder: DataFolder) -> bool:
    try:
        folder.lock()
    except DataFolderInUse:
        return False
    return True


def test_equal_content_is_kept_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"hello")
    sha = blobs.put_bytes(b"hello")
    assert sha == hashlib.sha256(b"hello").hexdigest()
    assert blobs.put_file(source) == sha
    assert blobs.put_stream([b"he", b"llo"]) == (sha, 5)
    assert blobs.read(sha) == b"hello"
    assert blobs.path(sha).parent.name == sha[:2]
    assert blobs.size_total() == 5
    blobs.delete(sha)
    assert not blobs.exists(sha)
    with pytest.raises(NotFound):
        blobs.read(sha)


@pytest.mark.parametrize("name", ["../../etc/passwd", "ab", "A" * 64, "", "0" * 63 + "/"])
def test_only_hashes_name_blobs(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(NotFound):
        blobs.path(name)
    with pytest.raises(NotFound):
        blobs.delete(name)


def test_a_stream_past_its_limit_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(TooLarge) as refused:
        blobs.put_stream([b"x" * 6, b"x" * 6], limit=10)
    assert refused.value.limit == 10
    assert blobs.put_stream([b"x" * 10], limit=10)[1] == 10
    assert len(_files(tmp_path / "blobs")) == 1


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    # The kernel refuses to let a file of this process grow: a write fails half way, for real.
    code = """
import resource, signal, sys
from pathlib import Path
from storage.blobs import Blobs
from storage.errors import StorageFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blobs = Blobs(Path(sys.argv[1]))
try:
    blobs.put_stream(b"x" * 65_536 for _ in range(10))
except StorageFull as error:
    assert error.fix
    blobs.put_bytes(b"small")
    sys.exit(0)
sys.exit(1)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "blobs")], check=True)
    assert [path.read_bytes() for path in _files(tmp_path / "blobs")] == [b"small"]


def test_no_space_when_data_is_synced_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        Blobs(tmp_path / "blobs").put_bytes(b"x")
    assert _files(tmp_path / "blobs") == []


def test_other_errors_of_the_source_come_through(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"x"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        Blobs(tmp_path / "blobs").put_stream(broken())  # type: ignore[arg-type]
    assert _files(tmp_path / "blobs") == []


def test_sweep_spares_what_is_kept_and_what_is_young(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    kept, old, young = (blobs.put_bytes(data) for data in (b"kept", b"old!", b"young"))
    for sha in (kept, old):
        os.utime(blobs.path(sha), (time.time() - 100, time.time() - 100))
    assert blobs.sweep(lambda shas: {kept} & set(shas), older_than_s=50) == 4
    assert [blobs.exists(sha) for sha in (kept, old, young)] == [True, False, True]
    # Stored again, an old blob is young again: its new owner is about to be written.
    os.utime(blobs.path(young), (0, 0))
    blobs.put_bytes(b"young")
    assert blobs.sweep(lambda _: (), older_than_s=50) == 4
    assert blobs.exists(young)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


class _holder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "locked\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
