"""Archives give their files under safe names; what they do to harm ends in clear errors."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.documents.errors import DocumentError
from app.documents.unpack import Unpacked, UnpackLimits, is_archive, unpack

Unpack = Callable[..., list[Unpacked]]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return buffer.getvalue()


def office() -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"})


@pytest.fixture
def run(tmp_path: Path) -> Unpack:
    """Write an archive and unpack it; with `error` set, return what was refused instead."""
    (tmp_path / "out").mkdir()

    def _run(content: bytes, **limits: int) -> list[Unpacked]:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return unpack(path, tmp_path / "out", UnpackLimits(**limits))

    return _run


def codes(found: list[Unpacked]) -> dict[str, str | None]:
    return {item.name: item.error.code if item.error else None for item in found}


def test_files_folders_and_inner_archives(run: Unpack, tmp_path: Path) -> None:
    inner = zipped({"deep/c.txt": b"see", "d.docx": office()})
    content = zipped(
        {
            "a.txt": b"first", "empty/": b"", "sub/b.md": b"# b", "sub/inner.zip": inner,
            "__MACOSX/._a.txt": b"x", ".DS_Store": b"x", "sub/.git/config": b"x", "Thumbs.db": b"x",
        }
    )  # fmt: skip
    found = run(content)
    texts = {item.name: item.path.read_bytes() for item in found}
    assert texts == {
        "a.txt": b"first",
        "sub/b.md": b"# b",
        "sub/inner.zip/deep/c.txt": b"see",
        "sub/inner.zip/d.docx": office(),
    }
    assert [item.size for item in found] == [len(text) for text in texts.values()]
    # The inner archive itself is gone.
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/x.txt", "abs/x.txt"),
        ("C:\\Users\\x.txt", "C_/Users/x.txt"),
        ("a/./b//c.txt", "a/b/c.txt"),
        ("a\nb\x07.txt", "a b.txt"),
        ("n" * 300 + ".txt", "n" * 176 + ".txt"),
    ],
)
def test_names_cannot_lead_out(run: Unpack, tmp_path: Path, name: str, safe: str) -> None:
    found = run(zipped({name: b"x"}))
    assert [item.name for item in found] == [safe]
    assert found[0].path.parent == tmp_path / "out"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "upload"]


def test_names_in_utf8_without_the_flag_and_twice(run: Unpack) -> None:
    content = zipped({"Gr??e.txt": b"x"}).replace(b"Gr??e", "Gré".encode() + b"e")
    assert [item.name for item in run(content)] == ["Grée.txt"]
    twice = zipped({"a.txt": b"1", "b.txt": b"2"}).replace(b"b.txt", b"a.txt")
    assert [item.name for item in run(twice)] == ["a.txt", "a (2).txt"]


def test_links_are_passed_over(run: Unpack) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        container.writestr(link, "/etc/passwd")
        container.writestr("a.txt", "x")
    assert codes(run(buffer.getvalue())) == {"a.txt": None}


def test_a_bad_member_is_one_error(run: Unpack) -> None:
    content = zipped({"a.txt": b"good", "b.txt": b"bad" * 50}, zipfile.ZIP_STORED)
    broken = content.replace(b"bad" * 50, b"bax" * 50)
    assert codes(run(broken)) == {"a.txt": None, "b.txt": "damaged"}
    locked = bytearray(zipped({"a.txt": b"good", "b.txt": b"secret"}))
    entry = locked.rindex(b"PK\x01\x02")
    locked[entry + 8] |= 1
    found = run(bytes(locked))
    assert codes(found) == {"a.txt": None, "b.txt": "unsupported_encryption"}
    assert found[1].error is not None
    assert found[1].error.fix
    assert not found[1].path.exists()
    assert codes(run(zipped({"a.txt": b"x"}, zipfile.ZIP_LZMA))) == {"a.txt": "unsupported_type"}
    assert codes(run(zipped({"in.zip": b"PK\x03\x04 cut off", "a.txt": b"x"}))) == {
        "in.zip": None,  # a damaged file: reading it says so
        "a.txt": None,
    }


def test_bombs(run: Unpack, tmp_path: Path) -> None:
    zeros = bytes(32 * 2**20)
    assert codes(run(zipped({"zeros": zeros, "a.txt": b"x"}))) == {"zeros": "unsafe", "a.txt": None}
    nested = b"the core"
    for _ in range(6):
        nested = zipped({"n.zip": nested, "x.txt": b"x"})
    assert codes(run(nested)) == {
        "n.zip/n.zip/n.zip": "unsafe",
        "n.zip/n.zip/x.txt": None,
        "n.zip/x.txt": None,
        "x.txt": None,
    }
    assert len(run(zipped({"a": b"x" * 1000}), max_bytes=1000)) == 1
    for out in (tmp_path / "out").iterdir():
        out.unlink()


@pytest.mark.parametrize(
    ("content", "limits", "code", "words"),
    [
        (zipped({str(i): b"" for i in range(101)}), {"max_members": 100}, "unsafe", "100 files"),
        (zipped({"a": b"x" * 700, "b": b"x" * 400}), {"max_bytes": 1000}, "too_large", "unpacks"),
        # Sixteen archives of sixteen files: each harmless, together too much.
        (
            zipped({f"{i}.zip": zipped({str(j): b"" for j in range(16)}) for i in range(16)}),
            {"max_members": 200},
            "unsafe",
            "200 files",
        ),
        (b"PK\x03\x04 cut off", {}, "damaged", "directory"),
        (zipped({"empty/": b""}), {}, "empty", "no files"),
    ],
    ids=["members", "bytes", "fan", "cut", "empty"],
)
def test_bounds_on_the_whole(
    run: Unpack, tmp_path: Path, content: bytes, limits: dict[str, int], code: str, words: str
) -> None:
    with pytest.raises(DocumentError, match=words) as caught:
        run(content, **limits)
    assert caught.value.code == code
    assert caught.value.fix
    assert not list((tmp_path / "out").iterdir())


def test_a_huge_directory_is_refused_before_it_is_read(run: Unpack) -> None:
    members = {f"{i:05d}-{'n' * 200}": b"" for i in range(6_000)}
    with pytest.raises(DocumentError, match="more than 100 files"):
        run(zipped(members), max_members=100)


def test_what_is_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, expected in (
        (zipped({"a.txt": b"x"}), True),
        (office(), False),
        (zipped({"mimetype": b"application/epub+zip"}), False),
        (b"PK\x03\x04 cut off", False),
        (b"PK is how this text begins", False),
        (b"", False),
    ):
        path.write_bytes(content)
        assert is_archive(path) is expected, content[:40]
