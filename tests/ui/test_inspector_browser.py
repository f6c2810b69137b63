"""The inspector in a real browser: completion by keyboard, huge values, lit citations."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Error, Locator, Page, expect
from serving import serving

from tests.patience import MS


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server with nothing but inspectors."""
    log = tmp_path_factory.mktemp("inspector") / "server.log"
    with serving("inspector_app.py", log, "/state") as url:
        yield url


class Panel:
    """One inspector in a tab."""

    def __init__(self, page: Page, url: str) -> None:
        self._url = url
        self.errors: list[str] = []
        self.page = page
        self.page.set_default_timeout(MS)
        self.page.on("pageerror", self._on_error)

    def _on_error(self, error: Error) -> None:
        self.errors.append(str(error))

    def leave(self) -> None:
        """Hand the tab on, as a new one would be."""
        self.page.mouse.move(0, 0)
        self.page.remove_listener("pageerror", self._on_error)

    def open(self, node: str, tab: str = "Config") -> None:
        self.page.goto(f"{self._url}/?node={node}")
        self.page.wait_for_function("window.did_handshake")
        if tab != "Config":
            self.page.locator(".q-tab", has_text=tab).click()

    def config(self, node: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/state") as answer:
            return dict(json.load(answer)[node])

    def until(self, node: str, **settings: Any) -> None:
        ends = time.monotonic() + MS / 1000
        while {k: self.config(node).get(k) for k in settings} != settings:
            assert time.monotonic() < ends, self.config(node)
            self.page.wait_for_timeout(50)

    @property
    def offers(self) -> Locator:
        return self.page.get_by_role("listbox").get_by_role("option")


@pytest.fixture
def panel(tab: Page, inspected: str) -> Iterator[Panel]:
    made = Panel(tab, inspected)
    yield made
    assert made.page.title() != "owned"
    made.leave()
    assert made.errors == []


def test_an_expression_completes_by_keyboard_and_shows_what_it_gives(panel: Panel) -> None:
    panel.open("rerank")
    page = panel.page
    page.get_by_label("Passages to keep (k): compute it").click()
    entry = page.get_by_role("combobox", name="Passages to keep (k): expression")
    entry.fill("")
    entry.press_sequentially("chu")
    expect(panel.offers).to_have_count(1)
    expect(entry).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Enter")
    expect(entry).to_have_value("chunks")
    page.keyboard.type(".")
    expect(panel.offers.first).to_contain_text("items")
    page.keyboard.press("Tab")
    expect(entry).to_have_value("chunks.items")
    page.keyboard.type(" | le")
    expect(panel.offers.filter(has_text="length")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(panel.offers).to_have_count(0)
    page.keyboard.type("ngth")
    expect(page.get_by_text("= 2", exact=True)).to_be_visible()
    panel.until("rerank", top_k={"$expr": "chunks.items | length"})

    # What a person typed into the run is shown as text, whatever it holds.
    entry.fill("")
    entry.press_sequentially("input.")
    expect(panel.offers).to_have_count(2)
    expect(panel.offers.nth(1)).to_contain_text("onerror")
    page.keyboard.press("ArrowDown")
    selected = panel.offers.nth(1)
    expect(selected).to_have_attribute("aria-selected", "true")
    expect(entry).to_have_attribute("aria-activedescendant", selected.get_attribute("id") or "")
    page.keyboard.press("Escape")

    entry.fill("chunk.items")
    expect(page.get_by_text("uses “chunk”, which is not there")).to_be_visible()
    page.get_by_label("Passages to keep (k): compute it").click()
    expect(page.get_by_label("Passages to keep (k)", exact=True)).to_have_value("5")


def test_a_template_completes_inside_its_tags_and_closes_them(panel: Panel) -> None:
    panel.open("prompt")
    entry = panel.page.get_by_role("combobox", name="Template")
    entry.press("End")
    entry.press_sequentially(" que")
    panel.until("prompt", template="Hello que")
    expect(panel.offers).to_have_count(0)
    entry.press_sequentially(", {{")
    expect(panel.offers.filter(has_text="question")).to_have_count(1)
    entry.press_sequentially("ques")
    expect(panel.offers).to_have_count(1)
    panel.page.keyboard.press("Enter")
    expect(entry).to_have_value("Hello que, {{ question }}")
    panel.until("prompt", template="Hello que, {{ question }}")
    # It stays what it is when the tab is left and opened again.
    panel.page.locator(".q-tab", has_text="Help").click()
    panel.page.locator(".q-tab", has_text="Config").click()
    expect(panel.page.get_by_role("combobox", name="Template")).to_have_value(
        "Hello que, {{ question }}"
    )


def test_a_value_of_thirty_megabytes_is_shown_in_part_searched_and_copied_from(
    panel: Panel,
) -> None:
    panel.open("compute", "Data")
    page = panel.page
    rows = page.locator(".rl-tree summary", has_text="rows")
    expect(rows).to_be_visible()
    expect(page.get_by_label("Copy as JSON")).to_have_count(0)
    expect(page.get_by_label("Download as JSON")).to_have_count(1)
    entries = page.locator(".rl-tree .rl-tree summary")
    expect(entries.first).to_be_visible()
    before = entries.count()
    assert before <= 60
    page.get_by_role("button", name="more of 30k").click()
    expect(entries.nth(before)).to_be_attached()
    entries.first.click()
    key = page.locator(".rl-tree-key", has_text="number").first
    key.click()
    page.wait_for_function(
        "navigator.clipboard.readText().then(text => text === 'n.data.rows[0].number')"
    )

    page.get_by_label("Search in it").first.click()
    page.get_by_label("Find in n").fill("onerror")
    expect(page.locator(".rl-hit mark").first).to_have_text("onerror")
    expect(page.locator(".rl-hit img")).to_have_count(0)


def test_a_citation_lights_its_sentence_and_its_passage(panel: Panel) -> None:
    panel.open("generate", "Data")
    page = panel.page
    page.locator(".rl-cite").first.hover()
    expect(page.locator(".rl-sentence.rl-lit")).to_have_count(1)
    expect(page.locator(".rl-chunk.rl-lit")).to_have_count(1)
    expect(page.locator(".rl-chunk.rl-lit")).to_contain_text("The tide is high.")
    expect(page.locator(".rl-inspector img")).to_have_count(0)
    page.mouse.move(5, 5)
    expect(page.locator(".rl-lit")).to_have_count(0)


def test_a_large_view_and_a_comparison_open_and_close(panel: Panel) -> None:
    panel.open("generate", "Data")
    page = panel.page
    page.get_by_label("Compare with another text").first.click()
    expect(page.locator(".rl-diff-line.rl-added")).to_contain_text("The tide is high.")
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".rl-diff-rows.rl-beside")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".rl-diff")).to_have_count(0)
    page.get_by_label("Show large").first.click()
    expect(page.locator(".rl-large-view .rl-answer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".rl-large-view")).to_have_count(0)
