"""Pages from the web as files, from a real server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphs import Outcome, graph_of, problems, run
from nodes_world import SmallWorld

from app.engine.registry import Registry
from app.nodes import register_all
from app.nodes.sources import FetchPages, addresses
from app.services.sources.pages import WebPages
from app.services.web import WebService
from storage.blobs import Blobs
from tests.services.source_server import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    made.put("/a", "Tides. The highest tide is at noon.")
    made.put("/b.txt", b"Bread rises.", headers={"Content-Type": "text/plain"})
    made.put("/private/c", "Private.")
    made.put("/robots.txt", b"User-agent: *\nDisallow: /private")
    made.sitemap("/a", "/b.txt", "/private/c", "/old/d", "https://example.org/far")
    yield made
    made.close()


@pytest.fixture
def web(world: SmallWorld, site: Site, tmp_path: Path) -> SmallWorld:
    service = WebService([], [site.place])
    world.pages = WebPages(service, Blobs(tmp_path / "blobs"))  # type: ignore[attr-defined]
    return world


async def fetch(world: SmallWorld, given: dict[str, Any] | None = None, **config: Any) -> Outcome:
    graph = graph_of({"f": ("fetch_pages", {"pause": 0, **config})}, "", {"out": "f.documents"})
    return await run(world, graph, **(given or {}))


def found(outcome: Outcome) -> dict[str, Any]:
    outputs = outcome.finished("f").outputs
    return {document["filename"]: document for document in outputs["documents"]["items"]}


def failures(outcome: Outcome) -> dict[str, str]:
    rows = outcome.finished("f").outputs["failures"]["rows"]
    return {row[0]: row[1] for row in rows}


async def test_addresses_become_unread_files(web: SmallWorld, site: Site, tmp_path: Path) -> None:
    host = site.place.replace(":", "_")
    outcome = await fetch(web, urls=f"{site.url}/a\n{site.url}/b.txt\n{site.url}/gone {site.url}/a")
    documents = found(outcome)
    assert set(documents) == {f"{host}/a.html", f"{host}/b.txt"}
    page = documents[f"{host}/a.html"]
    assert (page["metadata"], page["blocks"]) == ({"url": f"{site.url}/a"}, [])
    assert b"highest tide" in Blobs(tmp_path / "blobs").read(page["blob"])
    [(url, message)] = failures(outcome).items()
    assert (url, "no page" in message) == (f"{site.url}/gone", True)
    # What a run brings comes instead.
    again = await fetch(
        web, {"urls": [f"{site.url}/b.txt"]}, urls=f"{site.url}/a", sitemap=f"{site.url}/x"
    )
    assert set(found(again)) == {f"{host}/b.txt"}


async def test_a_sitemap_is_read_as_its_site_allows(web: SmallWorld, site: Site) -> None:
    place = f"{site.url}/sitemap.xml"
    outcome = await fetch(web, sitemap=place, exclude=["old/**"])
    assert len(found(outcome)) == 2
    assert "robots.txt" in failures(outcome)[f"{site.url}/private/c"]
    assert "/private/c" not in [path for path, _ in site.asked]
    only = await fetch(web, sitemap=place, max_pages=1)
    assert len(found(only)) == 1
    both = await fetch(web, urls=f"{site.url}/a", sitemap=place, include=["*.txt"])
    assert len(found(both)) == 2


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, "missing_input"),
        ({"urls": "http://127.0.0.1/x"}, "host_not_allowed"),
        ({"urls": "http://169.254.169.254/latest"}, "host_not_allowed"),
        ({"urls": "ftp://example.com/"}, "bad_url"),
        ({"sitemap": "SITE/a"}, "bad_sitemap"),
        ({"urls": "SITE/gone SITE/a", "on_error": "fail"}, "gone"),
        ({"urls": "SITE/a", "max_kb": 1, "on_error": "fail", "name": "x"}, None),
    ],
)
async def test_what_cannot_be_fetched_is_said(
    web: SmallWorld, site: Site, config: dict[str, Any], code: str | None
) -> None:
    given = {k: v.replace("SITE", site.url) if k != "name" and isinstance(v, str) else v
             for k, v in config.items()}  # fmt: skip
    outcome = await fetch(web, **given)
    if code is None:
        assert len(found(outcome)) == 1
    else:
        assert outcome.failed["f"].code == code
        assert outcome.failed["f"].fix


async def test_validation_knows_which_hosts_may_be_asked(site: Site) -> None:
    registry = Registry()
    register_all(registry, WebService([], [site.place]))
    graph = graph_of({"f": ("fetch_pages", {"urls": f"{site.url}/a https://example.com/"})})
    found = [p for p in problems(graph, registry) if p.code == "host_not_allowed"]
    assert len(found) == 1
    assert "example.com" in found[0].message


def test_addresses_are_lists_or_lines() -> None:
    assert addresses("a\n b  c\n", "urls") == ["a", "b", "c"]
    assert addresses(["a ", ""], "urls") == ["a"]
    for bad in ({"a": 1}, [1], 3):
        with pytest.raises(Exception, match="names no addresses"):
            addresses(bad, "urls")
    config = {"urls": "a\nb", "sitemap": "https://example.com/s.xml"}
    assert FetchPages.summary(config) == "2 pages, sitemap of example.com"
