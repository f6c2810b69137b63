"""Correcting how a document was cut, in a browser: found and not found, kept and in conflict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e_desk import Desk, Server, until
from playwright.sync_api import Locator, Page, expect

HARBOUR = (
    "# Harbour\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n\n"
    "# Boats\n\nFishing boats leave Lowick two hours before the tide turns. They come back with "
    "herring and mackerel.\n\n# Lamps\n\nThe lamps of the pier burn whale oil until sunrise.\n"
)


class Shelf:
    """A knowledge base, filled over REST."""

    def __init__(self, server: Server, name: str, **config: Any) -> None:
        self.client = server.client()
        self.client.headers["Prefer"] = "wait=30"
        made = self.client.post("/knowledge_bases", json={"name": name, "config": config})
        self.id = made.json()["knowledge_base_id"]
        self.path = f"/knowledge/{self.id}"

    def put(self, name: str, text: str) -> str:
        answer = self.client.post(
            f"/knowledge_bases/{self.id}/documents", files=[("files", (name, text.encode()))]
        )
        assert answer.json()["status"] == "success", answer.text
        return str(answer.json()["document_id"])

    def chunks(self, document: str) -> list[dict[str, Any]]:
        answer = self.client.get(
            f"/knowledge_bases/{self.id}/documents/{document}/chunks",
            params={"disabled": True, "limit": 500},
        )
        return list(answer.json()["items"])

    def documents(self) -> list[dict[str, Any]]:
        return list(self.client.get(f"/knowledge_bases/{self.id}/documents").json()["items"])


def card(page: Page, words: str) -> Locator:
    return page.locator(".rl-doc-chunk", has_text=words)


def open_document(desk: Desk, shelf: Shelf, document: str) -> Page:
    desk.open(f"{shelf.path}/documents/{document}")
    desk.page.locator(".rl-doc-chunk").first.wait_for()
    return desk.page


def search(desk: Desk, shelf: Shelf, words: str) -> Locator:
    """What the search tab finds by words."""
    desk.open(f"{shelf.path}?tab=Search&q={words.replace(' ', '%20')}")
    desk.page.get_by_role("button", name="Words").click()
    desk.page.locator(".rl-segments [aria-pressed=true]", has_text="Words").wait_for()
    return desk.page.locator(".q-tab-panel .rl-chunk")


@pytest.fixture(scope="module")
def shelf(server: Server) -> Shelf:
    return Shelf(server, "Harbour notes", chunk_size=24, chunk_overlap=0)


def test_a_chunk_is_edited_split_merged_and_left_out(desk: Desk, shelf: Shelf) -> None:
    document = shelf.put("harbour.md", HARBOUR)
    before = shelf.chunks(document)
    page = open_document(desk, shelf, document)

    # Edited in place; both sides follow, and the text on the left stays the document's.
    card(page, "whale oil").click()
    expect(page.locator(".rl-paper mark.rl-on")).to_contain_text("whale oil")
    page.keyboard.press("e")
    field = page.get_by_label("Text of the chunk")
    field.fill("The lamps of the pier burn paraffin.")
    page.keyboard.press("Control+Enter")
    expect(card(page, "paraffin")).to_contain_text("Edited")
    expect(page.locator(".rl-paper mark.rl-on")).to_contain_text("whale oil")
    expect(search(desk, shelf, "paraffin")).to_have_count(1)
    expect(search(desk, shelf, "whale")).to_have_count(0)

    # Split at the cursor, and the way back.
    page = open_document(desk, shelf, document)
    card(page, "Fishing boats").click()
    page.get_by_role("button", name="Edit", exact=True).click()
    field.evaluate("(e) => e.selectionStart = e.selectionEnd = e.value.indexOf(' leave')")
    page.get_by_role("button", name="Split at the cursor").click()
    expect(page.locator(".rl-note")).to_contain_text("was split")
    expect(page.locator(".rl-doc-chunk")).to_have_count(len(before) + 1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".rl-doc-chunk")).to_have_count(len(before))
    assert [c["content"] for c in shelf.chunks(document)][:2] == [c["content"] for c in before][:2]

    # Walked by keys, merged with the next.
    page.locator(".rl-doc-chunk").first.click()
    page.keyboard.press("j")
    expect(page.locator(".rl-doc-chunk.rl-on .rl-rank")).to_have_text("2")
    page.keyboard.press("k")
    expect(page.locator(".rl-doc-chunk.rl-on .rl-rank")).to_have_text("1")
    page.keyboard.press("m")
    expect(page.locator(".rl-doc-chunk")).to_have_count(len(before) - 1)
    expect(page.locator(".rl-doc-chunk.rl-on")).to_contain_text("Boats")

    # Left out of every search, and taken in again.
    card(page, "paraffin").click()
    page.get_by_role("button", name="Disable").click()
    expect(card(page, "paraffin")).to_contain_text("Disabled")
    expect(search(desk, shelf, "paraffin")).to_have_count(0)
    page = open_document(desk, shelf, document)
    card(page, "paraffin").click()
    page.keyboard.press("d")
    expect(card(page, "paraffin")).not_to_contain_text("Disabled")
    expect(search(desk, shelf, "paraffin")).to_have_count(1)

    # Each was a commit of the document.
    page = open_document(desk, shelf, document)
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("Merge chunks 1 to 2 of harbour.md")).to_be_visible()


def test_processing_again_keeps_an_edit_and_shows_a_conflict(desk: Desk, shelf: Shelf) -> None:
    document = shelf.put("piers.md", HARBOUR)
    page = open_document(desk, shelf, document)
    card(page, "whale oil").click()
    page.keyboard.press("e")
    page.get_by_label("Text of the chunk").fill("Gas light on the pier.")
    page.get_by_role("button", name="Save").click()
    expect(card(page, "Gas light")).to_be_visible()
    version = shelf.chunks(document)[0]["chunk_id"]

    page.get_by_role("button", name="Process again with other settings").click()
    size = page.get_by_label("Size of a chunk, in tokens")
    size.fill("200")
    size.press("Tab")
    page.get_by_role("button", name="Process again", exact=True).click()
    until(lambda: shelf.chunks(document)[0]["chunk_id"] != version)
    expect(card(page, "Gas light")).to_contain_text("Edited")
    expect(page.get_by_role("tab", name="Conflicts")).to_have_count(0)

    # Where the text is another now, the edit waits to be made again or dropped.
    shelf.put("piers.md", HARBOUR.replace("whale oil", "rushes"))
    page = open_document(desk, shelf, document)
    page.get_by_role("tab", name="Conflicts").click()
    expect(page.locator(".rl-doc-panel")).to_contain_text("Gas light on the pier.")
    expect(card(page, "Gas light")).to_have_count(0)
    desk.open(shelf.path)
    expect(page.locator(".rl-docs-row", has_text="piers.md")).to_contain_text(
        "1 correction to look"
    )
    # Its line leads to them; what is done about one can be undone.
    page.get_by_role("link", name="1 correction to look at").click()
    page.get_by_role("button", name="Apply again").click()
    expect(card(page, "Gas light")).to_be_visible()
    expect(page.get_by_role("tab", name="Conflicts")).to_have_count(0)
    page.locator(".rl-note", has_text="made again").get_by_role("button", name="Undo").click()
    page.get_by_role("tab", name="Conflicts").click()
    page.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("tab", name="Conflicts")).to_have_count(0)
    page.locator(".rl-note", has_text="dropped").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("tab", name="Conflicts")).to_be_visible()


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(desk: Desk, shelf: Shelf) -> None:
    document = shelf.put("meanwhile.md", HARBOUR)
    page = open_document(desk, shelf, document)
    first = shelf.chunks(document)[0]
    card(page, "highest tide").click()
    page.keyboard.press("e")
    page.get_by_label("Text of the chunk").fill("By me.")
    place = f"/knowledge_bases/{shelf.id}/documents/{document}/chunks/{first['chunk_id']}"
    shelf.client.patch(place, json={"content": "By somebody else."})
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".rl-note")).to_contain_text("changed by somebody else")
    # Nor is what was typed lost.
    expect(card(page, "By somebody else.")).to_contain_text("Somebody else wrote meanwhile")
    expect(page.get_by_label("Text of the chunk")).to_have_value("By me.")
    page.keyboard.press("Escape")
    expect(card(page, "By somebody else.")).to_be_visible()


def test_a_long_document_is_read_as_one_scrolls(desk: Desk, shelf: Shelf) -> None:
    text = "\n\n".join(f"# Part {n}\n\nLighthouse number {n} blinks." for n in range(150))
    document = shelf.put("long.md", text)
    chunks = shelf.chunks(document)
    assert len(chunks) > 70
    far = chunks[-5]
    desk.open(f"{shelf.path}/documents/{document}?chunk={far['chunk_id']}")
    page = desk.page
    expect(page.locator(".rl-doc-chunk.rl-on .rl-rank")).to_have_text(str(far["ordinal"] + 1))
    expect(page.locator(".rl-doc-chunk.rl-on")).to_be_in_viewport()
    assert page.locator(".rl-doc-chunk").count() < len(chunks)
    expect(page.locator(".rl-paper mark.rl-on")).to_be_in_viewport()

    def at_the_top() -> bool:
        page.locator(".rl-doc-right").evaluate("(e) => e.scrollTop = 0")
        return page.locator('.rl-doc-chunk[data-n="0"]').count() == 1

    until(at_the_top)
    expect(page.locator(".rl-doc-chunk")).to_have_count(len(chunks))


def test_tables_code_and_headings_are_shown_as_such_and_edited_as_text(
    desk: Desk, server: Server
) -> None:
    shelf = Shelf(server, "Pumps", chunk_size=200, chunk_overlap=0)
    table = "| Model | Price |\n| --- | --- |\n| A&amp;1 | 1,200 |"
    document = shelf.put(
        "pumps.md",
        f"# Pumps\n\nThey move water.\n\n{table}\n\n```js\nstart(`<img src=x onerror=alert(1)>`);\n```\n",
    )
    page = open_document(desk, shelf, document)
    (chunk,) = shelf.chunks(document)
    for side in (page.locator(".rl-paper"), page.locator(".rl-doc-chunk")):
        expect(side.get_by_role("heading", name="Pumps")).to_be_visible()
        expect(side.locator("th")).to_have_text(["Model", "Price"])
        expect(side.locator("td")).to_have_text(["A&1", "1,200"])
        expect(side.locator("pre code")).to_have_text("start(`<img src=x onerror=alert(1)>`);")
        expect(side.locator("img")).to_have_count(0)
        expect(side).not_to_contain_text("---")
    page.locator(".rl-doc-chunk").click()
    page.keyboard.press("e")
    field = page.get_by_label("Text of the chunk")
    expect(field).to_have_value(chunk["content"])
    assert table.replace("&amp;", "&") in chunk["content"]
    page.set_viewport_size({"width": 400, "height": 800})
    page.get_by_role("button", name="Cancel").click()
    desk.fits()


def test_a_dropped_folder_is_filtered_ticked_and_removed_on_a_phone(
    desk: Desk, server: Server
) -> None:
    shelf = Shelf(server, "A folder")
    page = desk.page
    page.set_viewport_size({"width": 400, "height": 800})
    desk.open(shelf.path)
    # A folder with a folder in it, as the browser hands it over.
    page.locator(".rl-zone").evaluate(
        """(zone) => {
          const file = (name, text) => ({ isFile: true, name,
            file: (done) => done(new File([text], name, { type: "text/markdown" })) });
          const folder = (name, inside) => ({ isFile: false, name, createReader: () => {
            let left = [inside]; return { readEntries: (done) => done(left.pop() ?? []) }; } });
          const root = folder("notes", [file("a.md", "# A\\n\\nThe tide is high at noon."),
            folder("old", [file("b.md", "# B\\n\\nBread rises for twelve hours."), file(".hidden", "x")])]);
          const event = new Event("drop", { bubbles: true, cancelable: true });
          event.dataTransfer = { items: [{ webkitGetAsEntry: () => root }], files: [] };
          zone.dispatchEvent(event);
        }"""
    )
    rows = page.locator(".rl-list-row.rl-docs-row")
    expect(rows.filter(has_text="Ready")).to_have_count(2)
    expect(page.locator(".q-tabs__arrow:visible")).to_have_count(0)

    # What is on its way lies over the documents: they stay where they are.
    # The page itself looks, in every frame: it is there for a moment only.
    expect(page.locator(".rl-coming")).to_be_hidden()
    page.evaluate(
        """() => {
          window.places = { shown: new Set(), hidden: new Set() }
          const look = () => {
            const coming = document.querySelector('.rl-coming')?.checkVisibility()
            const { x, y } = document.querySelector('.rl-docs-bar').getBoundingClientRect()
            window.places[coming ? 'shown' : 'hidden'].add(`${x}, ${y}`)
            requestAnimationFrame(look)
          }
          look()
        }"""
    )
    shelf.put("another.md", "# Another\n\nSomebody else put this here.")
    page.wait_for_function("window.places.shown.size")
    expect(rows).to_have_count(3)
    expect(page.locator(".rl-coming")).to_be_hidden()
    shown, hidden = page.evaluate("[[...places.shown], [...places.hidden]]")
    assert len(hidden) == 1
    assert shown == hidden
    shelf.client.delete(
        f"/knowledge_bases/{shelf.id}/documents/{shelf.documents()[0]['document_id']}"
    )
    expect(rows).to_have_count(2)
    names = sorted(d["filename"] for d in shelf.documents())
    assert names == ["notes/a.md", "notes/old/b.md"]
    desk.fits()

    page.get_by_placeholder("Filter by name").fill("old/")
    expect(rows).to_have_count(1)
    rows.get_by_role("checkbox").click()
    expect(page.get_by_text("1 ticked")).to_be_visible()
    page.locator(".rl-docs-picked").get_by_role("button", name="Remove").click()
    page.locator(".q-dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No such document")).to_be_visible()
    page.get_by_role("button", name="Show all documents").click()
    expect(rows).to_have_count(1)

    # The document's page has room for both sides.
    rows.get_by_role("link").first.click()
    page.locator(".rl-doc-chunk").first.click()
    expect(page.locator(".rl-paper mark.rl-on")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Disable")).to_be_in_viewport()
    desk.fits()


def test_a_locked_file_is_read_as_text_where_its_pages_cannot_be_drawn(
    desk: Desk, server: Server, shared_data: Path
) -> None:
    shelf = Shelf(server, "Locked")
    desk.open(shelf.path)
    page = desk.page
    locked = shared_data / "hostile-docs" / "docling_2206.01062_pg3_password1234.pdf"
    page.locator("input[type=file]").first.set_input_files(locked)
    asked = page.locator(".rl-coming")
    asked.get_by_label("Password").fill("1234")
    asked.get_by_role("button", name="Open").click()
    row = page.locator(".rl-docs-row", has_text="DocLayNet")
    row.get_by_role("link").first.click()
    page.locator(".rl-doc-chunk").first.click()
    expect(page.locator(".rl-paper mark.rl-on")).to_be_in_viewport()
