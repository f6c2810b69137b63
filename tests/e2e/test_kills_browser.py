"""The server is really killed under an open page; what the page had shown is there afterwards."""

from __future__ import annotations

import copy
import re
import signal
from pathlib import Path
from typing import Any

import httpx
from e2e_desk import Desk, until
from playwright.sync_api import expect

from tests.crash.bad_nodes import workflow

PATIENCE = 60_000
GRAPH = workflow(
    "Two waits",
    {
        "text": {
            "type": "text_input", "title": "A text", "config": {"default": "hello"},
            "position": [0, 0],
        },
        "one": {"type": "wait", "config": {"name": "one"}, "position": [320, 0]},
        "two": {"type": "wait", "config": {"name": "two"}, "position": [640, 0]},
        "out": {"type": "output", "config": {}, "position": [960, 0]},
    },
    "text.text>one.text one.text>two.text two.text>out.value",
    outputs={"end": ["out", "value"]},
)  # fmt: skip


def waiting(rest: httpx.Client, who: str) -> str:
    """A workflow whose nodes wait for files of this name."""
    graph = copy.deepcopy(GRAPH)
    for node in graph["nodes"][1:3]:
        node["config"]["name"] = f"{who}-{node['id']}"
    return str(rest.post("/workflows", json=graph).json()["workflow_id"])


def kill(desk: Desk) -> None:
    """Kill the server, and wait until the page knows."""
    desk.server.stop(signal.SIGKILL)
    desk.page.locator("html.rl-offline").wait_for()


def restart(desk: Desk) -> None:
    """Start it again, and wait until the page is back by itself."""
    before = desk.page.evaluate("window.before_ = 1")
    assert before == 1
    desk.server.start()
    desk.page.wait_for_function(
        "window.before_ === undefined && window.did_handshake", timeout=PATIENCE
    )
    desk.node("out").wait_for(timeout=PATIENCE)
    desk.still()


def title(desk: Desk, node: str) -> Any:
    return desk.node(node).locator(".rl-title")


def rename(desk: Desk, node: str, text: str) -> None:
    """Rename on the canvas; returns once the server has answered."""
    title(desk, node).click()
    desk.page.keyboard.press("F2")
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type(text)
    desk.page.keyboard.press("Enter")
    expect(title(desk, node)).to_have_text(text)


def place(desk: Desk, node: str) -> tuple[float, float]:
    """Where a node is on the canvas."""
    style = desk.node(node).evaluate("el => el.style.transform")
    found = re.match(r"translate\((-?[\d.]+)px, (-?[\d.]+)px\)", style)
    assert found, style
    return float(found[1]), float(found[2])


def stored(desk: Desk, workflow_id: str) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in desk.graph(workflow_id)["nodes"]}


def grab(desk: Desk, node: str, dx: float, dy: float) -> None:
    """Drag a node and hold it."""
    box = title(desk, node).bounding_box()
    assert box is not None
    x, y = box["x"] + 20, box["y"] + box["height"] / 2
    mouse = desk.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 8, y + 4)
    mouse.move(x + dx, y + dy, steps=6)


