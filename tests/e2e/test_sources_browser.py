"""Sources in a browser: follow a folder, a page and a sitemap, see them change, let them go."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from e2e_desk import SIZE, Desk, until
from playwright.sync_api import Locator, Page, expect
from pypdf import PdfWriter

from tests.services.source_server import Site


@pytest.fixture
def handbook(folder: Path) -> Path:
    root = folder / "handbook"
    root.mkdir()
    (root / "tides.md").write_text("# Tides\n\nThe highest tide is at noon on Fridays.")
    (root / "empty.md").touch()
    return root


def row(page: Page, name: str) -> Locator:
    return page.locator(".rl-src-row", has_text=name)


def state(page: Page, name: str) -> Locator:
    return row(page, name).locator(".rl-badge")


def test_a_folder_is_followed(desk: Desk, rest: httpx.Client, handbook: Path) -> None:
    kb = rest.post("/knowledge_bases", json={"name": "Folder"}).json()["knowledge_base_id"]
    page = desk.page
    desk.open(f"/knowledge/{kb}?tab=Sources")
    page.get_by_role("button", name="Follow a folder").click()
    dialog = page.get_by_role("dialog")
    where, add = (
        dialog.get_by_label("Folder on the server"),
        dialog.get_by_role("button", name="Add"),
    )
    where.fill("/etc")
    add.click()
    # What is wrong is said in place, with the way out.
    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("may not be imported")
    expect(alert).to_contain_text("import_roots")
    where.fill(f"{handbook}/nowhere")
    add.click()
    expect(alert).to_contain_text("There is no folder")
    where.fill(str(handbook))
    dialog.get_by_text("Remove documents whose file or page is gone").click()
    dialog.get_by_label("How often").click()
    page.get_by_role("option", name="Every day").click()
    expect(dialog.get_by_role("status")).to_contain_text("Every day at 09:00")
    add.click()
    expect(dialog).to_have_count(0)
    expect(state(page, "handbook")).to_have_text(re.compile("1 failed"))
    expect(row(page, "handbook")).to_contain_text("1 added, 1 failed")
    expect(row(page, "handbook")).to_contain_text("is empty (0 bytes)")
    expect(row(page, "handbook")).to_contain_text("Every day at 09:00")

    (handbook / "empty.md").unlink()
    (handbook / "bread.md").write_text("# Bread\n\nSourdough rises for twelve hours.")
    secret = PdfWriter()
    secret.add_blank_page(200, 200)
    secret.encrypt("asdf", algorithm="RC4-128")
    secret.write(handbook / "secret.pdf")
    row(page, "handbook").get_by_role("button", name="Refresh").click()
    expect(state(page, "handbook")).to_have_text(re.compile("Up to date"))
    expect(row(page, "handbook")).to_contain_text("2 added, 1 unchanged, 1 removed")

    def is_read(name: str) -> bool:
        listed = rest.get(f"/knowledge_bases/{kb}/documents").json()["items"]
        return any(one["filename"] == name and one["status"] == "error" for one in listed)

    until(lambda: is_read("handbook/secret.pdf"))
    row(page, "handbook").get_by_role("button", name="More of handbook").click()
    page.get_by_text("What it holds").click()
    expect(dialog.get_by_text("bread.md")).to_be_visible()
    locked = dialog.locator(".rl-src-item", has_text="secret.pdf")
    expect(locked.locator(".rl-badge")).to_contain_text("Locked")
    expect(locked).to_contain_text("Give its password")
    expect(locked.locator(".rl-danger")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()

    row(page, "handbook").get_by_role("button", name="More of handbook").click()
    page.get_by_text("Pause its schedule").click()
    expect(row(page, "handbook")).to_contain_text("Paused")


def test_a_change_of_a_page_arrives_after_a_refresh(
    desk: Desk, rest: httpx.Client, site: Site
) -> None:
    site.put("/guide", "Opening hours. The workshop opens at eight.")
    kb = rest.post("/knowledge_bases", json={"name": "Page"}).json()["knowledge_base_id"]
    page = desk.page
    desk.open(f"/knowledge/{kb}?tab=Sources")
    page.get_by_role("button", name="Follow a page").click()
    dialog = page.get_by_role("dialog")
    where = dialog.get_by_label("Address of the page or file")
    where.fill("http://127.0.0.1:80/secret")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert")).to_contain_text("private address")
    where.fill(f"{site.url}/guide")
    dialog.get_by_role("button", name="Add").click()
    expect(state(page, "/guide")).to_have_text(re.compile("Up to date"))

    def found() -> str:
        return str(
            rest.post(f"/knowledge_bases/{kb}/search", json={"query": "When does it open?"}).json()
        )

    def wait_for(words: str) -> None:
        until(lambda: words in found())

    wait_for("opens at eight")
    row(page, "/guide").get_by_role("button", name="Refresh").click()
    expect(row(page, "/guide")).to_contain_text("1 unchanged")
    site.put("/guide", "Opening hours. The workshop opens at half past nine.")
    row(page, "/guide").get_by_role("button", name="Refresh").click()
    expect(row(page, "/guide")).to_contain_text("1 changed")
    wait_for("half past nine")
    page.get_by_role("tab", name="Documents").click()
    expect(page.get_by_text("Opening hours").first).to_be_visible()


def test_a_sitemap_is_seen_coming_in_stopped_and_removed(
    desk: Desk, rest: httpx.Client, site: Site
) -> None:
    site.put("/robots.txt", b"", status=404)
    for number in range(8):
        site.put(f"/docs/{number}", f"Page {number}. It tells of the number {number}.")
    site.sitemap(*(f"/docs/{number}" for number in range(8)))
    kb = rest.post("/knowledge_bases", json={"name": "Map"}).json()["knowledge_base_id"]
    page = desk.page
    desk.open(f"/knowledge/{kb}?tab=Sources")
    page.get_by_role("button", name="Follow a page").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Sitemap").click()
    dialog.get_by_label("Address of the sitemap").fill(f"{site.url}/sitemap.xml")
    site.open.clear()
    dialog.get_by_role("button", name="Add").click()
    expect(state(page, site.place)).to_have_text(re.compile("Refreshing"))
    row(page, site.place).get_by_role("button", name="Stop").click()
    expect(state(page, site.place)).to_have_text(re.compile("Cancelled"))
    last = site.pages["/docs/7"].gate
    last.clear()
    site.open.set()
    row(page, site.place).get_by_role("button", name="Refresh").click()
    expect(row(page, site.place).get_by_role("status")).to_contain_text(" of 8")
    last.set()
    expect(state(page, site.place)).to_have_text(re.compile("Up to date"))
    expect(row(page, site.place)).to_contain_text("8 added")

    # On a phone everything is there and nothing is cut off.
    page.set_viewport_size({"width": 400, "height": 800})
    desk.fits()
    expect(row(page, site.place).get_by_role("button", name="Refresh")).to_be_in_viewport()
    page.set_viewport_size(SIZE)

    row(page, site.place).get_by_role("button", name="More of").click()
    page.get_by_text("Remove", exact=True).click()
    dialog.get_by_text("Remove its documents too (8 documents)").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No sources yet")).to_be_visible()
    until(lambda: rest.get(f"/knowledge_bases/{kb}/documents").json()["total"] == 0)
