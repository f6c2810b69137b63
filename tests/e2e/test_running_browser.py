"""Running in a browser: the timeline, ways to run from a node, questions over a kill, batches."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

from e2e_desk import Desk, Server, until
from playwright.sync_api import Locator, expect


def node(id_: str, kind: str, x: int, **config: Any) -> dict[str, Any]:
    return {
        "id": id_, "type": kind, "version": 1, "title": id_.capitalize(), "config": config,
        "position": [x, 0],
    }  # fmt: skip


def workflow(
    name: str, nodes: list[dict[str, Any]], wires: list[tuple[str, str, str]]
) -> dict[str, Any]:
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": name},
        "nodes": nodes,
        "edges": [{"source": a, "target": b, "key": key} for a, b, key in wires],
    }


def stored(server: Server, graph: dict[str, Any]) -> str:
    with server.client() as client:
        answer = client.post("/workflows", json=graph)
    answer.raise_for_status()
    return str(answer.json()["workflow_id"])


INSIDE = workflow(
    "Inside",
    [
        node("item", "inlet", 0, name="item", value_type="Text"),
        node("reader", "parse_json", 300, strict=False),
        node("done", "output", 600, name="out"),
    ],
    [("item", "reader", "value>text"), ("reader", "done", "data>value")],
)
BODY = {
    "graph": INSIDE,
    "interface": {
        "inputs": [{"name": "item", "type": "Text", "required": True}],
        "outputs": [{"name": "value", "type": "Json"}],
    },
}
NUMBERS = workflow(
    "Numbers",
    [
        node("words", "text_input", 0, name="text", default="\n".join("123456")),
        node("parts", "split_text", 320, by="lines"),
        node("each", "map", 640, body=BODY, item="item", concurrency=2),
        node("result", "output", 960, name="found"),
    ],
    [
        ("words", "parts", "text>text"),
        ("parts", "each", "parts>items"),
        ("each", "result", "value>value"),
    ],
)
READING = workflow(
    "Reading",
    [
        node("words", "text_input", 0, name="text", default="nonsense"),
        node("reader", "parse_json", 320, strict=True),
        node("result", "output", 640, name="found"),
    ],
    [("words", "reader", "text>text"), ("reader", "result", "data>value")],
)
LETTERS = workflow(
    "Letters",
    [
        node("words", "text_input", 0, name="text", default="Dear sir"),
        node("boss", "approval", 320, message="Send it?", allow_edit=True),
        node("result", "output", 640, name="letter"),
    ],
    [("words", "boss", "text>value"), ("boss", "result", "approved>value")],
)


#: Pairs of buttons in the top bar that lie over each other.
OVERLAPS = """() => {
  const shown = [...document.querySelectorAll('.rl-top button, .rl-top a')].filter(e => e.offsetParent)
  const boxes = shown.map(e => [e.ariaLabel || e.innerText, e.getBoundingClientRect()])
  return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1)
    .map(([other]) => `${name} / ${other}`))
}"""


def show(desk: Desk, graph: dict[str, Any]) -> str:
    """Open a new workflow with the drawer under it."""
    made = stored(desk.server, graph)
    desk.open(f"/workflows/{made}")
    desk.page.wait_for_selector(".rl-node")
    desk.page.evaluate("ragloom.panel('drawer', 'open')")
    return made


def run(desk: Desk) -> None:
    desk.page.locator("[data-rl-key=run]").click()


def state(desk: Desk, node_id: str) -> Locator:
    return desk.node(node_id).locator(".rl-status")


def ask(desk: Desk, node_id: str, entry: str) -> None:
    """Choose from the menu of a node."""
    desk.node(node_id).locator(".rl-title").click(button="right")
    desk.page.get_by_role("menuitem", name=entry).click()


def test_the_timeline_folds_steps_inside_and_names_the_path_that_decided(
    desk: Desk, tmp_path: Path
) -> None:
    show(desk, NUMBERS)
    page = desk.page
    run(desk)
    expect(state(desk, "result")).to_have_attribute("data-state", "done")
    rows = page.locator(".rl-gantt-row")
    expect(rows).to_have_count(4)
    path = page.locator(".rl-path")
    expect(path).to_contain_text("Each")
    # Bars stand where they were on one scale: what follows begins where the other ended or later.
    # Read in one go and from the style: boxes are in motion while the scale settles.
    starts = rows.locator(".rl-gantt-bar").evaluate_all(
        "bars => bars.map(bar => parseFloat(bar.style.left))"
    )
    assert len(starts) == 4
    assert starts == sorted(starts)

    # Steps inside unfold by keys, item by item, and show their data.
    page.locator('[data-row="each"] .rl-gantt-pick').focus()
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(10)
    page.locator('[data-row="each[2]"] .rl-gantt-fold').click()
    page.locator('[data-row="each[2]/reader"] .rl-gantt-pick').click()
    dialog = page.locator(".rl-dialog")
    expect(dialog).to_contain_text("each[2]/reader")
    expect(dialog).to_contain_text("3")
    page.keyboard.press("Escape")

    # A second run reuses everything: hatched bars, and why.
    run(desk)
    expect(state(desk, "words")).to_have_attribute("data-state", "cached")
    expect(page.locator('[data-row="words"] .rl-gantt-bar.is-cached')).to_be_visible()
    expect(page.locator('[data-row="words"]')).to_contain_text("same inputs and settings")

    # Everything that came out can be searched, and taken along.
    page.get_by_role("tab", name="Output").click()
    page.get_by_placeholder("Search in all outputs").fill("5")
    hit = page.locator(".rl-hit").filter(has_text="Parts")
    expect(hit.locator("mark").first).to_have_text("5")
    with page.expect_download() as started:
        page.locator(".rl-output-bar").get_by_role("button", name="JSON").click()
    file = tmp_path / "run.json"
    started.value.save_as(file)
    assert "result" in json.loads(file.read_text())["steps"]


def test_a_failed_run_leads_to_the_node_and_runs_from_there_after_the_fix(desk: Desk) -> None:
    show(desk, READING)
    page = desk.page
    page.set_viewport_size({"width": 1100, "height": 800})
    run(desk)
    expect(page.locator(".rl-runbar")).to_contain_text("The text holds no JSON")
    expect(desk.node("reader")).to_be_in_viewport()
    expect(desk.node("reader")).to_have_class(re.compile("selected"))

    # What came before it is given by hand, pinned, and only then it goes on.
    ask(desk, "words", "Edit and pin")
    page.get_by_role("textbox", name="text", exact=True).last.fill('{"answer": 42}')
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(desk.node("words").locator(".rl-mark")).to_have_text("push_pin")
    expect(desk.node("reader").locator(".rl-status")).to_have_class(re.compile("is-stale"))
    page.locator(".rl-runbar").get_by_role("button", name="Run from here").click()
    expect(state(desk, "result")).to_have_attribute("data-state", "done")

    # A value that does not fit its port is refused in place.
    ask(desk, "reader", "Run this node alone")
    field = page.get_by_role("textbox", name="text", exact=True).last
    field.fill("{")
    page.get_by_role("button", name="Run this node").click()
    expect(page.locator(".rl-dialog")).to_contain_text("This is no JSON")
    field.fill('{"type": "Text", "value": {"text": "[1, 2]"}}')
    page.get_by_role("button", name="Run this node").click()
    expect(page.locator(".rl-dialog")).to_have_count(0)
    expect(page.locator(".rl-gantt-row")).not_to_have_count(0)
    page.locator("[data-rl-key=run]").wait_for()


def test_a_run_goes_by_steps_that_are_marked(desk: Desk) -> None:
    show(desk, NUMBERS)
    page = desk.page
    page.get_by_role("button", name="Other ways to start").click()
    page.get_by_text("Run step by step").click()
    bar = page.locator(".rl-runbar")
    expect(bar).to_contain_text("Next: Words")
    expect(desk.node("words")).to_have_class(re.compile("selected"))
    page.get_by_role("button", name="Step", exact=True).click()
    expect(bar).to_contain_text("Next: Parts")
    expect(state(desk, "words")).to_have_attribute("data-state", "done")
    expect(state(desk, "parts")).to_have_attribute("data-state", "waiting")
    page.get_by_role("button", name="Continue").click()
    expect(state(desk, "result")).to_have_attribute("data-state", "done")


def test_the_inspector_tells_of_several_nodes_and_acts_on_them(desk: Desk) -> None:
    show(desk, NUMBERS)
    page = desk.page
    panel = page.locator(".rl-inspector")
    # A click on a port selects its node: what it offers stays beside the panel that opens.
    desk.node("result").locator(".vue-flow__handle.target").click()
    expect(panel).to_be_visible()
    inside = """() => document.querySelector('.rl-quick').getBoundingClientRect().right
      <= document.querySelector('.rl-inspector').getBoundingClientRect().left"""
    page.wait_for_function(inside)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.keyboard.press("1")
    desk.settled()
    desk.node("words").locator(".rl-title").click()
    desk.node("parts").locator(".rl-title").click(modifiers=["Control"])
    expect(panel.locator(".rl-panel-head")).to_contain_text("2 nodes")
    expect(panel.locator(".rl-several .rl-end").first).to_contain_text("Words")
    panel.get_by_role("button", name="Align top").click()
    panel.get_by_role("button", name="Group").click()
    page.locator(".rl-group-input").fill("Reading")
    page.keyboard.press("Enter")
    expect(page.locator(".rl-group-title")).to_contain_text("Reading")
    expect(panel.locator(".rl-panel-head")).to_contain_text("Reading")

    # Run alone: the rest does not run. One of them, then nothing, is shown as ever.
    panel.get_by_role("button", name="Run the selection").click()
    expect(state(desk, "parts")).to_have_attribute("data-state", re.compile("done|cached"))
    expect(state(desk, "each")).to_have_attribute("data-state", "idle")
    panel.get_by_role("button", name="Parts").click()
    expect(panel.get_by_role("tab", name="Config")).to_be_visible()
    expect(panel.locator(".rl-several")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(panel.locator(".rl-panel-head")).to_contain_text("Workflow")
    page.evaluate("ragloom.panel('inspector', 'open')")
    expect(panel.get_by_role("textbox", name="Description")).to_be_visible()


def test_a_table_of_inputs_fits_a_phone(desk: Desk) -> None:
    made = stored(desk.server, READING)
    page = desk.page
    page.set_viewport_size({"width": 400, "height": 800})
    desk.open(f"/workflows/{made}/batch")
    page.get_by_role("textbox", name="Table of inputs").fill("text\n[1]\n[2]\nnonsense\n")
    page.get_by_role("button", name="Run 3 rows").click()
    page.wait_for_url("**batch=*")
    expect(page.get_by_text("3 of 3 rows, 1 failed")).to_be_visible()
    expect(page.locator(".rl-batch-row")).to_have_count(3)
    desk.fits()
    page.locator("a.rl-batch-row").last.click()
    page.wait_for_url("**run=*")
    desk.settled()
    expect(page.locator(".rl-runbar")).to_contain_text("The text holds no JSON")


def test_a_question_outlives_the_server_and_every_page(desk: Desk) -> None:
    made = show(desk, LETTERS)
    page, server = desk.page, desk.server
    run(desk)
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    until(lambda: _statuses(server, made) == ["waiting"])
    page.goto("about:blank")
    server.stop(signal.SIGKILL)
    server.start()
    desk.open("/runs")
    page.get_by_role("button", name="Runs: 1 waits for you").click()
    page.locator(".rl-run-jobs a").click()
    page.wait_for_url("**run=*")
    desk.settled()
    banner = page.locator(".rl-stage-banner")
    expect(banner).to_contain_text("Waiting")
    expect(page.get_by_role("button", name="Run again")).to_have_count(0)
    page.set_viewport_size({"width": 400, "height": 800})
    until(lambda: page.evaluate(OVERLAPS) == [])
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("textbox", name="Value").fill("Dear madam")
    page.get_by_role("textbox", name="Comment").fill("More polite")
    page.get_by_role("button", name="Approve").click()
    until(lambda: _statuses(server, made) == ["completed"])
    run_id = server.get("/workflow_executions?limit=1")["items"][0]["execution_id"]
    outputs = server.get(f"/workflow_executions/{run_id}")["outputs"]
    assert "Dear madam" in json.dumps(outputs)
    expect(page.locator(".rl-ask")).to_have_count(0)
    expect(banner).to_contain_text("A past run")
    expect(banner).not_to_contain_text("Waiting")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()


def _statuses(server: Server, workflow_id: str) -> list[str]:
    runs = server.get("/workflow_executions?limit=20")["items"]
    return [r["status"] for r in runs if r["workflow_id"] == workflow_id]
