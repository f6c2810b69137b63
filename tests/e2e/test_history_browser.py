"""Histories and comparisons in a browser: look back, name, restore, undo; two runs side by side."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from e2e_desk import Desk, until
from playwright.sync_api import Locator, expect

GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Echo", "outputs": {"said": ["output", "value"]}},
    "nodes": [
        {"id": "text", "type": "text_input", "config": {"default": "one"}, "position": [0, 0]},
        {"id": "output", "type": "output", "config": {}, "position": [336, 0]},
    ],
    "edges": [{"source": "text", "target": "output", "key": "text>value"}],
}


@pytest.fixture
def workflow(rest: httpx.Client) -> str:
    """A workflow with three revisions: another text, then another node."""
    graph = copy.deepcopy(GRAPH)
    made = str(rest.post("/workflows", json=graph).json()["workflow_id"])
    graph["nodes"][0]["config"]["default"] = "two"
    rest.put(f"/workflows/{made}", json=graph).raise_for_status()
    graph["nodes"].append(
        {"id": "aside", "type": "text_input", "title": "Aside", "config": {}, "position": [0, 240]}
    )
    rest.put(f"/workflows/{made}", json=graph).raise_for_status()
    return made


def mark(desk: Desk, node: str) -> Locator:
    return desk.node(node).locator(".rl-mark-chip")


def test_a_version_is_looked_at_named_restored_and_that_is_undone(
    desk: Desk, rest: httpx.Client, workflow: str
) -> None:
    page = desk.page
    other = Desk(page.context.new_page(), desk.server)
    other.open(f"/workflows/{workflow}")
    other.node("aside").wait_for()
    page.bring_to_front()
    desk.open(f"/workflows/{workflow}/history")
    # The newest against the one before it.
    expect(mark(desk, "aside")).to_contain_text("Added")
    expect(page.locator(".rl-legend")).to_contain_text("Added 1")
    page.locator(".rl-hist-list summary").click()
    page.locator('[data-rev="1"]').click()
    # There is nothing before the first one: it is compared with the current one.
    expect(page.locator(".rl-hist-under")).to_contain_text("From Version 1 to Version 3")
    expect(mark(desk, "text")).to_contain_text("Changed")
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="with Version 2").click()
    expect(page.locator(".rl-hist-under")).to_contain_text("From Version 1 to Version 2")
    expect(mark(desk, "aside")).to_have_count(0)
    changed = page.locator(".rl-hist-under .rl-change", has_text="default")
    expect(changed.locator("del")).to_have_text("one")
    expect(changed.locator("ins")).to_have_text("two")
    page.wait_for_url("**against=2*")

    page.get_by_role("button", name="Name it").click()
    page.get_by_label("Name, such as").fill("The first words")
    page.keyboard.press("Enter")
    expect(page.locator('[data-rev="1"]')).to_contain_text("The first words")
    page.get_by_text("Named only").click()
    expect(page.locator(".rl-hist-row")).to_have_count(1)
    page.get_by_text("Named only").click()

    page.get_by_role("button", name="Restore").click()
    expect(page.locator('[data-rev="4"]')).to_contain_text("Version 1 restored")
    newest = rest.get(f"/workflows/{workflow}").json()
    assert newest["revision"] == 4
    assert newest["graph"]["nodes"][0]["config"]["default"] == "one"
    assert len(newest["graph"]["nodes"]) == 2
    # Whoever has it open sees it at once, and nothing is saved over it.
    expect(other.node("aside")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator('[data-rev="5"]')).to_contain_text("Version 3 restored")
    expect(other.node("aside")).to_have_count(1)
    listed = rest.get(f"/workflows/{workflow}/revisions").json()["items"]
    assert [(r["number"], r["restored_from"]) for r in listed] == [
        (5, 3), (4, 1), (3, None), (2, None), (1, None),
    ]  # fmt: skip
    assert rest.get(f"/workflows/{workflow}/diff", params={"from": 3, "to": 5}).json()["equal"]
    assert other.errors == []
    other.page.close()


def test_two_runs_are_ticked_and_compared(desk: Desk, rest: httpx.Client, workflow: str) -> None:
    for body in ({"revision": 1}, {"revision": 3}, {"input_data": {"text": "quite another"}}):
        ran = rest.post(f"/workflows/{workflow}/execute", json=body).json()
        assert ran["status"] == "completed"
    page = desk.page
    desk.open(f"/runs?workflow={workflow}")
    rows = page.locator(".rl-run-pick .rl-list-row")
    expect(rows).to_have_count(3)
    page.get_by_placeholder("Search questions and answers").fill("quite another")
    expect(rows).to_have_count(1)
    page.get_by_placeholder("Search questions and answers").fill("")
    expect(rows).to_have_count(3)
    boxes = page.locator(".rl-run-pick .q-checkbox")
    boxes.nth(1).click()
    expect(page.locator(".rl-picked-bar")).to_contain_text("tick another")
    boxes.nth(2).click()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**/compare?*")
    desk.settled()
    verdict = page.locator(".rl-cmp-said")
    expect(verdict).to_contain_text("Settings differ")
    expect(verdict).to_contain_text("default “one” → “two”")
    expect(mark(desk, "text")).to_contain_text("Settings differ")
    expect(mark(desk, "output")).to_contain_text("Input differs")
    expect(mark(desk, "aside")).to_contain_text("Only in one")
    side = page.locator(".rl-cmp-side")
    expect(side.locator(".rl-change", has_text="default")).to_contain_text("two")
    desk.node("output").locator(".rl-title").click()
    expect(side.get_by_text("What came out, side by side")).to_be_visible()
    expect(side.locator(".rl-large")).to_have_text("Output")
    expect(side.locator(".rl-textdiff ins").first).to_have_text("two")
    page.get_by_role("button", name="Swap the two").click()
    expect(verdict).to_contain_text("default “two” → “one”")


def test_times_are_told_in_the_zone_of_the_browser(
    desk: Desk, rest: httpx.Client, workflow: str
) -> None:
    page = desk.page
    (newest, *_) = rest.get(f"/workflows/{workflow}/revisions").json()["items"]
    there = datetime.fromisoformat(newest["created_at"]).astimezone(ZoneInfo("Pacific/Chatham"))
    moved = page.context.new_cdp_session(page)
    moved.send("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Chatham"})
    try:
        desk.open(f"/workflows/{workflow}/history")
        page.locator(f'[data-rev="{newest["number"]}"] rl-time').hover()
        expect(page.locator(".q-tooltip")).to_have_text(f"{there:%Y-%m-%d %H:%M:%S}")
    finally:
        page.mouse.move(0, 0)
        moved.send("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_workflow_is_downloaded_in_a_chosen_format(desk: Desk, workflow: str) -> None:
    page = desk.page
    desk.open(f"/workflows/{workflow}")
    desk.node("text").wait_for()
    for name, start in (("Picture (SVG)", b"<svg"), ("Program (Python)", b"#!/usr/bin/env")):
        page.locator("header").get_by_label("More").click()
        page.locator(".q-menu").get_by_text("Export as…").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert Path(download.value.path()).read_bytes().startswith(start)
    page.locator("header").get_by_label("More").click()
    page.locator(".q-menu").get_by_text("History", exact=True).click()
    page.wait_for_url("**/history*")
    until(lambda: page.locator(".rl-hist-row").count() == 1 or page.locator("summary").count())


def test_what_is_not_there_is_said(desk: Desk) -> None:
    desk.open("/workflows/wf_none/history")
    expect(desk.page.locator(".rl-empty")).to_contain_text("There is no workflow")
    desk.open("/compare?a=run_x&b=run_y")
    expect(desk.page.locator(".rl-empty")).to_contain_text("There is no run")
    desk.open("/compare")
    expect(desk.page.get_by_role("button", name="Choose two runs")).to_be_visible()
