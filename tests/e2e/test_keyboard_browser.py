"""Keys alone, from the list of workflows to an answer."""

from __future__ import annotations

import re
from itertools import pairwise

from e2e_desk import Desk, until
from playwright.sync_api import expect


def test_keys_alone_lead_from_an_empty_canvas_to_an_answer(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    desk.open("/")
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    page.get_by_role("button", name="New workflow").focus()
    keys.press("Enter")
    expect(page.locator(".q-menu")).to_be_focused()
    keys.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Empty canvas")).to_be_focused()
    keys.press("Enter")
    page.wait_for_url("**/workflows/*")
    desk.settled()
    page.wait_for_selector(".rl-empty-hint")

    # Each node goes beside the one before it, none on top of another.
    for count, name in enumerate(("Question", "Retrieve", "Generate", "Answer"), 1):
        keys.press("Tab")
        expect(page.locator(".rl-quick-input")).to_be_focused()
        keys.type(name)
        keys.press("Enter")
        expect(page.locator(".vue-flow__node")).to_have_count(count)
        expect(page.locator(".vue-flow__node.selected")).to_contain_text(name)
    desk.saved()
    nodes = desk.graph(page.url.rsplit("/", 1)[1])["nodes"]
    places = [node["position"] for node in nodes]
    assert all(b[0] - a[0] > 200 for a, b in pairwise(places))

    def walk(key: str, to: str) -> None:
        keys.press(key)
        expect(page.locator(f'.vue-flow__node.selected[data-id="{to}"]')).to_be_focused()

    def connect(to: str, wires: int) -> None:
        keys.press("c")
        expect(page.locator(".rl-quick-input")).to_be_focused()
        keys.type(to)
        keys.press("Enter")
        expect(page.locator(".vue-flow__edge")).to_have_count(wires)

    for to in ("generate", "retrieve", "question"):
        walk("ArrowLeft", to)
    connect("Retrieve", 1)
    connect("Generate", 2)
    walk("ArrowRight", "retrieve")
    connect("Generate", 3)

    # Into the settings, a choice there, and back.
    keys.press("Enter")
    base = page.locator(".rl-inspector").get_by_role("combobox").first
    expect(base).to_be_focused()
    keys.press("ArrowDown")
    option = page.get_by_role("option", name="Ragloom handbook")
    expect(option).to_be_visible()
    keys.press("ArrowDown")
    expect(option).to_have_class(re.compile("q-manual-focusable--focused"))
    keys.press("Enter")
    expect(page.locator('.vue-flow__node[data-id="retrieve"]')).to_contain_text("in Ragloom ha")
    expect(page.locator(".q-menu")).to_have_count(0)
    keys.press("Escape")
    expect(page.locator('.vue-flow__node[data-id="retrieve"]')).to_be_focused()
    walk("ArrowRight", "generate")
    connect("Answer", 4)

    keys.press("q")
    expect(page.locator(".rl-runbar textarea, .rl-runbar input").first).to_be_focused()
    keys.type("How does hybrid search work?")
    keys.press("Control+Enter")
    expect(desk.answered()).to_contain_text(re.compile("hybrid", re.IGNORECASE))
    spoken = page.locator(".rl-spoken")
    assert until(spoken.inner_text)
    assert not desk.errors


#: What has the focus, and whether that can be seen: a ring around it, or its field's border.
FOCUS = """() => {
  const one = document.activeElement
  if (one === document.body) return ['', true]
  const field = one.closest('.q-field, .rc-ask')
  const ringed = [one, ...(field ? field.querySelectorAll('*') : []), field].some((each) => each && (
    getComputedStyle(each).outlineStyle !== 'none' || getComputedStyle(each).boxShadow !== 'none'))
  const name = one.ariaLabel || one.innerText || one.placeholder || one.tagName
  return [name, ringed || one.closest('.q-field--focused') !== null]
}"""


def test_the_focus_can_be_seen_and_leaves_every_page_again(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    made = desk.open_workflow("Ask the handbook")
    page.locator("[data-rl-key=run]").click()
    desk.answered()
    runs = desk.server.get("/workflow_executions?limit=20")["items"]
    run_id = next(run["execution_id"] for run in runs if run["workflow_id"] == made)
    for path in (
        "/", "/runs", "/templates", f"/workflows/{made}/automation", f"/workflows/{made}/history",
        f"/compare?a={run_id}&b={run_id}", f"/workflows/{made}?run={run_id}",
    ):  # fmt: skip
        desk.open(path)
        desk.quiet()  # what is drawn anew loses the focus
        met = []
        for _ in range(16):
            keys.press("Tab")
            name, seen = page.evaluate(FOCUS)
            assert seen, f"{name} on {path}"
            met.append(name)
        # It goes on from one to the next, also where a canvas is.
        assert len(set(met)) > 8, f"{path}: {met}"
