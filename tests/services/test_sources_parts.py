"""The parts of sources: which files count, sitemaps, robots.txt, names of pages."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from app.engine.problems import RagloomError
from app.services.sources.folder import Globs, Listing, Roots, file_sha, find_files
from app.services.sources.robots import Robots
from app.services.sources.sitemap import MAX_BYTES, read_sitemap
from app.services.sources.web import bounded_name, marked_name, on_hosts, page_name
from app.services.web_address import WebError
from app.settings import load_settings


def listed(root: Path, *patterns: list[str], **limits: int) -> Listing:
    """What a folder holds, within limits that nothing here reaches unless they are given."""
    most = {"max_files": 1_000, "max_bytes": 10**9, "max_file_bytes": 10**8, **limits}
    return find_files(
        root,
        *patterns,
        max_files=most["max_files"],
        max_bytes=most["max_bytes"],
        max_file_bytes=most["max_file_bytes"],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".git").mkdir()
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.md").write_text("other")
    for name in ("a.md", "deep/b.txt", "deep/er/c.md", ".hidden.md", ".git/config.md", "prog.exe"):
        (root / name).write_text(f"This is {name}.")
    (root / "out.md").symlink_to(tmp_path / "secret.md")
    (root / "in.md").symlink_to(root / "deep" / "b.txt")
    (root / "away").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    (root / "broken.md").symlink_to(tmp_path / "nowhere.md")
    os.mkfifo(root / "pipe.md")
    return root


def test_a_folder_gives_its_readable_files_and_says_what_it_leaves_out(folder: Path) -> None:
    found = listed(folder)
    assert [file.key for file in found.files] == ["a.md", "in.md", "deep/b.txt", "deep/er/c.md"]
    assert found.whole
    notes = " | ".join(found.notes())
    for words in ("2 × hidden", "2 × link to a folder", "1 × of a kind", "3 × link that leads out"):
        assert words in notes, notes
    chosen = listed(folder, ["*.md", "*.exe"], ["deep/"])
    assert [file.key for file in chosen.files] == ["a.md", "in.md", "prog.exe"]


def test_a_folder_has_limits(folder: Path) -> None:
    few = listed(folder, max_files=2)
    assert (len(few.files), few.whole) == (2, False)
    light = listed(folder, max_bytes=20)
    assert (len(light.files), light.whole) == (1, False)
    small = listed(folder, max_file_bytes=13)
    assert [file.key for file in small.files] == ["a.md"]
    (folder / "deep").chmod(0)
    try:
        locked = listed(folder)
        # Who may read everything reads this too.
        assert locked.whole == os.access(folder / "deep", os.R_OK)
    finally:
        (folder / "deep").chmod(0o755)


def test_a_file_that_became_a_link_is_not_read(folder: Path, tmp_path: Path) -> None:
    root = Path(os.path.realpath(folder))
    assert len(file_sha(root / "a.md", root)) == 64
    assert file_sha(root / "in.md", root) == file_sha(root / "deep/b.txt", root)
    for name in ("out.md", "away/other.md", "pipe.md"):
        with pytest.raises(OSError, match="leads out"):
            file_sha(root / name, root)
    (root / "a.md").unlink()
    (root / "a.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(OSError, match="leads out"):
        file_sha(root / "a.md", root)


def test_only_folders_below_the_roots_are_taken(folder: Path, tmp_path: Path) -> None:
    roots = Roots((folder,), (folder / "deep" / "er",))
    assert roots.check(f" {folder}/deep ") == Path(os.path.realpath(folder / "deep"))
    for location, code in (
        (str(tmp_path), "folder_not_allowed"),
        (str(folder / "away"), "folder_not_allowed"),
        (f"{folder}/../elsewhere", "folder_not_allowed"),
        (str(folder / "deep" / "er"), "folder_not_allowed"),
        (str(folder / "none"), "no_folder"),
        (str(folder / "a.md"), "no_folder"),
        ("docs", "no_folder"),
        ("", "no_folder"),
        ("/a\0b", "no_folder"),
    ):
        with pytest.raises(RagloomError) as refused:
            roots.check(location)
        assert refused.value.code == code, location
        assert refused.value.fix
    with pytest.raises(RagloomError) as nowhere:
        Roots(()).check(str(folder))
    assert "import_roots" in nowhere.value.fix


def test_home_may_be_imported_from_while_only_this_machine_asks(tmp_path: Path) -> None:
    home = [Path.home()]
    assert load_settings(environ={}).allowed_roots == home
    assert load_settings(environ={}, host="localhost").allowed_roots == home
    assert load_settings(environ={}, host="::1").allowed_roots == home
    assert load_settings(environ={}, host="0.0.0.0").allowed_roots == []
    assert load_settings(environ={}, host="example.com").allowed_roots == []
    named = {"RAGLOOM_IMPORT_ROOTS": f"{tmp_path}, ~/docs"}
    chosen = load_settings(environ=named, host="0.0.0.0").allowed_roots
    assert chosen == [tmp_path, Path.home() / "docs"]
    with pytest.raises(RagloomError):
        load_settings(environ={"RAGLOOM_IMPORT_ROOTS": "docs"})


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*.pdf", "a/b/c.PDF", "a.pdf/b"),
        ("guides/**", "guides/a/b.md", "other/guides/b.md"),
        ("drafts/", "drafts/x/y.md", "drafts.md"),
        ("**/old/*", "old/a.md", "old/a/b.md"),
        ("**/old/*", "a/b/old/c.md", "older/c.md"),
        ("docs/*.md", "docs/a.md", "docs/a/b.md"),
        ("/docs/a?.md", "docs/ab.md", "docs/a.md"),
        ("[!a]*.md", "x/b.md", "x/a.md"),
        ("a+b(1).md", "a+b(1).md", "aab1.md"),
    ],
)
def test_patterns(pattern: str, fits: str, fits_not: str) -> None:
    assert Globs([pattern]).match(fits)
    assert not Globs([pattern]).match(fits_not)


@pytest.mark.parametrize("pattern", ["[z-a].md", "*a*b*c*d*e*f*g"])
def test_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(RagloomError) as refused:
        Globs([pattern])
    assert refused.value.code == "bad_pattern"


URLSET = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x">
 <url><loc> https://a.test/1?x=1&amp;y=2 </loc><image:image><image:loc>https://a.test/i.png</image:loc></image:image></url>
 <url><loc>https://a.test/2</loc></url><url><lastmod>2020</lastmod></url>
</urlset>"""
INDEX = "<s:sitemapindex xmlns:s='http://y'><s:sitemap><s:loc>https://a.test/s.gz</s:loc></s:sitemap></s:sitemapindex>"


