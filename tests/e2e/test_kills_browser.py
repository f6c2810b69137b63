"""The server is really killed under an open page; what the page had shown is there afterwards."""

from __future__ import annotations

import copy
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_desk import Desk, Server, until
from playwright.sync_api import expect

from app.ui.canvas.history import MERGE_S
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


@pytest.fixture
def rest(server: Server) -> Iterator[httpx.Client]:
    key = (server.data / "api_key").read_text().strip()
    with httpx.Client(
        base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as client:
        yield client


@pytest.fixture
def made(rest: httpx.Client, folder: Path, request: pytest.FixtureRequest) -> str:
    """A workflow whose nodes wait for files of this test."""
    graph = copy.deepcopy(GRAPH)
    for node in graph["nodes"][1:3]:
        node["config"]["name"] = name(request, node["id"])
    return str(rest.post("/workflows", json=graph).json()["workflow_id"])


def name(request: pytest.FixtureRequest, node: str) -> str:
    return f"{request.function.__name__}-{node}"


def open_canvas(desk: Desk, workflow_id: str) -> None:
    desk.open(f"/workflows/{workflow_id}")
    desk.node("out").wait_for()
    desk.page.wait_for_timeout(300)


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


def title(desk: Desk, node: str) -> Any:
    return desk.node(node).locator(".rl-title")


def rename(desk: Desk, node: str, text: str) -> None:
    """Rename on the canvas; returns once the server has answered."""
    title(desk, node).click()
    desk.page.keyboard.press("F2")
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type(text)
    desk.page.keyboard.press("Enter")
    undo = desk.page.get_by_label("Undo", exact=True)
    expect(title(desk, node)).to_have_text(text)
    expect(undo).to_be_enabled()


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


def test_edits_that_the_page_showed_are_there_and_undo_goes_on(desk: Desk, made: str) -> None:
    open_canvas(desk, made)
    for text in ("First", "Second"):
        rename(desk, "one", text)
        edited = time.monotonic()
        desk.saved()
        left = edited + MERGE_S - time.monotonic()  # sooner, it is the same step
        desk.page.wait_for_timeout(max(left, 0) * 1000)
    rename(desk, "one", "Third")
    kill(desk)  # mostly before it is saved
    desk.page.locator("#popup[aria-hidden=false]").wait_for()

    # Nothing can be done meanwhile that would be lost.
    before = place(desk, "two")
    grab(desk, "two", 90, 120)
    desk.page.mouse.up()
    desk.page.keyboard.press("Delete")
    assert place(desk, "two") == before
    expect(title(desk, "one")).to_have_text("Third")

    restart(desk)
    expect(title(desk, "one")).to_have_text("Third")
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(3)
    desk.saved()
    assert stored(desk, made)["one"]["title"] == "Third"
    for text in ("Second", "First", "Wait"):
        desk.page.keyboard.press("Control+z")
        expect(title(desk, "one")).to_have_text(text)
    expect(desk.page.get_by_label("Undo", exact=True)).to_be_disabled()
    for text in ("First", "Second", "Third"):
        desk.page.keyboard.press("Control+Shift+z")
        expect(title(desk, "one")).to_have_text(text)
    desk.saved()
    assert stored(desk, made)["one"]["title"] == "Third"


def test_a_drag_that_was_not_over_did_not_happen_and_what_was_is_kept(
    desk: Desk, made: str
) -> None:
    open_canvas(desk, made)
    undo = desk.page.get_by_label("Undo", exact=True)
    title(desk, "text").click()
    field = desk.page.get_by_role("textbox", name="Default")
    field.fill("Typed a moment ago")
    expect(undo).to_be_enabled()
    desk.page.keyboard.press("Escape")
    start = place(desk, "two")
    grab(desk, "two", 64, 128)
    desk.page.mouse.up()
    expect(undo).to_have_attribute("title", re.compile("Move"))
    moved = place(desk, "two")
    assert moved != start
    grab(desk, "one", 64, 200)
    kill(desk)
    desk.page.mouse.up()
    restart(desk)
    assert place(desk, "two") == moved
    assert place(desk, "one") == (320, 0)
    desk.saved()
    assert stored(desk, made)["two"]["position"] == list(moved)
    assert stored(desk, made)["one"]["position"] == [320, 0]
    assert stored(desk, made)["text"]["config"]["default"] == "Typed a moment ago"
    # The canvas is not stuck in the drag.
    desk.page.wait_for_timeout(300)
    grab(desk, "one", 0, 160)
    desk.page.mouse.up()
    until(lambda: stored(desk, made)["one"]["position"] != [320, 0])


def test_a_run_of_the_page_is_interrupted_and_goes_on_where_it_was(
    desk: Desk, made: str, folder: Path, rest: httpx.Client, request: pytest.FixtureRequest
) -> None:
    one, two = name(request, "one"), name(request, "two")
    (folder / f"go-{one}").touch()
    open_canvas(desk, made)
    desk.page.locator(".rl-runbar").get_by_role("button", name="Run", exact=True).click()
    until((folder / f"began-{two}").exists)
    expect(desk.node("one").locator(".rl-status")).to_have_attribute("data-state", "done")
    kill(desk)
    restart(desk)
    run = rest.get("/workflow_executions", params={"workflow_id": made}).json()["items"][0]
    assert run["status"] == "interrupted"
    expect(desk.node("one").locator(".rl-status")).to_have_attribute("data-state", "done")
    expect(desk.page.locator(".rl-runbar")).to_contain_text("The server stopped")
    desk.page.get_by_role("button", name="Resume").first.click()
    until(lambda: (folder / f"began-{two}").read_text() == "xx")
    (folder / f"go-{two}").touch()
    expect(desk.node("out").locator(".rl-status")).to_have_attribute(
        "data-state", "done", timeout=PATIENCE
    )
    run = rest.get(f"/workflow_executions/{run['execution_id']}").json()
    assert (run["status"], run["outputs"]) == ("completed", {"end": "hello"})
    assert (folder / f"began-{one}").read_text() == "x"  # what was finished did not run again


def test_a_run_over_rest_goes_on_by_itself(
    desk: Desk, made: str, folder: Path, rest: httpx.Client, request: pytest.FixtureRequest
) -> None:
    one, two = name(request, "one"), name(request, "two")
    (folder / f"go-{one}").touch()
    open_canvas(desk, made)
    answer = rest.post(
        f"/workflows/{made}/execute", json={}, headers={"Prefer": "respond-async"}
    ).json()
    until((folder / f"began-{two}").exists)
    kill(desk)
    (folder / f"go-{two}").touch()
    restart(desk)

    def run() -> Any:
        return rest.get(f"/workflow_executions/{answer['execution_id']}").json()

    until(lambda: run()["status"] == "completed", 60)
    assert run()["outputs"] == {"end": "hello"}
    assert (folder / f"began-{one}").read_text() == "x"
    assert (folder / f"began-{two}").read_text() == "xx"
