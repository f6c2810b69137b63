"""Sources from end to end: folders, pages and sitemaps into a knowledge base, and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col

from app.commands.sources import _state
from app.engine.problems import RagloomError
from app.services.views import SearchConfig
from storage.errors import Conflict, NotFound
from storage.sources import SourceRepository
from storage.tables import Task
from tests.services.conftest import opened, text_files
from tests.services.refreshes import allowed, ended, names, number_of, refreshed, told, touch
from tests.services.running import until
from tests.services.source_server import Site

if TYPE_CHECKING:
    from app.services.container import Services

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIDES = "The harbour of Lowick has the highest tide at noon on Fridays."
BREAD = "Sourdough rises for twelve hours in a cool kitchen."
ENGINE = "The two-stroke engine burns oil together with petrol."
QUICK = {"pause_s": 0}


@pytest.fixture(scope="module")
def site_server() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def site(site_server: Site) -> Site:
    site_server.pages.clear()
    site_server.asked.clear()
    return site_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "handbook"
    (root / "deep").mkdir(parents=True)
    (root / "tides.md").write_text(f"# Tides\n\n{TIDES}")
    (root / "deep" / "bread.md").write_text(f"# Bread\n\n{BREAD}")
    return root


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(
    tmp_path_factory: pytest.TempPathFactory, site_server: Site
) -> AsyncIterator[Services]:
    """One server for all of them: each test has a knowledge base of its own."""
    base = tmp_path_factory.getbasetemp()
    async with opened(base / "sources-data", **allowed(base, site_server)) as open_:
        yield open_


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    number = (await services.knowledge.list(1)).total
    return (await services.knowledge.create(f"Notes {number}")).knowledge_base_id


async def test_a_folder_comes_in_and_its_changes_follow(
    services: Services, kb: str, folder: Path
) -> None:
    source = await services.sources.add(kb, "folder", f"{folder}/", settings={"remove_gone": True})
    assert (source.name, source.location) == ("handbook", str(folder))
    first = await ended(services, source)
    assert (first.status, first.total, told(first)) == ("completed", 2, {"added": 2})
    assert await names(services, kb) == {"handbook/tides.md", "handbook/deep/bread.md"}
    found = await services.search.search(kb, "When is the highest tide?", SearchConfig())
    assert "noon" in found.results[0].content
    assert told(await refreshed(services, source)) == {"unchanged": 2}

    touch(folder / "tides.md", "# Tides\n\nThe highest tide is at midnight.")
    touch(folder / "deep" / "bread.md", f"# Bread\n\n{BREAD}")  # the same once more
    (folder / "new.txt").write_text(ENGINE)
    assert told(await refreshed(services, source)) == {"added": 1, "changed": 1, "unchanged": 1}
    found = await services.search.search(kb, "When is the highest tide?", SearchConfig())
    assert "midnight" in found.results[0].content

    (folder / "new.txt").unlink()
    assert told(await refreshed(services, source)) == {"unchanged": 2, "removed": 1}
    assert "handbook/new.txt" not in await names(services, kb)
    commits = await services.knowledge.commits(kb)
    assert {commit.author for commit in commits.items[:-1]} == {"source handbook"}
    (folder / "new.txt").write_text(ENGINE)
    assert told(await refreshed(services, source)) == {"added": 1, "unchanged": 2}
    assert "handbook/new.txt" in await names(services, kb)
    reports = await services.sources.refreshes(kb, source.source_id)
    assert [told(report) for report in reports.items][-1] == {"added": 2}
    assert reports.total == 5


async def test_what_is_gone_stays_unless_the_source_says_otherwise(
    services: Services, kb: str, folder: Path
) -> None:
    source = await services.sources.add(kb, "folder", str(folder))
    await ended(services, source)
    (folder / "tides.md").unlink()
    assert told(await refreshed(services, source)) == {"unchanged": 1, "gone": 1}
    assert "handbook/tides.md" in await names(services, kb)
    await services.sources.change(kb, source.source_id, settings={"remove_gone": True})
    assert told(await refreshed(services, source)) == {"unchanged": 1, "removed": 1}
    # An empty folder looks like a drive that is not there.
    (folder / "deep" / "bread.md").unlink()
    report = await refreshed(services, source)
    assert told(report) == {}
    assert "nothing was taken for gone" in " ".join(report.notes)
    (folder / "deep").rmdir()
    folder.rmdir()
    report = await refreshed(services, source)
    assert (report.status, (report.error or {})["code"]) == ("failed", "no_folder")
    assert await names(services, kb) == {"handbook/deep/bread.md"}


async def test_files_that_cannot_be_taken_are_told_with_reasons(
    services: Services, kb: str, folder: Path
) -> None:
    (folder / "empty.md").touch()
    (folder / "fake.pdf").write_text("this is no PDF")
    source = await services.sources.add(kb, "folder", str(folder))
    report = await ended(services, source)
    assert told(report) == {"added": 3, "failed": 1}
    assert [(one["key"], one["code"]) for one in report.failures] == [("empty.md", "empty")]
    items = await services.sources.items(kb, source.source_id)
    by_key = {item.key: item for item in items.items}
    assert items.items[0].key == "empty.md"
    assert by_key["tides.md"].document_status == "ready"
    assert by_key["tides.md"].document_id
    assert by_key["fake.pdf"].document_status == "error"
    assert by_key["fake.pdf"].error
    touch(folder / "empty.md", ENGINE)
    # What the reading of a file failed at does not change by asking again.
    assert told(await refreshed(services, source)) == {"added": 1, "unchanged": 3}
    assert told(await refreshed(services, source, full=True)) == {"changed": 4}


async def test_one_page_follows_its_server(services: Services, kb: str, site: Site) -> None:
    site.put("/guide/start?lang=en", TIDES)
    url = f"{site.url}/guide/start?lang=en"
    source = await services.sources.add(kb, "url", f" {url}#part ", settings=QUICK)
    assert source.location == url
    assert told(await ended(services, source)) == {"added": 1}
    name = f"{site.place.replace(':', '_')}/guide/start (lang=en).html"
    assert await names(services, kb) == {name}
    assert told(await refreshed(services, source)) == {"unchanged": 1}
    assert site.statuses("/guide/start?lang=en") == [200, 304]
    assert site.agents == {"Ragloom/1"}
    site.put("/guide/start?lang=en", BREAD, headers={"Content-Type": "text/plain"})
    assert told(await refreshed(services, source)) == {"changed": 1}
    assert await names(services, kb) == {name}  # the name stays
    found = await services.search.search(kb, "How long does sourdough rise?", SearchConfig())
    assert "twelve hours" in found.results[0].content
    # Without marks, the content tells.
    site.pages["/guide/start?lang=en"].tagged = False
    assert told(await refreshed(services, source)) == {"unchanged": 1}
    assert told(await refreshed(services, source)) == {"unchanged": 1}
    site.put("/guide/start?lang=en", b"broken", status=500)
    report = await refreshed(services, source)
    assert (told(report), report.failures[0]["code"]) == ({"failed": 1}, "http_error")
    del site.pages["/guide/start?lang=en"]
    assert told(await refreshed(services, source)) == {"gone": 1}
    assert await names(services, kb) == {name}
    await services.sources.change(kb, source.source_id, settings={"remove_gone": True})
    assert told(await refreshed(services, source)) == {"removed": 1}
    assert await names(services, kb) == set()


REFUSED: list[tuple[Any, str, str]] = [
    ("url", "http://127.0.0.1/x", "private_address"),
    ("url", "http://localhost/x", "private_address"),
    ("sitemap", "http://[::1]/sitemap.xml", "private_address"),
    ("url", "http://127.0.0.1:9/x", "host_not_allowed"),
    ("url", "file:///etc/passwd", "bad_url"),
    ("url", "https://user:pass@example.com/", "bad_url"),
    ("folder", "/etc", "folder_not_allowed"),
    ("folder", "relative", "no_folder"),
]


async def test_places_that_may_not_be_asked(services: Services, kb: str) -> None:
    for kind, location, code in REFUSED:
        with pytest.raises(RagloomError) as refused:
            await services.sources.add(kb, kind, location)
        assert refused.value.code == code, location
        assert refused.value.fix
    assert await services.sources.list(kb) == []


async def test_a_redirect_to_a_private_address_is_refused(
    services: Services, kb: str, site: Site
) -> None:
    site.put("/away", b"", status=302, headers={"Location": "http://127.0.0.1:1/secret"})
    source = await services.sources.add(kb, "url", f"{site.url}/away", settings=QUICK)
    report = await ended(services, source)
    assert report.failures[0]["code"] == "host_not_allowed"
    assert await names(services, kb) == set()


async def test_a_sitemap_comes_in_page_by_page(services: Services, kb: str, site: Site) -> None:
    site.put("/robots.txt", b"User-agent: *\nDisallow: /private")
    for path, text in (("/a", TIDES), ("/docs/b", BREAD), ("/docs/b.html", ENGINE), ("/c", "C.")):
        site.put(path, text)
    site.put("/moved", b"", status=301, headers={"Location": "/a"})
    site.sitemap("/first.xml", "/broken.xml", "https://example.org/s.xml", kind="sitemap")
    site.sitemap(
        "/a", "/a#top", "/docs/b", "/docs/b.html", "/private/x", "/missing",
        "https://example.org/page", "mailto:ann@example.org", at="/first.xml",
    )  # fmt: skip
    site.put("/broken.xml", b"<urlset")
    chosen = {**QUICK, "remove_gone": True}
    source = await services.sources.add(kb, "sitemap", f"{site.url}/sitemap.xml", settings=chosen)
    report = await ended(services, source)
    assert (report.status, report.total, told(report)) == (
        "completed",
        5,
        {"added": 3, "failed": 2},
    )
    assert {one["code"] for one in report.failures} == {"robots", "gone"}
    assert "/private/x" not in [path for path, _ in site.asked]
    notes = " ".join(report.notes)
    for words in ("example.org", "cannot be asked", "broken.xml", "sitemap on another host"):
        assert words in notes, notes
    host = site.place.replace(":", "_")
    known = await names(services, kb)
    assert {f"{host}/a.html", f"{host}/docs/b.html"} < known
    assert len(known) == 3  # /docs/b and /docs/b.html are two documents

    # The list was not whole, so nothing is taken for gone; once it is, it is.
    site.sitemap("/a", "/docs/b", at="/first.xml")
    assert told(await refreshed(services, source)) == {"unchanged": 2}
    site.sitemap("/a", "/docs/b", "/c")
    report = await refreshed(services, source)
    assert told(report) == {"added": 1, "unchanged": 2, "removed": 3}
    assert await names(services, kb) == {f"{host}/a.html", f"{host}/docs/b.html", f"{host}/c.html"}
    assert site.statuses("/robots.txt") == [200] * 3


async def test_a_sitemap_can_be_narrowed_and_widened(
    services: Services, kb: str, site: Site
) -> None:
    other = Site()
    try:
        other.put("/far", ENGINE)
        for path in ("/docs/1", "/docs/2", "/docs/old/3", "/blog/4"):
            site.put(path, f"Page {path}.")
        site.sitemap("/docs/1", "/docs/2", "/docs/old/3", "/blog/4", f"{other.url}/far")
        source = await services.sources.add(
            kb,
            "sitemap",
            f"{site.url}/sitemap.xml",
            settings={**QUICK, "include": ["docs/**"], "exclude": ["**/old/**"], "max_items": 1},
            refresh=False,
        )
        report = await refreshed(services, source)
        assert told(report) == {"added": 1}
        assert "1 × beyond the limit" in " ".join(report.notes)
        services.sources._web._allow_private += (other.place,)
        widened = {"include": [], "exclude": [], "max_items": 100, "hosts": [other.place]}
        await services.sources.change(kb, source.source_id, settings=widened)
        assert told(await refreshed(services, source)) == {"added": 4, "unchanged": 1}
    finally:
        other.close()


async def test_a_sitemap_whose_server_is_down_takes_nothing_out(
    services: Services, kb: str, site: Site
) -> None:
    site.put("/a", TIDES)
    site.sitemap("/a")
    settings = {**QUICK, "remove_gone": True}
    source = await services.sources.add(kb, "sitemap", f"{site.url}/sitemap.xml", settings=settings)
    await ended(services, source)
    site.put("/sitemap.xml", b"", status=404)
    report = await refreshed(services, source)
    assert (report.status, (report.error or {})["code"]) == ("failed", "http_error")
    site.sitemap("/a")
    site.put("/robots.txt", b"", status=500)
    report = await refreshed(services, source)
    assert (told(report), report.failures[0]["code"]) == ({"failed": 1}, "robots")
    assert len(await names(services, kb)) == 1


async def test_only_one_refresh_at_a_time_and_it_can_be_cancelled(
    services: Services, kb: str, site: Site
) -> None:
    for path in "abc":
        site.put(f"/{path}", f"Page {path}.")
    site.sitemap("/a", "/b", "/c")
    site.open.clear()
    source = await services.sources.add(kb, "sitemap", f"{site.url}/sitemap.xml", settings=QUICK)
    assert source.refresh is not None
    assert source.refresh.status == "running"
    with pytest.raises(Conflict):
        await services.sources.refresh(kb, source.source_id)
    stopped = await services.sources.cancel(kb, source.source_id)
    assert stopped.refresh is not None
    assert stopped.refresh.status == "cancelled"
    with pytest.raises(RagloomError):
        await services.sources.cancel(kb, source.source_id)
    site.open.set()
    assert told(await refreshed(services, source)) == {"added": 3}


async def test_what_a_cancelled_refresh_handed_in_is_taken_again(
    services: Services, kb: str, folder: Path
) -> None:
    source = await services.sources.add(kb, "folder", str(folder), refresh=False)
    await services.sources.refresh(kb, source.source_id)
    view = await ended(services, source)
    assert told(view) == {"added": 2}
    # As if its job had been cancelled before the files were read.
    with services.database.write() as session:
        mine = col(Task.knowledge_base_id) == kb
        session.exec(update(Task).where(mine).values(status="cancelled"))
    assert told(await refreshed(services, source)) == {"changed": 2}
    assert told(await refreshed(services, source)) == {"unchanged": 2}


async def test_a_refresh_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, data_folder: Path, site: Site
) -> None:
    paths = [f"/{number}" for number in range(40)]
    for path in paths:
        site.put(path, f"Page {path}. {TIDES}")
    site.sitemap(*paths)
    async with opened(data_folder, **allowed(tmp_path, site)) as services:
        kb = (await services.knowledge.create("Notes")).knowledge_base_id
        source = await services.sources.add(
            kb, "sitemap", f"{site.url}/sitemap.xml", settings=QUICK
        )
        repository = SourceRepository(services.database)
        await until(lambda: sum(repository.counts(source.source_id, 1).values()) >= 25)
        site.open.clear()
        written = {key.removeprefix(site.url) for key in repository.known(source.source_id)}
        assert len(written) < 40
    site.open.set()
    async with opened(data_folder, **allowed(tmp_path, site)) as services:
        report = await ended(services, (await services.sources.list(kb))[0])
        assert (report.number, report.status, told(report)) == (1, "completed", {"added": 40})
        assert len(await names(services, kb)) == 40
        assert (await services.knowledge.stats(kb)).failed_documents == 0
    # What was written down is not asked for again.
    assert [path for path in written if len(site.statuses(path)) != 1] == []


async def test_a_source_is_refreshed_at_its_time_and_once_for_what_was_missed(
    services: Services, kb: str, folder: Path
) -> None:
    made = await services.sources.add(
        kb, "folder", str(folder), cron="0 3 * * *", timezone="Europe/Berlin", refresh=False
    )
    assert made.description == "Every day at 03:00"
    assert made.next_at
    assert made.next_words
    repository = SourceRepository(services.database)
    repository.change(made.source_id, {"next_at": time.time() - 10 * 86_400})
    services.sources.rescheduled()  # as the loop finds it at its start
    await until(lambda: number_of(repository, made) == 1)
    report = await ended(services, made)
    assert (report.trigger, told(report)) == ("schedule", {"added": 2})
    [after] = await services.sources.list(kb)
    assert after.next_at == made.next_at
    paused = await services.sources.change(kb, made.source_id, enabled=False)
    assert (paused.next_at, paused.next_words) == (None, "")
    again = await services.sources.change(kb, made.source_id, enabled=True, cron="@hourly")
    assert again.description == "Every hour"
    none = await services.sources.change(kb, made.source_id, cron="")
    assert (none.cron, none.next_at) == ("", None)
    assert number_of(repository, made) == 1
    for bad in ({"cron": "whenever"}, {"timezone": "Moon/Crater"}):
        with pytest.raises(RagloomError):
            await services.sources.change(kb, made.source_id, **{"cron": "@daily", **bad})


async def test_a_source_whose_time_zone_is_gone_is_paused_and_holds_up_no_other(
    services: Services, kb: str, folder: Path, tmp_path: Path
) -> None:
    repository = SourceRepository(services.database)
    other = tmp_path / "other"
    other.mkdir()
    made = []
    for place, zone, ago_s in ((other, "Mars/Olympus", 60), (folder, "UTC", 30)):
        source = await services.sources.add(
            kb, "folder", str(place), cron="0 3 * * *", refresh=False
        )
        values = {"next_at": time.time() - ago_s, "timezone": zone}
        repository.change(source.source_id, values)
        made.append(source)
    services.sources.rescheduled()
    await until(lambda: number_of(repository, made[1]) == 1)
    lost, _ = await services.sources.list(kb)
    assert (lost.enabled, lost.next_at, lost.refresh) == (False, None, None)
    assert "Mars/Olympus" in lost.note
    assert "Mars/Olympus" in _state(lost)
    back = await services.sources.change(kb, lost.source_id, timezone="UTC", enabled=True)
    assert back.next_at
    assert back.note == ""
    await ended(services, made[1])


async def test_two_sources_share_a_page_and_one_is_removed(
    services: Services, kb: str, site: Site, folder: Path
) -> None:
    site.put("/a", TIDES)
    site.put("/b", BREAD)
    site.sitemap("/a", "/b")
    page = await services.sources.add(kb, "url", f"{site.url}/a", settings=QUICK)
    await ended(services, page)
    with pytest.raises(RagloomError, match="already"):
        await services.sources.add(kb, "url", f"{site.url}/a")
    whole = await services.sources.add(kb, "sitemap", f"{site.url}/sitemap.xml", settings=QUICK)
    await ended(services, whole)
    assert len(await names(services, kb)) == 2
    await services.sources.remove(kb, whole.source_id, documents=True, author="tester")
    host = site.place.replace(":", "_")
    assert await names(services, kb) == {f"{host}/a.html"}
    await services.sources.remove(kb, page.source_id)
    assert await names(services, kb) == {f"{host}/a.html"}
    assert await services.sources.list(kb) == []
    with pytest.raises(NotFound):
        await services.sources.get(kb, page.source_id)
    # Two folders of one name do not share names of documents.
    other = folder.parent / "other" / "handbook"
    other.mkdir(parents=True)
    (other / "tides.md").write_text(ENGINE)
    for location in (folder, other):
        await ended(services, await services.sources.add(kb, "folder", str(location)))
    assert {"handbook/tides.md", "handbook 2/tides.md"} < await names(services, kb)


async def test_a_deleted_knowledge_base_stops_its_refreshes(
    services: Services, kb: str, site: Site
) -> None:
    site.put("/a", TIDES)
    site.open.clear()
    source = await services.sources.add(kb, "url", f"{site.url}/a", settings=QUICK)
    await services.knowledge.delete(kb)
    site.open.set()
    await until(lambda: not services.sources.busy(source.source_id))
    with pytest.raises(NotFound):
        await services.sources.list(kb)


async def test_pages_are_told_of_changes(services: Services, kb: str, folder: Path) -> None:
    heard: list[str] = []

    async def listen() -> None:
        async for source_id in services.sources.watch(kb):
            heard.append(source_id)

    listening = asyncio.create_task(listen())
    await until(lambda: services.sources._updates._watchers)
    source = await services.sources.add(kb, "folder", str(folder))
    await until(lambda: source.source_id in heard)
    await ended(services, source)
    listening.cancel()


async def test_a_document_uploaded_by_hand_is_no_part_of_a_source(
    services: Services, kb: str, folder: Path
) -> None:
    job = await services.ingest.submit(kb, text_files({"mine.md": ENGINE}))
    await services.ingest.wait(job.job_id, 60)
    source = await services.sources.add(kb, "folder", str(folder), settings={"remove_gone": True})
    await ended(services, source)
    (folder / "tides.md").unlink()
    assert told(await refreshed(services, source)) == {"unchanged": 1, "removed": 1}
    assert await names(services, kb) == {"mine.md", "handbook/deep/bread.md"}