def test_sitemaps_are_read() -> None:
    pages = ["https://a.test/1?x=1&y=2", "https://a.test/2"]
    assert read_sitemap(URLSET.encode()).pages == pages
    assert read_sitemap(gzip.compress(URLSET.encode())).pages == pages
    assert read_sitemap(URLSET.replace("UTF-8", "UTF-16").encode("utf-16")).pages == pages
    assert read_sitemap(INDEX.encode()).sitemaps == ["https://a.test/s.gz"]
    assert read_sitemap(b"\xef\xbb\xbfhttps://a.test/1\r\nhttps://a.test/2\n").pages == [
        "https://a.test/1",
        "https://a.test/2",
    ]
    long = "<urlset>" + "<url><loc>https://a.test/x</loc></url>" * 50_001 + "</urlset>"
    found = read_sitemap(long.encode())
    assert (len(found.pages), found.whole) == (50_000, False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>Not found</body></html>",
        b"<urlset><url><loc>https://a.test/",
        b"just words",
        b'<!DOCTYPE x [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><urlset/>',
        b'<?xml version="1.0" encoding="klingon"?><urlset/>',
        b"\x1f\x8bnot gzip at all",
        gzip.compress(b"<urlset>" + b" " * (MAX_BYTES + 1)),
        b"<urlset>" + b"<a>" * 10_000,
    ],
    ids=range(10),
)
def test_sitemaps_that_are_none_or_mean_harm(data: bytes) -> None:
    with pytest.raises(WebError) as refused:
        read_sitemap(data)
    assert refused.value.code == "bad_sitemap"


