"""Sources over REST and from the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.commands.sources import kind_of
from app.main import serve
from app.services.container import Services
from app.settings import Settings, load_settings
from storage.tables import Ref
from tests.services.source_server import Site

KB = "/api/v1/knowledge_bases"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def settings(data_folder: Path, tmp_path: Path, site: Site) -> Settings:
    return load_settings(
        environ={},
        data=data_folder,
        demo=False,
        port=0,
        import_roots=[tmp_path],
        http_allow_private=[site.place],
    )


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "cats.md").write_text("# Cats\n\nCats sleep most of the day.")
    (folder / "empty.md").touch()
    return folder


async def test_a_source_over_rest(
    client: httpx.AsyncClient, docs: Path, services: Services
) -> None:
    kb = (await client.post(KB, json={"name": "Notes"})).json()["knowledge_base_id"]
    place = f"{KB}/{kb}/sources"
    body = {"kind": "folder", "location": str(docs), "refresh": False, "cron": "0 3 * * *"}
    made = await client.post(place, json=body)
    assert made.status_code == 201, made.text
    source = made.json()
    assert (source["name"], source["refresh"], source["description"]) == (
        "docs", None, "Every day at 03:00",
    )  # fmt: skip
    one = f"{place}/{source['source_id']}"

    done = await client.post(f"{one}/refresh")
    assert done.status_code == 200, done.text
    report = done.json()["refresh"]
    assert (report["status"], report["added"], report["failed"]) == ("completed", 1, 1)
    assert [failure["code"] for failure in report["failures"]] == ["empty"]
    items = (await client.get(f"{one}/items", params={"limit": 1})).json()
    assert (items["total"], items["items"][0]["key"]) == (2, "empty.md")
    ready = (await client.get(f"{one}/items", params={"outcome": "added"})).json()["items"]
    assert [(item["filename"], item["document_status"]) for item in ready] == [
        ("docs/cats.md", "ready")
    ]
    again = await client.post(
        f"{one}/refresh", json={"full": True}, headers={"Prefer": "respond-async"}
    )
    assert (again.status_code, again.json()["refresh"]["status"]) == (202, "running")
    assert again.headers["location"] == one
    await services.sources.wait(kb, source["source_id"])
    reports = (await client.get(f"{one}/refreshes")).json()
    assert [report["full"] for report in reports["items"]] == [True, False]
    idle = await client.post(f"{one}/cancel")
    assert (idle.status_code, idle.json()["error"]["code"]) == (409, "conflict")

    changed = await client.patch(
        one, json={"name": "Papers", "settings": {"exclude": ["empty*"]}, "enabled": False}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["name"], changed.json()["next_at"]) == ("Papers", None)
    assert changed.json()["settings"]["exclude"] == ["empty*"]
    assert (await client.get(one)).json()["settings"]["max_items"] == 2_000
    assert (await client.get(place)).json()["total"] == 1

    other = (await client.post(KB, json={"name": "Other"})).json()["knowledge_base_id"]
    assert (await client.get(one.replace(kb, other))).status_code == 404
    gone = await client.delete(one, params={"documents": True})
    assert gone.status_code == 204
    assert (await client.get(one)).status_code == 404
    assert (await client.get(f"{KB}/{kb}/documents")).json()["total"] == 1  # the empty one


REFUSED: list[tuple[dict[str, object], str | None]] = [
    ({"kind": "folder", "location": "/etc"}, "folder_not_allowed"),
    ({"kind": "url", "location": "http://127.0.0.1/"}, "private_address"),
    ({"kind": "url", "location": "ftp://example.com/"}, "bad_url"),
    ({"kind": "mail", "location": "x"}, None),
    ({"kind": "folder"}, None),
    ({"kind": "folder", "location": "/x", "settings": {"max_items": 0}}, None),
    ({"kind": "folder", "location": "/x", "settings": {"nonsense": 1}}, None),
    ({"kind": "folder", "location": "/x", "settings": {"include": ["[z-a]"]}}, "bad_pattern"),
    ({"kind": "folder", "location": "/x", "cron": "whenever"}, None),
]


async def test_what_is_no_source(client: httpx.AsyncClient, docs: Path) -> None:
    kb = (await client.post(KB, json={"name": "Notes"})).json()["knowledge_base_id"]
    for body, code in REFUSED:
        refused = await client.post(f"{KB}/{kb}/sources", json=body)
        assert refused.status_code == 422, (body, refused.text)
        if code is not None:
            assert refused.json()["error"]["code"] == code
    good = {"kind": "folder", "location": str(docs), "refresh": False}
    assert (await client.post(f"{KB}/none/sources", json=good)).status_code == 404
    never = await client.post(f"{KB}/{kb}/sources", json={**good, "cron": "whenever"})
    assert never.json()["error"]["code"] == "bad_schedule"
    made = (await client.post(f"{KB}/{kb}/sources", json=good)).json()["source_id"]
    change = {"settings": {"pause_s": -1}}
    changed = await client.patch(f"{KB}/{kb}/sources/{made}", json=change)
    assert changed.status_code == 422


def ragloom(*arguments: object, roots: Path, site: Site) -> Result:
    environment = {
        "COLUMNS": "200",
        "RAGLOOM_IMPORT_ROOTS": str(roots),
        "RAGLOOM_HTTP_ALLOW_PRIVATE": site.place,
        "RAGLOOM_DEMO": "0",
    }
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(cli, words, env=environment, obj=serve, prog_name="ragloom")


def test_sources_from_the_command_line(docs: Path, tmp_path: Path, site: Site) -> None:
    data = tmp_path / "data"
    site.put("/about", "The workshop opened in 1994.")

    def sources(*arguments: object) -> Result:
        return ragloom("sources", "Notes", *arguments, "--data", data, roots=tmp_path, site=site)

    added = sources("add", docs, "--exclude", "empty*", "--cron", "@daily")
    assert added.exit_code == 0, added.output
    assert "docs: completed: 1 added" in added.stderr
    page = sources("add", f"{site.url}/about", "--name", "About", "--json")
    assert page.exit_code == 0, page.output
    [made] = json.loads(page.stdout)
    assert (made["kind"], made["refresh"]["added"]) == ("url", 1)
    (docs / "dogs.md").write_text("Dogs bark.")
    (docs / "bad.pdf").write_text("no PDF")
    refreshed = sources("refresh")
    assert refreshed.exit_code == 1, refreshed.output  # bad.pdf cannot be read
    assert "2 added, 1 unchanged" in refreshed.stderr
    assert "bad.pdf" in refreshed.stderr
    listed = sources("list")
    assert "About" in listed.stdout
    assert "next " in listed.stdout
    assert sources("refresh", "Nothing").exit_code == 4
    assert sources("remove", "About", "--documents").exit_code == 0
    assert [one["name"] for one in json.loads(sources("list", "--json").stdout)] == ["docs"]
    refused = sources("add", "/etc")
    assert refused.exit_code == 2
    assert "import_roots" in refused.stderr


async def test_the_command_line_through_a_server(
    services: Services, client: httpx.AsyncClient, docs: Path
) -> None:
    from app.commands.remote import RemoteBackend

    async with RemoteBackend("http://localhost", "unused") as backend:
        await backend._client.aclose()
        client.base_url = httpx.URL("http://localhost/api/v1")
        backend._client = client
        kb, _ = await backend.ensure_knowledge_base("Notes")
        made = await backend.add_source(kb, {"kind": "folder", "location": str(docs)})
        await services.sources.wait(kb, made.source_id)
        begun = await backend.refresh_source(kb, made.source_id, full=True)
        assert begun.refresh is not None
        assert begun.refresh.number == 2
        await services.sources.wait(kb, made.source_id)
        [listed] = await backend.sources(kb)
        assert listed.items == 2
        await backend.remove_source(kb, made.source_id, documents=True)
        assert await backend.sources(kb) == []
        at = await services.knowledge.head(kb)
        with services.repository.db.write() as session:
            session.add_all(
                Ref(knowledge_base_id=kb, name=f"copy {n}", commit_id=at, updated_at=0.0)
                for n in range(501)
            )
        assert len({branch.branch for branch in await backend.branches(kb)}) == 502
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("docs", "folder"),
        ("/srv/sitemap.xml", "folder"),
        ("https://example.com/sitemap.xml?x", "sitemap"),
        ("https://example.com/sitemap_index.xml.gz", "sitemap"),
        ("https://example.com/sitemap", "url"),
        ("HTTPS://example.com/a.xml", "url"),
    ],
)
def test_what_a_location_is(location: str, kind: str) -> None:
    assert kind_of(location) == kind