def test_edits_that_the_page_showed_are_there_and_undo_goes_on(
    desk: Desk, rest: httpx.Client
) -> None:
    made = waiting(rest, "edits")
    desk.open_canvas(made)
    undo = desk.page.get_by_label("Undo", exact=True)
    rename(desk, "one", "First")
    rename(desk, "two", "Aside")
    title(desk, "text").click()
    desk.page.get_by_role("textbox", name="Default").fill("Typed a moment ago")
    expect(undo).to_have_attribute("title", re.compile("settings"))
    desk.page.keyboard.press("Escape")
    desk.still()
    start = place(desk, "two")
    grab(desk, "two", 64, 128)
    desk.page.mouse.up()
    expect(undo).to_have_attribute("title", re.compile("Move"))
    moved = place(desk, "two")
    assert moved != start
    desk.saved()
    rename(desk, "one", "Third")
    grab(desk, "one", 64, 200)
    kill(desk)  # mostly before it is saved, and before that drag is over
    desk.page.mouse.up()
    desk.page.locator("#popup[aria-hidden=false]").wait_for()

    # Nothing can be done meanwhile that would be lost.
    grab(desk, "two", 90, 120)
    desk.page.mouse.up()
    desk.page.keyboard.press("Delete")
    assert place(desk, "two") == moved
    expect(title(desk, "one")).to_have_text("Third")

    restart(desk)
    expect(title(desk, "one")).to_have_text("Third")
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(3)
    assert place(desk, "two") == moved
    assert place(desk, "one") == (320, 0)
    desk.saved()
    edited = stored(desk, made)
    assert edited["one"]["title"] == "Third"
    assert edited["one"]["position"] == [320, 0]
    assert edited["two"]["position"] == list(moved)
    assert edited["text"]["config"]["default"] == "Typed a moment ago"
    desk.page.keyboard.press("Control+z")
    expect(title(desk, "one")).to_have_text("First")
    desk.page.keyboard.press("Control+z")
    until(lambda: place(desk, "two") == start)
    desk.page.keyboard.press("Control+z")  # what was typed
    for node in ("two", "one"):
        desk.page.keyboard.press("Control+z")
        expect(title(desk, node)).to_have_text("Wait")
    expect(undo).to_be_disabled()
    until(lambda: stored(desk, made)["text"]["config"]["default"] == "hello")
    for _ in range(5):
        desk.page.keyboard.press("Control+Shift+z")
    expect(title(desk, "one")).to_have_text("Third")
    until(lambda: stored(desk, made) == edited)
    # The canvas is not stuck in the drag.
    grab(desk, "one", 0, 160)
    desk.page.mouse.up()
    until(lambda: stored(desk, made)["one"]["position"] != [320, 0])


def test_a_run_of_the_page_is_interrupted_and_one_over_rest_goes_on_by_itself(
    desk: Desk, folder: Path, rest: httpx.Client
) -> None:
    mine, other = waiting(rest, "page"), waiting(rest, "rest")
    for who in ("page", "rest"):
        (folder / f"go-{who}-one").touch()
    desk.open_canvas(mine)
    desk.page.locator(".rl-runbar").get_by_role("button", name="Run", exact=True).click()
    started = rest.post(
        f"/workflows/{other}/execute", json={}, headers={"Prefer": "respond-async"}
    ).json()
    for who in ("page", "rest"):
        until((folder / f"began-{who}-two").exists)
    expect(desk.node("one").locator(".rl-status")).to_have_attribute("data-state", "done")
    kill(desk)
    (folder / "go-rest-two").touch()
    restart(desk)

    def run(id_: str) -> Any:
        return rest.get(f"/workflow_executions/{id_}").json()

    until(lambda: run(started["execution_id"])["status"] == "completed")
    assert run(started["execution_id"])["outputs"] == {"end": "hello"}

    # What a person began goes on where they want it to.
    (begun,) = rest.get("/workflow_executions", params={"workflow_id": mine}).json()["items"]
    assert begun["status"] == "interrupted"
    expect(desk.node("one").locator(".rl-status")).to_have_attribute("data-state", "done")
    expect(desk.page.locator(".rl-runbar")).to_contain_text("The server stopped")
    desk.page.get_by_role("button", name="Resume").first.click()
    until(lambda: (folder / "began-page-two").read_text() == "xx")
    (folder / "go-page-two").touch()
    # What the other run found is the same.
    expect(desk.node("out").locator(".rl-status")).to_have_attribute(
        "data-state", re.compile("done|cached")
    )
    until(lambda: run(begun["execution_id"])["status"] == "completed")
    assert run(begun["execution_id"])["outputs"] == {"end": "hello"}
    for who in ("page", "rest"):
        assert (
            folder / f"began-{who}-one"
        ).read_text() == "x"  # what was finished did not run again
        assert (folder / f"began-{who}-two").read_text() == "xx"