def test_robots_txt() -> None:
    text = """
    User-agent: other
    User-agent: *
    Disallow: /private  # not this
    Allow: /private/open
    Disallow: /*.pdf$
    Disallow: /x*y*z
    Crawl-delay: 2

    Sitemap: https://a.test/sitemap.xml
    User-agent: Ragloom/1.0
    Disallow: /mine
    Crawl-delay: 900
    """
    mine = Robots.parse(text)
    assert (mine.allows("/mine/x"), mine.allows("/private"), mine.delay_s) == (False, True, 30)
    all_ = Robots.parse(text.replace("Ragloom", "Somebot"))
    assert all_.delay_s == 2
    for path, allowed in (
        ("/", True),
        ("/private/x", False),
        ("/privat%65/x", False),
        ("/private/open/x", True),
        ("/a/b.pdf", False),
        ("/a/b.pdf?x", True),
        ("/x1y2z3", False),
        ("/xz", True),
    ):
        assert all_.allows(path) is allowed, path
    assert Robots.parse("").allows("/x")
    assert Robots.parse("User-agent: *\nDisallow:").allows("/x")
    assert not Robots.nothing().allows("/x")
    hard = Robots.parse("User-agent: *\nDisallow: /" + "*a" * 500 + "$")
    assert hard.allows("/" + "a" * 2_000 + "b")


@pytest.mark.parametrize(
    ("url", "media_type", "name"),
    [
        ("https://example.com/", "text/html; charset=utf-8", "example.com/index.html"),
        ("https://example.com/guide/start", "text/html", "example.com/guide/start.html"),
        ("https://example.com/s?q=a/b", "text/html", "example.com/s (q=a-b).html"),
        ("https://example.com/a.pdf", "application/pdf", "example.com/a.pdf"),
        ("https://example.com/a.pdf", "text/html", "example.com/a.pdf.html"),
        ("https://example.com/readme.md", "text/plain", "example.com/readme.md"),
        ("https://example.com/r.docx", "application/octet-stream", "example.com/r.docx"),
        ("https://example.com/v1.2", "text/html", "example.com/v1.2.html"),
        ("https://example.com/data", "application/json", "example.com/data.json"),
        ("http://127.0.0.1:8000/x/", "text/html", "127.0.0.1_8000/x/index.html"),
        ("https://example.com/a%2F..%2F../b", "text/html", "example.com/a/b.html"),
    ],
)
def test_names_of_pages(url: str, media_type: str, name: str) -> None:
    assert page_name(url, media_type) == name


def test_long_and_equal_names_stay_apart() -> None:
    one, other = (bounded_name(f"docs/{'x' * 300}{end}.md") for end in "ab")
    assert one != other
    assert len(one.encode()) <= 255
    assert one.endswith(".md")
    assert marked_name("a/b.md", "k1") != marked_name("a/b.md", "k2")
    assert marked_name("a/b.md", "k1").startswith("a/b ")


def test_hosts() -> None:
    for url, hosts, on in (
        ("https://a.test/x", ["a.test"], True),
        ("https://b.test/x", ["a.test"], False),
        ("https://www.a.test/x", ["a.test"], False),
        ("https://www.a.test/x", ["*.a.test"], True),
        ("http://127.0.0.1:81/x", ["127.0.0.1"], False),
        ("http://127.0.0.1:81/x", ["127.0.0.1:81"], True),
    ):
        assert on_hosts(url, hosts) is on, url
