"""Building and reading a graph in a real browser: notes, groups, marks, keys, tips."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from canvas_desk import Desk
from playwright.sync_api import BrowserContext, Locator


def head(desk: Desk) -> dict[str, Any]:
    return dict(desk.state()["graph"]["graph"])


def notes(desk: Desk) -> list[dict[str, Any]]:
    return list(head(desk).get("notes", []))


def groups(desk: Desk) -> list[dict[str, Any]]:
    return list(head(desk).get("groups", []))


def note(desk: Desk, id_: str) -> Locator:
    return desk.page.locator(f'.vue-flow__node[data-id="note:{id_}"]')


def selected(desk: Desk, count: int) -> None:
    desk.until(lambda: desk.page.locator(".rl-node.is-selected").count() == count)


#: Texts of marks that lie over the title of a group.
COVERED = """() => {
  const title = document.querySelector('.rl-group-title').getBoundingClientRect()
  return [...document.querySelectorAll('.rl-mark-chip')]
    .map(chip => [chip.innerText, chip.getBoundingClientRect()])
    .filter(([, b]) => b.left < title.right && title.left < b.right && b.top < title.bottom && title.top < b.bottom)
    .map(([text]) => text)
}"""


def test_differences_are_shown_with_a_colour_an_icon_and_a_word(desk: Desk) -> None:
    wire = ["retrieve", "chunks", "generate", "chunks"]
    marks = {
        "nodes": {"question": "same", "retrieve": "removed", "generate": "config"},
        "edges": {"|".join(wire): "removed"},
    }
    desk.do(method="set_marks", args=[marks])
    desk.shows(desk.node("retrieve").locator(".rl-mark-chip"), "Removed", exact=False)
    desk.shows(desk.node("generate").locator(".rl-mark-chip"), "Settings differ", exact=False)
    desk.until(lambda: desk.page.locator(".rl-wire-mark").all_text_contents() == ["Removed"])

    # Near and far, no mark lies over the title of a group.
    desk.do(ops=[{"op": "group", "nodes": ["retrieve", "generate"], "notes": [], "title": "Find"}])
    desk.page.locator(".rl-group-title").wait_for()
    desk.until(lambda: desk.page.evaluate(COVERED) == [])
    while desk.page.locator(".rl-canvas.is-far").count() == 0:
        desk.page.locator(".rl-canvas").press("-")
        desk.settled()
    assert desk.page.evaluate(COVERED) == []
    desk.do(method="clear_marks")
    desk.gone(desk.page.locator(".rl-mark-chip, .rl-wire-mark"))


def test_a_note_is_written_coloured_resized_moved_and_deleted(desk: Desk) -> None:
    page = desk.page
    page.mouse.move(*desk.empty_spot())
    page.keyboard.press("n")
    page.keyboard.type("# Why\n**bold** <img src=x onerror=alert(1)> [a](javascript:x)")
    page.locator(".rl-sticky-input").wait_for()
    page.keyboard.press("Control+Enter")
    desk.until(lambda: notes(desk) and notes(desk)[0]["text"].startswith("# Why"))
    body = note(desk, "note").locator(".rl-sticky-text")
    desk.shows(body.locator("h4"), "Why")
    desk.shows(body.locator("strong"), "bold")
    assert body.locator("img, a").count() == 0
    body.hover()
    note(desk, "note").get_by_label("Colour: rose").click()
    desk.until(lambda: notes(desk)[0]["colour"] == "rose")
    width = notes(desk)[0]["width"]
    x, y = desk.middle(note(desk, "note").locator(".rl-sticky-grip"))
    desk.drag((x, y), (x + 96, y + 64))
    desk.until(lambda: notes(desk)[0]["width"] > width)
    place = notes(desk)[0]["x"]
    x, y = desk.middle(body.locator("h4"))
    desk.drag((x, y), (x + 120, y + 20))
    desk.until(lambda: notes(desk)[0]["x"] > place)
    page.keyboard.press("Delete")
    desk.until(lambda: notes(desk) == [])
    page.keyboard.press("Control+z")
    note(desk, "note").wait_for()


def test_a_group_is_made_named_dragged_copied_and_taken_apart(desk: Desk) -> None:
    page = desk.page
    desk.title("retrieve").click()
    page.keyboard.down("Control")
    desk.title("generate").click()
    page.keyboard.up("Control")
    selected(desk, 2)
    page.keyboard.press("Control+g")  # keys follow at once, as fingers do
    page.keyboard.type("Find and answer")
    page.locator(".rl-group-input").wait_for()
    page.keyboard.press("Enter")
    desk.until(lambda: [g["title"] for g in groups(desk)] == ["Find and answer"])
    assert groups(desk)[0]["nodes"] == ["retrieve", "generate"]

    before = desk.nodes()
    title = page.locator(".rl-group-title")
    x, y = desk.middle(title)
    desk.drag((x, y), (x + 64, y + 96))
    desk.until(lambda: desk.nodes()["generate"]["position"] != before["generate"]["position"])
    after = desk.nodes()
    moves = [
        [a - b for a, b in zip(after[i]["position"], before[i]["position"], strict=True)]
        for i in ("retrieve", "generate", "question")
    ]
    assert moves[0] == moves[1] != [0, 0] == moves[2]

    page.keyboard.press("Escape")
    title.click()
    desk.until(lambda: desk.selected() == ["retrieve", "generate"])
    page.keyboard.press("Control+d")
    desk.until(lambda: len(groups(desk)) == 2)
    desk.until(lambda: title.count() == 2)
    page.keyboard.press("Control+z")
    desk.until(lambda: len(groups(desk)) == 1)
    desk.until(lambda: title.count() == 1)
    title.click()
    page.keyboard.press("Control+Shift+g")
    desk.until(lambda: groups(desk) == [])
    desk.gone(page.locator(".rl-group"))
    assert "retrieve" in desk.nodes()


def test_what_is_dropped_into_a_frame_joins_its_group(desk: Desk) -> None:
    desk.do(ops=[{"op": "group", "nodes": ["retrieve", "generate"], "title": "G"}])
    desk.do(ops=[{"op": "move_nodes", "positions": {"generate": [960, 400]}}])
    desk.drawn_at("generate", 960, 400)
    desk.page.keyboard.press("1")
    desk.until(lambda: desk.page.locator(".rl-group").count() == 1)
    desk.settled()
    frame = desk.middle(desk.page.locator(".rl-group"))
    desk.drag(desk.middle(desk.title("question")), frame)
    desk.until(lambda: groups(desk)[0]["nodes"] == ["retrieve", "generate", "question"])
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: groups(desk)[0]["nodes"] == ["retrieve", "generate"])
    assert desk.nodes()["question"]["position"] == [0.0, 0.0]


def test_box_select_line_up_and_space_out(desk: Desk) -> None:
    desk.do(
        ops=[{"op": "move_nodes", "positions": {"retrieve": [352, 160], "generate": [900, 64]}}]
    )
    desk.drawn_at("generate", 900, 64)
    desk.page.keyboard.press("1")
    desk.settled()
    canvas = desk.page.locator(".rl-canvas").bounding_box()
    assert canvas is not None
    desk.page.keyboard.down("Shift")
    desk.drag(
        (canvas["x"] + 10, canvas["y"] + 60),
        (canvas["x"] + canvas["width"] - 10, canvas["y"] + canvas["height"] - 90),
    )
    desk.page.keyboard.up("Shift")
    selected(desk, 3)
    bar = desk.page.locator(".rl-selection-bar")
    bar.get_by_label("Align top").click()
    desk.until(lambda: {n["position"][1] for n in desk.nodes().values()} == {0})
    bar.get_by_label("Space out across").click()
    desk.until(lambda: desk.nodes()["retrieve"]["position"][0] == 450)
    desk.page.keyboard.press("Control+z")
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: desk.nodes()["retrieve"]["position"] == [352, 160])


def test_a_node_goes_into_a_wire_by_its_plus_and_when_dropped_on_it(desk: Desk) -> None:
    x1, y1 = desk.middle(desk.port("retrieve", "source", "chunks"))
    x2, y2 = desk.middle(desk.port("generate", "target", "chunks"))
    desk.page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    desk.page.locator(".rl-wire-plus").click()
    offered = desk.page.locator(".rl-quick-title")
    desk.until(lambda: offered.all_inner_texts() == ["Rerank", "Merge"])
    desk.page.keyboard.press("Enter")
    desk.until(lambda: "rerank chunks>chunks generate" in desk.edges())
    assert "retrieve chunks>chunks rerank" in desk.edges()
    places = {id_: n["position"][0] for id_, n in desk.nodes().items()}
    assert places["retrieve"] + 240 < places["rerank"]
    assert places["rerank"] + 240 < places["generate"]
    # The cards made room on the screen, too.
    gap = "([a, b]) => b.getBoundingClientRect().left - a.getBoundingClientRect().right"
    cards = [desk.node(node).element_handle() for node in ("rerank", "generate")]
    desk.until(lambda: desk.page.evaluate(gap, cards) > 0)

    desk.do(ops=[{"op": "add_node", "type": "merge", "x": 0, "y": 400}])
    desk.node("merge").wait_for()
    desk.page.keyboard.press("1")
    desk.settled()
    x1, y1 = desk.middle(desk.port("rerank", "source", "chunks"))
    x2, y2 = desk.middle(desk.port("generate", "target", "chunks"))
    desk.drag(desk.middle(desk.title("merge")), ((x1 + x2) / 2, (y1 + y2) / 2))
    desk.until(lambda: "merge value>chunks generate" in desk.edges())


def test_the_plus_of_a_wire_comes_to_the_pointer_and_lies_under_no_card(desk: Desk) -> None:
    # The middle of the wire from the question to the answer is under a card.
    desk.do(ops=[{"op": "move_nodes", "positions": {"question": [0, 0], "retrieve": [336, -64]}}])
    desk.do(ops=[{"op": "move_nodes", "positions": {"generate": [672, 0]}}])
    desk.drawn_at("retrieve", 336, -64)
    desk.drawn_at("generate", 672, 0)
    desk.page.keyboard.press("1")
    desk.settled()
    start = desk.middle(desk.port("question", "source", "query"))
    end = desk.middle(desk.port("generate", "target", "query"))
    plus = desk.page.locator(".rl-wire-plus")

    def near(x: float) -> bool:
        return abs(desk.middle(plus)[0] - x) < 30

    for from_, to in ((start, end), (end, start)):
        x = from_[0] + (48 if to > from_ else -48)
        desk.page.mouse.move(x, from_[1])
        plus.wait_for()
        desk.until(partial(near, x))
        on_top = "([x, y]) => document.elementFromPoint(x, y).closest('.rl-wire-plus') !== null"
        assert desk.page.evaluate(on_top, desk.middle(plus))
        desk.page.mouse.move(*desk.empty_spot())
        desk.gone(plus)


def test_a_node_that_is_shown_is_panned_to_where_it_is_out_of_sight_and_never_zoomed_to(
    desk: Desk,
) -> None:
    def view() -> list[float]:
        desk.settled()
        pane = "getComputedStyle(document.querySelector('.vue-flow__transformationpane')).transform"
        scale, _, _, _, x, y = desk.page.evaluate(f"{pane}.match(/-?[\\d.]+/g).map(Number)")
        return [scale, x, y]

    for _ in range(4):
        desk.page.get_by_label("Zoom in").click()
        before = view()
    desk.do(method="select", args=[["retrieve"]], kwargs={"shown": True})
    selected(desk, 1)
    far = desk.node("generate").bounding_box()
    assert far
    near = view()
    desk.do(method="select", args=[["generate"]], kwargs={"shown": True})
    desk.until(lambda: desk.selected() == ["generate"])
    after = view()
    assert before[0] == near[0] == after[0] > 1
    assert after[1] < near[1]
    desk.do(method="select", args=[["generate"]], kwargs={"shown": True})
    assert view() == after


def test_a_box_chooses_when_it_is_drawn_and_a_part_of_it_is_run_from_its_bar(desk: Desk) -> None:
    desk.page.keyboard.down("Shift")
    box = desk.node("question").bounding_box()
    other = desk.node("retrieve").bounding_box()
    assert box
    assert other
    desk.page.mouse.move(box["x"] - 8, box["y"] - 40)
    desk.page.mouse.down()
    desk.page.mouse.move(box["x"] + 30, box["y"] + 30, steps=3)
    desk.page.mouse.move(other["x"] + other["width"] - 20, other["y"] + 60, steps=3)
    selected(desk, 2)
    assert desk.events("selection") == []
    desk.page.mouse.up()
    desk.page.keyboard.up("Shift")
    desk.until(lambda: desk.selected() == ["question", "retrieve"])
    desk.page.locator(".rl-selection-bar").get_by_label("Run the selection").click()
    desk.until(lambda: desk.events("node") == [["node", "run_selection", "question"]])
    # What becomes of it takes clicks: nothing of the box lies over it.
    desk.page.keyboard.press("Control+d")
    desk.until(lambda: len(desk.nodes()) == 5)
    desk.title("retrieve-2").click()


def test_a_click_at_the_end_of_a_wire_selects_it_and_dragging_it_off_takes_it_away(
    desk: Desk,
) -> None:
    before = desk.edges()
    wire = desk.page.locator('.vue-flow__edge[data-id="retrieve|chunks|generate|chunks"]')
    hold = wire.locator(".vue-flow__edgeupdater").bounding_box()
    assert hold
    end = (hold["x"] + 3, hold["y"] + hold["height"] / 2)
    desk.page.mouse.click(*end)
    desk.until(lambda: desk.events("selection")[-1:] == [["selection", [], 1]])
    assert desk.edges() == before
    assert desk.page.locator(".rl-quick").count() == 0
    desk.drag(end, (end[0] - 20, end[1] + 160))
    desk.until(lambda: "retrieve chunks>chunks generate" not in desk.edges())


def test_the_grid_can_be_switched_off_and_stays_so(desk: Desk) -> None:
    snap = desk.page.get_by_label("Snap to grid")
    snap.click()
    desk.until(lambda: snap.get_attribute("aria-pressed") == "false")
    desk.open()
    desk.until(lambda: snap.get_attribute("aria-pressed") == "false")
    x, y = desk.middle(desk.title("question"))
    desk.drag((x, y), (x + 37, y + 141))
    desk.until(lambda: desk.nodes()["question"]["position"][0] % 16 != 0)
    snap.click()
    desk.until(lambda: snap.get_attribute("aria-pressed") == "true")


def test_keys_alone_connect_find_move_and_open_menus(desk: Desk) -> None:
    page = desk.page
    page.locator(".rl-canvas").focus()
    page.keyboard.press("ArrowRight")
    desk.until(lambda: desk.selected() == ["question"])
    page.keyboard.press("ArrowRight")
    desk.until(lambda: desk.selected() == ["retrieve"])
    label = "document.activeElement.getAttribute('aria-label')"
    words = "Retrieve, retrieve, top 5 by meaning, not run yet"
    desk.until(lambda: str(page.evaluate(label)).startswith(words))
    desk.do(ops=[{"op": "disconnect", "edges": [["retrieve", "chunks", "generate", "chunks"]]}])
    desk.until(lambda: desk.wires().count() == 2)
    page.keyboard.press("c")
    page.locator(".rl-quick-input").wait_for()
    page.keyboard.type("answer chunks")
    page.keyboard.press("Enter")
    desk.until(lambda: "retrieve chunks>chunks generate" in desk.edges())
    page.keyboard.press("Alt+ArrowDown")
    desk.until(lambda: desk.nodes()["retrieve"]["position"] == [336, 16])
    page.keyboard.press("Control+f")
    page.locator(".rl-quick-input").wait_for()
    page.keyboard.type("quest")
    page.keyboard.press("Enter")
    desk.until(lambda: desk.selected() == ["question"])
    page.keyboard.press("Shift+F10")
    page.locator(".rl-menu").wait_for()
    # Whatever the pointer is at takes the place of what the keys had chosen.
    entries = page.locator(".rl-menu [role=menuitem]")
    desk.until(lambda: entries.first.evaluate("e => e === document.activeElement"))
    entries.nth(1).hover()
    desk.until(lambda: entries.nth(1).evaluate("e => e === document.activeElement"))
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    desk.until(lambda: page.evaluate("document.activeElement.innerText").count("Disable") == 1)
    page.keyboard.press("Enter")
    desk.until(lambda: desk.nodes()["question"].get("disabled"))
    desk.shows(page.locator(".rl-spoken"), "Disable node")
    desk.until(lambda: "disabled" in (desk.node("question").get_attribute("aria-label") or ""))


def test_ports_say_what_they_are_and_what_they_last_held(desk: Desk) -> None:
    desk.do(method="set_port_values", args=[{"question": {"query": "What is a DAG? <b>"}}])
    desk.port("retrieve", "target", "query").hover()
    tip = desk.page.locator(".rl-tip")
    desk.shows(tip, "Last value, from Question", exact=False)
    desk.shows(tip, "What is a DAG? <b>", exact=False)
    desk.shows(tip, "Required", exact=False)
    desk.page.mouse.move(*desk.empty_spot())
    desk.gone(tip)


def test_states_of_people_maps_and_caches_look_different(desk: Desk) -> None:
    states = {
        "question": {"state": "cached", "reason": "same inputs and settings"},
        "retrieve": {"state": "running", "done": 12, "total": 40, "inner": "Rerank"},
        "generate": {"state": "asking", "message": "Publish this?"},
    }
    desk.do(method="set_statuses", args=[states])
    desk.shows(desk.node("retrieve").locator(".rl-status-text"), "12 of 40 · Rerank", exact=False)
    desk.shows(desk.node("generate").locator(".rl-status-text"), "Asks: Publish this?")
    desk.shows(desk.node("question").locator(".rl-status-text"), "Cached")
    desk.shows(desk.page.locator(".rl-spoken"), "Generate answer waits for a person", exact=False)


def test_a_copy_takes_notes_and_groups_into_another_workflow(
    desk: Desk, context: BrowserContext
) -> None:
    desk.do(ops=[{"op": "add_note", "x": 0, "y": 300, "text": "look"}])
    desk.do(ops=[{"op": "group", "nodes": ["retrieve"], "notes": ["note"], "title": "Find"}])
    note(desk, "note").wait_for()
    desk.page.keyboard.press("Control+a")
    selected(desk, 3)
    assert json.loads(desk.copied())["graph"]["notes"][0]["text"] == "look"
    other = Desk(context.new_page(), desk.url, f"{desk.name}_other", "&empty=true")
    other.page.bring_to_front()
    other.page.keyboard.press("Control+v")
    other.until(lambda: len(other.nodes()) == 3)
    assert groups(other)[0]["title"] == "Find"
    assert notes(other)[0]["text"] == "look"
    other.page.close()
    assert other.errors == []
